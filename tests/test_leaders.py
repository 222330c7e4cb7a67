"""Who leads: evaluation by evaluation the same as out of all of them at once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from paragent.config import RunConfig
from paragent.design import Agent, Design, Part, Team
from paragent.engine import comparable, front_of
from paragent.leaders import Leaders
from paragent.outcome import Evaluation, Failed, Measured, Outcome, Usage

ONE = Agent(Part("m"), Part("direct"))
DESIGNS = [
    Design(ONE),
    Design(Team(Part("vote"), (ONE, ONE))),
    Design(Agent(Part("m"), Part("chain_of_thought"))),
]
#: (which design, hits, tasks measured, tasks failed, dollars per task; 3 stands for unknown)
told = st.lists(
    st.tuples(*(st.integers(0, most) for most in (2, 4, 6, 2, 3))), min_size=1, max_size=12
)


def evaluation(which: int, hits: int, measured: int, failed: int, usd: int) -> Evaluation:
    """A made-up one."""
    price = None if usd == 3 else float(usd)
    outcomes: dict[str, Outcome] = {
        f"t{i}": Measured(float(i < hits), Usage(1, 1, 1, price)) for i in range(measured)
    }
    outcomes |= {f"f{i}": Failed("timeout", "slow") for i in range(failed)}
    return Evaluation(DESIGNS[which], "dev", "search-eval", outcomes)


@given(told)
@settings(deadline=None)
def test_leaders_are_the_front_of_the_comparable(rows: list[tuple[int, ...]]) -> None:
    """Ties, failures, unknown costs, and counts of tasks that grow on the way: after each
    evaluation the leaders are `front_of(comparable(all so far))`."""
    config = RunConfig()
    leaders, evaluations = Leaders(config), []
    for row in rows:
        evaluations.append(evaluation(*row))
        leaders.add(evaluations[-1])
        assert leaders.front == front_of(comparable(evaluations), config)

"""The portfolio of searchers: credit goes to who adds hypervolume cheaply; nothing is run twice."""

from __future__ import annotations

import pytest

from paragent.design import Design
from paragent.errors import ParagentError, UsageError
from paragent.factor_space import FactorSpace, row_levels
from paragent.outcome import Evaluation, Failed, Measured, Usage
from paragent.search.portfolio import Portfolio
from paragent.searcher import Earlier

SPACE = FactorSpace({"a": list(range(6)), "b": list(range(6))})


def told(design: Design, usd: float = 0.1) -> Evaluation:
    """The score rises with both levels."""
    levels = row_levels(design) or {}
    score = sum(float(v) for v in levels.values()) / 10
    return Evaluation(design, "dev", "search-eval", {"t": Measured(score, Usage(1, 0, 0, usd))})


def test_no_design_is_asked_twice_and_all_are_found() -> None:
    """Three members on a table of 36: 36 proposals, all different, then none."""
    portfolio = Portfolio(SPACE, members="random+greedy+ageing_evolution")
    seen: list[Design] = []
    while proposals := portfolio.ask(3):
        seen += [p.design for p in proposals]
        for proposal in proposals:
            portfolio.tell(told(proposal.design))
    assert len(seen) == len(set(seen)) == 36
    assert sum(portfolio.shares.values()) == 36


def test_credit_decides_against_a_leader_that_adds_nothing() -> None:
    """Only what greedy proposes is measured; the leader's proposals fail: greedy proposes most."""
    space = FactorSpace({"a": list(range(15)), "b": list(range(15))})
    portfolio = Portfolio(space, members="random+greedy", trust=2)
    for _ in range(60):
        for proposal in portfolio.ask(1):
            if proposal.by == "greedy":
                portfolio.tell(told(proposal.design))
            else:
                failed = {"t": Failed("timeout", "slow")}
                portfolio.tell(Evaluation(proposal.design, "dev", "search-eval", failed))
    assert portfolio.shares["greedy"] > 30


def test_without_evidence_the_leader_proposes_most() -> None:
    """Nothing is told back: the prior alone gives the first member most of 40 turns."""
    space = FactorSpace({"a": list(range(15)), "b": list(range(15))})
    portfolio = Portfolio(space, members="random+greedy+ageing_evolution")
    assert len(portfolio.ask(40)) == 40
    assert portfolio.shares["random"] > 20


def test_the_leader_lays_out_the_start_and_has_small_spaces_alone() -> None:
    """Labels of mcts come first whatever is drawn; nine designs are all the leader's."""
    space = FactorSpace({"a": list(range(9)), "b": list(range(9))})
    portfolio = Portfolio(space, members="mcts/random", trust=0.01)
    for _ in range(6):
        (proposal,) = portfolio.ask(1)
        assert (proposal.by, proposal.purpose) == ("mcts", "label")
        portfolio.tell(told(proposal.design))
    small = Portfolio(FactorSpace({"a": [0, 1, 2], "b": [0, 1, 2]}), members="random/greedy")
    assert len(small.ask(9)) == 9 and small.ask(1) == []
    assert small.shares["greedy"] == 0


def test_the_leader_starts_from_an_earlier_run() -> None:
    """A tree search takes the earlier evaluations in and keeps a record; random ignores them."""
    earlier = [Earlier(SPACE.design((a, a)), a / 5, 0.001, 0.1) for a in range(6)]
    warm = Portfolio(SPACE, members="mcts+random")
    warm.warm(earlier, same=True)
    assert warm.warm_record() is not None
    assert warm.ask(1)[0].by == "mcts"
    cold = Portfolio(SPACE, members="random+mcts")
    cold.warm(earlier, same=True)
    assert cold.warm_record() is None and len(cold.ask(3)) == 3


def test_the_gain_by_hand() -> None:
    """Cost 1, score .2; then cost 10, score .6. The reference is (1.1, -.19)."""
    portfolio = Portfolio(SPACE, members="random")
    one, two = SPACE.design((1, 1)), SPACE.design((3, 3))
    assert portfolio._gain(told(one, 1.0)) == 0.0, "nothing to compare with"
    # (0, -.2) holds 1.1 x .01; (1, -.6) adds .1 x (.41 - .01).
    assert portfolio._gain(told(two, 10.0)) == pytest.approx(0.1 * 0.4 / (10 / 5.5))


@pytest.mark.parametrize(
    "members", ["", "portfolio", "random+portfolio", "nobody", "random+random"]
)
def test_members_that_are_none_are_refused(members: str) -> None:
    """None, itself, an unknown name, or one twice."""
    with pytest.raises(ParagentError, match=r"portfolio|nobody"):
        Portfolio(SPACE, members=members)


@pytest.mark.parametrize(("trust", "keep"), [(0.0, 0.9), (-1.0, 0.9), (8.0, 0.0), (8.0, 1.1)])
def test_options_out_of_range_are_refused(trust: float, keep: float) -> None:
    """A prior of no weight would never yield to a draw; credit cannot grow with age."""
    with pytest.raises(UsageError, match="trust is"):
        Portfolio(SPACE, trust=trust, keep=keep)

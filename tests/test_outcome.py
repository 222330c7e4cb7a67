"""The first law, on hand-worked evaluations."""

from __future__ import annotations

import pytest

from paragent.design import Agent, Design, Part
from paragent.outcome import (
    Evaluation,
    Failed,
    Measured,
    Outcome,
    Pruned,
    Usage,
    outcome_from_json,
    outcome_to_json,
)

DESIGN = Design(Agent(Part("m")))


def evaluation(*outcomes: Outcome) -> Evaluation:
    """An evaluation with these outcomes in order."""
    return Evaluation(DESIGN, "dev", "search-eval", {f"t{i}": o for i, o in enumerate(outcomes)})


def test_failures_and_pruned_tasks_stay_out_of_the_mean() -> None:
    """Two measured (1, 0), one failed, one pruned: the mean is 1/2, not 1/4."""
    found = evaluation(
        Measured(1.0, Usage(1, 10, 5, 0.2, 2.0)),
        Failed("timeout", "slow", Usage(9, 9, 9, 9.0, 9.0)),
        Pruned("cap"),
        Measured(0.0, Usage(3, 20, 5, 0.4, 4.0)),
    )
    assert found.score == 0.5
    assert found.n == 2
    assert found.usd_per_task == pytest.approx(0.3)
    assert found.tokens_per_task == 20
    assert found.calls_per_task == 2
    assert found.latency_s == 3.0
    assert found.failures == {"timeout": 1}
    assert found.failure_share == pytest.approx(1 / 3), "pruned tasks did not run"


def test_nothing_measured_has_no_score() -> None:
    """No mean, no interval, no cost; not zero."""
    found = evaluation(Failed("server", "500"))
    assert found.score is None
    assert found.interval() is None
    assert found.usd_per_task is None
    assert found.failure_share == 1.0


def test_one_unknown_price_makes_the_cost_unknown() -> None:
    """A mean over the known half would be a wrong number."""
    found = evaluation(Measured(1.0, Usage(usd=0.1)), Measured(1.0, Usage(usd=None)))
    assert found.cost("usd") is None
    assert found.cost("tokens") == 0
    assert (Usage(usd=0.1) + Usage(usd=None)).usd is None


@pytest.mark.parametrize(
    "outcome",
    [Measured(0.25, Usage(1, 2, 3, None, 0.5), "a"), Failed("auth", "no key"), Pruned("model")],
)
def test_outcomes_travel_as_plain_data(outcome: Outcome) -> None:
    """to_json and from_json are inverse."""
    assert outcome_from_json(outcome_to_json(outcome)) == outcome


def test_what_members_said_is_kept_through_json() -> None:
    """Not asked, agreed, disagreed; absent for single agents and in older runs."""
    team = Measured(1.0, Usage(2), "7", (None, True, False))
    assert outcome_from_json(outcome_to_json(team)) == team
    assert "members" not in outcome_to_json(Measured(1.0, Usage(1), "7"))

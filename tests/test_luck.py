"""What the luckiest design was worth on fresh tasks, by hand."""

from __future__ import annotations

import pytest

from paragent.factor_space import FactorSpace
from paragent.luck import luck_of, luck_text
from paragent.outcome import Evaluation, Measured, Usage

LUCKY, STEADY = FactorSpace({"a": ["x", "y"]}).all() or []


def told(design: object, right: str, first: int = 0) -> Evaluation:
    """An evaluation whose tasks, numbered from `first`, were right (1) or wrong (0)."""
    outcomes = {f"t{first + i}": Measured(float(c), Usage()) for i, c in enumerate(right)}
    return Evaluation(design, "dev", "search-eval", outcomes)  # type: ignore[arg-type]


BEFORE = [told(LUCKY, "1111"), told(STEADY, "1110")]
AFTER = [told(LUCKY, "1111" + "10000000"), told(STEADY, "1110" + "11111100")]


def test_a_lucky_mean_falls_on_fresh_tasks() -> None:
    """4 of 4, then 1 of 8; the other has 6 of 8: +5/8 on the same fresh tasks."""
    luck = luck_of(BEFORE, AFTER, STEADY.hash)
    assert luck is not None
    assert (luck["design"], luck["observed"], luck["tasks"]) == (LUCKY.hash, 1.0, 4)
    assert (luck["fresh"], luck["fresh_tasks"]) == (pytest.approx(1 / 8), 8)
    assert luck["saved"] == pytest.approx(5 / 8)
    assert luck["saved_interval"][0] < 5 / 8 < luck["saved_interval"][1]
    assert "was 100.0% on 4 tasks; on 8 fresh ones that design has 12.5%" in luck_text(luck)
    assert "+62.5 points" in luck_text(luck)


def test_a_design_that_stays_the_best_saves_nothing() -> None:
    """Chosen is the luckiest: no difference, and the text says so."""
    luck = luck_of(BEFORE, AFTER, LUCKY.hash)
    assert luck is not None and luck["saved"] == 0
    assert luck_text(luck).endswith("It is still the best of the front.")


def test_without_fresh_tasks_nothing_is_said() -> None:
    """No fresh task, no finalist that the search saw, or no common fresh task: None."""
    assert luck_of(BEFORE, BEFORE, STEADY.hash) is None
    assert luck_of([], AFTER, STEADY.hash) is None
    apart = [AFTER[0], told(STEADY, "11", first=50)]
    assert luck_of(BEFORE, apart, STEADY.hash) is None

"""BOAD's rule on hand-worked values."""

from __future__ import annotations

import math

import pytest

from paragent.design import Design
from paragent.factor_space import FactorSpace, row_levels
from paragent.outcome import Evaluation, Failed, Measured, Outcome, Usage
from paragent.search.boad import Arm, Boad, index

SPACE = FactorSpace({"a": ["x", "y"], "b": ["u", "v"]})


def told(design: Design, outcome: Outcome) -> Evaluation:
    """One task."""
    return Evaluation(design, "dev", "search-eval", {"t": outcome})


def levels(design: Design) -> tuple[str, str]:
    """Of both factors."""
    found = row_levels(design) or {}
    return str(found["a"]), str(found["b"])


def test_the_index_by_hand() -> None:
    """Two plays that brought 1.2, round 8: .6 + sqrt(2 ln 8 / 2); unplayed: first; round 0: the
    mean alone."""
    assert index(Arm(2, 1.2), 8) == pytest.approx(0.6 + math.sqrt(math.log(8)))
    assert index(Arm(), 8) == math.inf
    assert index(Arm(1, 0.5), 0) == 0.5


def test_without_an_appetite_for_new_arms_one_team_plays_on() -> None:
    """Theta 0 opens no second arm: the first team is asked for again, as published; otherwise the
    other three designs follow, and then nothing."""
    again = Boad(SPACE, theta=0.0, repeats=True)
    assert len({p.design.hash for p in again.ask(5)}) == 1
    once = Boad(SPACE, theta=0.0)
    assert len({p.design.hash for p in once.ask(9)}) == 4 and once.ask(1) == []


def test_the_arm_of_the_highest_index_plays() -> None:
    """All four arms known. (x, u) brought 1 and (y, v) 0, each played once: x and u play next."""
    boad = Boad(SPACE, theta=1e9, repeats=True)
    seen = {levels(d): d for d in (p.design for p in boad.ask(30))}
    assert len({a for a, _ in seen}) == len({b for _, b in seen}) == 2
    boad._teams = {h: boad._teams[h] for h in (seen["x", "u"].hash, seen["y", "v"].hash)}
    usage = Usage(1, 0, 0, 0.1)
    boad.tell(told(seen["x", "u"], Measured(1.0, usage)))
    boad.tell(told(seen["y", "v"], Measured(0.0, usage)))
    (proposal,) = boad.ask(1)
    assert levels(proposal.design) == ("x", "u")


def test_a_failure_is_no_play() -> None:
    """Neither a round nor a zero for its arms."""
    boad = Boad(SPACE)
    (proposal,) = boad.ask(1)
    boad.tell(told(proposal.design, Failed("timeout", "slow")))
    assert boad._rounds == 0
    assert all(arm.plays == 0 for arm in boad._teams[proposal.design.hash])

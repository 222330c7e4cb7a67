"""The lab's tables of composers and of arms: a small run of each, and their arithmetic."""

from __future__ import annotations

import json

import pytest

from paragent.cli import main
from paragent.lab.arms import hand_made
from paragent.lab.arms import summarise as arms_summary
from paragent.lab.composers import summarise
from paragent.testing import toy_space


def test_means_over_seeds_by_hand() -> None:
    """Two seeds of one composer at one budget: score .5, half of the runs took a distractor."""
    base = {"composer": "online", "budget": 2.0, "spend": 0.5, "parts": 2, "trial_tasks": 10}
    rows = [
        {**base, "seed": 0, "score": 0.4, "distracted": True},
        {**base, "seed": 1, "score": 0.6, "distracted": False},
    ]
    (row,) = summarise(rows)
    assert row["score"] == pytest.approx(0.5) and row["distracted"] == 0.5
    assert row["low"] <= 0.5 <= row["high"]


def test_the_bandits_difference_is_paired_by_seed() -> None:
    """Seeds .5/.7 against .4/.6: +.1 whatever the spread between seeds."""
    rows = [
        {"way": way, "seed": seed, "score": score}
        for way, scores in (("bandit (helpful)", (0.5, 0.7)), ("evolution", (0.4, 0.6)))
        for seed, score in enumerate(scores)
    ]
    ours, evolution, hand = arms_summary(rows, hand=0.55)
    assert ours["bandit_minus"] is None
    assert evolution["bandit_minus"] == pytest.approx([0.1, 0.1, 0.1])
    assert hand["score"] == pytest.approx(0.55)


def test_the_hand_made_team_is_legal() -> None:
    """In the space that the searches have."""
    assert toy_space().check(hand_made(("pocket-s", "pocket-m"))) == []


@pytest.mark.slow
def test_composers_measured_small(capsys: pytest.CaptureFixture[str]) -> None:
    """One seed, one budget: every composer has a score, the online one tried what it bought."""
    command = "lab composers --seeds 1 --budgets 2 --inventory 24 --test-tasks 20 --dev-tasks 10"
    assert main([*command.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["composer"]: row for row in found["rows"]}
    assert set(rows) == {"random", "identity", "retrieval", "offline", "online"}
    assert all(0 <= row["score"] <= 1 for row in rows.values())
    assert rows["online"]["trial_tasks"] > 0 and rows["online"]["spend"] <= 1 + 1e-9
    assert rows["offline"]["spend"] <= 1 + 1e-9

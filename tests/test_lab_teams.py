"""The lab's tables of composers and of arms: a small run of each, and their arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paragent.cli import main
from paragent.lab.arms import hand_made, read_known
from paragent.lab.arms import summarise as arms_summary
from paragent.lab.composers import bars, summarise
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


def test_bars_by_hand() -> None:
    """Online gains .30 and .50 over random, retrieval .10 and .20: beyond twice that lie
    .10 on average. It spent less; one of its two runs bought a distractor."""
    rows = [
        {"budget": 1.0, "composer": name, "seed": seed, "score": score, "spend": spend,
         "distracted": name == "online" and seed == 1}
        for name, scores, spend in (
            ("random", (0.2, 0.2), 1.0), ("retrieval", (0.3, 0.4), 4.0), ("online", (0.5, 0.7), 0.9)
        )
        for seed, score in enumerate(scores)
    ]  # fmt: skip
    gain, distractors = bars(rows)
    assert gain["online_gain"] == pytest.approx(0.4)
    assert gain["retrieval_gain"] == pytest.approx(0.15)
    assert gain["short"][0] == pytest.approx(0.1) and gain["met"]
    assert (distractors["distracted"], distractors["met"]) == (0.5, False)
    dear = [{**row, "spend": 5.0} if row["composer"] == "online" else row for row in rows]
    assert not bars(dear)[0]["met"], "more was spent than retrieval spends"


def test_theory_is_measured_without_a_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    """Two shapes, two kinds of values; small parts keep the promise, and the table says so."""
    assert main(["lab", "composers", "--theory", "--streams", "40", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(s["skills"], s["choices"]) for s in found["solver"]] == [(6, 10)] * 2 + [(50, 30)] * 2
    assert all(0 < s["median"] <= s["worst"] for s in found["solver"])
    small = [row for row in found["threshold"] if row["size"] == 0.01]
    assert all(row["holds"] and row["worst"] >= row["promised"] for row in small)


def test_earlier_results_are_taken_back_once(tmp_path: Path) -> None:
    """Lines of known ways and wanted seeds, the last of doubles; anything else is left out."""
    lines = [
        "hand-made team 0.828",
        json.dumps({"way": "evolution", "seed": 0, "score": 0.5}),
        json.dumps({"way": "evolution", "seed": 0, "score": 0.6}),
        json.dumps({"way": "evolution", "seed": 7, "score": 0.9}),
        json.dumps({"way": "magic", "seed": 0, "score": 1.0}),
    ]
    log = tmp_path / "log"
    log.write_text("\n".join(lines))
    assert read_known(str(log), 2) == [{"way": "evolution", "seed": 0, "score": 0.6}]
    assert read_known(None, 2) == []


@pytest.mark.parametrize(
    "words",
    ["composers --budgets x", "composers --budgets 1,-2", "composers --seeds 0", "arms --seeds 0",
     "arms --known /nowhere/log", "composers --theory --streams 2"],
)  # fmt: skip
def test_wrong_options_are_misuse(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line with what was given."""
    assert main(["lab", *words.split()]) == 2
    told = capsys.readouterr().err
    assert words.split()[-1] in told and "wanted" in told and len(told.strip().splitlines()) == 1


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

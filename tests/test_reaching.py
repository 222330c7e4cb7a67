"""How soon a bar is reached when some never reach it: by hand, and on the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_lab_compare import table
from test_recorded import CSV, YAML, write

from paragent.cli import main
from paragent.lab.compare import compared
from paragent.lab.compare_page import curves_svg, stepped
from paragent.lab.reaching import Reach, horizon_of, reaching
from paragent.lab.trial import Protocol, recommended_front, run_trial
from paragent.outcome import Evaluation, Measured, Usage


def test_who_never_gets_there_counts_with_the_horizon() -> None:
    """Times 4, 10, never; all were watched until 20: (4 + 10 + 20) / 3, and 2 of 3 got there."""
    found = reaching({"a": [Reach(4, 30), Reach(10, 20), Reach(None, 20)]}, "t", "t")
    assert found["horizon"] == 20
    assert found["contenders"]["a"]["restricted"]["mean"] == pytest.approx(34 / 3)
    assert found["contenders"]["a"]["reached"] == pytest.approx(2 / 3)


def test_the_horizon_is_one_for_all_and_the_shortest_watch() -> None:
    """A trial that gave up after 6 says nothing about later: all are restricted to 6, and a time
    of 9 counts as 6. Where all got there, nothing is cut off."""
    contenders = {"a": [Reach(3, 20), Reach(9, 20)], "b": [Reach(None, 6), Reach(5, 20)]}
    assert horizon_of(contenders) == 6
    found = reaching(contenders, "t", "t")["contenders"]
    assert found["a"]["restricted"]["mean"] == pytest.approx((3 + 6) / 2)
    assert found["b"]["restricted"]["mean"] == pytest.approx((6 + 5) / 2)
    assert horizon_of({"a": [Reach(3, 20)], "b": [Reach(11, 20)]}) == 11


def test_leaving_the_failures_out_would_name_the_wrong_one() -> None:
    """`lucky` gets there at once in 4 of 20 seeds, `steady` always at 10 of 20: by those that got
    there lucky wins; restricted, steady does, and the test tells it."""
    lucky = [Reach(1, 20) if i < 4 else Reach(None, 20) for i in range(20)]
    steady = [Reach(10, 20)] * 20
    found = reaching({"lucky": lucky, "steady": steady}, "t", "time")
    means = {k: v["restricted"]["mean"] for k, v in found["contenders"].items()}
    assert means == {"lucky": pytest.approx(16.2), "steady": 10}
    assert found["verdicts"][0]["better"] == "steady"


def test_a_budget_of_nothing_says_nothing() -> None:
    """No trial measured anything: horizon 0, no verdicts, nobody got there."""
    found = reaching({"a": [Reach(None, 0)], "b": [Reach(None, 0)]}, "t", "t")
    assert found["horizon"] == 0 and found["verdicts"] == []
    assert found["contenders"]["a"]["reached"] == 0


def test_a_curve_over_dollars_by_hand() -> None:
    """Values .4 and .9 came at $1 and $3: at $.5 nothing, at $1 and $2 the first, at $3 both."""
    assert stepped([0.4, 0.9], [1, 3], [0.5, 1, 2, 3, 9]) == [0.0, 0.4, 0.4, 0.9, 0.9]
    assert stepped([], [], [1, 2], before=7.0) == [7.0, 7.0]
    trials = {"a": [{"curve": [0.4, 0.9], "cost_curve": [1.0, 3.0]}]}
    svg = curves_svg(trials, "curve", "share", "dollars", "cost_curve")
    assert "dollars" in svg and ">3<" in svg, "the axis ends at the most that was spent"


def measured(score: float, n: int, usd: float) -> Evaluation:
    """A design of the toy table on n tasks."""
    outcomes = {f"t{i}": Measured(score, Usage(1, 0, 0, usd)) for i in range(n)}
    return Evaluation(table([0.5], [1.0]).design(0), "dev", "search-eval", outcomes)


def test_the_reported_front_leaves_short_luck_out() -> None:
    """Rows 0 (cheap) and 1 (better, dearer) are the front; row 2 is dominated; row 3 was right on
    its four tasks, which is too few to be reported."""
    last = {0: measured(0.5, 50, 1), 1: measured(0.9, 50, 2), 2: measured(0.4, 50, 3),
            3: measured(1.0, 4, 0.1)}  # fmt: skip
    assert recommended_front(last) == [0, 1]
    assert recommended_front({}) == []


def test_a_trial_says_when_it_was_there_in_every_unit() -> None:
    """The whole table is run: every bar is reached, the later the higher, in all three units."""
    t = table([0.2, 0.5, 0.6, 0.9], [0.01, 0.02, 0.04, 0.08])
    trial = run_trial(t, "random", 1, Protocol("finite", evals=4, per_eval=10))
    for unit in ("evals", "tasks", "cost"):
        assert 0 < trial[f"{unit}_to_95"] <= trial[f"{unit}_to_99"]
        assert trial[f"{unit}_to_score_99"] is not None
    assert trial["tasks_to_95"] == 10 * trial["evals_to_95"]
    assert len(trial["tasks_curve"]) == len(trial["cost_curve"]) == len(trial["curve"])


def test_which_figures_are_compared() -> None:
    """Without noise what is evaluated is known; held-out tasks only where some are held out."""
    assert [f for f, _, _ in compared(Protocol())] == ["hv_share", "best_missed"]
    held = [f for f, _, _ in compared(Protocol("recorded", held_out=0.5))]
    assert held == ["hv_share", "front_share", "regret", "held_out_regret"]


def test_with_and_without_racing_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--race both`: two contenders of one searcher, and their verdict; only for budgets that
    racing saves. best_arm is never raced, so it stands alone."""
    folder = str(write(tmp_path, YAML, CSV))
    words = ["lab", "compare", "--table", folder, "--seeds", "3", "--jobs", "1", "--race", "both"]
    more = ["--searchers", "random,best_arm", "--tasks", "12", "--noise", "finite"]
    assert main([*words, *more, "--json", "-o", str(tmp_path / "page")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["results"]) == {"random", "random unraced", "best_arm"}
    assert any(v["pair"] == ["random", "random unraced"] for v in found["verdicts"])
    reached = found["results"]["random"]["tasks_to_95"]
    assert set(reached) >= {"median", "low", "high", "reached", "restricted", "horizon"}
    assert "tasks" in (tmp_path / "page" / "index.html").read_text()
    assert main([*words, *more]) == 0
    shown = capsys.readouterr().out
    assert "tasks to 95 %" in shown and "reported front" in shown and "random unraced" in shown
    assert main([*words, "--searchers", "random", "--evals", "2"]) == 2
    assert "--race both needs a budget" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--tasks", "5"], ["--noise", "none"], ["--race", "both"]])
def test_a_matrix_knows_neither_tasks_nor_noise_nor_racing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """What would change nothing is refused, not ignored."""
    assert main(["lab", "compare", "--matrix", str(tmp_path), *words]) == 2
    assert "--tasks, --noise and --race are for tables" in capsys.readouterr().err

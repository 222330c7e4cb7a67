"""The lab: figures by hand, verdicts that know chance, the command as its users meet it."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from real_data import real_data
from test_recorded import CSV, YAML, write

from paragent.cli import main
from paragent.design import Agent, Design, Part, Team
from paragent.lab.compare import regret_saved
from paragent.lab.compare_page import anytime
from paragent.lab.record import flat
from paragent.lab.trial import (
    Protocol,
    Truth,
    first,
    likeliest,
    luckiest,
    parse_searcher,
    recommended,
    run_trial,
)
from paragent.lab.verdicts import summary, verdicts
from paragent.outcome import Evaluation, Measured, Usage
from paragent.recorded import DesignTable, load_table
from paragent.testing import toy_space


def table(scores: list[float], costs: list[float]) -> DesignTable:
    """One factor, a design a level."""
    names = tuple(f"d{i}" for i in range(len(scores)))
    return DesignTable(
        "toy", names, {"which": names}, tuple((n,) for n in names), np.array(scores),
        np.array(costs), np.full(len(scores), 1.0), "cost_usd", 100, 100,
    )  # fmt: skip


def test_the_hypervolume_share_by_hand() -> None:
    """Reference: score .2, cost 100. Box of (.6, $1): 2 x .4; (.9, $10): 1 x .7; union 1.1."""
    truth = Truth(table([0.6, 0.9, 0.2], [1.0, 10.0, 100.0]))
    assert truth.share([0]) == pytest.approx(0.8 / 1.1)
    assert truth.share([1]) == pytest.approx(0.7 / 1.1)
    assert truth.share([0, 1]) == pytest.approx(1.0)
    assert truth.share([2]) == truth.share([]) == 0.0
    assert truth.front == [0, 1] and truth.best == 0.9
    assert truth.exact_cost(10) == pytest.approx(1110)


def test_tables_without_a_choice_have_a_share_too() -> None:
    """One design is all there is; where all cost the same, score alone counts."""
    assert Truth(table([0.5], [1.0])).share([0]) == 1.0
    equal = Truth(table([0.2, 0.5, 0.8], [1.0, 1.0, 1.0]))
    assert equal.share([1]) == pytest.approx(0.5)


def test_an_unknown_cost_is_never_on_the_front() -> None:
    """The best score of unknown cost adds no hypervolume."""
    truth = Truth(table([0.6, 0.9, 0.2], [1.0, math.nan, 100.0]))
    assert truth.front == [0] and truth.share([1]) == 0.0 and truth.exact_cost(1) is None


def evaluation(score: float, n: int, usd: float = 1.0) -> Evaluation:
    """So many tasks, all of this score."""
    outcomes = {f"t{i}": Measured(score, Usage(1, 0, 0, usd)) for i in range(n)}
    return Evaluation(Design(Agent(Part("x"))), "dev", "search-eval", outcomes)


def test_a_recommendation_is_not_the_luckiest_short_run() -> None:
    """All right on four tasks says less than .9 on fifty; of ties the cheaper."""
    assert recommended({0: evaluation(1.0, 4), 1: evaluation(0.9, 50)}) == 1
    assert recommended({0: evaluation(0.9, 50, 2.0), 1: evaluation(0.9, 50, 1.0)}) == 1
    assert recommended({}) is None


def test_three_ways_to_recommend() -> None:
    """The luckiest mean is that of four tasks; the own rule asks for half of the most tasks; the
    posterior knows what the other `poor` designs scored, and takes the one at .70 for chance."""
    shades = tuple(str(i) for i in range(8))
    levels = tuple((kind, shade) for kind in ("good", "poor") for shade in shades)
    made = DesignTable(
        "toy", tuple("-".join(each) for each in levels),
        {"kind": ("good", "poor"), "shade": shades}, levels,
        np.full(16, 0.5), np.full(16, 1.0), np.full(16, 1.0), "cost_usd", 100, 100,
    )  # fmt: skip

    def seen(row: int, right: int, n: int) -> Evaluation:
        outcomes = {f"t{i}": Measured(float(i < right), Usage(1, 0, 0, 1.0)) for i in range(n)}
        return Evaluation(made.design(row), "dev", "search-eval", outcomes)

    last = {row: seen(row, 34 if row < 8 else 8, 50) for row in range(14)}
    last |= {14: seen(14, 35, 50), 15: seen(15, 4, 4)}
    assert luckiest(last) == 15
    assert recommended(last) == 14
    assert likeliest(made, last) in range(8)
    assert luckiest({}) is None and likeliest(made, {}) is None


def test_regret_saved_by_hand() -> None:
    """Two trials: the luckiest misses by 6 and 4 points, the own rule by 1 and 3: 3 saved."""
    rows = [
        {"luckiest_regret": 6.0, "regret": 1.0, "posterior_regret": 6.0},
        {"luckiest_regret": 4.0, "regret": 3.0, "posterior_regret": 4.0},
    ]
    saved = regret_saved(rows)
    assert saved["own rule"]["mean"] == pytest.approx(3.0)
    assert saved["own rule"]["low"] <= 3.0 <= saved["own rule"]["high"]
    assert saved["posterior"]["mean"] == 0.0


def test_what_was_not_reached_is_late_not_missing() -> None:
    """The median of (3, never, never) is never; of (3, 4, never) it is 4."""
    assert summary([3, None, None])["median"] is None
    assert summary([3, 4, None])["median"] == 4
    assert summary([3.0, 4.0])["median"] == 3.5
    found = summary([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found["low"] is not None and found["high"] is not None
    assert found["low"] <= 3.0 <= found["high"]
    assert first([0.2, 0.95, 1.0], 0.95) == 2 and first([0.2], 0.95) is None


def test_a_real_difference_is_told_and_chance_is_not() -> None:
    """Thirty seeds, half a point apart: told. Same distribution: rarely told (Holm, 5 %)."""
    rng = random.Random(0)
    noise = [rng.gauss(0.8, 0.02) for _ in range(30)]
    better = [{"hv_share": x + 0.02 + rng.gauss(0, 0.005)} for x in noise]
    worse = [{"hv_share": x} for x in noise]
    (verdict,) = verdicts({"b": worse, "a": better})
    assert verdict["better"] == "a" and verdict["text"].startswith("a beats b by 0.0")
    told = 0
    for _ in range(60):
        drawn = {n: [{"hv_share": rng.gauss(0.8, 0.02)} for _ in range(12)] for n in "abc"}
        told += any(v["better"] for v in verdicts(drawn))
    assert told <= 8, "60 families at 5 %: more than 8 has a chance below 1 %"


def test_curves_keep_their_last_value() -> None:
    """A trial that ended early stays where it was."""
    assert anytime([[0.1, 0.5, 0.5], [0.3]])[1] == pytest.approx([0.2, 0.4, 0.4])


@pytest.mark.parametrize("protocol", [
    Protocol(evals=5), Protocol("recorded", evals=5), Protocol("finite", evals=None, tasks=300),
    Protocol("recorded", evals=None, usd=2.0), Protocol(evals=5, parallel=3, workers=2),
])  # fmt: skip
def test_a_trial_keeps_its_budget_and_repeats_itself(protocol: Protocol) -> None:
    """One seed is one trial; no cap is exceeded."""
    rng = random.Random(4)
    t = table([rng.random() for _ in range(12)], [0.01 * 2**i for i in range(12)])
    one, two = (run_trial(t, "tpe", 3, protocol) for _ in range(2))
    one.pop("overhead_ms"), two.pop("overhead_ms")
    assert one == two
    assert one["evaluations"] <= (protocol.evals or math.inf)
    assert one["tasks"] <= (protocol.tasks or math.inf)
    assert one["cost"] <= (protocol.usd or math.inf)
    assert 0 <= one["hv_share"] <= 1 and one["curve"] == sorted(one["curve"])


def test_racing_spends_less_on_what_is_surely_dominated() -> None:
    """Same searcher, same 900 tasks: with racing more designs are seen."""
    t = table([0.95 if i % 4 == 0 else 0.3 for i in range(40)], [0.01] * 40)
    protocol = Protocol("recorded", evals=None, tasks=900, per_eval=100)
    raced = run_trial(t, "random", 0, protocol)
    plain = run_trial(t, "random", 0, Protocol("recorded", None, 900, per_eval=100, race=False))
    assert plain["designs"] == 9 and raced["designs"] > plain["designs"]


def test_options_of_a_searcher() -> None:
    """Typed by their defaults; unknown ones get the nearest name."""
    assert parse_searcher("tpe:startup=5") == ("tpe", {"startup": 5})
    assert parse_searcher("aflow:lam=0.5+top=2") == ("aflow", {"lam": 0.5, "top": 2})
    for text in ("nobody", "tpe:start=5", "tpe:startup", "tpe:startup=five"):
        with pytest.raises(Exception, match=r"nobody|startup"):
            parse_searcher(text)


def test_the_command_prints_what_is_promised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The object's keys; a page with curves; two processes give the figures of one."""
    folder = write(tmp_path)
    words = ["lab", "compare", "--table", str(folder), "--searchers", "tpe,random", "--evals", "2",
             "--seeds", "4", "--json"]  # fmt: skip
    assert main([*words, "--jobs", "1", "-o", str(tmp_path / "page")]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one["table"] == "toy" and set(one["results"]) == {"tpe", "random"}
    for result in one["results"].values():
        assert set(result["hv_share"]) >= {"median", "low", "high"}
        assert {"best_missed", "duplicates"} <= set(result)
    assert [v["figure"] for v in one["verdicts"]] == [
        "hv_share", "best_missed", "evals_to_95", "evals_to_score_99"
    ]  # fmt: skip
    page = (tmp_path / "page" / "index.html").read_text()
    assert "<svg" in page and "random" in page
    assert main([*words, "--jobs", "2"]) == 0
    two = json.loads(capsys.readouterr().out)
    for name, result in one["results"].items():
        result.pop("overhead_ms"), two["results"][name].pop("overhead_ms")
    assert one["results"] == two["results"] and one["verdicts"] == two["verdicts"]


MISUSE = [
    (["--searchers", "mtcs"], "Did you mean 'mcts'"),
    (["--searchers", ""], "names none"),
    (["--searchers", "tpe,tpe"], "'tpe' twice"),
    (["--evals", "0"], "--evals is 0"),
    (["--usd", "-1"], "--usd is -1"),
    (["--tasks", "10", "--noise", "none"], "--tasks needs noise"),
    (["--held-out", "1"], "--held-out is 1"),
]


@pytest.mark.parametrize(("words", "message"), MISUSE, ids=[m for _, m in MISUSE])
def test_misuse_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """Exit code 2, no traceback."""
    folder = write(tmp_path, YAML, CSV)
    assert main(["lab", "compare", "--table", str(folder), "--seeds", "1", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_designs_laid_flat_stay_different() -> None:
    """200 random designs of the real space: equal factors only for equal designs."""
    space, rng = toy_space(), random.Random(0)
    seen: dict[tuple[tuple[str, str], ...], Design] = {}
    for _ in range(200):
        design = space.sample(rng)
        assert seen.setdefault(tuple(sorted(flat(design).items())), design) == design
    team = Design(Team(Part("vote"), (Agent(Part("s")), Agent(Part("m"), role="judge"))))
    assert flat(team) == {
        "root.topology": "vote",
        "0.model": "s",
        "0.reasoning": "direct",
        "1.model": "m",
        "1.reasoning": "direct",
        "1.role": "judge",
    }


@pytest.mark.slow
def test_a_run_becomes_a_table_that_is_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`search`, `lab record`, `lab compare`: the table holds the run's means, task by task."""
    from paragent.api import optimize

    run = optimize("pocket", searcher="random", evals=6, tasks=10, test_tasks=20, confirm=10,
                   models=("pocket-s",), seed=1, out=tmp_path / "run")  # fmt: skip
    assert main(["lab", "record", str(run.path), "-o", str(tmp_path / "table")]) == 0
    recorded = load_table(tmp_path / "table")
    rows = dict(zip(recorded.ids, map(float, recorded.score), strict=True))
    assert {e.design.hash for e in run.evaluations} <= set(rows)
    for point in run.front():
        assert rows[point.design.hash] == pytest.approx(point.dev.score)
    words = ["lab", "compare", "--table", str(tmp_path / "table"), "--searchers", "random"]
    assert main([*words, "--evals", "3", "--seeds", "2", "--noise", "recorded", "--jobs", "1"]) == 0
    assert main(["lab", "record", str(run.path), "-o", str(tmp_path / "table")]) == 2
    assert "not an empty folder" in capsys.readouterr().err


def test_random_search_on_hotpot_as_published() -> None:
    """Published over 200 seeds at 20 evaluations: .917 of the hypervolume, 1.9 points missed."""
    hotpot = load_table(real_data("recorded", "hotpot-planner-solver-81"))
    trials = [run_trial(hotpot, "random", s, Protocol(evals=20)) for s in range(100)]
    assert np.mean([t["hv_share"] for t in trials]) == pytest.approx(0.917, abs=0.015)
    assert np.mean([t["best_missed"] for t in trials]) == pytest.approx(1.9, abs=0.6)

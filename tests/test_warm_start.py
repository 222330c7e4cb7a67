"""Starting from an earlier run: what is taken over, how it is weighed, when it is dropped."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import paragent
from paragent.errors import StoreError, UsageError
from paragent.factor_space import FactorSpace, row_levels
from paragent.lab.warm_start import evidence as lab_evidence
from paragent.lab.warm_start import report_of
from paragent.outcome import Evaluation, Measured, Outcome, Usage
from paragent.search.mcts import Mcts
from paragent.searcher import Earlier
from paragent.store import Store
from paragent.value.transfer import MOST, OTHER, PRIOR, SAME, Old, WarmSurrogate
from paragent.warm_start import evidence, load_model, outcome_note, read_run

SMALL: dict[str, Any] = {
    "evals": 5,
    "tasks": 8,
    "confirm": 4,
    "test_tasks": 6,
    "finalists": 2,
    "models": ("pocket-s", "pocket-s-math"),
    "max_calls_per_task": 3,
}
LEVELS = "abcdef"
RISING = {k: 0.2 + 0.1 * i for i, k in enumerate(LEVELS)}


def old(scores: dict[str, float], variance: float = 0.0) -> list[Old]:
    """Old observations of a table of one factor and a constant one."""
    return [
        Old({f"f={k}": 1.0, "g=x": 1.0}, s, variance, -4.0 + i / 10)
        for i, (k, s) in enumerate(scores.items())
    ]


def tell(model: WarmSurrogate, values: dict[str, float]) -> None:
    """New designs, ten times as dear as the old run's."""
    for k, score in values.items():
        model.tell({f"f={k}": 1.0, "g=x": 1.0}, score, 0.0, -3.0 + LEVELS.index(k) / 10)


def test_before_anything_is_told_the_old_run_is_believed_as_it_is() -> None:
    """No shift, slope one, the prior spread between runs, wider for another benchmark."""
    model = WarmSurrogate(old(RISING), same=True)
    spread = math.sqrt(sum((s - 0.45) ** 2 for s in RISING.values()) / 6)
    assert model.move().shift == 0 and model.move().slope == 1
    assert model.move().between == pytest.approx((SAME * spread) ** 2)
    assert WarmSurrogate(old(RISING)).move().between == pytest.approx((OTHER * spread) ** 2)
    assert list(model.scores) == list(RISING.values()) and len(model) == 6
    belief = model.predict([{"f=a": 1.0, "g=x": 1.0}, {"f=f": 1.0, "g=x": 1.0}])
    assert belief.score[0][0] < 0.4 < 0.5 < belief.score[0][1]


def test_a_harder_benchmark_of_the_same_order_is_a_shift() -> None:
    """All new scores .1 lower, all costs ten times higher: kept, shifted, and foretold so."""
    model = WarmSurrogate(old(RISING, 0.001))
    tell(model, {k: RISING[k] - 0.1 for k in "abcde"})
    move = model.move()
    assert model.in_force and move.shift < 0
    assert 0.5 < move.cost <= 1.05
    told = model.predict([{"f=f": 1.0, "g=x": 1.0}])
    assert told.score[0][0] == pytest.approx(0.6, abs=0.08)


def test_the_spread_between_runs_is_a_shrunk_moment() -> None:
    """One new design, .3 above the old score: the shift takes a third of what lies between it and
    its forecast, and (rest squared - the forecast's variance + 3 priors) / 4 is left."""
    model = WarmSurrogate(old(RISING))
    tell(model, {"c": RISING["c"] + 0.3})
    ((forecast, own, _),) = model._foretold
    off = RISING["c"] + 0.3 - forecast
    prior = (OTHER * model._spread) ** 2
    left = max(0.0, (off - off / 3) ** 2 - own)
    assert model.move().between == pytest.approx((left + PRIOR * prior) / (1 + PRIOR))


def test_a_run_that_says_the_opposite_is_dropped() -> None:
    """Scores turned round: dropped within ten designs; from then on it is the plain model."""
    many = {f"{a}{b}": 0.1 * i + 0.01 * j for i, a in enumerate(LEVELS) for j, b in enumerate("xy")}
    told = [Old({f"f={k[0]}": 1.0, f"g={k[1]}": 1.0}, s, 0.0, -4.0) for k, s in many.items()]
    model = WarmSurrogate(told)
    for k, s in many.items():
        model.tell({f"f={k[0]}": 1.0, f"g={k[1]}": 1.0}, 0.6 - s, 0.0, -4.0)
    assert model.dropped_after is not None and model.dropped_after <= 10
    assert model.relevance()[0] < 0 and not model.in_force
    best = model.predict([{"f=a": 1.0, "g=x": 1.0}, {"f=f": 1.0, "g=x": 1.0}]).score[0]
    assert best[0] > best[1]
    assert "misled" in outcome_note(model.record())


def test_of_a_long_run_the_best_and_a_spread_are_kept() -> None:
    """400 observations: 160, among them the best 80."""
    model = WarmSurrogate([Old({f"f={i}": 1.0}, i / 400, 0.0, -4.0) for i in range(400)])
    assert len(model) == MOST
    assert set(range(320, 400)) <= {round(400 * s) for s in model.scores}


def test_nothing_to_start_from_is_an_error() -> None:
    """No observations."""
    with pytest.raises(ValueError, match="without observations"):
        WarmSurrogate([])


# -- the search ----------------------------------------------------------------------------------


def table() -> FactorSpace:
    return FactorSpace({f"f{k}": list("abcde") for k in range(5)})


def truth(levels: dict[str, Any]) -> tuple[float, float]:
    """Score and cost of a row."""
    numbers = {k: "abcde".index(str(v)) for k, v in levels.items()}
    return sum(numbers.values()) / 20, 1e-4 * (1 + numbers["f0"])


def searched(rounds: int, earlier: list[Earlier] | None) -> list[float]:
    """True scores of what a search proposes, told exactly."""
    searcher = Mcts(table(), seed=0)
    if earlier is not None:
        searcher.warm(earlier, same=True)
    found = []
    for _ in range(rounds):
        (proposal,) = searcher.ask(1)
        score, cost = truth(dict(row_levels(proposal.design) or {}))
        found.append(score)
        outcome = Measured(score, Usage(usd=cost))
        searcher.tell(Evaluation(proposal.design, "dev", "search-eval", {"t": outcome}))
    return found


def known(count: int, turned: bool = False) -> list[Earlier]:
    """An earlier run's evaluations of random designs."""
    space, rng = table(), random.Random(5)
    found = []
    for design in dict.fromkeys(space.sample(rng) for _ in range(count)):
        score, cost = truth(dict(row_levels(design) or {}))
        found.append(Earlier(design, 1 - score if turned else score, 0.001, cost))
    return found


def test_a_warm_search_is_better_at_once_and_a_misled_one_recovers() -> None:
    """Best of the first three: warm, as good as the best of a cold search's first ten at least;
    turned round it still gets there."""
    assert max(searched(3, known(40))) >= max(0.8, *searched(10, None))
    assert max(searched(30, known(40, turned=True))) >= 0.9


def test_seeds_and_choices_take_turns_after_a_warm_start() -> None:
    """So that the guard sees more than what the old run likes: every second is a seed."""
    searcher = Mcts(table(), seed=0)
    searcher.warm(known(40), same=False)
    assert [p.purpose for p in searcher.ask(6)] == ["search-eval", "label"] * 3
    assert searcher.warm_record() is not None and Mcts(table()).warm_record() is None


def test_a_warm_search_is_the_same_in_another_process() -> None:
    """Whatever the hash seed."""
    here = searched(12, known(30))
    code = (
        "import sys, json; sys.path.insert(0, 'tests'); import test_warm_start as t;"
        "print(json.dumps(t.searched(12, t.known(30))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout) == here


# -- runs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> paragent.Run:
    """A small finished search."""
    return paragent.optimize("pocket", out=tmp_path_factory.mktemp("old") / "first", **SMALL)


def test_a_run_goes_on_when_the_old_one_is_gone(first: paragent.Run, tmp_path: Path) -> None:
    """The old data are copied: resumed without the old folder, it ends as it would have."""
    copy = tmp_path / "old"
    shutil.copytree(first.path, copy)
    settings = {**SMALL, "seed": 1, "warm_start": str(copy)}
    whole = paragent.optimize("pocket", out=tmp_path / "whole", **{**settings, "evals": 7})
    part = paragent.optimize("pocket", out=tmp_path / "part", **{**settings, "evals": 4})
    shutil.rmtree(copy)
    resumed = paragent.resume(part.path, evals=7)
    ran = [[e.design.hash for e in run.evaluations] for run in (whole, resumed)]
    assert ran[0] == ran[1] and len(ran[0]) == 7
    assert any("starts from 5 evaluations of old" in note for note in whole.notes)
    assert any("rank correlation" in note for note in whole.notes)


def test_old_evaluations_enter_no_mean_and_no_front(first: paragent.Run, tmp_path: Path) -> None:
    """The new run holds only what it measured; its spending is its own."""
    run = paragent.optimize(
        "pocket", out=tmp_path / "new", warm_start=str(first.path), **{**SMALL, "seed": 2}
    )
    assert len(run.evaluations) == 5
    with Store(run.path, write=False) as store:
        mine = {e.design.hash for e in store.evaluations()} | set(store.meta("baselines"))
        assert set(store.meta("front")) <= mine
        assert len(store.meta("warm_start")["evaluations"]) == 5
        assert store.meta("warm_record")["foretold"] == 5


def test_the_value_model_is_saved_and_predicts_again(first: paragent.Run) -> None:
    """What it was told, in order; loaded twice it says the same. Elsewhere there is none."""
    model, again = load_model(first.path), load_model(first.path)
    assert len(model) == len(first.evaluations)
    assert (model.predict(model.rows).score[0] == again.predict(model.rows).score[0]).all()
    with pytest.raises(StoreError, match="no value model"):
        load_model(first.path / "configs")


def test_a_searcher_that_cannot_start_warm_says_so(first: paragent.Run, tmp_path: Path) -> None:
    """It searches all the same."""
    run = paragent.optimize(
        "pocket", searcher="random", out=tmp_path / "r", warm_start=str(first.path), **SMALL
    )
    assert any("random cannot start from an earlier run" in note for note in run.notes)


def test_bad_input_is_told_before_anything_is_spent(first: paragent.Run, tmp_path: Path) -> None:
    """No such folder, no run in it, a file cut short, a run without scores, no text at all."""

    def refused(folder: object) -> str:
        with pytest.raises(UsageError) as caught:
            paragent.optimize("pocket", out=tmp_path / "out", warm_start=folder, **SMALL)
        assert not (tmp_path / "out").exists()
        return str(caught.value)

    assert "does not exist" in refused(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    assert "no run is stored here" in refused(str(tmp_path / "empty"))
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "run.db").write_bytes((first.path / "run.db").read_bytes()[:3000])
    assert "cannot be read" in refused(str(tmp_path / "cut"))
    with Store(tmp_path / "none", write=True, create=True) as store:
        store.set_meta("config", {})
    assert "no evaluation with a score" in refused(str(tmp_path / "none"))
    assert "warm_start is 3; wanted a text" in refused(3)


def test_runs_with_nothing_in_common_start_from_nothing(first: paragent.Run) -> None:
    """A table's space knows no agents: said, then ignored."""
    usable, said = evidence(read_run(first.path), table(), "usd")
    assert usable == [] and "starts from nothing" in said


def test_costs_of_another_unit_are_left_out(first: paragent.Run) -> None:
    """Scores still count."""
    from paragent.testing import toy_space

    data = read_run(first.path)
    for row in data["evaluations"]:
        row["cost"] = {"tokens": 5.0}
    space = toy_space(("pocket-s", "pocket-s-math"))
    usable, said = evidence(data, space, "usd")
    assert usable and "costs are not known in usd" in said
    searcher = Mcts(space)
    searcher.warm(usable, same=True)
    assert len(searcher.ask(3)) == 3


def test_a_design_told_twice_is_one_piece_of_evidence(tmp_path: Path) -> None:
    """With all of its tasks."""
    outcome = Measured(1.0, Usage(usd=1e-4))
    design = table().sample(random.Random(0))
    with Store(tmp_path / "run", write=True, create=True) as store:
        store.set_meta("config", {"benchmark": "x"})
        store.add_design(design)
        for number, tasks in enumerate(("ab", "abc")):
            outcomes: dict[str, Outcome] = dict.fromkeys(tasks, outcome)
            for task in tasks:
                store.add_outcome(design.hash, "dev", task, outcome)
            store.add_evaluation(Evaluation(design, "dev", "search-eval", outcomes, number))
    (row,) = read_run(tmp_path / "run")["evaluations"]
    assert row["tasks"] == 3 and row["score"] == 1.0


# -- the lab -------------------------------------------------------------------------------------


def test_the_lab_pairs_starts_by_seed() -> None:
    """Differences by hand: curves of two seeds; the guard's figures are means over seeds."""
    warm = {"dropped_after": 6, "relevance": -0.5, "slope": 0.0, "spread_between": 0.1}
    trials: dict[str, list[dict[str, Any]]] = {
        "none": [{"curve": [0.1, 0.2], "missed_curve": [9.0, 5.0], "warm": None}] * 2,
        "same": [
            {"curve": [0.3, 0.4], "missed_curve": [1.0, 1.0], "warm": warm},
            {"curve": [0.2], "missed_curve": [2.0], "warm": {**warm, "dropped_after": None}},
        ],
    }
    report = report_of(trials, 2)
    row = next(r for r in report["rows"] if r["way"] == "same" and r["evaluations"] == 2)
    assert row["minus_none"] == pytest.approx(((0.4 - 0.2) + (0.2 - 0.2)) / 2)
    assert report["guard"]["same"]["dropped"] == 0.5


def test_lab_evidence_is_what_the_search_saw() -> None:
    """Scores of the first tasks, as the seed replays them."""
    from paragent.lab.shipped import open_table
    from paragent.lab.trial import Protocol

    found = lab_evidence(open_table("pocket-lists"), "random", 3, Protocol("recorded", 4))
    assert len(found) == 4 and all(0 <= e.score <= 1 and e.cost and e.variance for e in found)

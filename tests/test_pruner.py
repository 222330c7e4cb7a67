"""The pruner: skips only what it has earned to skip, audits itself, never starves a run."""

from __future__ import annotations

import random

import pytest

import paragent
from paragent.design import Design
from paragent.factor_space import FactorSpace, row_levels
from paragent.outcome import Evaluation, Measured, Usage
from paragent.pruner import PATIENCE, WARM_UP, Pruner
from paragent.searcher import Proposal

SPACE = FactorSpace({f"f{k}": list("abcdef") for k in range(3)})


def level_sum(design: Design) -> int:
    """0 to 15: what the scores below are made of."""
    return sum("abcdef".index(str(v)) for v in (row_levels(design) or {}).values())


def outcome(design: Design, noise: random.Random | None) -> Evaluation:
    """Good designs are cheap too: the front is one point. With `noise` scores tell nothing."""
    score = noise.random() if noise else level_sum(design) / 15
    cost = 1e-3 * (1 + noise.random() if noise else 16 - level_sum(design))
    return Evaluation(design, "dev", "search-eval", {"t": Measured(score, Usage(usd=cost))})


def run(pruner: Pruner, rounds: int, noise: random.Random | None = None) -> list[Proposal | None]:
    """Propose random new designs, tell what is run; what the pruner made of each."""
    rng, seen, made = random.Random(1), set[str](), list[Proposal | None]()
    while len(made) < rounds:
        design = SPACE.sample(rng)
        if design.hash in seen:
            continue
        seen.add(design.hash)
        made.append(pruner.consider(Proposal(design)))
        if (kept := made[-1]) is not None:
            pruner.tell(outcome(kept.design, noise))
    return made


def test_a_proved_model_skips_the_hopeless_and_finds_the_best_anyway() -> None:
    """On an additive landscape most random designs are skipped after the warm-up; nothing before
    it; the audits find no false prune; what ran beside them is better than what was skipped."""
    pruner = Pruner(SPACE.features, seed=0, cost="usd")
    made = run(pruner, 100)
    assert all(made[:WARM_UP])
    record = pruner.record()
    assert record["pruned"] > 40 and record["audits"] > 3
    assert record["false_prunes"] == 0 and record["false_prune_rate"] == 0.0
    assert record["false_prune_interval"][1] < 0.7
    assert record["saved"] == pytest.approx(pruner.saved())
    assert record["trust"][-1][1] > 0.8


def test_a_model_that_ranks_nothing_prunes_nothing() -> None:
    """Scores and costs are noise: the interval of the rank correlation holds zero, all is run."""
    pruner = Pruner(SPACE.features, seed=0, cost="usd")
    made = run(pruner, 60, random.Random(5))
    skipped = sum(m is None for m in made)
    assert skipped <= 6, "a chance correlation may open the door for a moment"


def test_a_run_is_not_starved() -> None:
    """After the model is sure, only bad designs come: at least one of every twelve runs."""
    pruner = Pruner(SPACE.features, seed=3, cost="usd")
    run(pruner, 60)
    bad = sorted(SPACE.all() or [], key=lambda d: (level_sum(d), d.hash))[:40]
    kept = [pruner.consider(Proposal(d)) for d in bad]
    gaps, gap = [0], 0
    for each in kept:
        gap = 0 if each is not None else gap + 1
        gaps.append(gap)
    assert max(gaps) < PATIENCE


def test_labels_are_never_skipped() -> None:
    """A label is asked for what it teaches."""
    pruner = Pruner(SPACE.features, seed=0, cost="usd")
    run(pruner, 80)
    worst = SPACE.design(["a", "a", "a"])
    assert pruner.consider(Proposal(worst, purpose="label")) is not None


def test_one_seed_prunes_alike() -> None:
    """The same calls give the same record; failures and empty evaluations teach nothing."""
    one, two = (Pruner(SPACE.features, seed=4, cost="usd") for _ in range(2))
    run(one, 50)
    run(two, 50)
    assert one.record() == two.record()
    before = two.record()
    two.tell(Evaluation(SPACE.design(["a", "b", "a"]), "dev", "search-eval", {}))
    assert two.record() == before


def test_a_run_keeps_what_was_pruned(tmp_path_factory: pytest.TempPathFactory) -> None:
    """End to end on pocket models: the record is stored with the run; without pruning, none."""
    small = {
        "evals": 3, "tasks": 4, "confirm": 2, "test_tasks": 4, "finalists": 2,
        "models": ("pocket-s",), "max_calls_per_task": 2,
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("runs")
    run = paragent.optimize("pocket", out=folder / "one", **small)
    assert run.pruning is not None and run.pruning["pruned"] == 0
    plain = paragent.optimize("pocket", out=folder / "two", prune=False, **small)
    assert plain.pruning is None
    assert [e.design for e in plain.evaluations] == [e.design for e in run.evaluations]

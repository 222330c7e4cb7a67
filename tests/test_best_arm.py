"""Arms of a small table: published elimination by hand, and top-two sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_lab_compare import table

from paragent.design import Design, Param
from paragent.errors import UsageError
from paragent.factor_space import FactorSpace
from paragent.lab.best_arm import (
    ARM_RULES,
    Arm,
    ArmElimination,
    BestArm,
    components,
    effects,
    likeness,
    shrunk,
    survivors,
)
from paragent.lab.trial import Protocol, run_trial
from paragent.outcome import Evaluation, Measured, Usage
from paragent.recorded import Floats
from paragent.searcher import Searcher

SPACE = FactorSpace({"which": ["a", "b", "c"]})


def arm(level: str, mean: float, n: int) -> Arm:
    """With the variance of a 0/1 score of that mean."""
    return Arm(SPACE.design((level,)), n, mean, mean * (1 - mean))


def test_elimination_by_hand() -> None:
    """N = 100: .9 +- .03, .85 +- .036, .7 +- .046. The second reaches .886 > .87, the third not."""
    arms = [arm("a", 0.9, 100), arm("b", 0.85, 100), arm("c", 0.7, 100)]
    assert survivors(arms, 1.0) == [arms[0].design.hash, arms[1].design.hash]
    assert survivors(arms, 0.5) == [arms[0].design.hash]
    assert len(survivors(arms, 10.0)) == 3


def test_what_is_known_in_full_has_no_error() -> None:
    """Half of 200 tasks known leaves sqrt(.25/100 * .5); all of them leave no error."""
    assert arm("a", 0.5, 100).error(200) == pytest.approx(math.sqrt(0.25 / 100 * 0.5))
    assert arm("a", 0.5, 200).error(200) == 0.0
    assert math.isinf(Arm(SPACE.design(("a",))).error(200))


def drive(
    searcher: Searcher, means: dict[Design, float], rounds: int = 200
) -> dict[str, list[int]]:
    """Tell exact means; the tasks asked of each design."""
    asked: dict[str, list[int]] = {}
    for _ in range(rounds):
        proposals = searcher.ask(1)
        if not proposals:
            break
        design, tasks = proposals[0].design, proposals[0].tasks
        assert isinstance(tasks, int)
        asked.setdefault(design.hash, []).append(tasks)
        right = round(means[design] * tasks)
        outcomes = {f"t{i}": Measured(float(i < right), Usage(1, 0, 0, 0.1)) for i in range(tasks)}
        searcher.tell(Evaluation(design, "dev", "search-eval", outcomes))
    return asked


def test_elimination_doubles_until_one_is_left() -> None:
    """A tenth of 100 tasks, then 20, …; the bad arm is left behind early."""
    a, b, c = (SPACE.design((x,)) for x in "abc")
    asked = drive(ArmElimination(SPACE, 100, 0), {a: 0.9, b: 0.8, c: 0.1})
    assert asked[a.hash][:2] == [10, 20] and asked[c.hash] == [10]


def test_top_two_sampling_spends_on_the_best() -> None:
    """In twelve rounds every arm gets a block, the clear loser hardly more; with no end of rounds
    it ends where nothing is in doubt."""
    a, b, c = (SPACE.design((x,)) for x in "abc")
    means = {a: 0.9, b: 0.85, c: 0.1}
    asked = drive(BestArm(SPACE, 100, 0), means, 12)
    assert len(asked[c.hash]) <= 2 and len(asked[a.hash]) + len(asked[b.hash]) >= 10
    asked = drive(BestArm(SPACE, 100, 0), means)
    assert sum(map(len, asked.values())) < 200
    assert all(steps == sorted(set(steps)) for steps in asked.values())


def test_both_find_the_best_for_less_than_everything() -> None:
    """Twelve arms, one clearly best: found in nearly all of 20 seeds at 40 % of the full cost."""
    scores = [0.3 + 0.03 * i for i in range(11)] + [0.9]
    t = table(scores, [0.01] * 12)
    protocol = Protocol("finite", evals=None, usd=0.4 * 12, per_eval=100)
    for name in ARM_RULES:
        trials = [run_trial(t, name, seed, protocol) for seed in range(20)]
        assert np.mean([trial["found_best"] for trial in trials]) >= 0.9, name
        assert all(trial["cost"] <= 0.4 * 12 for trial in trials)


def test_a_large_table_is_refused() -> None:
    """A million designs are no arms."""
    space = FactorSpace({k: list(range(100)) for k in "abc"})
    with pytest.raises(UsageError, match="too many to be arms"):
        BestArm(space, 10, 0)


def test_effects_take_the_luck_of_the_tasks_out() -> None:
    """An arm that met the easy tasks only looks half a point better; most of that is taken away."""
    rng = np.random.default_rng(0)
    easy = rng.random(400) < 0.5
    scores = np.array([np.where(easy, 1.0, 0.0)] * 6)
    scores[5] = np.where(easy, 1.0, np.nan)  # met the easy ones only
    level, _ = effects(scores, rounds=50)
    raw = 1.0 - scores[0].mean()
    assert level[5] - level[0] == pytest.approx(raw * (1 - 5 / 7), abs=0.02), "5 of 5 + 2 arms"


def test_effects_without_tasks_in_common_are_means() -> None:
    """Independent scores: levels are about the raw means, the rest about p (1 - p)."""
    rng = np.random.default_rng(1)
    scores = (rng.random((8, 500)) < 0.7).astype(float)
    level, rest = effects(scores)
    assert np.abs(level - scores.mean(axis=1)).max() < 1e-9
    assert rest == pytest.approx(0.21, abs=0.02)
    scores[3] = np.nan
    assert np.isnan(effects(scores)[0][3])


def test_arms_that_share_a_level_are_alike() -> None:
    """Two factors of two levels and one that never varies: two kinds, and each arm by itself; a
    table of 500 arms is not laid out as matrices."""
    levels: list[dict[str, Param]] = [{"a": a, "b": b, "c": 0} for a in "xy" for b in "uv"]
    kinds = likeness(levels)
    assert kinds.shape == (3, 4, 4)
    assert kinds[0].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert likeness([{"a": i} for i in range(500)]).shape == (1, 500, 0)


@pytest.mark.parametrize("alike", [np.eye(2)[None], np.zeros((1, 2, 0))])
def test_shrinking_by_hand(alike: Floats) -> None:
    """.4 and .8, spread and error .04 each: half of the way to .6, variance .02."""
    mean, variance = shrunk(np.array([0.4, 0.8]), np.full(2, 0.04), alike, np.array([0.04]))
    assert mean == pytest.approx([0.5, 0.7])
    assert variance == pytest.approx([0.02, 0.02], abs=1e-6)


def test_an_arm_never_run_is_read_by_its_levels() -> None:
    """(x, u) and (x, v) score .8, (y, u) .2: the fit finds that the first factor matters, and
    (y, v), never run, is expected near (y, u); it is in more doubt than any other."""
    kinds = likeness([{"a": a, "b": b} for a in "xy" for b in "uv"])
    level = np.array([0.8, 0.8, 0.2, np.nan])
    error = np.array([1e-3, 1e-3, 1e-3, np.inf])
    parts = np.full(3, 0.01)
    for _ in range(20):
        parts = components(level, error, kinds, parts)
    assert parts[0] > 5 * max(parts[1:])
    mean, variance = shrunk(level, error, kinds, parts)
    assert mean[3] < 0.3
    assert variance.argmax() == 3

"""Arms of a small table: published elimination by hand, and information per dollar."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_lab_compare import table

from paragent.design import Design, Param
from paragent.errors import UsageError
from paragent.factor_space import FactorSpace
from paragent.lab.arm_beliefs import (
    ArmBeliefs,
    Belief,
    apart,
    components,
    effects,
    likeness,
    noise_covariance,
)
from paragent.lab.best_arm import (
    ARM_RULES,
    MOST_ALIKE,
    Arm,
    ArmElimination,
    BestArm,
    ResolvedPairs,
    log_gain,
    log_rates,
    survivors,
    unresolved,
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


def test_pairs_are_resolved_by_hand() -> None:
    """Exact 90 % intervals: 10 of 10 from .741 up, 7 of 10 .393 to .913, 1 of 10 .005 to .394: only
    the last lies wholly below the first."""
    arms = [arm("a", 1.0, 10), arm("b", 0.7, 10), arm("c", 0.1, 10)]
    assert unresolved(arms, 0.1) == [arms[0].design.hash, arms[1].design.hash]
    assert len(unresolved(arms, 1e-9)) == 3


def test_resolved_pairs_run_who_is_behind_until_one_is_left() -> None:
    """Every arm has a block before any has two; the bad arm is resolved first and runs no more;
    the race ends before all is run where one arm is clearly best."""
    a, b, c = (SPACE.design((x,)) for x in "abc")
    asked = drive(ResolvedPairs(SPACE, 200, 0), {a: 0.9, b: 0.6, c: 0.1})
    assert asked[c.hash] == [10]
    assert abs(len(asked[a.hash]) - len(asked[b.hash])) <= 1
    assert max(max(steps) for steps in asked.values()) < 200
    even = drive(ResolvedPairs(SPACE, 50, 0), {a: 0.5, b: 0.5, c: 0.5})
    assert all(steps == [10, 20, 30, 40, 50] for steps in even.values()), "never told apart"


def test_best_arm_spends_on_the_best() -> None:
    """In 24 rounds every arm gets a block, the clear loser hardly more; with no end of rounds it
    ends where nothing is in doubt."""
    a, b, c = (SPACE.design((x,)) for x in "abc")
    means = {a: 0.9, b: 0.8, c: 0.1}
    asked = drive(BestArm(SPACE, 100, 0), means, 24)
    assert len(asked[c.hash]) <= 3 and len(asked[a.hash]) + len(asked[b.hash]) >= 21
    asked = drive(BestArm(SPACE, 100, 0), means)
    assert sum(map(len, asked.values())) < 200
    assert all(steps == sorted(set(steps)) for steps in asked.values())


def test_all_find_the_best_for_less_than_everything() -> None:
    """Twelve arms, one clearly best: found in nearly all of 10 seeds at 40 % of the full cost."""
    scores = [0.3 + 0.03 * i for i in range(11)] + [0.9]
    t = table(scores, [0.01] * 12)
    protocol = Protocol("finite", evals=None, usd=0.4 * 12, per_eval=100)
    assert set(ARM_RULES) == {"arm_elimination", "best_arm", "resolved_pairs"}
    for name in ARM_RULES:
        trials = [run_trial(t, name, seed, protocol) for seed in range(10)]
        assert np.mean([trial["found_best"] for trial in trials]) >= 0.9, name
        assert all(trial["cost"] <= 0.4 * 12 for trial in trials)


def test_the_recommended_arm_is_not_the_luckiest(monkeypatch: pytest.MonkeyPatch) -> None:
    """.92 +- .04 is less sure of .88 than .91 +- .01 is of .90."""
    searcher = BestArm(SPACE, 200, 0)
    designs = [arm.design for arm in searcher._arms]
    deviations = np.array([0.04, 0.01, 0.0])
    belief = Belief(np.array([0.92, 0.91, 0.5]), deviations**2, np.ones(3), np.ones(3))
    monkeypatch.setattr(searcher, "belief", lambda: belief)
    assert searcher.recommend() == designs[1]


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
    level, _ = effects(scores)
    raw = 1.0 - scores[0].mean()
    assert 0 < level[5] - level[0] < 0.4 * raw


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
    """Two factors of two levels and one that never varies: two kinds, and each arm by itself."""
    levels: list[dict[str, Param]] = [{"a": a, "b": b, "c": 0} for a in "xy" for b in "uv"]
    kinds = likeness(levels)
    assert kinds.shape == (3, 4, 4)
    assert kinds[0].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def coins(
    rng: np.random.Generator, levels: Floats, tasks: int, shared: float, own: float
) -> Floats:
    """Scores [arms, tasks]: level + a part that all arms share + a part of each arm."""
    luck = rng.normal(0, own, (len(levels), tasks)) + rng.normal(0, shared, tasks)
    return np.asarray(levels[:, None] + luck, float)


def test_noise_that_arms_share_is_found() -> None:
    """Variance .09 shared and .01 of each arm's own, on 2,000 tasks: of correlations of .9 those
    remain that stand beside an own part of OWN, .9 / (.9 + 1)."""
    scores = coins(np.random.default_rng(2), np.full(5, 0.5), 2000, 0.3, 0.1)
    covariance = noise_covariance(scores, np.eye(5)[None])
    assert np.diag(covariance) == pytest.approx(np.full(5, 0.1), rel=0.1)
    apart_ = covariance / np.diag(covariance)[0]
    assert apart_[np.triu_indices(5, 1)] == pytest.approx(np.full(10, 0.9 / 1.9), abs=0.05)


def test_an_arm_that_never_failed_is_lent_failures() -> None:
    """Ten right of ten say little of an arm's noise where others fail a half: it is given 100/110
    of their variance of .25, up to what is lost by taking means out."""
    scores = np.full((3, 200), np.nan)
    scores[0, :10] = 1.0
    scores[1:] = np.tile([0.0, 1.0], (2, 100))
    covariance = noise_covariance(scores, np.eye(3)[None])
    assert covariance[0, 0] == pytest.approx(0.25 * 100 / 110, rel=0.05)
    assert covariance[1, 1] == pytest.approx(0.25, rel=0.02)


def test_scores_alone_decide_where_arms_ran_everything() -> None:
    """Both ran all 40 tasks: the beliefs are the means, without doubt."""
    scores = coins(np.random.default_rng(3), np.array([0.4, 0.6]), 40, 0.1, 0.2)
    belief = ArmBeliefs(np.eye(2)[None], 40).of(scores)
    assert belief.mean == pytest.approx(scores.mean(axis=1), abs=1e-9)
    assert belief.variance.tolist() == [0.0, 0.0]


def test_tasks_that_others_ran_say_how_hard_they_were() -> None:
    """Six arms equal on 20 easy tasks; five of them also ran 180 hard ones. The sixth is foretold
    to fall most of the way there, not to stay where the easy tasks put it."""
    rng = np.random.default_rng(4)
    hard = np.r_[np.full(20, 0.9), np.full(180, 0.3)]
    scores = np.clip(hard + rng.normal(0, 0.05, (6, 200)), 0, 1)
    scores[5, 20:] = np.nan
    belief = ArmBeliefs(np.eye(6)[None], 200).of(scores)
    assert scores[:5].mean() < 0.4 and np.nanmean(scores[5]) > 0.85
    assert belief.mean[5] < 0.6
    assert belief.variance[5] > 0 == belief.variance[0]


@pytest.mark.parametrize("shared", [0.0, 0.3])
def test_beliefs_are_as_sure_as_they_may_be(shared: float) -> None:
    """Twelve arms of normal levels, some with few tasks, in 60 draws: errors over stated deviations
    have a spread near 1, with noise that arms share and without."""
    rng = np.random.default_rng(5)
    errors: list[float] = []
    for _ in range(60):
        whole = coins(rng, rng.normal(0.5, 0.1, 12), 100, shared, 0.3)
        seen = whole.copy()
        for i in range(12):
            seen[i, 5 * (1 + i) :] = np.nan
        beliefs = ArmBeliefs(np.eye(12)[None], 100)
        for _ in range(5):  # the parts take a few fits
            beliefs._fitted = 0.0
            belief = beliefs.of(seen)
        off = whole.mean(axis=1) - belief.mean
        errors += list(off / np.sqrt(belief.variance))
    assert 0.8 < np.std(errors) < 1.2
    assert np.mean(np.abs(errors) > 1.96) < 0.1


def test_an_arm_never_run_is_read_by_its_levels() -> None:
    """(x, u) and (x, v) score .8, (y, u) .2: the fit finds that the first factor matters, and
    (y, v), never run, is expected near (y, u); it is in more doubt than any other."""
    kinds = likeness([{"a": a, "b": b} for a in "xy" for b in "uv"])
    parts = np.full(3, 0.01)
    for _ in range(20):
        parts = components(np.array([0.8, 0.8, 0.2]), 1e-3 * np.eye(3), kinds[:, :3, :3], parts)
    assert parts[0] > 5 * max(parts[1:])
    scores = np.full((4, 100), np.nan)
    for i, right in enumerate((40, 40, 10)):
        scores[i, :50] = np.arange(50) < right
    beliefs = ArmBeliefs(kinds, 100)
    belief = beliefs.of(scores)
    assert belief.mean[3] < 0.45 < 0.6 < belief.mean[0]
    assert belief.variance.argmax() == 3 and belief.count[3] == 0


def test_more_arms_than_fit_in_a_matrix_are_drawn_to_their_mean() -> None:
    """500 arms of one level: beliefs spread less than the means of their ten tasks."""
    scores = np.full((MOST_ALIKE + 100, 50), np.nan)
    scores[:, :10] = np.random.default_rng(6).random((len(scores), 10)) < 0.5
    belief = apart(scores, 50)
    assert belief.mean.std() < 0.3 * np.nanmean(scores, axis=1).std()
    space = FactorSpace({"which": list(range(MOST_ALIKE + 1))})
    assert len(BestArm(space, 50, 0).ask(3)) == 3


def test_what_a_change_of_mind_is_worth() -> None:
    """E[(X - gap)+]: at no gap s phi(0); against drawing; far out it still falls, smoothly."""
    assert log_gain(np.array([0.0]), np.array([2.0]))[0] == pytest.approx(
        math.log(2 / math.sqrt(2 * math.pi))
    )
    drawn = np.random.default_rng(7).normal(0, 0.5, 1_000_000)
    value = float(np.mean(np.maximum(drawn - 0.6, 0)))
    assert math.exp(log_gain(np.array([0.6]), np.array([0.5]))[0]) == pytest.approx(value, rel=0.02)
    far = log_gain(np.array([5.9, 6.1, 40.0, 400.0]), np.ones(4))
    assert (np.diff(far) < 0).all() and far[1] == pytest.approx(far[0] - 1.25, abs=0.2)


def test_information_per_dollar_by_hand() -> None:
    """Equal doubt: the cheaper; equal cost: the more doubtful, of those as far from the best; an
    arm that ran everything is never run again."""

    def belief(mean: list[float], variance: list[float], count: list[float]) -> Belief:
        return Belief(*(np.array(x) for x in (mean, variance, [0.2] * 3, count)))

    equal = belief([0.9, 0.8, 0.8], [0.01, 0.01, 0.01], [10, 10, 10])
    rates = log_rates(equal, np.array([1.0, 0.1, 1.0]), 100)
    assert rates.argmax() == 1 and rates[1] - rates[2] == pytest.approx(math.log(10))
    doubtful = belief([0.9, 0.8, 0.8], [0.001, 0.01, 0.02], [50, 10, 5])
    assert log_rates(doubtful, np.ones(3), 100).argmax() == 2
    known = belief([0.9, 0.8, 0.8], [0.0, 0.01, 0.0], [100, 10, 100])
    assert np.isneginf(log_rates(known, np.ones(3), 100)).tolist() == [True, False, True]

"""The value models on data whose truth is known, and the tools that judge them."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from real_data import real_data

from paragent.recorded import load_table
from paragent.value.boosting import BoostedTrees
from paragent.value.choose import (
    best,
    families,
    left_out,
    quality,
    spearman,
    spearman_interval,
)
from paragent.value.conformal import scale, split_coverage
from paragent.value.gp import INDUCING, GaussianProcess
from paragent.value.improve import chance_to_extend, excess, hypervolume_gain, outline, steps
from paragent.value.latent import LatentFactors
from paragent.value.parts import SumOfParts
from paragent.value.ridge import generator
from paragent.value.surrogate import Surrogate, mixture
from paragent.value.table import Table

GRID = [{f"a={i}": 1.0, f"b={j}": 1.0} for i, j in product("uvwxyz", "klmnop")]


def grid(f: object) -> list[float]:
    """Values of f(i, j) over the 6 x 6 grid."""
    return [float(f(i, j)) for i, j in product(range(6), range(6))]  # type: ignore[operator]


def test_a_table_is_told_from_a_bag_of_numbers() -> None:
    """`factor=level` rows get codes, with a place for unseen levels; anything else gets none."""
    table = Table.of([{"a=x": 1.0, "n=3": 1.0, "n": 3.0}, {"a=y": 1.0}])
    assert table.factors == ("a", "n") and table.sizes == [3, 2]
    assert table.codes([{"a=y": 1.0, "n=3": 1.0}, {"a=new": 1.0}]).tolist() == [[1, 0], [2, -1]]
    assert Table.of([{"has:x": 2.0}]).factors == ()
    assert Table.of([{"a=x": 0.5}]).factors == (), "half a level is no level"
    with pytest.raises(ValueError, match="at least one row"):
        Table.of([])


def test_levels_of_one_name_are_shared_and_numbers_are_not() -> None:
    """One model under two factors is one model; the level 3 of two factors is not one thing."""
    rows = [{"p=gpt": 1.0, "q=gpt": 1.0, "n=3": 1.0, "m=3": 1.0, "o=none": 1.0, "r=none": 1.0}]
    table = Table.of(rows)
    shared = dict(zip(table.factors, table.shared, strict=True))
    assert shared["p"] == shared["q"] != (-1,)
    assert shared["n"] == shared["m"] == shared["o"] == shared["r"] == (-1,)


def test_the_gp_learns_additive_effects_from_a_third_of_the_grid() -> None:
    """Y = i + 2j on 12 of 36 cells: the other cells rank nearly perfectly."""
    y = grid(lambda i, j: i + 2 * j)
    order = generator(1).permutation(36)
    train, rest = order[:14], order[14:]
    model = GaussianProcess().fit([GRID[i] for i in train], [y[i] for i in train])
    mean, std = model.predict([GRID[i] for i in rest])
    assert spearman(mean, np.array(y)[rest]) > 0.9
    assert np.all(std > 0)


def test_an_unseen_level_is_less_sure_than_a_seen_one() -> None:
    """Both of GP and latent factors know what they do not know."""
    y = grid(lambda i, j: i + 2 * j)
    known = [k for k in range(36) if k % 6 != 5]
    for model in (GaussianProcess(), LatentFactors()):
        _, std = model.fit([GRID[k] for k in known], [y[k] for k in known]).predict(
            [GRID[0], GRID[5]]
        )
        assert std[1] > 2 * std[0]


def test_inducing_points_predict_as_the_exact_posterior_does() -> None:
    """Twice as many observations as inducing points: the truth is found within its intervals."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4, 8))
    codes = rng.integers(0, 8, (2 * INDUCING, 4))
    rows = [{f"f{k}={c}": 1.0 for k, c in enumerate(row)} for row in codes]
    truth = weights[np.arange(4)[None, :], codes].sum(1)
    noisy = truth + rng.normal(0, 0.3, len(truth))
    mean, std = GaussianProcess().fit(rows, noisy, [0.09] * len(rows)).predict(rows)
    assert spearman(mean, truth) > 0.99
    assert np.mean(np.abs(mean - truth) < 3 * std) > 0.95


def test_latent_factors_complete_a_rank_one_interaction() -> None:
    """Y = i * j is no sum: from 20 of 36 cells the latent factors beat the GP's error by half."""
    y = np.array(grid(lambda i, j: i * j))
    order = generator(0).permutation(36)
    train, rest = order[:20], order[20:]
    errors = []
    for model in (LatentFactors(), GaussianProcess()):
        model.fit([GRID[i] for i in train], list(y[train]))
        errors.append(float(np.abs(model.predict([GRID[i] for i in rest])[0] - y[rest]).mean()))
    assert errors[0] < 0.5 * errors[1]


def test_sums_of_parts_predict_costs_of_unseen_pairs() -> None:
    """Cost 10^i + 10^j dollars: after 12 cells every other cell is within a factor of two."""
    y = np.log10(np.array(grid(lambda i, j: 10.0 ** (i / 2) + 10.0 ** (j / 2))))
    train = [*range(0, 36, 7), *range(5, 35, 5)]
    rest = [k for k in range(36) if k not in train]
    model = SumOfParts().fit([GRID[k] for k in train], list(y[train]))
    mean, _ = model.predict([GRID[k] for k in rest])
    assert np.abs(mean - y[rest]).max() < math.log10(2)


def test_boosting_learns_from_thirty_designs() -> None:
    """The package's defaults would predict a constant here."""
    y = grid(lambda i, j: i)
    mean, _ = BoostedTrees().fit(GRID[:30], y[:30]).predict(GRID[:30])
    assert spearman(mean, np.array(y[:30])) > 0.8
    constant, std = BoostedTrees().fit(GRID[:3], [1.0] * 3).predict(GRID[:2])
    assert constant.tolist() == [1.0, 1.0] and np.all(std > 0)


def test_expected_improvement_on_hand_worked_values() -> None:
    """At the threshold: std / sqrt(2 pi); far below it nothing, far above the difference."""
    mean, std = np.array([0.0, -9.0, 9.0]), np.ones(3)
    assert excess(mean, std, 0.0) == pytest.approx([1 / math.sqrt(2 * math.pi), 0.0, 9.0], abs=1e-6)


def test_the_hypervolume_gain_of_a_sure_candidate_is_its_area() -> None:
    """Front (0.5, cost 1), reference (0, 3). A sure (0.7, 2) adds 0.2 x 1; (0.3, 0.5) adds 0.3 x
    0.5; a dominated one adds nothing."""
    score = (np.array([0.7, 0.3, 0.4]), np.full(3, 1e-9))
    cost = (np.array([2.0, 0.5, 2.0]), np.full(3, 1e-9))
    found = hypervolume_gain(score, cost, [(0.5, 1.0)], 0.0, 3.0)
    assert found == pytest.approx([0.2, 0.15, 0.0], abs=1e-6)


def test_gain_and_chance_agree_with_simulation() -> None:
    """20,000 draws of one uncertain candidate against a front of two points."""
    front = [(0.5, 1.0), (0.8, 2.0)]
    rng = np.random.default_rng(0)
    s, c = rng.normal(0.6, 0.2, 20_000), rng.normal(1.4, 0.5, 20_000)

    def area(points: list[tuple[float, float]]) -> float:
        level, total = 0.0, 0.0
        for score, cost in sorted(points, key=lambda p: p[1]):
            if score > level and cost < 3:
                total, level = total + (score - level) * (3 - cost), score
        return total

    base = area(front)
    gains = [area([*front, (float(a), float(b))]) - base for a, b in zip(s, c, strict=True)]
    free = np.array(
        [not any(fs >= a and fc <= b for fs, fc in front) for a, b in zip(s, c, strict=True)]
    )
    score, cost = (np.array([0.6]), np.array([0.2])), (np.array([1.4]), np.array([0.5]))
    gain = hypervolume_gain(score, cost, front, 0.0, 3.0)
    assert gain[0] == pytest.approx(np.mean(gains), rel=0.03)
    assert chance_to_extend(score, cost, front)[0] == pytest.approx(free.mean(), abs=0.015)
    assert chance_to_extend(score, cost, [])[0] == 1.0


def test_conformal_scales_by_the_right_rank() -> None:
    """Nine residuals at 90 %: the ninth smallest; eight are too few."""
    assert scale([1, 2, 3, 4, 5, 6, 7, 8, 9], [1.0] * 9, 0.9) == 9
    assert scale([1.0] * 8, [1.0] * 8, 0.9) == math.inf
    with pytest.raises(ValueError, match="level 2"):
        scale([1.0], [1.0], 2)


def test_conformal_intervals_cover_though_the_model_is_too_sure() -> None:
    """Stated spread a third of the real one: calibrated coverage is back in .85 to .95."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    covered = split_coverage(truth, np.zeros(200), np.full(200, 1 / 3))
    assert 0.87 <= covered <= 0.95


def test_rank_correlation_with_ties_and_its_interval() -> None:
    """Hand-worked: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4 give sqrt(0.9); few tell
    little."""
    rho = spearman(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert rho == pytest.approx(math.sqrt(0.9))
    assert spearman(np.ones(3), np.arange(3.0)) == 0.0
    assert spearman_interval(0.9, 3).low == -1.0
    wide, narrow = spearman_interval(0.5, 10), spearman_interval(0.5, 1000)
    assert wide.low < 0 < narrow.low < 0.5 < narrow.high < wide.high


def test_left_out_rows_are_predicted_without_themselves() -> None:
    """A model that returns the training mean cannot know the row that was left out."""

    class Mean:
        def fit(self, rows: object, y: list[float], noise: object = None) -> Mean:
            self.mean = float(np.mean(y))
            return self

        def predict(self, rows: list[object]) -> tuple[object, object]:
            return np.full(len(rows), self.mean), np.ones(len(rows))

    mean, _ = left_out(Mean, [{"x": 1.0}] * 4, [0.0, 1.0, 2.0, 9.0], folds=4)
    assert sorted(mean) == pytest.approx([1.0, 10 / 3, 11 / 3, 4.0])
    with pytest.raises(ValueError, match="got 1 rows"):
        left_out(Mean, [{}], [1.0])


def test_a_mixture_has_the_spread_of_its_disagreement() -> None:
    """Means 0 and 2 with spread 1: mean 1, variance 1 + 1."""
    mean, std = mixture([(np.array([0.0]), np.array([1.0])), (np.array([2.0]), np.array([1.0]))])
    assert (mean[0], std[0]) == pytest.approx((1.0, math.sqrt(2)))


def test_a_surrogate_learns_as_it_is_told() -> None:
    """Scores of rank one, costs that multiply over ten decades, cell by cell: each target comes
    to the family that foretells it, though a sum of parts starts with half of the say on costs."""
    model = Surrogate()
    with pytest.raises(ValueError, match="nothing was told"):
        model.predict(GRID[:1])
    for row, s, c in zip(
        GRID, grid(lambda i, j: i * j / 25), grid(lambda i, j: i + j), strict=True
    ):
        model.tell(row, s, 0.0, c)
        model.predict(GRID[:1])
    belief = model.predict(GRID)
    assert np.abs(belief.score[0] - grid(lambda i, j: i * j / 25)).max() < 0.1
    assert np.abs(belief.cost[0] - grid(lambda i, j: i + j)).max() < 0.6


def test_on_the_recorded_table_interactions_are_found() -> None:
    """Score of 81 recorded designs, each predicted unseen: Spearman at least .92, conformal
    coverage within .85 to .95."""
    table = load_table(real_data("recorded", "hotpot-planner-solver-81"))
    rows = [table.space.features(table.design(i)) for i in range(len(table))]
    scores = list(table.score)
    found = {
        name: quality(scores, *left_out(make, rows, scores))
        for name, make in families(rows, "score").items()
        if name in ("latent", "ridge")
    }
    assert best(found) == "latent"
    assert found["latent"].spearman >= 0.92
    assert 0.85 <= found["latent"].calibrated <= 0.95


def test_an_outline_keeps_the_front_and_the_ranges_of_its_points() -> None:
    """200 random points with ties: the same stairs and the same extremes, of far fewer points."""
    rng = generator(4)
    for _ in range(20):
        scores = rng.integers(0, 12, 200) / 12
        costs = rng.integers(-40, -20, 200) / 10
        kept = outline(list(scores), [*costs, 99.0])
        points = list(zip(scores.tolist(), costs.tolist(), strict=True))
        some = [points[i] for i in kept]
        assert steps(some, -1.0, 0.0) == steps(points, -1.0, 0.0)
        for axis in (0, 1):
            assert min(p[axis] for p in some) == min(p[axis] for p in points)
            assert max(p[axis] for p in some) == max(p[axis] for p in points)
        assert len(kept) < 40 and kept == sorted(kept)

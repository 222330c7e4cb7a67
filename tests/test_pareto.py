"""Fronts, hypervolume and knee, against brute force and moocore."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from paragent.pareto import (
    RunningFront,
    dominates,
    front,
    hypervolume,
    hypervolume_contribution,
    knee,
    log_costs,
    non_dominated,
    score_cost_hypervolume,
)

small = st.integers(0, 5).map(float)  # few values, so that ties and copies are common
pairs = st.lists(st.tuples(small, small), max_size=12)
triples = st.lists(st.tuples(small, small, small), max_size=8)
unknown_or = st.none() | small
trade_offs = st.lists(st.tuples(unknown_or, unknown_or), max_size=12)


def by_cells(points: list[tuple[float, ...]], reference: tuple[float, ...]) -> float:
    """The volume by counting unit cells: right for whole coordinates."""
    cells = itertools.product(*(range(int(r)) for r in reference))
    return float(
        sum(
            any(all(x <= c for x, c in zip(p, cell, strict=True)) for p in points) for cell in cells
        )
    )


def test_dominates_by_hand() -> None:
    """Lower is better; a tie in one coordinate is enough, equality in all is not."""
    assert dominates((1, 2), (1, 3))
    assert dominates((0, 0, 0), (1, 0, 0))
    assert not dominates((1, 2), (1, 2))
    assert not dominates((1, 3), (2, 2))


@given(pairs | triples)
@settings(deadline=None)
def test_non_dominated_is_the_definition(points: list[tuple[float, ...]]) -> None:
    """A point is kept exactly where no point dominates it; copies are kept or lost together."""
    expected = [i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)]
    assert non_dominated(points) == expected


@given(st.lists(st.tuples(small, small), max_size=20))
@settings(deadline=None)
def test_a_running_front_is_the_front(points: list[tuple[float, float]]) -> None:
    """After each point it holds what `front` finds among all so far, one of each copies: the
    last, where later ones are preferred."""
    running: RunningFront[int] = RunningFront(lambda later, earlier: later > earlier)
    for i, (score, cost) in enumerate(points):
        on = running.add(score, cost, i)
        found = front(points[: i + 1])
        last = {points[k]: k for k in found}
        assert running.items == list(last.values())
        assert on == (i in found)
        assert running.points() == [(*p, k) for p, k in last.items()]


def test_non_dominated_refuses_what_is_no_number() -> None:
    """NaN compares with nothing, so it may not slip onto a front."""
    with pytest.raises(ValueError, match="not a number"):
        non_dominated([(0.0, math.nan)])


def test_hypervolume_2d_by_hand() -> None:
    """Three steps under (4, 4): 3·1 + 2·1 + 1·1 = 6; a dominated and an outside point add 0."""
    steps = [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]
    assert hypervolume(steps, (4, 4)) == 6.0
    assert hypervolume([*steps, (3.0, 3.0), (0.0, 9.0), (4.0, 0.0)], (4, 4)) == 6.0


def test_hypervolume_3d_by_hand() -> None:
    """Boxes 1·1·2 and 2·1·1 under (2, 2, 2) share a unit cube: 2 + 2 - 1 = 3."""
    assert hypervolume([(1.0, 1.0, 0.0), (0.0, 1.0, 1.0)], (2, 2, 2)) == 3.0


@given(pairs)
@settings(deadline=None)
def test_hypervolume_2d_counts_cells(points: list[tuple[float, float]]) -> None:
    """2-D: equal to the number of unit cells dominated."""
    assert hypervolume(points, (5, 4)) == by_cells(list(points), (5, 4))


@given(triples)
@settings(deadline=None)
def test_hypervolume_3d_counts_cells(points: list[tuple[float, float, float]]) -> None:
    """3-D: equal to the number of unit cells dominated."""
    assert hypervolume(points, (5, 4, 3)) == by_cells(list(points), (5, 4, 3))


@pytest.mark.parametrize("dimension", [2, 3])
def test_moocore_agrees(dimension: int) -> None:
    """On random points, fronts, volumes and contributions equal those of moocore."""
    moocore = pytest.importorskip("moocore")
    import numpy as np

    for seed in range(20):
        rng = np.random.default_rng(seed)
        data = rng.random((30, dimension)).round(1 + seed % 2)  # rounding makes ties
        points = [tuple(map(float, row)) for row in data]
        reference = (0.9,) * dimension
        kept = moocore.is_nondominated(data, keep_weakly=True)
        assert non_dominated(points) == list(np.flatnonzero(kept))
        assert hypervolume(points, reference) == pytest.approx(
            moocore.hypervolume(data, ref=reference)
        )
        assert hypervolume_contribution(points, reference) == pytest.approx(
            list(moocore.hv_contributions(data, ref=reference, ignore_dominated=False)), abs=1e-12
        )


def test_contribution_of_copies_is_zero() -> None:
    """Taking one of two copies away loses nothing; a lone step loses its own cell."""
    assert hypervolume_contribution([(1, 1), (1, 1), (0, 2)], (3, 3)) == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("reference", [(1.0,), (1.0,) * 4])
def test_other_dimensions_are_refused(reference: tuple[float, ...]) -> None:
    """Only 2-D and 3-D are exact here, so nothing else is answered."""
    with pytest.raises(ValueError, match="2 or 3"):
        hypervolume([], reference)


def test_front_by_hand() -> None:
    """Cheapest first; dominated, unknown-cost and unknown-score designs are left out."""
    points = [(0.9, 10.0), (0.5, 1.0), (0.4, 2.0), (0.99, None), (None, 0.1), (0.7, 3.0)]
    assert front(points) == [1, 5, 0]


def test_front_of_equal_designs_keeps_both() -> None:
    """Two designs of the same score and cost are both on the front, in their order."""
    assert front([(0.5, 1.0), (0.5, 1.0), (0.5, 2.0)]) == [0, 1]


def test_front_without_any_cost_is_the_best_score() -> None:
    """Where no cost is known, cost cannot exclude: the highest scores remain."""
    assert front([(0.5, None), (0.7, None), (None, 1.0), (0.7, None)]) == [1, 3]


@given(trade_offs)
@settings(deadline=None)
def test_unknown_costs_never_join_known_ones(
    points: list[tuple[float | None, float | None]],
) -> None:
    """A front holds known scores only, and costs all known or all unknown."""
    on = [points[i] for i in front(points)]
    assert all(score is not None for score, _ in on)
    assert len({cost is None for _, cost in on}) <= 1
    if any(s is not None and c is not None for s, c in points):
        assert all(cost is not None for _, cost in on)


def test_log_costs_put_free_one_decade_below() -> None:
    """Zero stands one decade under the smallest positive cost, and alone at 0."""
    assert log_costs([0.0, 0.01, 1.0]) == pytest.approx([-3.0, -2.0, 0.0])
    assert log_costs([0.0, 0.0]) == [0.0, 0.0]
    assert log_costs([]) == []


def test_negative_costs_are_refused() -> None:
    """A negative or missing cost is an error upstream, not a bargain."""
    with pytest.raises(ValueError, match="negative"):
        log_costs([1.0, -0.5])


def test_score_cost_hypervolume_by_hand() -> None:
    """Bounds 1 and 100: .5 at cost 1 gives .5; adding .9 at 10 adds .4 on half of the axis."""
    assert score_cost_hypervolume([(0.5, 1.0)], 1, 100) == pytest.approx(0.5)
    assert score_cost_hypervolume([(0.5, 1.0), (0.9, 10.0)], 1, 100) == pytest.approx(0.7)
    assert score_cost_hypervolume([(1.0, 0.0)], 1, 100) == pytest.approx(1.0)
    assert score_cost_hypervolume([(1.0, 100.0), (0.9, None), (None, 1.0)], 1, 100) == 0.0


@given(trade_offs, st.tuples(unknown_or, unknown_or))
@settings(deadline=None)
def test_score_cost_hypervolume_never_falls(
    points: list[tuple[float | None, float | None]], more: tuple[float | None, float | None]
) -> None:
    """One more evaluation can only widen what the front dominates."""
    before = score_cost_hypervolume(points, 0.5, 5)
    assert score_cost_hypervolume([*points, more], 0.5, 5) >= before - 1e-12


def test_knee_by_hand() -> None:
    """On costs 1, 10, 100 the design that gets most of the gain at half the log cost wins."""
    assert knee([(0.2, 1.0), (0.7, 10.0), (0.8, 100.0)]) == 1


def test_knee_ties() -> None:
    """None for nothing, the one of one, the cheaper of two, the cheapest where no one bulges."""
    assert knee([]) is None
    assert knee([(None, 1.0)]) is None
    assert knee([(0.5, 3.0)]) == 0
    assert knee([(0.9, 100.0), (0.5, 1.0)]) == 1
    assert knee([(0.1, 1.0), (0.2, 10.0), (0.9, 100.0)]) == 0
    assert knee([(0.5, None), (0.6, None)]) == 1


def test_knee_accepts_free_designs() -> None:
    """A design that costs nothing does not make the log axis infinite."""
    assert knee([(0.1, 0.0), (0.8, 1.0), (0.9, 10.0)]) == 1


@given(st.lists(st.tuples(small, small), min_size=1, max_size=10))
@settings(deadline=None)
def test_knee_is_on_the_front_and_farthest(points: list[tuple[float, float]]) -> None:
    """The knee is a front point, and no other is farther from the chord (by the line formula)."""
    found = knee(points)
    on = front(points)
    assert found in on
    costs = dict(zip(on, log_costs([points[i][1] for i in on]), strict=True))
    (x0, y0), (x1, y1) = ((costs[i], points[i][0]) for i in (on[0], on[-1]))
    assume(x1 > x0 and y1 > y0)

    def distance(i: int) -> float:
        u, v = (costs[i] - x0) / (x1 - x0), (points[i][0] - y0) / (y1 - y0)
        return (v - u) / math.sqrt(2)

    assert distance(found) == pytest.approx(max(map(distance, on)))


def test_order_does_not_matter_much() -> None:
    """Shuffling the points changes indices, never the front's points nor the knee's."""
    rng = random.Random(0)
    points = [(rng.random(), 10 ** rng.uniform(-3, 2)) for _ in range(60)]
    shuffled = rng.sample(points, len(points))
    assert [points[i] for i in front(points)] == [shuffled[i] for i in front(shuffled)]
    one, other = knee(points), knee(shuffled)
    assert one is not None and other is not None and points[one] == shuffled[other]

"""Fronts, hypervolume and knee: pure functions on plain numbers.

Two kinds of points occur. General points are to be minimised in every coordinate (`dominates`,
`non_dominated`, `hypervolume`). Trade-offs are pairs (score, cost), score up and cost down, where
either may be unknown (`front`, `knee`, `score_cost_hypervolume`).

An unknown cost (None) is not a low cost: beside points of known cost such a point is never on the
front. An unknown score is never on a front. A cost of zero is legal; on a log axis it stands one
decade below the smallest positive cost (`log_costs`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
Point = Sequence[float]
#: (score, cost): score up, cost down; None where unknown.
ScoreCost = tuple[float | None, float | None]


def _check(points: Sequence[Point], dimension: int | None = None) -> None:
    for point in points:
        if dimension is not None and len(point) != dimension:
            raise ValueError(f"{tuple(point)!r} has {len(point)} coordinates, wanted {dimension}")
        if any(math.isnan(x) for x in point):
            raise ValueError(f"{tuple(point)!r} is not a number in every coordinate")


def dominates(one: Point, other: Point) -> bool:
    """Whether `one` is nowhere above `other` and somewhere below it. Equal points: False."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def non_dominated(points: Sequence[Point]) -> list[int]:
    """Indices, ascending, of the points that no other dominates (all coordinates minimised).

    Equal points do not dominate each other: either all copies are in the result or none is. A
    point that ties in one coordinate and is worse in another is dominated.
    """
    if not points:
        return []
    _check(points, len(points[0]))
    keep: list[int] = []
    # Lexicographic order: whatever dominates a point comes before it.
    order = sorted(range(len(points)), key=lambda i: (tuple(points[i]), i))
    if len(points[0]) == 2:
        for i in order:  # among those before it, the last one kept is the lowest
            last = points[keep[-1]] if keep else None
            if last is None or points[i][1] < last[1] or tuple(points[i]) == tuple(last):
                keep.append(i)
        return sorted(keep)
    for i in order:
        if not any(dominates(points[j], points[i]) for j in keep):
            keep.append(i)
    return sorted(keep)


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Exact measure of what the points dominate within `reference`, minimising, in 2-D or 3-D.

    Points that are not below the reference in every coordinate add nothing; no points give 0.
    2-D: one sweep, O(n log n). 3-D: the 2-D front is swept along the third axis, O(n²).
    """
    dimension = len(reference)
    if dimension not in (2, 3):
        raise ValueError(f"the hypervolume is for 2 or 3 coordinates, not {dimension}")
    _check([*points, reference], dimension)
    inside = [tuple(p) for p in points if all(x < r for x, r in zip(p, reference, strict=True))]
    if dimension == 2:
        return _area(inside, reference[0], reference[1])
    slices = sorted(inside, key=lambda p: p[2])
    volume = 0.0
    stairs: list[tuple[float, ...]] = []
    for i, point in enumerate(slices):
        stairs = _add_to_stairs(stairs, point[:2])
        above = slices[i + 1][2] if i + 1 < len(slices) else reference[2]
        if above > point[2]:
            volume += _area(stairs, reference[0], reference[1]) * (above - point[2])
    return volume


def _area(points: Sequence[tuple[float, ...]], right: float, top: float) -> float:
    area, lowest = 0.0, top
    for x, y in sorted(points):
        if y < lowest:
            area += (right - x) * (lowest - y)
            lowest = y
    return area


def _add_to_stairs(
    stairs: list[tuple[float, ...]], point: tuple[float, ...]
) -> list[tuple[float, ...]]:
    """The 2-D front `stairs` (x ascending, y descending) with one more point."""
    at = bisect_left(stairs, point)
    if (at > 0 and stairs[at - 1][1] <= point[1]) or (at < len(stairs) and stairs[at] == point):
        return stairs
    beaten = at
    while beaten < len(stairs) and stairs[beaten][1] >= point[1]:
        beaten += 1
    return [*stairs[:at], point, *stairs[beaten:]]


def hypervolume_contribution(points: Sequence[Point], reference: Point) -> list[float]:
    """What the hypervolume loses when each point alone is taken away; 0 for copies."""
    whole = hypervolume(points, reference)
    without = (hypervolume([*points[:i], *points[i + 1 :]], reference) for i in range(len(points)))
    return [max(0.0, whole - rest) for rest in without]


def front(points: Sequence[ScoreCost]) -> list[int]:
    """Indices of the trade-offs that none beats, cheapest first (ties by index).

    Left out: unknown scores, and unknown costs beside known ones. Where no cost is known at all,
    the front is that of the score alone: all points of the highest score.
    """
    scored = [i for i, (score, _) in enumerate(points) if score is not None]
    priced = [i for i in scored if points[i][1] is not None]
    chosen = priced or scored
    coordinates = [(points[i][1] or 0.0, -(points[i][0] or 0.0)) for i in chosen]
    best = non_dominated(coordinates)
    return [chosen[k] for k in sorted(best, key=lambda k: (coordinates[k], chosen[k]))]


class RunningFront(Generic[T]):
    """The front of trade-offs that come one by one, all of known score and cost.

    `items` are those on it, cheapest first (so by score, too). Of trade-offs that are equal one
    stays: the first, or a later one that `simpler(later, earlier)` prefers. What does not stay is
    forgotten, so adding n points takes O(n log n) and the memory of the front alone.
    """

    def __init__(self, simpler: Callable[[T, T], bool] = lambda later, earlier: False) -> None:
        self.items: list[T] = []
        self._simpler = simpler
        self._costs: list[float] = []
        self._scores: list[float] = []

    def points(self) -> list[tuple[float, float, T]]:
        """(score, cost, item) of each, cheapest first."""
        return list(zip(self._scores, self._costs, self.items, strict=True))

    def add(self, score: float, cost: float, item: T) -> bool:
        """Whether the item is on the front now."""
        costs, scores = self._costs, self._scores
        at = bisect_right(costs, cost)
        if at and scores[at - 1] >= score:
            if scores[at - 1] > score or costs[at - 1] < cost:
                return False
            if self._simpler(item, self.items[at - 1]):
                self.items[at - 1] = item
                return True
            return False
        start = at - 1 if at and costs[at - 1] == cost else at
        end = at
        while end < len(scores) and scores[end] <= score:
            end += 1
        costs[start:end], scores[start:end], self.items[start:end] = [cost], [score], [item]
        return True


def log_costs(costs: Sequence[float]) -> list[float]:
    """log10 of each cost; zero costs stand one decade below the smallest positive one.

    All zero: 0.0 for each. Raises ValueError for a negative cost.
    """
    if any(not cost >= 0 for cost in costs):
        raise ValueError(f"a cost is negative or not a number: {min(costs)!r}")
    positive = [cost for cost in costs if cost > 0]
    floor = math.log10(min(positive)) - 1 if positive else 0.0
    return [math.log10(cost) if cost > 0 else floor for cost in costs]


def score_cost_hypervolume(points: Sequence[ScoreCost], cheapest: float, dearest: float) -> float:
    """Hypervolume of trade-offs in [0, 1]: score in [0, 1] times log10 cost between two bounds.

    The reference is score 0 at cost `dearest`; 1 would be a score of 1 at cost `cheapest`. Costs
    are clipped to the bounds, so a cost at or above `dearest` adds nothing. Points of unknown
    score or cost add nothing. Compare values only under the same bounds. Raises ValueError
    unless 0 < cheapest < dearest.
    """
    if not 0 < cheapest < dearest < math.inf:
        raise ValueError(f"got bounds {cheapest!r} and {dearest!r}; wanted 0 < cheapest < dearest")
    low, high = math.log10(cheapest), math.log10(dearest)
    known = [(s, c) for s, c in points if s is not None and c is not None]
    scaled = [
        ((math.log10(min(max(c, cheapest), dearest)) - low) / (high - low), -s) for s, c in known
    ]
    return hypervolume(scaled, (1.0, 0.0))


def knee(points: Sequence[ScoreCost]) -> int | None:
    """Index of the front point farthest above the chord from its cheapest to its best point.

    Both axes are scaled to [0, 1] over the front, cost as log10. Ties (two points, a straight or
    a sagging front) go to the cheaper, then to the lower index. None where no score is known.
    """
    on = front(points)
    if not on:
        return None
    costs = log_costs([points[i][1] or 0.0 for i in on])
    scores = [points[i][0] or 0.0 for i in on]
    wide, high = max(costs) - min(costs), max(scores) - min(scores)
    if wide == 0 or high == 0:
        return on[0]
    # The scaled chord runs from (0, 0) to (1, 1): height above it is y - x.
    heights = [
        (s - min(scores)) / high - (c - min(costs)) / wide
        for s, c in zip(scores, costs, strict=True)
    ]
    best = max(heights)
    return next(i for i, height in zip(on, heights, strict=True) if height >= best - 1e-12)

"""What one more evaluation is expected to gain: of the score, or of the front's hypervolume."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from paragent.value.ridge import Vector


def excess(mean: Vector, std: Vector, threshold: float) -> Vector:
    """E[(x - threshold)+] of normals: expected improvement (Jones et al. 1998, section 4.1)."""
    from scipy.special import ndtr

    u = (mean - threshold) / std
    density = np.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)
    return np.asarray(std * (density + u * ndtr(u)))


def steps(
    points: Sequence[tuple[float, float]], worst: float, dearest: float
) -> list[tuple[float, float]]:
    """The front of (score, log cost) points as stairs: (cost from which, best score), the first
    from -inf at score `worst`; only what lies inside the reference (worst, dearest)."""
    found = [(-math.inf, worst)]
    for score, cost in sorted(points, key=lambda p: (p[1], -p[0])):
        if score > found[-1][1] and cost < dearest:
            found.append((cost, score))
    return found


def outline(scores: Sequence[float], costs: Sequence[float]) -> list[int]:
    """Numbers of the points on the front (scores up, costs down) and of those with the extreme
    scores and costs, in their order: all that a front and its ranges depend on. `costs` may be
    longer than `scores`."""
    y, c = np.array(scores), np.array(costs[: len(scores)])
    order = np.lexsort((-y, c))
    best = np.maximum.accumulate(y[order])
    rises = np.concatenate([[True], best[1:] > best[:-1]])
    kept = {*order[rises].tolist(), int(y.argmin()), int(y.argmax())}
    return sorted({*kept, int(c.argmin()), int(c.argmax())})


def hypervolume_gain(
    score: tuple[Vector, Vector],
    cost: tuple[Vector, Vector],
    front: Sequence[tuple[float, float]],
    worst: float,
    dearest: float,
) -> Vector:
    """Expected hypervolume improvement of independent normal scores (up) and log costs (down).

    `score` and `cost` are (mean, std) per candidate, [n] each; `front` holds (score, log cost)
    points; the reference is (worst, dearest). Exact: the gain is a sum over the front's stairs of
    the score's excess above a stair times the cost's share of the stair's width (Emmerich, Yang,
    Deutz 2020, section 3).
    """
    stairs = steps(front, worst, dearest)
    ends = [*(cost_at for cost_at, _ in stairs[1:]), dearest]
    total = np.zeros(len(score[0]))
    below = np.zeros(len(score[0]))  # E[(edge - cost)+] at the stair's left edge
    for (_, level), end in zip(stairs, ends, strict=True):
        upto = excess(-cost[0], cost[1], -end)
        total = total + excess(*score, level) * (upto - below)
        below = upto
    return np.maximum(total, 0.0)


def chance_to_extend(
    score: tuple[Vector, Vector],
    cost: tuple[Vector, Vector],
    front: Sequence[tuple[float, float]],
) -> Vector:
    """Probability that a candidate is dominated by no point of the front, [n].

    Independent normals; a point dominates when it scores at least as well at no higher cost.
    """
    from scipy.special import ndtr

    stairs = steps(front, -math.inf, math.inf)
    ends = [*(cost_at for cost_at, _ in stairs[1:]), math.inf]
    total = np.zeros(len(score[0]))
    below = np.zeros(len(score[0]))
    for (_, level), end in zip(stairs, ends, strict=True):
        upto = ndtr((end - cost[0]) / cost[1]) if end < math.inf else np.ones(len(total))
        above = ndtr((score[0] - level) / score[1]) if level > -math.inf else np.ones(len(total))
        total = total + above * (upto - below)
        below = upto
    return np.clip(total, 0.0, 1.0)

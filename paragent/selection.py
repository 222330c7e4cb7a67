"""What a searcher climbs, and which node of a search tree to grow from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paragent.errors import UsageError
from paragent.value.ridge import Vector
from paragent.value.surrogate import Belief


def climbs_alone(objectives: str) -> bool:
    """Whether the score alone is climbed: "score", and not "both". Raises UsageError otherwise."""
    if objectives not in ("both", "score"):
        raise UsageError(f"objectives is {objectives!r}; wanted both or score")
    return objectives == "score"


@dataclass(frozen=True, slots=True)
class Weighting:
    """One trade-off: value = w * score + (1 - w) * (1 - scaled log10 cost), in [0, 1]."""

    w: float
    low: float
    high: float

    def value(self, score: float, log_cost: float) -> float:
        """Of a mean score in [0, 1] and a mean log10 cost."""
        return float(self.values([score], [log_cost])[0])

    def values(self, scores: Sequence[float], log_costs: Sequence[float]) -> Vector:
        """`value` of many, [n]."""
        span = self.high - self.low
        cheap = 1 - (np.asarray(log_costs) - self.low) / span if span > 0 else 0.0
        found: Vector = self.w * np.asarray(scores) + (1 - self.w) * cheap
        return found

    def believed(self, belief: Belief) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the value, score and log cost being independent."""
        span = self.high - self.low
        share = (1 - self.w) / span if span > 0 else 0.0
        mean = self.w * belief.score[0] + (1 - self.w) - share * (belief.cost[0] - self.low)
        return mean, np.hypot(self.w * belief.score[1], share * belief.cost[1])


def ucb(value: float | None, visits: int, parent_visits: int, c: float) -> float:
    """UCB1 of a child with this mean value; None, where all its visits are in flight, counts 0."""
    return (value or 0.0) + c * math.sqrt(math.log(max(1, parent_visits)) / max(1, visits))


def widened(visits: int, k: float, a: float) -> int:
    """Children that a node may have after so many visits: ceil(k visits^a)."""
    return max(1, math.ceil(k * math.pow(visits, a)))


def mixed_probabilities(
    values: Sequence[float] | Vector,
    surprises: Sequence[float],
    *,
    lam: float,
    alpha: float,
    beta: float,
) -> list[float]:
    """P(i) = lambda/n + (1 - lambda) softmax(alpha E), E = (1 - beta) s + beta u - s_max.

    Values s and surprises u are in [0, 1] and are multiplied by 100 here: on the unit scale
    alpha = 0.2 would be a uniform draw.
    """
    energies = (1 - beta) * np.asarray(values) + beta * np.asarray(surprises)
    weights = np.exp(alpha * 100 * (energies - energies.max()))
    chances: list[float] = (lam / len(values) + (1 - lam) * weights / weights.sum()).tolist()
    return chances

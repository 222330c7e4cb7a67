"""Intervals that cover what they promise, whatever the model: split conformal prediction.

From residuals on designs that the model had not seen, scaled by its own standard deviations, the
interval mean ± q std holds the truth with at least the promised chance, if the new design is
exchangeable with those (Lei et al. 2018, section 2.2; scaled scores: section 5.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from paragent.value.ridge import Vector, generator


def scale(residuals: Sequence[float], stds: Sequence[float], level: float = 0.9) -> float:
    """The factor q: the ceil((n + 1) level)-th smallest |residual| / std; infinite for few.

    Raises ValueError for lists of unequal length or a level outside (0, 1).
    """
    if len(residuals) != len(stds) or not 0 < level < 1:
        raise ValueError(f"got {len(residuals)} residuals, {len(stds)} stds, level {level}")
    rank = math.ceil((len(residuals) + 1) * level)
    if rank > len(residuals):
        return math.inf
    ratios = sorted(abs(r) / s for r, s in zip(residuals, stds, strict=True))
    return ratios[rank - 1]


def split_coverage(
    truth: Vector, mean: Vector, std: Vector, level: float = 0.9, splits: int = 40, seed: int = 0
) -> float:
    """Mean share of designs inside their intervals where q comes from a random other half.

    The calibrating half and the judged half share no design, so the figure can miss the level.
    Where half is too few for the level, q is infinite and the share 1.
    """
    rng = generator(seed)
    shares = []
    for _ in range(splits):
        order = rng.permutation(len(truth))
        fit, judge = np.array_split(order, 2)
        q = scale(list((truth - mean)[fit]), list(std[fit]), level)
        shares.append(float((np.abs(truth - mean)[judge] <= q * std[judge]).mean()))
    return float(np.mean(shares))

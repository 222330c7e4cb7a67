"""Many seeds of several contenders into figures with intervals, and into verdicts in words.

Contenders are compared seed by seed (the same seed is the same noise), each pair by a sign-flip
test of the mean difference, and all pairs of one figure are corrected together (Holm).
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from paragent.stats import holm, paired_difference

RESAMPLES = 2000
ALPHA = 0.05


def summary(values: Sequence[float | None], seed: int = 0) -> dict[str, float | None]:
    """Median with a 95 % percentile bootstrap interval over seeds, and the mean.

    None stands for "not reached" and counts as infinitely late; a figure that is infinite is
    given as None. `mean` is over the reached ones.
    """
    import numpy as np

    x = np.array([math.inf if v is None else float(v) for v in values])
    rng = np.random.default_rng(seed)
    drawn = np.sort(x[rng.integers(0, len(x), size=(RESAMPLES, len(x)))], axis=1)
    middle = len(x) // 2
    # Two infinities have no mean, but a median all the same.
    low_half = drawn[:, middle - 1] if len(x) % 2 == 0 else drawn[:, middle]
    with np.errstate(invalid="ignore"):
        medians = np.where(np.isinf(drawn[:, middle]), math.inf, (low_half + drawn[:, middle]) / 2)
    low, high = (float(v) for v in np.quantile(medians, (0.025, 0.975), method="inverted_cdf"))
    known = [float(v) for v in values if v is not None]
    return {
        "median": finite(_median(list(x))),
        "low": finite(low),
        "high": finite(high),
        "mean": statistics.fmean(known) if known else None,
    }


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    k = len(ordered) // 2
    if len(ordered) % 2:
        return float(ordered[k])
    return math.inf if math.isinf(ordered[k]) else float((ordered[k - 1] + ordered[k]) / 2)


def finite(value: float) -> float | None:
    """The value, or None where it is infinite."""
    return None if math.isinf(value) else value


def verdicts(
    trials: Mapping[str, Sequence[Mapping[str, Any]]],
    figure: str = "hv_share",
    *,
    name: str = "hypervolume share",
    scale: float = 1.0,
    more_is_better: bool = True,
) -> list[dict[str, Any]]:
    """Every pair of contenders on one figure: who is better, by how much, or that it cannot be
    told. `scale` brings differences of the figure into [-1, 1]."""
    pairs = list(itertools.combinations(trials, 2))
    found = []
    for one, other in pairs:
        a = {i: float(t[figure]) / scale for i, t in enumerate(trials[one])}
        b = {i: float(t[figure]) / scale for i, t in enumerate(trials[other])}
        found.append(paired_difference(a, b))
    rows: list[dict[str, Any]] = []
    for (one, other), pair, p in zip(pairs, found, holm([f.p_value for f in found]), strict=True):
        ahead = (pair.mean > 0) == more_is_better
        better, worse = (one, other) if ahead else (other, one)
        sign = 1 if pair.mean > 0 else -1
        size = scale * abs(pair.mean)
        bounds = sorted((scale * sign * pair.low, scale * sign * pair.high))
        told = p < ALPHA and pair.mean != 0
        by = f"by {size:.3g} [{bounds[0]:.3g}, {bounds[1]:.3g}] in {name}"
        rest = f"over {pair.n} seeds (paired, p = {p:.2g} after Holm)"
        text = (
            f"{better} beats {worse} {by} {rest}"
            if told
            else f"{one} and {other} cannot be told apart in {name} {rest}"
        )
        rows.append(
            {
                "better": better if told else None,
                "worse": worse if told else None,
                "pair": [one, other],
                "figure": figure,
                "words": name,
                "difference": scale * pair.mean,
                "low": scale * pair.low,
                "high": scale * pair.high,
                "p_holm": p,
                "text": text,
            }
        )
    return rows

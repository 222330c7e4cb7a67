"""Intervals and paired tests for mean scores: exact where that is possible, seeded where not.

Every design is measured on the same tasks, so two designs are compared task by task (paired): the
difficulty of the tasks then cancels. Nothing here touches a global random state, and NumPy and
SciPy are imported only by the functions that need them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

Id = TypeVar("Id")

#: Below this many values a bootstrap is too narrow (it resamples the few values it has seen).
_BOOTSTRAP_MIN = 8
_RESAMPLES = 2000
#: Up to this many non-zero differences all 2^n sign patterns are enumerated.
_EXACT_FLIPS = 14


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval, low <= high, in the unit of what it bounds."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Paired:
    """Scores of a minus scores of b on their `n` common tasks: mean, interval, two-sided p."""

    n: int
    mean: float
    low: float
    high: float
    p_value: float


def _z(confidence: float) -> float:
    from statistics import NormalDist

    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence!r}; wanted a number between 0 and 1")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _check_counts(successes: float, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes!r} successes of {n!r}; wanted 0 <= successes <= n, n >= 1")


def wilson(successes: float, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927; Brown, Cai, DasGupta 2001, eq. 4).

    `successes` may be a sum of scores in [0, 1]: such a score varies at most as much as a 0/1
    score of the same mean, so the interval is then on the safe side.
    """
    _check_counts(successes, n)
    z = _z(confidence)
    p = successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At the two ends the bound is 0 or 1 exactly; rounding must not lose that.
    low = 0.0 if successes <= 0 else max(0.0, middle - half)
    high = 1.0 if successes >= n else min(1.0, middle + half)
    return Interval(low, high)


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a proportion (Clopper and Pearson 1934); covers at least as stated."""
    from scipy.special import betaincinv

    _check_counts(successes, n)
    _z(confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(low, high)


def bootstrap_interval(
    values: Sequence[float], confidence: float = 0.95, seed: int = 0, resamples: int = _RESAMPLES
) -> Interval:
    """BCa bootstrap interval of the mean (Efron and Tibshirani 1993, section 14.3).

    The same values and seed give the same interval in any process; the order of the values does
    not matter. Values that are all equal give an interval of no width.
    """
    if not values:
        raise ValueError("an interval needs at least one value")
    _z(confidence)
    return _bootstrap(tuple(sorted(float(v) for v in values)), confidence, seed, resamples)


@lru_cache(maxsize=4096)
def _bootstrap(values: tuple[float, ...], confidence: float, seed: int, resamples: int) -> Interval:
    from statistics import NormalDist

    import numpy as np

    x = np.asarray(values)
    n = len(x)
    if x[0] == x[-1]:
        return Interval(float(x[0]), float(x[0]))
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, 2_000_000 // n)  # keeps the index matrix below 16 MB
    for i in range(0, resamples, step):
        k = min(step, resamples - i)
        means[i : i + k] = x[rng.integers(0, n, size=(k, n))].mean(axis=1)
    means.sort()
    normal = NormalDist()
    centre = float(x.mean())
    # Sums in another order differ in the last bits; those are ties with the mean, not below it.
    eps = 1e-12 * max(1.0, float(np.abs(x).max()))
    below = float((means < centre - eps).sum() + 0.5 * (np.abs(means - centre) <= eps).sum())
    z0 = normal.inv_cdf(min(max(below / resamples, 1 / (2 * resamples)), 1 - 1 / (2 * resamples)))
    d = x - centre
    acceleration = float((d**3).sum() / (6 * (d**2).sum() ** 1.5))

    def bound(tail: float) -> float:
        z = z0 + normal.inv_cdf(tail)
        return float(np.quantile(means, normal.cdf(z0 + z / (1 - acceleration * z))))

    tail = (1 - confidence) / 2
    low, high = bound(tail), bound(1 - tail)
    return Interval(min(low, centre), max(high, centre))


def mean_interval(scores: Sequence[float], confidence: float = 0.95) -> Interval:
    """Interval of the mean of scores in [0, 1].

    Wilson where all scores are 0 or 1. Other scores: BCa bootstrap from eight values that differ;
    fewer, or all equal, get Wilson's interval at their mean, which is on the safe side.
    """
    if not scores:
        raise ValueError("an interval needs at least one score")
    total = math.fsum(scores)
    if len(scores) < _BOOTSTRAP_MIN or all(s in (0, 1) for s in scores) or len(set(scores)) == 1:
        return wilson(min(max(total, 0.0), float(len(scores))), len(scores), confidence)
    return bootstrap_interval(scores, confidence)


def variance_of_mean(scores: Sequence[float]) -> float:
    """Variance of the error of a mean of `n` task scores; 0 where they do not tell.

    Scores of 0 and 1: p (1 - p) / n with two successes and two failures added (Agresti and Coull
    1998), since four right answers of four are not certain. Other scores: their variance / n.
    """
    n = len(scores)
    if n < 2:
        return 0.0
    if all(s in (0.0, 1.0) for s in scores):
        p = (sum(scores) + 2) / (n + 4)
        return p * (1 - p) / n
    mean = sum(scores) / n
    return sum((s - mean) ** 2 for s in scores) / (n - 1) / n


def sign_test(wins: int, losses: int) -> float:
    """Exact two-sided p-value that wins and losses are equally likely (ties are left out).

    On the discordant pairs of 0/1 scores it is the exact McNemar test (McNemar 1947). No pair
    that differs gives 1.0.
    """
    if wins < 0 or losses < 0:
        raise ValueError(f"{wins!r} wins and {losses!r} losses; wanted counts")
    n, k = wins + losses, min(wins, losses)
    tail = term = 1  # term = C(n, i), exact integers
    for i in range(1, k + 1):
        term = term * (n - i + 1) // i
        tail += term
    return min(1.0, 2 * tail / 2**n) if n < 1000 else min(1.0, float(_ratio(2 * tail, n)))


def _ratio(top: int, power: int) -> float:
    # top / 2**power without making a float of either, which would overflow from n = 1024 on.
    shift = max(0, top.bit_length() - 64)
    return math.ldexp(float(top >> shift), shift - power)


def paired_sign_test(a: Mapping[Id, float], b: Mapping[Id, float]) -> float:
    """Exact two-sided p-value of the sign test on common tasks; McNemar's test on 0/1 scores."""
    common = _common(a, b)
    return sign_test(sum(a[i] > b[i] for i in common), sum(a[i] < b[i] for i in common))


def _common(a: Mapping[Id, float], b: Mapping[Id, float]) -> list[Id]:
    # The order of a, so that equal mappings give equal sums to the last bit.
    common = [i for i in a if i in b]
    if not common:
        raise ValueError("the two have no measured task in common")
    return common


def paired_difference(
    a: Mapping[Id, float], b: Mapping[Id, float], confidence: float = 0.95, seed: int = 0
) -> Paired:
    """Scores of `a` minus scores of `b`, task by task, on common tasks only.

    Both map a task to a score in [0, 1]. On 0/1 scores: exact McNemar p and the adjusted interval
    of Bonett and Price (2012). Else: a sign-flip permutation test of the mean (all patterns
    up to 14 tasks that differ, else 9,999 seeded ones) and a BCa interval, or, below eight tasks
    or for equal differences, Wilson's on the differences mapped from [-1, 1] to [0, 1].
    Raises ValueError where no task is common.
    """
    common = _common(a, b)
    d = [a[i] - b[i] for i in common]
    n = len(d)
    mean = math.fsum(d) / n
    if all(a[i] in (0, 1) and b[i] in (0, 1) for i in common):
        wins, losses = d.count(1), d.count(-1)
        z = _z(confidence)
        up, down = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
        half = z * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
        low, high = max(-1.0, up - down - half), min(1.0, up - down + half)
        return Paired(n, mean, min(low, mean), max(high, mean), sign_test(wins, losses))
    if n < _BOOTSTRAP_MIN or len(set(d)) == 1:
        unit = wilson(min(max((math.fsum(d) + n) / 2, 0.0), float(n)), n, confidence)
        interval = Interval(2 * unit.low - 1, 2 * unit.high - 1)
    else:
        interval = bootstrap_interval(d, confidence, seed)
    return Paired(n, mean, interval.low, interval.high, _flip_test(d, seed))


def _flip_test(differences: Sequence[float], seed: int) -> float:
    """Two-sided p of the mean when the sign of every difference is a coin's (Fisher 1935)."""
    import numpy as np

    d = np.asarray([x for x in differences if x != 0.0])
    if not len(d):
        return 1.0
    seen = abs(float(d.sum())) - 1e-9  # sums in another order must still count as ties
    if len(d) <= _EXACT_FLIPS:
        bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
        return float((np.abs((2 * bits - 1) @ d) >= seen).mean())
    draws, step, hits = 9999, max(1, 2_000_000 // len(d)), 0
    rng = np.random.default_rng(seed)
    for i in range(0, draws, step):
        bits = rng.integers(0, 2, size=(min(step, draws - i), len(d)))
        hits += int((np.abs((2 * bits - 1) @ d) >= seen).sum())
    return (hits + 1) / (draws + 1)


def welch_interval(
    a: Sequence[float], b: Sequence[float], confidence: float = 0.95
) -> Interval | None:
    """Interval of mean(a) - mean(b) for independent groups (Welch 1947).

    None where a group has fewer than two values or neither group varies: nothing is known then.
    """
    from scipy.special import stdtrit

    if len(a) < 2 or len(b) < 2:
        return None
    _z(confidence)
    means = [math.fsum(x) / len(x) for x in (a, b)]
    errors = [
        math.fsum((v - m) ** 2 for v in x) / (len(x) - 1) / len(x)
        for x, m in zip((a, b), means, strict=True)
    ]
    error = sum(errors)
    if error <= 1e-18:
        return None
    degrees = error**2 / sum(e**2 / (len(x) - 1) for x, e in zip((a, b), errors, strict=True))
    half = float(stdtrit(degrees, 0.5 + confidence / 2)) * math.sqrt(error)
    return Interval(means[0] - means[1] - half, means[0] - means[1] + half)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the given order; at most 1, never below the given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted

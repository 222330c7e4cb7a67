"""The cost of a system is the sum of what its parts cost: log c = log sum_f exp(theta_f).

`theta_f` is the log cost that one level of a factor brings. A level's text that stands under
several factors (one model as planner and as solver) shares most of it: theta = m + u(text) +
t(factor) + e(factor, text), all normal. The posterior is a Laplace approximation around the mode
(Gauss-Newton; Rasmussen and Williams 2006, section 3.4), averaged over a small grid of spreads by
evidence. A log-linear model needs every level several times to learn what a sum says at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from paragent.value.ridge import Vector
from paragent.value.table import Matrix, Row, Table

LN10 = math.log(10)
#: Spreads (natural log units) of u, of e, and of the noise: the grid.
SHARED, OWN, NOISE = (0.6, 1.5), (0.2, 0.7), (0.05, 0.15, 0.4)
#: Spread of t, of the unknown level of all, and what a part costs at least.
FACTOR, ALL = 1.0, 1.1
#: Log-normal priors of e's and the noise's spread: (median, spread).
OWN_PRIOR, NOISE_PRIOR = (0.4, 0.8), (0.12, 0.8)
STEPS = 12


@dataclass(frozen=True)
class _Fit:
    """One point of the grid: the mode, a root of its covariance, noise, evidence (log)."""

    mode: Vector
    covariance: Matrix
    noise: float
    evidence: float


class SumOfParts:
    """See the module. Targets are log10 costs; for tables of factors."""

    name = "parts"

    def fit(
        self, rows: Sequence[Row], targets: Sequence[float], noise: Sequence[float] | None = None
    ) -> SumOfParts:
        """`noise` is ignored: a mean cost is nearly exact, and what is left is learned.

        Raises ValueError for rows that are no table of factors.
        """
        self._table = Table.of(rows)
        if not self._table.factors:
            raise ValueError("a sum of parts needs a table of factors")
        y = LN10 * np.asarray(targets, dtype=float)
        members = self._members(rows)
        start, prior = self._prior(float(y.mean()))
        fits = [
            self._mode(y, members, start, prior(shared, own), own, sigma)
            for shared, own, sigma in itertools.product(SHARED, OWN, NOISE)
        ]
        best = max(f.evidence for f in fits)
        self._fits = [f for f in fits if f.evidence > best - 4]
        return self

    def _members(self, rows: Sequence[Row]) -> Matrix:
        """1 where a row has a level, [n, D]; a level never seen stands in the factor's last
        column, an absent factor nowhere."""
        codes = self._table.codes(rows)
        return np.concatenate(
            [
                (codes[:, [k]] == np.arange(size)).astype(float)
                for k, size in enumerate(self._table.sizes)
            ],
            axis=1,
        )

    def _prior(self, mean: float) -> tuple[Vector, Callable[[float, float], Matrix]]:
        """(prior mean of theta [D], a function from the two spreads to its covariance [D, D])."""
        text, factor = [], []
        for k, numbers in enumerate(self._table.shared):
            for code, number in enumerate([*numbers, -1]):
                text.append(number if number >= 0 else -1 - code - 1000 * k)
                factor.append(k)
        same = np.equal.outer(text, text).astype(float)
        within = np.equal.outer(factor, factor).astype(float)
        start = np.full(len(text), mean - math.log(len(self._table.factors)))

        def covariance(shared: float, own: float) -> Matrix:
            total: Matrix = (
                shared**2 * same + own**2 * np.eye(len(text)) + FACTOR**2 * within + ALL**2
            )
            return total

        return start, covariance

    def _mode(
        self, y: Vector, members: Matrix, start: Vector, prior: Matrix, own: float, sigma: float
    ) -> _Fit:
        theta = start.copy()
        for _ in range(STEPS):
            value, jacobian = _log_sum(members, theta)
            gain = prior @ jacobian.T
            root = np.linalg.cholesky(jacobian @ gain + sigma**2 * np.eye(len(y)))
            right = y - value + jacobian @ (theta - start)
            weight = np.linalg.solve(root.T, np.linalg.solve(root, right))
            step = start + gain @ weight - theta
            largest = float(np.abs(step).max())
            theta = theta + step * min(1.0, 1.5 / max(largest, 1e-12))
            if largest < 1e-3:
                break
        value, jacobian = _log_sum(members, theta)
        gain = prior @ jacobian.T
        root = np.linalg.cholesky(jacobian @ gain + sigma**2 * np.eye(len(y)))
        half = np.linalg.solve(root, gain.T)
        away = theta - start
        evidence = (
            -0.5 * float(((y - value) ** 2).sum()) / sigma**2
            - 0.5 * float(away @ np.linalg.solve(prior, away))
            - float(np.log(np.diag(root)).sum())
            - 0.5 * (math.log(own / OWN_PRIOR[0]) / OWN_PRIOR[1]) ** 2
            - 0.5 * (math.log(sigma / NOISE_PRIOR[0]) / NOISE_PRIOR[1]) ** 2
        )
        return _Fit(theta, prior - half.T @ half, sigma, evidence)

    def predict(self, rows: Sequence[Row]) -> tuple[Vector, Vector]:
        """Mean and standard deviation of each row's log10 cost, [n]."""
        members = self._members(rows)
        best = max(f.evidence for f in self._fits)
        chances = np.exp([f.evidence - best for f in self._fits])
        chances = chances / chances.sum()
        means, variances = [], []
        for fit in self._fits:
            value, jacobian = _log_sum(members, fit.mode)
            means.append(value)
            own = ((jacobian @ fit.covariance) * jacobian).sum(1)
            variances.append(np.maximum(own, 0.0) + fit.noise**2)
        mean = chances @ np.array(means)
        spread = chances @ (np.array(variances) + (np.array(means) - mean) ** 2)
        return mean / LN10, np.sqrt(spread) / LN10


def _log_sum(members: Matrix, theta: Vector) -> tuple[Vector, Matrix]:
    """The log of sum exp(theta) over each row's levels, [n], and its derivative, [n, D]."""
    top = np.where(members > 0, theta[None, :], -np.inf).max(axis=1)
    parts = members * np.exp(theta[None, :] - top[:, None])
    total = parts.sum(axis=1)
    return top + np.log(total), parts / total[:, None]

"""What a search believes of score and log cost, from what it was told so far.

Scores are judged by a Gaussian process and, over a table of few factors, by low-rank
interactions; log costs by a Gaussian process and, over a table, by a sum of parts. Where two
families can judge, their equal mixture does: on twenty observations no test tells which is right,
and a mixture is never far from the better one. Fits are kept until enough is told to matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paragent.value.gp import GaussianProcess
from paragent.value.latent import LatentFactors
from paragent.value.parts import SumOfParts
from paragent.value.ridge import Vector
from paragent.value.table import Matrix, Row, Table
from paragent.value.threads import one_thread

#: Observations up to which the sampled and the Laplace families are asked, and factors.
FEW, FEW_FACTORS = 120, 4
#: Kernel weights are chosen anew when this much more was told; fits beyond `EVERY` observations
#: take in 1/`EVERY` of them at a time.
GROWTH, EVERY = 1.15, 200

Judge = GaussianProcess | LatentFactors | SumOfParts


@dataclass(frozen=True)
class Belief:
    """Mean and standard deviation of true scores and of log10 costs, [n] each."""

    score: tuple[Vector, Vector]
    cost: tuple[Vector, Vector]


class Surrogate:
    """`tell` observations one by one, `predict` at any time after the first."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self.rows: list[Row] = []
        self.scores: list[float] = []
        self.costs: list[float] = []
        self._noise: list[float] = []
        self._fitted = 0
        self._tuned = 0
        self._weights: dict[str, Matrix] = {}
        self._judges: dict[str, list[Judge]] = {}
        self._told: Belief | None = None

    def tell(self, row: Row, score: float, variance: float, log_cost: float) -> None:
        """One measured design: its mean score with the variance of its error (0 where unknown:
        then it is learned), and its log10 cost."""
        self.rows.append(row)
        self.scores.append(score)
        self._noise.append(variance)
        self.costs.append(log_cost)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def noisy(self) -> bool:
        """Whether the errors of the scores are known."""
        return any(self._noise)

    def predict(self, rows: Sequence[Row]) -> Belief:
        """Beliefs on any designs. Raises ValueError before anything was told."""
        with one_thread():
            self._fit()
            return self._predict(rows)

    def told(self) -> Belief:
        """Beliefs on what was told when the models were last fitted, in that order."""
        with one_thread():
            self._fit()
            if self._told is None:
                self._told = self._predict(self.rows[: self._fitted])
            return self._told

    def _predict(self, rows: Sequence[Row]) -> Belief:
        return Belief(
            mixture([j.predict(rows) for j in self._judges["score"]]),
            mixture([j.predict(rows) for j in self._judges["cost"]]),
        )

    def _fit(self) -> None:
        n = len(self.rows)
        if not n:
            raise ValueError("nothing was told, so nothing can be predicted")
        if self._fitted and n < self._fitted + max(1, n // EVERY):
            return
        tune = n >= GROWTH * self._tuned or n <= 20
        factors = len(Table.of(self.rows).factors)
        self._judges = {"score": [], "cost": []}
        for name, targets, noise in (
            ("score", self.scores, self._noise),
            ("cost", self.costs, None),
        ):
            process = GaussianProcess(seed=self._seed)
            process.fit(
                self.rows, targets, noise, weights=None if tune else self._weights.get(name)
            )
            self._weights[name] = process.weights
            self._judges[name].append(process)
        if n <= FEW and 2 <= factors <= FEW_FACTORS:
            latent = LatentFactors(seed=self._seed).fit(self.rows, self.scores, self._noise)
            self._judges["score"].append(latent)
            if np.ptp(self.costs) > 0:
                self._judges["cost"].append(SumOfParts().fit(self.rows, self.costs))
        self._fitted, self._told = n, None
        if tune:
            self._tuned = n


def mixture(beliefs: Sequence[tuple[Vector, Vector]]) -> tuple[Vector, Vector]:
    """Mean and standard deviation of the equal mixture of beliefs."""
    means = np.array([mean for mean, _ in beliefs])
    mean = means.mean(axis=0)
    variance = np.array([std**2 for _, std in beliefs]).mean(axis=0)
    return mean, np.sqrt(variance + ((means - mean) ** 2).mean(axis=0))

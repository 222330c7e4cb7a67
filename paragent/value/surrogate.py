"""What a search believes of score and log cost, from what it was told so far.

Scores are judged by a Gaussian process and, over a table of few factors, by low-rank
interactions; log costs by a Gaussian process and, over a table, by a sum of parts. Where two
families can judge, their mixture does. It starts with equal weights; then each family earns its
weight by how well it foretold what was told next (Bayesian model averaging by prequential scores;
Dawid 1984, section 5), with old scores slowly forgotten. Fits are kept until enough is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paragent.value.gp import GaussianProcess, Near, Seen
from paragent.value.latent import LatentFactors
from paragent.value.parts import SumOfParts
from paragent.value.ridge import Vector
from paragent.value.table import Matrix, Row
from paragent.value.threads import one_thread

#: Observations up to which the sampled and the Laplace families are asked, and factors.
FEW, FEW_FACTORS = 120, 4
#: Kernel weights are chosen anew when this much more was told. Every observation is taken in at
#: once up to `AT_ONCE` (where the process is exact), from there on 1/`EVERY` of them at a time.
GROWTH, AT_ONCE, EVERY = 1.15, 256, 100

#: A forecast's log density counts at least this much; share of the old scores that is kept.
WORST, MEMORY = -6.0, 0.9

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
        self._kernels: dict[str, Matrix] = {}
        self._judges: dict[str, list[Judge]] = {"score": [], "cost": []}
        self._merits: dict[str, dict[str, float]] = {"score": {}, "cost": {}}
        self._told: Vector | None = None

    def tell(self, row: Row, score: float, variance: float, log_cost: float) -> None:
        """One measured design: its mean score with the variance of its error (0 where unknown:
        then it is learned), and its log10 cost."""
        self._credit("score", row, score, variance)
        self._credit("cost", row, log_cost, 0.0)
        self.rows.append(row)
        self.scores.append(score)
        self._noise.append(variance)
        self.costs.append(log_cost)

    def _credit(self, target: str, row: Row, value: float, variance: float) -> None:
        """Score every judge's forecast of a value that it has not seen."""
        judges = self._judges[target]
        if len(judges) < 2:
            return
        merits = self._merits[target]
        with one_thread():
            for judge in judges:
                mean, std = judge.predict([row])
                spread = float(std[0] ** 2) + variance
                density = -0.5 * (value - float(mean[0])) ** 2 / spread - 0.5 * np.log(spread)
                scale = 0.5 * np.log(float(np.var(self.scores if target == "score" else self.costs))
                                     + 1e-12)  # fmt: skip
                merits[judge.name] = MEMORY * merits.get(judge.name, 0.0) + max(
                    float(density + scale), WORST
                )

    def _weights(self, target: str) -> Vector:
        """Weights of the judges, summing to 1; equal before anything was foretold."""
        merits = np.array([self._merits[target].get(j.name, 0.0) for j in self._judges[target]])
        weights = np.exp(merits - merits.max())
        return np.asarray(weights / weights.sum())

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

    def told(self) -> Vector:
        """Mean beliefs on the scores that were told when the models were last fitted, in that
        order."""
        with one_thread():
            self._fit()
            if self._told is None:
                rows = self.rows[: self._fitted]
                means = [
                    j.fitted if isinstance(j, GaussianProcess) else j.predict(rows)[0]
                    for j in self._judges["score"]
                ]
                self._told = self._weights("score") @ np.array(means)
            return self._told

    def _predict(self, rows: Sequence[Row]) -> Belief:
        near: Near | None = None
        found = {}
        for target, judges in self._judges.items():
            beliefs = []
            for judge in judges:
                if isinstance(judge, GaussianProcess):
                    near = near or judge.seen.near(rows)  # both processes stand on the same rows
                    beliefs.append(judge.predict(rows, near))
                else:
                    beliefs.append(judge.predict(rows))
            found[target] = mixture(beliefs, self._weights(target))
        return Belief(found["score"], found["cost"])

    def _fit(self) -> None:
        n = len(self.rows)
        if not n:
            raise ValueError("nothing was told, so nothing can be predicted")
        wait = n // EVERY if n > AT_ONCE else 1
        if self._fitted and n < self._fitted + wait:
            return
        tune = n >= GROWTH * self._tuned or n <= 20
        seen = Seen.of(self.rows)
        factors = len(seen.kernel.table.factors)
        self._judges = {"score": [], "cost": []}
        for name, targets, noise in (
            ("score", self.scores, self._noise),
            ("cost", self.costs, None),
        ):
            process = GaussianProcess(seed=self._seed)
            process.fit(
                self.rows, targets, noise, seen=seen,
                weights=None if tune else self._kernels.get(name),
            )  # fmt: skip
            self._kernels[name] = process.weights
            self._judges[name].append(process)
        if n <= FEW and 2 <= factors <= FEW_FACTORS:
            latent = LatentFactors(seed=self._seed).fit(self.rows, self.scores, self._noise)
            self._judges["score"].append(latent)
            if np.ptp(self.costs) > 0:
                self._judges["cost"].append(SumOfParts().fit(self.rows, self.costs))
        self._fitted, self._told = n, None
        if tune:
            self._tuned = n


def mixture(
    beliefs: Sequence[tuple[Vector, Vector]], weights: Vector | None = None
) -> tuple[Vector, Vector]:
    """Mean and standard deviation of a mixture of beliefs, equal where no weights are given."""
    w = np.full(len(beliefs), 1 / len(beliefs)) if weights is None else weights
    means = np.array([mean for mean, _ in beliefs])
    mean = w @ means
    variance = w @ np.array([std**2 for _, std in beliefs]) + w @ (means - mean) ** 2
    return mean, np.sqrt(variance)

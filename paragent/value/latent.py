"""Low-rank interactions between factors: y = b + sum_f w_f + sum_{f<g} <v_f, v_g> + noise.

Each level of a factor has an effect w and a vector v (factorisation machine; Rendle 2010, section
3). The posterior is drawn by Gibbs sampling with conjugate priors (Salakhutdinov and Mnih 2008,
section 3), a whole level at a time. What it knows beyond a kernel of pairs: a pair of levels that
was never seen together still has an expected interaction, since "the strong model is wasted under
this planner" is one number a level and not one a pair.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paragent.value.ridge import Vector, generator
from paragent.value.table import Codes, Matrix, Row, Table

SWEEPS, BURN = 90, 30
#: Scale of the inverse-gamma priors: variances of effects and vectors, and of the noise.
WIDE, NARROW = 1.0, 0.05


class LatentFactors:
    """See the module. For tables of two factors or more; `rank` is the length of v."""

    name = "latent"

    def __init__(self, *, rank: int = 1, seed: int = 0) -> None:
        self._rank, self._seed = rank, seed

    def fit(
        self,
        rows: Sequence[Row],
        targets: Sequence[float],
        noise: Sequence[float] | None = None,
    ) -> LatentFactors:
        """`noise` holds the variances of known errors. Raises ValueError for rows that are no
        table of at least two factors."""
        self._table = Table.of(rows)
        if len(self._table.factors) < 2:
            raise ValueError("latent factors need a table of at least two factors")
        y = np.asarray(targets, dtype=float)
        self._offset, self._scale = float(y.mean()), float(y.std()) or 1.0
        z = (y - self._offset) / self._scale
        known = np.zeros(len(y)) if noise is None else np.asarray(noise, float) / self._scale**2
        codes, sizes = self._filled(self._table.codes(rows)), [s + 1 for s in self._table.sizes]
        rng = generator(self._seed)
        state = _State(codes, sizes, z, known, self._rank, rng)
        self._draws, misfit = [], []
        for sweep in range(SWEEPS):
            state.sweep()
            if sweep >= BURN:
                self._draws.append(
                    (state.base, [w.copy() for w in state.w], [v.copy() for v in state.v])
                )
                misfit.append(state.noise)
        self._misfit = float(np.mean(misfit))
        return self

    def _filled(self, codes: Codes) -> Codes:
        """An absent factor is a level of its own, the last."""
        last = np.array(self._table.sizes)
        filled: Codes = np.where(codes < 0, last[None, :], codes)
        return filled

    def draws(self, rows: Sequence[Row]) -> Matrix:
        """Posterior draws of the true values, [draws, n]; an unseen level is drawn from its
        prior."""
        codes = self._filled(self._table.codes(rows))
        drawn = np.array([b + _linear(codes, w, v) for b, w, v in self._draws])
        scaled: Matrix = self._offset + self._scale * drawn
        return scaled

    def predict(self, rows: Sequence[Row]) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the true value of each row, [n]. What the factors leave
        unexplained beyond the known errors belongs to the true value."""
        drawn = self.draws(rows)
        return drawn.mean(axis=0), np.sqrt(drawn.var(axis=0) + self._scale**2 * self._misfit)


def _linear(codes: Codes, w: list[Vector], v: list[Matrix]) -> Vector:
    f = range(codes.shape[1])
    vectors = np.array([v[k][codes[:, k]] for k in f])
    pairs = 0.5 * (vectors.sum(0) ** 2 - (vectors**2).sum(0)).sum(1)
    total: Vector = np.sum([w[k][codes[:, k]] for k in f], axis=0) + pairs
    return total


class _State:
    """The Gibbs chain: `w[f]` [levels], `v[f]` [levels, rank], their variances, the noise's."""

    def __init__(
        self, codes: Codes, sizes: list[int], z: Vector, known: Vector, rank: int,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self.codes, self.sizes, self.z, self.known, self.rng = codes, sizes, z, known, rng
        self.rank = rank
        self.w = [rng.normal(0, 0.3, size) for size in sizes]
        self.v = [rng.normal(0, 0.5, (size, rank)) for size in sizes]
        self.base, self.noise = 0.0, 0.1
        self.variance_w = [0.5] * len(sizes)
        self.variance_v = [np.full(rank, 0.5) for _ in sizes]

    def sweep(self) -> None:
        """Every factor's levels given the rest, then the base, then the noise."""
        n, rng = len(self.z), self.rng
        for f, size in enumerate(self.sizes):
            self._factor(f, size)
        residual = self.z - _linear(self.codes, self.w, self.v)
        precision = 1 / (self.noise + self.known)
        total = float(precision.sum())
        self.base = float(rng.normal((precision @ residual) / total, total**-0.5))
        left = residual - self.base
        excess = float(np.maximum(left**2 - self.known, 0.0).sum())
        self.noise = (NARROW + 0.5 * excess) / rng.gamma(1 + 0.5 * n)

    def _factor(self, f: int, size: int) -> None:
        others = [g for g in range(len(self.sizes)) if g != f]
        at = self.codes[:, f]
        effects = np.sum([self.w[g][self.codes[:, g]] for g in others], axis=0)
        vectors = np.array([self.v[g][self.codes[:, g]] for g in others])
        summed = vectors.sum(0)
        pairs = 0.5 * (summed**2 - (vectors**2).sum(0)).sum(1)
        root = np.sqrt(self.noise + self.known)
        design = np.concatenate([np.ones((len(at), 1)), summed], axis=1) / root[:, None]
        target = (self.z - self.base - effects - pairs) / root
        width = self.rank + 1
        precision = np.zeros((size, width, width))
        np.add.at(precision, at, design[:, :, None] * design[:, None, :])
        right = np.zeros((size, width))
        np.add.at(right, at, design * target[:, None])
        precision += np.diag(1 / np.concatenate([[self.variance_w[f]], self.variance_v[f]]))
        chol = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, right[:, :, None])
        drawn = mean + np.linalg.solve(
            chol.transpose(0, 2, 1), self.rng.standard_normal((size, width, 1))
        )
        self.w[f] = drawn[:, 0, 0].astype(float)
        self.v[f] = drawn[:, 1:, 0].astype(float)
        shape = 2 + 0.5 * size
        self.variance_w[f] = (WIDE + 0.5 * float((self.w[f] ** 2).sum())) / self.rng.gamma(shape)
        self.variance_v[f] = (WIDE + 0.5 * (self.v[f] ** 2).sum(0)) / self.rng.gamma(
            shape, size=self.rank
        )

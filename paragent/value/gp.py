"""A Gaussian process over designs: additive effects plus interactions (Duvenaud et al. 2011).

The kernel is a weighted sum of fixed parts. Over a table of factors, with s the number of levels
that two designs share:

    additive   s, split by factor where there are few       triples   s (s-1) (s-2) / 6
    pairs      s (s-1) / 2                                   shared    equal levels of any factors

each scaled to 1 on the diagonal. Over other features: one linear part per family of names (what
stands before the colon) and a squared exponential over all. The weights' logarithms have normal
priors; a short random search keeps the sets of highest posterior, and predictions are averaged
over them, since with twenty observations one set is only a guess (Rasmussen and Williams 2006,
chapter 5).

Up to `INDUCING` observations the posterior is exact; beyond, that many of them are inducing points
(deterministic training conditional; Quiñonero-Candela and Rasmussen 2005, section 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paragent.value.ridge import Vector, generator
from paragent.value.table import Matrix, Row, Table

#: Observations that are modelled exactly; observations that the weights are chosen on.
INDUCING, TUNED_ON = 256, 160
#: Log weights: spread of the prior; log nugget: its mean and spread.
SPREAD, NUGGET, NUGGET_SPREAD = 1.2, -6.0, 1.5
#: Weights tried at first, per round of refinement, and rounds.
POPULATION, OFFSPRING, ROUNDS = 32, 16, 3
#: Factors up to which each has an additive weight of its own.
SEPARATE = 4
JITTER = 1e-6


Near = tuple[list[Matrix], list[Vector]]


@dataclass(frozen=True)
class Inputs:
    """Rows as the kernel sees them. `hot` [n, D] one-hot levels, `one` a list of them per factor
    or None, `count` [n] factors present, `common` [n, L] counts of levels that factors share,
    `dense` [n, D] standardised features."""

    hot: Matrix
    one: list[Matrix]
    count: Vector
    common: Matrix
    dense: Matrix

    def take(self, index: Sequence[int]) -> Inputs:
        """Some of the rows."""
        i = np.asarray(index, dtype=np.intp)
        return Inputs(
            self.hot[i], [m[i] for m in self.one], self.count[i], self.common[i], self.dense[i]
        )


class Kernel:
    """The parts and their priors over one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.priors: list[float] = []
        self.groups: list[list[int]] = []
        self.width = 1.0
        f = len(table.factors)
        if f:
            self.priors = [-1.0] * (f if f <= SEPARATE else 1)
            self.priors += [-0.7] * (f > 1) + [-3.0] * (f > 2)
            self.sharing = any(n >= 0 for each in table.shared for n in each)
            self.priors += [-1.5] * self.sharing
        else:
            families = sorted({name.split(":")[0] for name in table.columns})
            self.groups = [
                [i for i, n in enumerate(table.columns) if n.split(":")[0] == family]
                for family in families
            ]
            self.sharing = False
            self.priors = [-1.0] * len(self.groups) + [-1.0]

    def inputs(self, rows: Sequence[Row]) -> Inputs:
        """The rows as arrays."""
        table = self.table
        if not table.factors:
            empty = np.zeros((len(rows), 0))
            return Inputs(empty, [], np.ones(len(rows)), empty, table.matrix(rows))
        codes = table.codes(rows)
        one = [
            (codes[:, [k]] == np.arange(size - 1)).astype(float)
            for k, size in enumerate(table.sizes)
        ]
        total = 1 + max((n for each in table.shared for n in each), default=-1)
        common = np.zeros((len(rows), total))
        if self.sharing:
            for k, numbers in enumerate(table.shared):
                for code, number in enumerate(numbers):
                    if number >= 0:
                        common[:, number] += codes[:, k] == code
        hot = np.concatenate(one, axis=1)
        return Inputs(hot, one, (codes >= 0).sum(axis=1).astype(float), common, hot[:, :0])

    def parts(self, a: Inputs, b: Inputs) -> list[Matrix]:
        """The parts between two lists of rows, each [n, m]."""
        if self.table.factors:
            f = len(self.table.factors)
            s = a.hot @ b.hot.T
            found = [x @ y.T for x, y in zip(a.one, b.one, strict=True)] if f <= SEPARATE else []
            found = found or [s / f]
            if f > 1:
                found.append(s * (s - 1) / (f * (f - 1)))
            if f > 2:
                found.append(s * (s - 1) * (s - 2) / (f * (f - 1) * (f - 2)))
            if self.sharing:
                found.append(a.common @ b.common.T / f)
            return found
        found = [a.dense[:, g] @ b.dense[:, g].T / len(g) for g in self.groups]
        square = (a.dense**2).sum(1)[:, None] + (b.dense**2).sum(1)[None] - 2 * a.dense @ b.dense.T
        return [*found, np.exp(-np.maximum(square, 0.0) / (2 * max(1, a.dense.shape[1])))]

    def diagonal(self, a: Inputs) -> list[Vector]:
        """The parts between each row and itself, [n] each; levels never seen count too."""
        if self.table.factors:
            f = len(self.table.factors)
            s = a.count
            found = [np.ones(len(s))] * f if f <= SEPARATE else [s / f]
            if f > 1:
                found.append(s * (s - 1) / (f * (f - 1)))
            if f > 2:
                found.append(s * (s - 1) * (s - 2) / (f * (f - 1) * (f - 2)))
            if self.sharing:
                found.append(np.maximum((a.common**2).sum(1), 1.0) / f)
            return found
        found = [(a.dense[:, g] ** 2).sum(1) / len(g) for g in self.groups]
        return [*found, np.ones(len(a.count))]


class Seen:
    """Training rows as every process over them needs them: the kernel, the inputs, and, from
    `choose` on, the parts between the centres (`inner`) and from them to all rows (`outer`)."""

    def __init__(self, kernel: Kernel, inputs: Inputs) -> None:
        self.kernel, self.inputs = kernel, inputs
        self.inner: list[Matrix] = []
        self.outer: list[Matrix] = []

    @staticmethod
    def of(rows: Sequence[Row]) -> Seen:
        """Raises ValueError for no rows."""
        kernel = Kernel(Table.of(rows))
        return Seen(kernel, kernel.inputs(rows))

    def choose(self, z: Vector) -> None:
        """The centres: all rows, or `INDUCING` of them by the first target that asks."""
        if self.inner:
            return
        chosen = np.arange(len(z))
        if len(z) > INDUCING:
            # The best half matters most for a search; the rest is spread over everything told.
            best = np.argsort(-z, kind="stable")[: INDUCING // 2]
            others = np.setdiff1d(chosen, best)
            spread = others[np.linspace(0, len(others) - 1, INDUCING - len(best)).astype(int)]
            chosen = np.sort(np.concatenate([best, spread]))
        self.centres = self.inputs.take(list(chosen))
        self.inner = self.kernel.parts(self.centres, self.centres)
        few = len(chosen) < len(z)
        self.outer = self.kernel.parts(self.centres, self.inputs) if few else self.inner

    def near(self, rows: Sequence[Row]) -> Near:
        """Any rows: the parts from the centres to them, and those between each and itself."""
        inputs = self.kernel.inputs(rows)
        return self.kernel.parts(self.centres, inputs), self.kernel.diagonal(inputs)


class GaussianProcess:
    """See the module. `fit`, then `predict`; `weights` (log, the nugget last) may be reused."""

    name = "gp"

    def __init__(self, *, seed: int = 0, keep: int | None = None) -> None:
        self._seed, self._keep = seed, keep
        self.weights: Matrix = np.zeros((0, 0))
        self._chances: Vector = np.ones(1)

    def fit(
        self,
        rows: Sequence[Row],
        targets: Sequence[float],
        noise: Sequence[float] | None = None,
        *,
        weights: Matrix | None = None,
        seen: Seen | None = None,
    ) -> GaussianProcess:
        """`noise` holds the variances of the targets' known errors; a common one beyond them is
        learned. `weights` of an earlier fit on the same kind of rows are used as they are, and so
        are the rows as another process has `seen` them."""
        y = np.asarray(targets, dtype=float)
        self.seen = seen or Seen.of(rows)
        self._kernel, inputs = self.seen.kernel, self.seen.inputs
        self._offset, self._scale = float(y.mean()), float(y.std()) or 1.0
        z = (y - self._offset) / self._scale
        known = np.zeros(len(y)) if noise is None else np.asarray(noise, float) / self._scale**2
        rng = generator(self._seed)
        if weights is not None and weights.shape[1:] == (len(self._kernel.priors) + 1,):
            self.weights, self._chances = weights[:1], np.ones(1)
        else:
            self._tune(inputs, z, known, rng)
        self.seen.choose(z)
        self._roots = [self._solve(w, z, known) for w in self.weights]
        fitted = self._chances @ np.array([f for _, _, _, f in self._roots])
        self.fitted: Vector = self._offset + self._scale * fitted
        return self

    def _solve(
        self, weights: Vector, z: Vector, known: Vector
    ) -> tuple[Matrix, Vector, Matrix | None, Vector]:
        """(root, coefficients, None) of the exact posterior; with inducing points (root of their
        own kernel, coefficients, root of their posterior precision); then the means of the rows."""
        inner, outer = self.seen.inner, self.seen.outer
        k = _mixed(weights, inner)
        noise = known + np.exp(weights[-1]) + JITTER
        if outer is inner:
            root = _root(k + np.diag(noise))
            coefficients = _back(root, z)
            return root, coefficients, None, coefficients @ k
        root = _root(k + 1e-4 * np.eye(len(k)))
        cross = _mixed(weights, outer)
        precision = k + 1e-4 * np.eye(len(k)) + (cross / noise) @ cross.T
        second = _root(precision)
        coefficients = _back(second, cross @ (z / noise))
        return root, coefficients, second, coefficients @ cross

    def _tune(self, inputs: Inputs, z: Vector, known: Vector, rng: np.random.Generator) -> None:
        n = len(z)
        if n > TUNED_ON:
            pick = np.linspace(0, n - 1, TUNED_ON).astype(int)
            inputs, z, known, n = inputs.take(list(pick)), z[pick], known[pick], TUNED_ON
        parts = self._kernel.parts(inputs, inputs)
        centre = np.array([*self._kernel.priors, NUGGET])
        spread = np.array([SPREAD] * len(self._kernel.priors) + [NUGGET_SPREAD])

        def posterior(w: Vector) -> float:
            root = _root(_mixed(w, parts) + np.diag(known + np.exp(w[-1]) + JITTER))
            half = _half(root, z)
            likelihood = -0.5 * float(half @ half) - float(np.log(np.diag(root)).sum())
            return likelihood - 0.5 * float((((w - centre) / spread) ** 2).sum())

        tried = centre + spread * rng.standard_normal((POPULATION, len(centre)))
        tried[0] = centre
        value = np.array([posterior(w) for w in tried])
        for _ in range(ROUNDS):
            top = np.argsort(-np.round(value, 6), kind="stable")[:8]
            tried, value = tried[top], value[top]
            one, other = rng.integers(0, len(top), (2, OFFSPRING))
            steps = 0.35 * spread * rng.standard_normal((OFFSPRING, len(centre)))
            children = 0.5 * (tried[one] + tried[other]) + steps
            tried = np.concatenate([tried, children])
            value = np.concatenate([value, [posterior(w) for w in children]])
        keep = self._keep or (8 if n <= 60 else 1)
        top = np.argsort(-np.round(value, 6), kind="stable")[:keep]
        self.weights = tried[top]
        chances = np.exp(value[top] - value[top].max())
        self._chances = chances / chances.sum()

    def predict(self, rows: Sequence[Row], near: Near | None = None) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the true value of each row, in the target's unit, [n];
        `near` as `seen.near(rows)` gave it to another process of the same `seen`."""
        cross, own = near or self.seen.near(rows)
        means, variances = [], []
        for weights, (root, coefficients, second, _) in zip(self.weights, self._roots, strict=True):
            k = _mixed(weights, cross)
            prior = 1.0 + sum(np.exp(w) * d for w, d in zip(weights, own, strict=False))
            left = prior - (_half(root, k) ** 2).sum(0)
            if second is not None:
                left = left + (_half(second, k) ** 2).sum(0)
            means.append(coefficients @ k)
            variances.append(np.maximum(left, 1e-10) + np.exp(weights[-1]))
        mean = self._chances @ np.array(means)
        spread = self._chances @ (np.array(variances) + (np.array(means) - mean) ** 2)
        return self._offset + self._scale * mean, self._scale * np.sqrt(spread)


def _mixed(weights: Vector, parts: Sequence[Matrix]) -> Matrix:
    """The weighted sum, plus 1 for the unknown mean."""
    total: Matrix = 1.0 + sum(np.exp(w) * part for w, part in zip(weights, parts, strict=False))
    return total


def _root(k: Matrix) -> Matrix:
    return np.asarray(np.linalg.cholesky(k), dtype=float)


def _half(root: Matrix, right: Matrix) -> Matrix:
    """root^-1 right, of a lower triangle."""
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(root, right, lower=True, check_finite=False))


def _back(root: Matrix, right: Vector) -> Vector:
    """(root root^T)^-1 right."""
    from scipy.linalg import cho_solve

    return np.asarray(cho_solve((root, True), right, check_finite=False))

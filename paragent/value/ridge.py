"""A value model for small data: Bayesian ridge regression on named features.

With thirty to a hundred noisy observations of some fifty features, a ridge ranks unseen designs
about as well as any learner we measured, and its posterior is exact, so a search can draw from it
(Thompson sampling; Russo et al. 2018, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class LinearValue:
    """Posterior of a linear model: `names` are its features, `mean` and `root` the weights' mean
    and a square root of their covariance (both in units of the target), `offset` the target's
    mean, `centre` the features' means."""

    names: tuple[str, ...]
    mean: Vector  # [F]
    root: Vector  # [F, F], covariance = root @ root.T
    centre: Vector  # [F]
    offset: float

    @staticmethod
    def fit(
        features: Sequence[Mapping[str, float]], targets: Sequence[float], noise: float
    ) -> LinearValue:
        """From `n` observations. `noise` is the standard deviation of one target's error.

        Every weight has the same normal prior, whose variance is chosen so that the prior
        spread of predictions equals the spread of the targets beyond noise. A feature that never
        varies has no say. Raises ValueError for no observations or lists of unequal length.
        """
        if not features or len(features) != len(targets):
            raise ValueError(f"got {len(features)} feature rows and {len(targets)} targets")
        every = sorted({name for row in features for name in row})
        x = np.array([[row.get(name, 0.0) for name in every] for row in features], dtype=float)
        varies = x.std(axis=0) > 1e-12
        names = tuple(name for name, keep in zip(every, varies, strict=True) if keep)
        x = x[:, varies]
        scale = x.std(axis=0)
        centre = x.mean(axis=0)
        y = np.asarray(targets, dtype=float)
        offset = float(y.mean())
        z = (x - centre) / scale
        signal = max(float(y.var()) - noise**2, 0.1 * float(y.var()), 1e-9)
        prior = signal / max(1, len(names))
        precision = z.T @ z / noise**2 + np.eye(len(names)) / prior
        chol = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, z.T @ (y - offset) / noise**2)
        root = np.linalg.inv(chol).T
        return LinearValue(names, mean / scale, root / scale[:, None], centre, offset)

    def draw(self, rng: np.random.Generator) -> Vector:
        """Weights drawn from the posterior, [F]."""
        drawn: Vector = self.mean + self.root @ rng.standard_normal(len(self.names))
        return drawn

    def predict(
        self, features: Sequence[Mapping[str, float]], weights: Vector | None = None
    ) -> Vector:
        """Predictions, [n], by the mean weights or by the given ones."""
        used = self.mean if weights is None else weights
        x = np.array([[row.get(name, 0.0) for name in self.names] for row in features], dtype=float)
        predicted: Vector = (
            self.offset + (x.reshape(len(features), len(self.names)) - self.centre) @ used
        )
        return predicted


def generator(seed: int) -> np.random.Generator:
    """A generator of its own, from a seed."""
    return np.random.Generator(np.random.PCG64(seed))

"""Boosted trees with settings for small data (LightGBM; Ke et al. 2017).

LightGBM's defaults ask for 20 designs a leaf, so below 40 designs nothing is learned at all. Here:
three a leaf, seven leaves, half of the features a tree. The spread comes from bootstrap bags.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paragent.value.ridge import Vector, generator
from paragent.value.table import Row, Table

BAGS, ROUNDS = 6, 80
SETTINGS = {
    "objective": "regression",
    "num_leaves": 7,
    "min_data_in_leaf": 3,
    "learning_rate": 0.08,
    "feature_fraction": 0.5,
    "lambda_l2": 1.0,
    "min_data_in_bin": 1,
    "num_threads": 1,
    "deterministic": True,
    "verbose": -1,
}


class BoostedTrees:
    """`fit`, then `predict`; see the module."""

    name = "boosting"

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed

    def fit(
        self, rows: Sequence[Row], targets: Sequence[float], noise: Sequence[float] | None = None
    ) -> BoostedTrees:
        """`noise`, the variances of known errors, becomes weights."""
        import lightgbm

        self._table = Table.of(rows)
        y = np.asarray(targets, dtype=float)
        self._constant = float(y.mean())
        x = self._table.matrix(rows)
        self._models = []
        if len(y) < 2 or not x.shape[1] or float(y.std()) == 0:
            self._spread = float(y.std())
            return self
        spread = float(y.var())
        weight = np.ones(len(y))
        if noise is not None:
            weight = spread / (spread + np.asarray(noise, dtype=float))
        rng = generator(self._seed)
        for bag in range(BAGS):
            pick = rng.integers(0, len(y), len(y))
            data = lightgbm.Dataset(x[pick], y[pick], weight=weight[pick])
            self._models.append(lightgbm.train({**SETTINGS, "seed": bag}, data, ROUNDS))
        left = y - self._bags(x).mean(axis=0)
        self._spread = float(left.std())
        return self

    def _bags(self, x: np.ndarray) -> np.ndarray:
        return np.array([m.predict(x, num_threads=1) for m in self._models])

    def predict(self, rows: Sequence[Row]) -> tuple[Vector, Vector]:
        """Mean and standard deviation of each row, [n]: spread of the bags and of what is left."""
        if not self._models:
            return np.full(len(rows), self._constant), np.full(len(rows), self._spread + 1e-9)
        bags = self._bags(self._table.matrix(rows))
        return bags.mean(axis=0), np.sqrt(bags.var(axis=0) + self._spread**2 + 1e-12)

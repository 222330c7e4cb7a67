"""Which family to trust: predictions on designs left out, ranked, with an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paragent.stats import Interval
from paragent.value.boosting import BoostedTrees
from paragent.value.conformal import split_coverage
from paragent.value.gp import GaussianProcess
from paragent.value.latent import LatentFactors
from paragent.value.parts import SumOfParts
from paragent.value.ridge import LinearValue, Vector, generator
from paragent.value.table import Row, Table
from paragent.value.threads import one_thread

FOLDS = 10
#: Assumed error of a target for the ridge where none is told, as a share of the targets' spread.
RIDGE_NOISE = 0.3


class Ridge:
    """The ridge as a family."""

    name = "ridge"

    def fit(
        self, rows: Sequence[Row], targets: Sequence[float], noise: Sequence[float] | None = None
    ) -> Ridge:
        """As every family."""
        told = math.sqrt(float(np.mean(noise))) if noise is not None else 0.0
        self._noise = max(told, RIDGE_NOISE * float(np.std(targets)), 1e-6)
        self._model = LinearValue.fit(rows, targets, self._noise)
        return self

    def predict(self, rows: Sequence[Row]) -> tuple[Vector, Vector]:
        """As every family."""
        model = self._model
        x = np.array([[row.get(n, 0.0) for n in model.names] for row in rows], dtype=float)
        away = (x.reshape(len(rows), len(model.names)) - model.centre) @ model.root
        return model.predict(rows), np.sqrt((away**2).sum(axis=1) + self._noise**2)


def families(rows: Sequence[Row], target: str) -> dict[str, Callable[[], Any]]:
    """The families that can judge such rows: name to constructor. `target` is "score" or "cost"
    (log10); sums of parts are for costs."""
    factors = len(Table.of(rows).factors)
    found: dict[str, Callable[[], Any]] = {
        "ridge": Ridge,
        "boosting": BoostedTrees,
        "gp": GaussianProcess,
    }
    if factors > 1:
        found["latent"] = LatentFactors
    if factors and target == "cost":
        found["parts"] = SumOfParts
    return found


@dataclass(frozen=True)
class Quality:
    """How well a family predicts designs left out: rank correlation with its 95 % interval, R2,
    mean absolute error in the target's unit, and the share inside 90 % intervals, as the model
    says and after conformal calibration."""

    spearman: float
    interval: Interval
    r2: float
    mae: float
    coverage: float
    calibrated: float


def spearman(a: Vector, b: Vector) -> float:
    """Rank correlation with mean ranks of ties; 0 where either is constant."""
    from scipy.stats import rankdata

    x, y = rankdata(a), rankdata(b)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def spearman_interval(rho: float, n: int) -> Interval:
    """95 % by Fisher's z with the variance of Bonett and Wright 2000; [-1, 1] for n < 4."""
    if n < 4:
        return Interval(-1.0, 1.0)
    z = math.atanh(min(max(rho, -0.999999), 0.999999))
    half = 1.959964 * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return Interval(math.tanh(z - half), math.tanh(z + half))


def left_out(
    make: Callable[[], Any],
    rows: Sequence[Row],
    targets: Sequence[float],
    noise: Sequence[float] | None = None,
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> tuple[Vector, Vector]:
    """Mean and std of every row, predicted by a model that did not see it, [n].

    Raises ValueError for fewer than two rows.
    """
    n = len(rows)
    if n < 2:
        raise ValueError(f"got {n} rows; cross-validation needs two")
    order = generator(seed).permutation(n)
    mean, std = np.zeros(n), np.zeros(n)
    with one_thread():
        for part in np.array_split(order, min(folds, n)):
            rest = np.setdiff1d(order, part)
            model = make().fit(
                [rows[i] for i in rest],
                [targets[i] for i in rest],
                None if noise is None else [noise[i] for i in rest],
            )
            mean[part], std[part] = model.predict([rows[i] for i in part])
    return mean, std


def quality(targets: Sequence[float], mean: Vector, std: Vector) -> Quality:
    """Of predictions on designs left out."""
    y = np.asarray(targets, dtype=float)
    rho = spearman(mean, y)
    total = float(((y - y.mean()) ** 2).sum())
    return Quality(
        rho,
        spearman_interval(rho, len(y)),
        1 - float(((y - mean) ** 2).sum()) / total if total > 0 else 0.0,
        float(np.abs(y - mean).mean()),
        float((np.abs(y - mean) <= 1.644854 * std).mean()),
        split_coverage(y, mean, std),
    )


def best(qualities: Mapping[str, Quality]) -> str:
    """The family of the highest rank correlation; of equals the first by name."""
    return max(sorted(qualities), key=lambda name: qualities[name].spearman)

"""A random forest with expected improvement, SMAC's recipe (Hutter, Hoos and Leyton-Brown 2011).

As published, section 4: a forest of 10 regression trees, each split looking at 5/6 of the features,
no node of fewer than 10 observations split; the mean and the spread of a design are those of its
trees' leaves (law of total variance, Hutter et al. 2014, section 4.3.2); the design of the highest
expected improvement over the best score comes from local searches that begin at the 10 best
measured designs, among random ones; and every second design is random. It climbs the score alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paragent.design import Design
from paragent.outcome import CostName, Evaluation
from paragent.registry import SearcherPlugin
from paragent.searcher import Proposal, Space
from paragent.unasked import random_unasked

Floats = NDArray[np.float64]

TREES, SHARE, SPLIT = 10, 5 / 6, 10
#: Measured designs that local search begins at, and random candidates beside them.
STARTS, DRAWN = 10, 200


def expected_improvement(mean: Floats, spread: Floats, best: float) -> Floats:
    """E[(f - best)+] of normals with these means and standard deviations (zero: no spread)."""
    from scipy.special import ndtr

    safe = np.maximum(spread, 1e-12)
    u = (mean - best) / safe
    density = np.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)
    found: Floats = np.where(
        spread > 1e-12, (mean - best) * ndtr(u) + safe * density, np.maximum(mean - best, 0.0)
    )
    return found


class Trees:
    """Regression trees on features; forecasts are a mean and a spread."""

    def __init__(self, rows: Floats, scores: Floats, seed: int) -> None:
        from sklearn.ensemble import RandomForestRegressor

        self._forest = RandomForestRegressor(
            TREES, max_features=SHARE, min_samples_split=SPLIT, random_state=seed
        ).fit(rows, scores)

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation [m]: leaves' means, and their variances beside the spread of
        those means between trees."""
        small = rows.astype(np.float32)
        means, within = [], []
        for grown in self._forest.estimators_:
            leaves = grown.tree_.apply(small)
            means.append(grown.tree_.value[leaves, 0, 0])
            within.append(grown.tree_.impurity[leaves])  # a leaf's variance
        mean = np.mean(means, axis=0)
        return mean, np.sqrt(np.var(means, axis=0) + np.mean(within, axis=0))


class Forest:
    """See the module. `startup` random designs come first."""

    def __init__(
        self, space: Space, *, seed: int = 0, cost: CostName = "usd", startup: int = 10
    ) -> None:
        self._space, self._rng, self._seed = space, random.Random(seed), seed
        self._startup = startup
        self._told: dict[str, tuple[Design, float]] = {}
        self._asked: set[str] = set()
        self._rows: dict[str, Mapping[str, float]] = {}
        self._turn = 0

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` designs that were not asked for or told before; every second one is random."""
        found: list[Proposal] = []
        while len(found) < n:
            self._turn += 1
            ready = len(self._told) >= self._startup and self._turn % 2 == 0
            design = (self._best() if ready else None) or random_unasked(
                self._space, self._rng, self._asked
            )
            if design is None:
                break
            self._asked.add(design.hash)
            found.append(Proposal(design, by="forest"))
        return found

    def tell(self, evaluation: Evaluation) -> None:
        """A measured score is an observation; a failure only is not asked for again."""
        self._asked.add(evaluation.design.hash)
        if evaluation.score is not None:
            self._told[evaluation.design.hash] = (evaluation.design, evaluation.score)

    def _best(self) -> Design | None:
        told = list(self._told.values())
        names = sorted({name for design, _ in told for name in self._row(design)})
        trees = Trees(
            self._matrix([d for d, _ in told], names),
            np.array([score for _, score in told]),
            self._seed + len(told),
        )
        best = max(score for _, score in told)

        def gains(designs: Sequence[Design]) -> list[float]:
            # Rounded, so that the last bits of a processor's arithmetic decide nothing.
            mean, spread = trees.predict(self._matrix(designs, names))
            return [round(float(g), 9) for g in expected_improvement(mean, spread, best)]

        drawn = [self._space.sample(self._rng) for _ in range(DRAWN)]
        starts = [d for d, _ in sorted(told, key=lambda t: (-t[1], t[0].hash))[:STARTS]]
        pool: dict[str, tuple[float, Design]] = {}
        for design, gain in zip(drawn, gains(drawn), strict=True):
            pool[design.hash] = (gain, design)
        for design, gain in zip(starts, gains(starts), strict=True):
            pool.update(self._climb(design, gain, gains))
        new = [found for key, found in pool.items() if key not in self._asked]
        return max(new, key=lambda f: (f[0], f[1].hash))[1] if new else None

    def _climb(self, design: Design, gain: float, gains: Any) -> dict[str, tuple[float, Design]]:
        """Everything that a local search from the design looks at."""
        seen = {design.hash: (gain, design)}
        while True:
            near = [d for d in self._space.edits(design) if d.hash not in seen]
            found = {d.hash: (g, d) for d, g in zip(near, gains(near), strict=True)} if near else {}
            seen.update(found)
            top = max(found.values(), key=lambda f: (f[0], f[1].hash), default=None)
            if top is None or top[0] <= gain:
                return seen
            gain, design = top

    def _matrix(self, designs: Sequence[Design], names: Sequence[str]) -> Floats:
        rows = [self._row(d) for d in designs]
        return np.array([[row.get(name, 0.0) for name in names] for row in rows])

    def _row(self, design: Design) -> Mapping[str, float]:
        if design.hash not in self._rows:
            self._rows[design.hash] = self._space.features(design)
        return self._rows[design.hash]


FOREST = SearcherPlugin(
    name="forest",
    summary="a random forest with expected improvement on the score: SMAC's recipe",
    make=Forest,
    options={"startup": 10},
    paper="Hutter, Hoos and Leyton-Brown 2011, Sequential Model-Based Optimization, section 4",
)

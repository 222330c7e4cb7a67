"""A plain Gaussian process with expected hypervolume improvement.

Two independent processes, of score and of log10 cost, over the space's features; the candidate of
the highest expected gain in hypervolume is measured next (EHVI: Emmerich, Deutz and Klinkenberg
2011; in two objectives the exact sum over strips of the front, Hupkens et al. 2015). The kernel is
squared exponential on features scaled to unit variance; its length and noise are chosen on a grid
by marginal likelihood (Rasmussen and Williams 2006, section 5.4). With `objectives` "score" it
climbs the score alone, by expected improvement (Jones, Schonlau and Welch 1998, section 4.1).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from paragent.design import Design
from paragent.outcome import CostName, Evaluation
from paragent.registry import SearcherPlugin
from paragent.searcher import Proposal, Space
from paragent.selection import climbs_alone
from paragent.unasked import random_unasked

Floats = NDArray[np.float64]

LENGTHS = (0.3, 0.6, 1.0, 1.7, 3.0)  # in units of the typical distance between two designs
NOISES = (1e-3, 0.03, 0.2)  # share of the variance
#: Random candidates; the edits of so many designs of the front, drawn anew, stand beside them.
CANDIDATES = 60
PARENTS = 3
#: Newest evaluations that the processes are fitted to: a fit grows with their cube.
MEMORY = 300


def posterior(x: Floats, y: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation at `at` [m, f] of a process seen as `y` [n] at `x` [n, f].

    Targets are standardised inside; one grid point of length and noise, the likeliest, is used.
    """
    mean, scale = float(y.mean()), float(y.std()) or 1.0
    z = (y - mean) / scale
    square = _square(x, x)
    typical = float(np.median(square[square > 0])) if (square > 0).any() else 1.0
    best: tuple[float, float, Floats, Floats] | None = None
    for length in LENGTHS:
        kernel = np.exp(-square / (2 * typical * length**2))
        for noise in NOISES:
            root: Floats = np.asarray(
                np.linalg.cholesky(kernel + (noise + 1e-8) * np.eye(len(x))), dtype=np.float64
            )
            alpha: Floats = np.linalg.solve(root.T, np.linalg.solve(root, z))
            likelihood = -0.5 * float(z @ alpha) - float(np.log(np.diag(root)).sum())
            if best is None or likelihood > best[0] + 1e-9:
                best = likelihood, length, root, alpha
    assert best is not None, "the grid is not empty"
    _, length, root, alpha = best
    cross = np.exp(-_square(at, x) / (2 * typical * length**2))
    explained = np.linalg.solve(root, cross.T)
    variance = np.maximum(1 - (explained**2).sum(axis=0), 1e-12)
    return mean + scale * (cross @ alpha), scale * np.sqrt(variance)


def _square(a: Floats, b: Floats) -> Floats:
    found: Floats = np.maximum(
        (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T, 0.0
    )
    return found


def below(limit: float, mean: Floats, deviation: Floats) -> Floats:
    """E[(limit - X)+] of each candidate's normal [m]."""
    from scipy.special import ndtr

    if limit == -math.inf:
        return np.zeros_like(mean)
    u = (limit - mean) / deviation
    density = np.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)
    expected: Floats = (limit - mean) * ndtr(u) + deviation * density
    return expected


def ehvi(
    front: Sequence[tuple[float, float]],
    reference: tuple[float, float],
    means: tuple[Floats, Floats],
    deviations: tuple[Floats, Floats],
) -> Floats:
    """Expected gain in hypervolume, minimising both objectives, of each candidate [m].

    The two objectives are independent normals. The region that is not dominated is cut into
    strips along the first objective; in each the gain is a product of two expectations.
    """
    inside = sorted(p for p in front if p[0] < reference[0] and p[1] < reference[1])
    edges = [-math.inf, *(x for x, _ in inside), reference[0]]
    heights = [reference[1], *np.minimum.accumulate([y for _, y in inside]).tolist()]
    gain: Floats = np.zeros_like(means[0])
    for left, right, height in zip(edges, edges[1:], heights, strict=False):
        strip = below(right, means[0], deviations[0]) - below(left, means[0], deviations[0])
        gain += strip * below(float(height), means[1], deviations[1])
    return gain


class Gp:
    """See the module. `startup` random designs come first."""

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        startup: int = 6,
        objectives: str = "both",
    ) -> None:
        self._space, self._rng, self._cost = space, random.Random(seed), cost
        self._startup, self._alone = startup, climbs_alone(objectives)
        self._points: dict[str, tuple[Design, float, float]] = {}  # log10 cost, -score
        self._asked: set[str] = set()
        self._rows: dict[str, Mapping[str, float]] = {}
        self._near: dict[str, Sequence[Design]] = {}

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` designs that were not asked for or told before."""
        found: list[Proposal] = []
        while len(found) < n:
            design = self._best() if len(self._points) >= self._startup else None
            design = design or random_unasked(self._space, self._rng, self._asked)
            if design is None:
                break
            self._asked.add(design.hash)
            found.append(Proposal(design, by="gp"))
        return found

    def _best(self) -> Design | None:
        points = list(self._points.values())
        front = [p for p in points if not any(_beats(q, p) for q in points)]
        pool = [self._space.sample(self._rng) for _ in range(CANDIDATES)]
        for design, _, _ in self._rng.sample(front, min(PARENTS, len(front))):
            pool += self._edits(design)
        new = list({d.hash: d for d in pool if d.hash not in self._asked}.values())
        if not new:
            return None
        known = points[-MEMORY:]
        x, at = self._matrix([d for d, _, _ in known], new)
        values = np.array([(c, s) for _, c, s in known])
        if self._alone:
            gain = below(min(s for _, _, s in points), *posterior(x, values[:, 1], at))
        else:
            fits = [posterior(x, values[:, k], at) for k in (0, 1)]
            worst = tuple(float(v) for v in np.array([(c, s) for _, c, s in points]).max(axis=0))
            gain = ehvi(
                [(c, s) for _, c, s in front],
                (worst[0], worst[1]),
                (fits[0][0], fits[1][0]),
                (fits[0][1], fits[1][1]),
            )
        # Rounded, so that the last bits of a processor's arithmetic decide nothing.
        ranked = zip(new, gain / (float(gain.max()) or 1.0), strict=True)
        return max(ranked, key=lambda pair: (round(float(pair[1]), 6), pair[0].hash))[0]

    def _edits(self, design: Design) -> Sequence[Design]:
        if design.hash not in self._near:
            self._near[design.hash] = self._space.edits(design)
        return self._near[design.hash]

    def _matrix(self, known: Sequence[Design], new: Sequence[Design]) -> tuple[Floats, Floats]:
        rows = [self._features(d) for d in (*known, *new)]
        names = sorted({name for row in rows for name in row})
        full = np.array([[row.get(name, 0.0) for name in names] for row in rows])
        spread = full.std(axis=0)
        full = full[:, spread > 1e-12] / spread[spread > 1e-12]
        return full[: len(known)], full[len(known) :]

    def _features(self, design: Design) -> Mapping[str, float]:
        if design.hash not in self._rows:
            self._rows[design.hash] = self._space.features(design)
        return self._rows[design.hash]

    def tell(self, evaluation: Evaluation) -> None:
        """A measured design of known cost is a point; a free one stands a decade below the rest."""
        self._asked.add(evaluation.design.hash)
        # Climbing the score alone, all points cost the same.
        score, cost = evaluation.score, 1.0 if self._alone else evaluation.cost(self._cost)
        if score is None or cost is None:
            return
        cheapest = min((c for _, c, _ in self._points.values()), default=-6.0)
        log_cost = math.log10(cost) if cost > 0 else cheapest - 1
        self._points[evaluation.design.hash] = (evaluation.design, log_cost, -score)


def _beats(one: tuple[Design, float, float], other: tuple[Design, float, float]) -> bool:
    return one[1] <= other[1] and one[2] <= other[2] and one[1:] != other[1:]


GP = SearcherPlugin(
    name="gp",
    summary="a plain Gaussian process with expected hypervolume improvement",
    make=Gp,
    options={"startup": 6, "objectives": "both"},
    paper="Emmerich, Deutz and Klinkenberg 2011, Hypervolume-based expected improvement; "
    "Rasmussen and Williams 2006, section 5.4",
)

"""Beliefs that start from an earlier run's observations, as far as they prove relevant.

Old observations stand beside the new ones in one model. Each is moved by what the new run shows of
the difference (shift and slope of new scores on old forecasts, shrunk to none), and its error is
widened by the variance between the two runs, estimated by moments as in a meta-analysis
(DerSimonian and Laird 1986, section 3) and shrunk to a prior: so an old run counts for much where
it foretells the new one, and for next to nothing where it does not (a commensurate prior; Hobbs et
al. 2011, section 2). Costs are moved by their shift alone.

The guard: a model of the new observations alone foretells every new score too. Once those were
`ODDS` times likelier under it than under the model that knows the old run, or the old forecasts
do not rank the new scores, the old run is dropped for good. A search helps the guard by proposing
some designs that the old run did not choose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paragent.stats import Interval
from paragent.value.choose import spearman, spearman_interval
from paragent.value.ridge import Vector
from paragent.value.surrogate import Belief, Surrogate
from paragent.value.table import Row

#: Old observations that are kept at most: the best half, the rest spread over all others.
MOST = 160
#: Prior of the spread between runs, in standard deviations of the old scores, for the same
#: benchmark and for another; and the new designs it is worth.
SAME, OTHER, PRIOR = 0.1, 0.5, 3.0
#: New designs that "no shift" and "slope one" are worth.
UNMOVED = 2.0
#: Likelihood ratio at which the old run is dropped; the shrunk rank correlation below which it is,
#: and the new designs before that is looked at.
ODDS, RELEVANT, RANKED = 20.0, 0.2, 8
#: The models are put together anew when this much more was told; the new designs in between are
#: told to the model that stands.
GROWTH = 1.2
#: Designs without any rank correlation that are counted beside the real ones.
SHRINK = 3


@dataclass(frozen=True, slots=True)
class Old:
    """One observation of an earlier run: features, mean score with the variance of its error, and
    log10 cost (None: it is not known in the new run's unit)."""

    row: Row
    score: float
    variance: float
    log_cost: float | None


@dataclass(frozen=True, slots=True)
class Move:
    """How old scores are read: `shift + slope * score`, with the variance `between` the runs added
    to their errors; `cost` is added to log costs."""

    shift: float
    slope: float
    between: float
    cost: float


class WarmSurrogate:
    """A `Surrogate` that knows an earlier run; the same calls mean the same.

    `scores`, `costs` and `told` are those of the new run as soon as it has two designs; before,
    they are the old run's, so that a search has something to aim at. Raises ValueError for no old
    observations.
    """

    def __init__(self, old: Sequence[Old], *, seed: int = 0, same: bool = False) -> None:
        if not old:
            raise ValueError("an earlier run without observations teaches nothing")
        self._seed, self._same = seed, same
        self._old = _kept(old)
        self._new: list[tuple[Row, float, float, float]] = []
        self._plain = Surrogate(seed)
        self._base = Surrogate(seed)
        usual = [o.log_cost for o in self._old if o.log_cost is not None]
        self._usual = float(np.median(usual)) if usual else 0.0
        for o in self._old:
            self._base.tell(o.row, o.score, o.variance, self._old_cost(o))
        self._spread = float(np.std([o.score for o in self._old])) or 0.05
        self._foretold: list[tuple[float, float, float]] = []  # score, its variance, log cost
        self._against = 0.0  # log likelihood ratio, plain over warm
        self._both, self._built = self._united(), 0
        self.dropped_after: int | None = None

    def _old_cost(self, o: Old) -> float:
        return self._usual if o.log_cost is None else o.log_cost

    # -- what a Surrogate offers -----------------------------------------------------------------

    @property
    def in_force(self) -> bool:
        """Whether the old run still counts."""
        return self.dropped_after is None

    @property
    def _alone(self) -> bool:
        """Whether only the new run's designs are shown."""
        return not self.in_force or len(self._new) >= 2

    @property
    def scores(self) -> Sequence[float]:
        """Scores told; see the class."""
        return self._plain.scores if self._alone else [o.score for o in self._old]

    @property
    def costs(self) -> Sequence[float]:
        """Log10 costs told; see the class."""
        return self._plain.costs if self._alone else [self._old_cost(o) for o in self._old]

    @property
    def noisy(self) -> bool:
        """Whether the errors of the scores are known."""
        return self._plain.noisy if self._alone else any(o.variance for o in self._old)

    def __len__(self) -> int:
        return len(self._new) if self._alone else len(self._old)

    def predict(self, rows: Sequence[Row]) -> Belief:
        """Beliefs on any designs."""
        return self._both.predict(rows) if self.in_force else self._plain.predict(rows)

    def told(self) -> Vector:
        """Mean beliefs on `scores`, in their order."""
        if not self.in_force:
            return self._plain.told()
        rows = [n[0] for n in self._new] if self._alone else [o.row for o in self._old]
        return self._both.predict(rows).score[0]

    def tell(self, row: Row, score: float, variance: float, log_cost: float) -> None:
        """One measured design of the new run."""
        if self.in_force:
            old = self._base.predict([row])
            self._foretold.append(
                (float(old.score[0][0]), float(old.score[1][0]) ** 2, float(old.cost[0][0]))
            )
            if len(self._plain) >= 2:
                self._against += _density(self._plain.predict([row]), score, variance)
                self._against -= _density(self._both.predict([row]), score, variance)
        self._new.append((row, score, variance, log_cost))
        self._plain.tell(row, score, variance, log_cost)
        if not self.in_force:
            return
        if self._misleads():
            self.dropped_after = len(self._new)
        elif len(self._new) >= max(self._built + 1, GROWTH * self._built):
            self._both, self._built = self._united(), len(self._new)
        else:
            self._both.tell(row, score, variance, log_cost)

    def corner(self) -> tuple[float, float]:
        """The worst score and the highest log cost of the old run, as they are read now: a search
        that has only seen good designs would else take the worst of them for the end of the world.
        """
        move = self.move()
        worst = move.shift + move.slope * min(o.score for o in self._old)
        return worst, max(map(self._old_cost, self._old)) + move.cost

    # -- the old run in the new one's terms -------------------------------------------------------

    def move(self) -> Move:
        """How the old run is read after what the new one has shown."""
        prior = ((SAME if self._same else OTHER) * self._spread) ** 2
        if not self._foretold:
            return Move(0.0, 1.0, prior, 0.0)
        x = np.array([f[0] for f in self._foretold])
        y = np.array([n[1] for n in self._new[: len(x)]])
        weight = UNMOVED * self._spread**2
        dx = x - x.mean()
        slope = float((dx @ (y - y.mean()) + weight) / (dx @ dx + weight))
        slope = min(max(slope, 0.0), 2.0)
        centre = float(np.mean([o.score for o in self._old]))
        # Around the old mean, so that a slope below one does not pull everything to zero.
        at = centre + slope * (x - centre)
        shift = float((y - at).sum() / (len(x) + UNMOVED))
        known = np.array([n[2] for n in self._new[: len(x)]])
        own = slope**2 * np.array([f[1] for f in self._foretold])
        left = float(((y - at - shift) ** 2 - known - own).sum())
        between = (max(0.0, left) + PRIOR * prior) / (len(x) + PRIOR)
        costs = np.array([n[3] - f[2] for n, f in zip(self._new, self._foretold, strict=False)])
        return Move(shift + centre * (1 - slope), slope, between, float(costs.sum() / (len(x) + 1)))

    def _united(self) -> Surrogate:
        """One model of the old observations, as they are read now, and the new ones."""
        move = self.move()
        model = Surrogate(self._seed)
        for o in self._old:
            score = move.shift + move.slope * o.score
            error = move.slope**2 * o.variance + move.between
            model.tell(o.row, score, error, self._old_cost(o) + move.cost)
        for row, score, variance, log_cost in self._new:
            model.tell(row, score, variance, log_cost)
        return model

    # -- the guard --------------------------------------------------------------------------------

    def _misleads(self) -> bool:
        ranked = len(self._foretold) >= RANKED
        return self._against > math.log(ODDS) or (ranked and self.relevance()[0] < RELEVANT)

    def relevance(self) -> tuple[float, Interval]:
        """Rank correlation of the old forecasts with the new scores, shrunk to 0 as if `SHRINK`
        more designs had shown none, and its 95 % interval before that."""
        n = len(self._foretold)
        x = np.array([f[0] for f in self._foretold])
        y = np.array([new[1] for new in self._new[:n]])
        rho = spearman(np.round(x, 9), y) if n > 1 else 0.0
        return rho * n / (n + SHRINK), spearman_interval(rho, n)

    def record(self) -> dict[str, Any]:
        """Plain data for the run: what was used, how relevant it proved, how it was read."""
        relevance, interval = self.relevance()
        move = self.move()
        return {
            "used": len(self._old),
            "foretold": len(self._foretold),
            "relevance": relevance,
            "interval": [interval.low, interval.high],
            "shift": move.shift,
            "slope": move.slope,
            "spread_between": math.sqrt(move.between),
            "dropped_after": self.dropped_after,
        }


def _kept(old: Sequence[Old]) -> list[Old]:
    """At most `MOST`, in their order."""
    if len(old) <= MOST:
        return list(old)
    scores = np.array([o.score for o in old])
    best = np.argsort(-scores, kind="stable")[: MOST // 2]
    rest = np.setdiff1d(np.arange(len(old)), best)
    spread = rest[np.linspace(0, len(rest) - 1, MOST - len(best)).astype(int)]
    return [old[i] for i in sorted({*best.tolist(), *spread.tolist()})]


def _density(belief: Belief, score: float, variance: float) -> float:
    """Log density of a score under a forecast."""
    spread = float(belief.score[1][0]) ** 2 + variance
    return -0.5 * (score - float(belief.score[0][0])) ** 2 / spread - 0.5 * math.log(spread)

"""Skipping proposals that a value model thinks hopeless, as far as it has earned that right.

A proposal is skipped only when its probability of extending the front is below `THRESHOLD` and
the lower end of the 95 % interval of the model's rank correlation, on designs judged before they
were run, lies above zero. A random share of what would be skipped is run anyway: these audits show
how often skipping was wrong. Where `PATIENCE` proposals in a row were skipped, the one with the
best chance of them runs: a search must not end because its model has lost all hope.

    pruner.consider(proposal)  -> the proposal to run now, or None: skipped
    pruner.tell(evaluation)    -> what came of it
    pruner.record()            -> plain data for the run's report

Everything follows from the seed and from the order of the calls.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from paragent.design import Design
from paragent.outcome import CostName, Evaluation
from paragent.searcher import Proposal
from paragent.stats import Interval, clopper_pearson, variance_of_mean
from paragent.value.choose import spearman, spearman_interval
from paragent.value.improve import chance_to_extend
from paragent.value.surrogate import Surrogate

#: Chance of extending the front below which a proposal is hopeless.
THRESHOLD = 0.05
#: Share of the hopeless that are run anyway; measured designs before anything is skipped; skipped
#: proposals in a row after which one runs.
AUDIT, WARM_UP, PATIENCE = 0.15, 16, 12
#: Predictions that the rank correlation looks back on.
WINDOW = 60


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was believed of a design before it ran: score and log10 cost with standard deviations,
    the chance to extend the front; `audit`: it would have been skipped. `score` and `log_cost`
    are what came, None before; `extended`: whether it entered the front of its time."""

    design: str
    mean: float
    std: float
    cost_mean: float
    cost_std: float
    chance: float
    audit: bool = False
    score: float | None = None
    log_cost: float | None = None
    extended: bool | None = None


class Pruner:
    """See the module. `features` describes a design; `cost` is the second objective."""

    def __init__(
        self, features: Callable[[Design], Mapping[str, float]], *, seed: int, cost: CostName
    ) -> None:
        self._features, self._cost = features, cost
        self._rng = random.Random(f"pruner {seed}")
        self._model = Surrogate(seed)
        self._open: dict[str, Forecast] = {}
        self._seen: list[Forecast] = []
        self._points: list[tuple[float, float]] = []
        self._skipped: list[tuple[Proposal, Forecast]] = []
        self._pruned: list[Forecast] = []
        self._trust: list[tuple[int, float, float, float]] = []

    def consider(self, proposal: Proposal) -> Proposal | None:
        """The proposal to run now (at times one that was skipped before), or None."""
        if proposal.purpose != "search-eval" or len(self._points) < WARM_UP:
            return proposal  # labels and trials are asked for what they teach
        forecast = self._forecast(proposal.design)
        hopeless = forecast.chance < THRESHOLD and self.trust.low > 0
        if hopeless and self._rng.random() >= AUDIT:
            self._pruned.append(forecast)
            self._skipped.append((proposal, forecast))
            return self.last_hope() if len(self._skipped) == PATIENCE else None
        self._skipped = []
        self._open[proposal.design.hash] = replace(forecast, audit=hopeless)
        return proposal

    def last_hope(self) -> Proposal | None:
        """Of what was skipped since the last run the best, once; None where there is nothing."""
        if not self._skipped:
            return None
        proposal, forecast = max(self._skipped, key=lambda s: (s[1].chance, s[1].design))
        self._pruned.remove(forecast)
        self._open[proposal.design.hash] = forecast
        self._skipped = []
        return proposal

    @property
    def trust(self) -> Interval:
        """The 95 % interval of the rank correlation of forecasts and scores; from -1
        where too little is known."""
        known = [f for f in self._seen if f.score is not None][-WINDOW:]
        if len(known) < 8:
            return Interval(-1.0, 1.0)
        rho = spearman(
            np.array([f.mean for f in known]), np.array([f.score for f in known], dtype=float)
        )
        return spearman_interval(rho, len(known))

    def _forecast(self, design: Design) -> Forecast:
        belief = self._model.predict([self._features(design)])
        chance = chance_to_extend(belief.score, belief.cost, self._points)
        values = [float(v[0]) for v in (*belief.score, *belief.cost)]
        return Forecast(
            design.hash, values[0], values[1], values[2], values[3], float(np.round(chance[0], 9))
        )

    def tell(self, evaluation: Evaluation) -> None:
        """A measured evaluation is learned and held against its forecast; any other teaches
        nothing."""
        design = evaluation.design
        score, cost = evaluation.score, evaluation.cost(self._cost)
        forecast = self._open.pop(design.hash, None)
        if score is None or cost is None or cost <= 0:
            return
        row = self._features(design)
        log_cost = math.log10(cost)
        if forecast is None and len(self._points) >= WARM_UP // 2:
            forecast = self._forecast(design)  # before it is learned: still a forecast
        extends = all(s < score or c > log_cost for s, c in self._points)
        if forecast is not None:
            self._seen.append(replace(forecast, score=score, log_cost=log_cost, extended=extends))
            now = self.trust
            rho = spearman(
                np.array([f.mean for f in self._seen]),
                np.array([f.score for f in self._seen], dtype=float),
            )
            self._trust.append((len(self._points), rho, now.low, now.high))
        self._points.append((score, log_cost))
        self._model.tell(row, score, variance_of_mean(list(evaluation.scores.values())), log_cost)

    def record(self) -> dict[str, Any]:
        """Plain data: forecasts with results, trust over time, counts, the false-prune rate of the
        audits with its 95 % interval (None where nothing was audited), evaluations saved."""
        audits = [f for f in self._seen if f.audit]
        wrong = sum(bool(f.extended) for f in audits)
        bounds = clopper_pearson(wrong, len(audits)) if audits else None
        return {
            "threshold": THRESHOLD,
            "forecasts": [asdict(f) for f in self._seen],
            "trust": [list(t) for t in self._trust],
            "pruned": len(self._pruned),
            "audits": len(audits),
            "false_prunes": wrong,
            "false_prune_rate": wrong / len(audits) if audits else None,
            "false_prune_interval": [bounds.low, bounds.high] if bounds else None,
            "saved": self.saved(),
        }

    def saved(self) -> float | None:
        """Summed cost per task that the skipped designs were expected to have; None: none."""
        return sum(10**f.cost_mean for f in self._pruned) if self._pruned else None

    @property
    def forecasts(self) -> Sequence[Forecast]:
        """Those that were run, with what came."""
        return tuple(self._seen)

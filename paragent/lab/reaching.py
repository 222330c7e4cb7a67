"""How soon contenders reach a bar, when some trials never do.

A trial that ends below the bar says only "later than this" (it is censored). Leaving it out would
flatter whoever fails often, and taking its end as the answer would too. So two honest figures:

    reached      the share of trials that reached the bar at all
    restricted   the mean of min(time, horizon): what was spent up to the bar, or up to the horizon
                 (restricted mean survival time: Royston and Parmar 2013, section 2)

The horizon is one for all contenders, the largest up to which every trial was watched: the
shortest end of a trial that never reached the bar (with a budget in the same unit, nearly the
budget). Where all reached it, the latest time. Until then no trial is censored, so the mean needs
no model, and differences can be tested seed by seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paragent.lab.verdicts import verdicts
from paragent.stats import bootstrap_interval

#: What is to be reached, and the name of its curve's figure: shares of the hypervolume, of the best
#: score.
BARS = {"95": "95 % of the hypervolume", "99": "99 % of the hypervolume",
        "score_95": "95 % of the best score", "score_99": "99 % of the best score"}  # fmt: skip
#: In what time is counted, and the figure of a trial that says how much of it there was.
UNITS = {"evals": "evaluations", "tasks": "tasks", "cost": "cost"}


@dataclass(frozen=True, slots=True)
class Reach:
    """One trial: when it reached the bar (None: it never did), and where it ended, in one unit."""

    time: float | None
    end: float

    def restricted(self, horizon: float) -> float:
        """min(time, horizon); exact where the trial was watched until then."""
        return horizon if self.time is None else min(self.time, horizon)


def horizon_of(contenders: Mapping[str, Sequence[Reach]]) -> float:
    """The largest time up to which every trial of every contender was watched; see the module."""
    every = [reach for rows in contenders.values() for reach in rows]
    ends = [r.end for r in every if r.time is None]
    return min(ends) if ends else max((r.time or 0.0 for r in every), default=0.0)


def reaching(contenders: Mapping[str, Sequence[Reach]], figure: str, name: str) -> dict[str, Any]:
    """`horizon`, for each contender `reached` and the `restricted` mean with its 95 % bootstrap
    interval over seeds, and paired `verdicts` on the restricted times, called `name` in words."""
    horizon = horizon_of(contenders)
    times = {who: [r.restricted(horizon) for r in rows] for who, rows in contenders.items()}
    found: dict[str, Any] = {"horizon": horizon, "contenders": {}}
    for who, rows in contenders.items():
        mean = sum(times[who]) / len(times[who])
        ends = bootstrap_interval(times[who])
        found["contenders"][who] = {
            "reached": sum(r.time is not None for r in rows) / len(rows),
            "restricted": {"mean": mean, "low": ends.low, "high": ends.high},
        }
    trials = {who: [{figure: t} for t in rows] for who, rows in times.items()}
    found["verdicts"] = (
        verdicts(trials, figure, name=name, scale=horizon, more_is_better=False) if horizon else []
    )
    return found


def counted_in(protocol: Mapping[str, Any]) -> str:
    """The unit of the budget, of UNITS."""
    return "tasks" if protocol["tasks"] else "cost" if protocol["usd"] else "evals"

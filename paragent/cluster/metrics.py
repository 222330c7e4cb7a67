"""A search's progress as Prometheus metrics, through Ray.

Ray exports them on every node that runs its metrics agent (`ray[default]`), under its prefix: e.g.
`ray_paragent_evaluations{run="pocket-mcts-…"}`. Where there is no agent they go nowhere, and cost
nothing. All are gauges, so a resumed run goes on where it was.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from paragent.events import Event

#: Name to description, of what is one number.
GAUGES = {
    "evaluations": "Designs that the search has measured.",
    "evaluations_cap": "Designs that the search may measure.",
    "taken": "Evaluations taken from other searches.",
    "spent_usd": "Dollars spent; absent while a price is unknown.",
    "tokens": "Tokens used.",
    "best_score": "Best score on dev tasks, 0 to 1.",
    "front_size": "Designs on the front.",
    "seconds": "Seconds since the run began.",
    "eta_seconds": "Seconds that the search may still take.",
    "workers": "Workers alive.",
    "calls_in_flight": "Model calls under way.",
}
#: The same, of what is counted by kind.
BY_KIND = {
    "failures": "Tasks that failed, by kind.",
    "failed_calls": "Attempts at a model call that failed, by kind.",
}
PREFIX = "paragent_"


class RayMetrics:
    """Told of every event; raises nothing, whatever Ray says."""

    def __init__(self) -> None:
        self._gauges: dict[str, Any] = {}
        with contextlib.suppress(Exception):  # metrics must never end a search
            made = importlib.import_module("ray.util.metrics").Gauge
            for name, text in GAUGES.items():
                self._gauges[name] = made(PREFIX + name, text, ("run",))
            for name, text in BY_KIND.items():
                self._gauges[name] = made(PREFIX + name, text, ("run", "kind"))

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        if not self._gauges:
            return
        with contextlib.suppress(Exception):
            for name, value in values(event).items():
                if value is not None:
                    self._gauges[name].set(value, {"run": event.run})
            for name in BY_KIND:
                for kind, count in getattr(event, name).items():
                    self._gauges[name].set(count, {"run": event.run, "kind": kind})


def values(event: Event) -> dict[str, float | None]:
    """What each of GAUGES shows for an event; None: nothing."""
    over = event.kind in ("settling", "settled", "done")
    return {
        "evaluations": event.evaluations,
        "evaluations_cap": event.cap,
        "taken": event.taken,
        "spent_usd": event.spent_usd,
        "tokens": event.tokens,
        "best_score": event.best_score,
        "front_size": event.front_size,
        "seconds": event.seconds,
        "eta_seconds": 0.0 if over else event.eta_s,
        "workers": event.workers,
        "calls_in_flight": event.in_flight,
    }

"""What a search tells while it runs: one small frozen record per thing that happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """The state of a search at one moment.

    `kind` is "told" (a design was measured on dev), "taken" (another search's evaluation was),
    "settled" (a finalist was measured further), "pulse" (a second went by), "done" (the run is
    complete) or another word of the engine's; a reader ignores the kinds it does not know.
    `evaluations` of at most `cap` designs are measured, `taken` more came from other searches.
    `spent_usd` is None where a price is unknown, `best_score` (dev, in [0, 1]) where nothing is
    measured yet, `eta_s` (seconds until the search's cap, from the pace so far) where no estimate
    makes sense. `front` holds (score, cost per task) of the designs on the front, cheapest first,
    in the run's unit of cost. `workers` are alive (None: tasks run in this process), `in_flight`
    calls are under way. `failures` counts tasks that failed by kind, `failed_calls` attempts at a
    call that failed by kind, also those that went well the next time. `phase` is "search", "settle"
    (finalists are measured) or "done".
    """

    kind: str
    evaluations: int
    cap: int
    spent_usd: float | None = None
    tokens: int = 0
    best_score: float | None = None
    best_label: str = ""
    front_size: int = 0
    seconds: float = 0.0
    eta_s: float | None = None
    message: str = ""
    run: str = ""
    front: tuple[tuple[float, float], ...] = ()
    workers: int | None = None
    in_flight: int = 0
    failures: Mapping[str, int] = field(default_factory=dict, hash=False)
    failed_calls: Mapping[str, int] = field(default_factory=dict, hash=False)
    taken: int = 0
    phase: str = "search"

    def to_data(self) -> dict[str, Any]:
        """Plain data, for a line of JSON."""
        return asdict(self)

"""What a search tells while it runs: one small frozen record per thing that happened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """The state of a search at one moment.

    `kind` is "told" (a design was measured on dev), "settled" (a finalist was measured further),
    "done" (the run is complete) or another word of the engine's; a reader ignores the kinds it
    does not know. `evaluations` of at most `cap` designs are measured. `spent_usd` is None where
    a price is unknown, `best_score` (dev, in [0, 1]) where nothing is measured yet, `eta_s`
    (seconds until the search's cap, from the pace so far) where no estimate makes sense.
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

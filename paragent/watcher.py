"""What a run says while it goes on: events for whoever watches, spending for the store."""

from __future__ import annotations

import time
from collections.abc import Callable

from paragent.config import RunConfig
from paragent.events import Event
from paragent.leaders import Leaders
from paragent.outcome import Evaluation
from paragent.runtime.ledger import Ledger
from paragent.store import Store

Progress = Callable[[Event], None]

#: Seconds between two notes of the spending. A killed run knows every call from its journal; what
#: it may lose by this is the time it counts against a cap on minutes.
NOTED_S = 1.0


class Watcher:
    """Turns what the engine reports into events, and keeps the run's spending in the store.

    What an event says is kept up to date evaluation by evaluation, so the millionth costs what the
    first did, and no evaluation is kept that is not on the front.
    """

    def __init__(
        self, config: RunConfig, store: Store, ledger: Ledger, progress: Progress | None
    ) -> None:
        self._config, self._store, self._ledger = config, store, ledger
        self._progress = progress
        self._leaders = Leaders(config)
        self._count = 0
        self._noted = -NOTED_S

    def __call__(self, kind: str, evaluation: Evaluation | None) -> None:
        if kind == "told" and evaluation is not None:
            self._count += 1
            if self._progress is not None:
                self._leaders.add(evaluation)
        if evaluation is not None and time.monotonic() - self._noted >= NOTED_S:
            self.remember()
        self.say(kind)

    def remember(self) -> None:
        """Write what was spent so far."""
        self._noted = time.monotonic()
        spent = self._ledger.spent()
        plain = {
            "usd": spent.usd,
            "tokens": spent.tokens,
            "calls": spent.calls,
            "seconds": spent.seconds,
            "by_purpose": {name: dict(used) for name, used in spent.by_purpose.items()},
            "overshoot_tokens": spent.overshoot_tokens,
            "overshoot_usd": spent.overshoot_usd,
            "unsure_calls": spent.unsure_calls,
            "unsure_usd": spent.unsure_usd,
        }
        self._store.set_meta("spent", plain)
        self._store.set_meta("seconds", spent.seconds)

    def say(self, kind: str, message: str = "") -> None:
        """Tell the user's progress function."""
        if self._progress is None:
            return
        config, spent, front = self._config, self._ledger.spent(), self._leaders.front
        best = front[-1] if front else None
        count = self._count
        eta = spent.seconds / count * (config.evals - count) if count else None
        self._progress(
            Event(
                kind=kind,
                evaluations=count,
                cap=config.evals,
                spent_usd=spent.usd,
                tokens=spent.tokens,
                best_score=best.score if best else None,
                best_label=best.design.label if best else "",
                front_size=len(front),
                seconds=spent.seconds,
                eta_s=eta if kind == "told" else None,
                message=message,
            )
        )

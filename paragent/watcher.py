"""What a run says while it goes on: events for whoever watches, its log, spending for the store."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from paragent.config import RunConfig
from paragent.events import Event
from paragent.leaders import Leaders
from paragent.outcome import Evaluation
from paragent.run_log import RunLog
from paragent.runtime.ledger import Ledger
from paragent.runtime.session import Session
from paragent.store import Store

if TYPE_CHECKING:
    from paragent.cluster.executor import Workforce

Progress = Callable[[Event], None]

#: Seconds between two notes of the spending. A killed run knows every call from its journal; what
#: it may lose by this is the time it counts against a cap on minutes.
NOTED_S = 1.0
#: Seconds between two events where nothing else happens.
PULSE_S = 1.0


class Watcher:
    """Turns what the engine reports into events and lines of the log, and keeps the run's spending
    in the store. `session` has the calls under way, `force` the workers (None: this process).

    What an event says is kept up to date evaluation by evaluation, so the millionth costs what the
    first did, and no evaluation is kept that is not on the front.
    """

    def __init__(
        self,
        config: RunConfig,
        store: Store,
        ledger: Ledger,
        progress: Progress | None,
        *,
        session: Session,
        force: Workforce | None = None,
    ) -> None:
        self._config, self._store, self._ledger = config, store, ledger
        self._session, self._force = session, force
        self._progress = [progress] if progress is not None else []
        if force is not None:
            from paragent.cluster.metrics import RayMetrics

            self._progress.append(RayMetrics())
        self._log = RunLog(store.folder, config.cost)
        self._pulse: asyncio.Task[None] | None = None
        self._leaders = Leaders(config)
        self._count = self._taken = 0
        self._failures: Counter[str] = Counter()
        self._phase = "search"
        self._noted = -NOTED_S

    def __call__(self, kind: str, evaluation: Evaluation | None) -> None:
        if evaluation is not None:
            if kind == "told":
                self._count += 1
                self._failures.update(evaluation.failures)
                self._log.told(evaluation)
            elif kind == "taken":
                self._taken += 1
                self._log.taken(evaluation)
            elif kind == "settled":
                self._log.settled(evaluation)
            if self._progress and kind in ("told", "taken"):
                self._leaders.add(evaluation)
            if time.monotonic() - self._noted >= NOTED_S:
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

    def failed(self, error: BaseException) -> None:
        """What ended the run before its end goes to the log, as its last line."""
        self._log.write("ended", error=type(error).__name__, why=str(error))
        self._log.close()

    def stop(self) -> None:
        """The run ends, well or not: note what was spent."""
        if self._pulse is not None:
            self._pulse.cancel()
        self.remember()

    async def _beat(self) -> None:
        # A watcher that raises ends the run at the next evaluation, not here, where nobody hears.
        with contextlib.suppress(Exception):
            while True:
                await asyncio.sleep(PULSE_S)
                self.say("pulse")

    def _begin(self) -> None:
        config, meta = self._config, self._store.meta("meta", {})
        chosen = ("benchmark", "searcher", "seed", "evals", "parallel", "usd", "tokens", "calls")
        facts = {name: getattr(config, name) for name in chosen}
        self._log.write("start", **facts, version=meta.get("version"), where=meta.get("where"))
        # Slow designs are no silence: every second somebody hears how things are.
        self._pulse = asyncio.ensure_future(self._beat())

    def say(self, kind: str, message: str = "") -> None:
        """Tell whoever watches. "start" and "done" open and close the log."""
        if kind == "start":
            self._begin()
        elif kind in ("settling", "done"):
            self._phase = "settle" if kind == "settling" else "done"
            self._log.write(kind, stopped_by=message)
        workers = len(self._force.crews) if self._force is not None else None
        self._log.workers(workers)
        if self._progress:
            event = self._event(kind, message, workers)
            for tell in self._progress:
                tell(event)
        if kind == "done":
            self._log.close()

    def _event(self, kind: str, message: str, workers: int | None) -> Event:
        config, spent, front = self._config, self._ledger.spent(), self._leaders.front
        best = front[-1] if front else None
        count = self._count
        eta = spent.seconds / count * (config.evals - count) if count else None
        return Event(
            kind=kind,
            evaluations=count,
            cap=config.evals,
            spent_usd=spent.usd,
            tokens=spent.tokens,
            best_score=best.score if best else None,
            best_label=best.design.label if best else "",
            front_size=len(front),
            seconds=spent.seconds,
            eta_s=eta if self._phase == "search" else None,
            message=message,
            run=self._store.folder.name,
            front=self._leaders.points,
            workers=workers,
            in_flight=self._session.in_flight,
            failures=dict(self._failures),
            failed_calls=dict(self._session.counts.failed_attempts),
            taken=self._taken,
            phase=self._phase,
        )

"""The state of a run that another process may be writing, as an event like the engine's own."""

from __future__ import annotations

import fcntl
from collections import Counter
from pathlib import Path

from paragent.engine import comparable, front_of
from paragent.events import Event
from paragent.run import Run


def is_written(folder: Path) -> bool:
    """Whether a process holds the run's lock. It is asked for a moment only, and shared."""
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(lock, fcntl.LOCK_UN)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def event_of(folder: Path, *, writing: bool) -> Event:
    """What is stored of the run. `kind` is "told" while it searches, "settled" while the front is
    measured, "done" when it is complete, "stopped" when nobody writes it and it is not.

    Raises StoreError where the run cannot be read (yet).
    """
    run = Run(folder)
    config, told = run.request, run.evaluations
    front = front_of(comparable(told), config)
    best = max(front, key=lambda e: e.score or 0.0, default=None)
    searching = run.stopped_by == "interrupted"
    if writing:
        kind = "told" if searching else "settled"
    else:
        kind = "done" if run.meta.get("finished") and not searching else "stopped"
    pace = run.spent.seconds / len(told) if told else None
    return Event(
        kind=kind,
        evaluations=len(told),
        cap=config.evals,
        spent_usd=run.spent.usd,
        tokens=run.spent.tokens,
        best_score=best.score if best else None,
        best_label=best.design.label if best else "",
        front_size=len(front),
        seconds=run.spent.seconds,
        eta_s=pace * (config.evals - len(told)) if pace is not None and kind == "told" else None,
        run=run.name,
        front=tuple((e.score or 0.0, e.cost(config.cost) or 0.0) for e in front),
        failures=dict(sum((Counter(e.failures) for e in told), Counter[str]())),
    )

"""A run's log: `log.jsonl` in its folder, one JSON object a line, one line for each thing that
happened.

    {"time": "2026-01-31T12:00:00.123456+00:00", "run": "pocket-mcts-…", "part": 1, "kind": "told",
     "design": "0123456789abcdef", "number": 7, "score": 0.52, …}

`time`, `run`, `part` and `kind` stand in every line, `design` (its hash) where it is about one.
`part` counts the processes that worked on the run: 1, and one more for each resume. Kinds:

    start     settings that matter: benchmark, searcher, seed, evals, address, version
    told      a design was measured: number, label, purpose, by, tasks, score, cost, failures
    failed    tasks of a design that failed for one kind: failure, count, why (of the first)
    taken     another search's evaluation was taken: from, tasks, score
    workers   the number of workers has changed
    settling  the search is over: stopped_by
    settled   a finalist was measured further: split, tasks, score
    done      the run is complete
    ended     it is not: error, why

Going on with a run is running it again from its seed: what was told before is told again, and such
lines say `"replayed": true`. Nothing is read from the log; it is for people and their tools. Keys
are blotted out of every line.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from paragent.outcome import CostName, Evaluation
from paragent.runtime.secrets import redact

FILE = "log.jsonl"


def _now() -> str:
    return datetime.now(UTC).isoformat()


class RunLog:
    """Appends to the log of one run. A log that cannot be written (a full disk) never ends a run:
    `fault` then says why, and nothing more is written."""

    def __init__(self, folder: Path, cost: CostName, now: Callable[[], str] = _now) -> None:
        self._cost, self._now = cost, now
        self._run, self.fault = folder.name, ""
        self._file: IO[str] | None = None
        self._workers: int | None = None
        path = folder / FILE
        self._part, self._told = 1, -1
        try:
            whole = self._look_back(path)
            self._file = path.open("a", encoding="utf-8", buffering=1)
            if not whole:
                self._file.write("\n")  # a line that its process did not live to end
        except OSError as error:
            self.fault = f"{path}: {error.strerror or error}"

    def _look_back(self, path: Path) -> bool:
        """Which part this is, and what was told before; whether the last line is whole."""
        line = "\n"
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as lines:
            for line in lines:
                with contextlib.suppress(ValueError, AttributeError, TypeError):
                    row = json.loads(line)
                    self._part = max(self._part, int(row.get("part") or 0) + 1)
                    if row.get("kind") == "told":
                        self._told = max(self._told, int(row["number"]))
        return line.endswith("\n")

    def write(self, kind: str, **facts: Any) -> None:
        """One line."""
        if self._file is None:
            return
        row = {"time": self._now(), "run": self._run, "part": self._part, "kind": kind, **facts}
        try:
            self._file.write(redact(json.dumps(row, ensure_ascii=False, default=str)) + "\n")
        except (OSError, UnicodeEncodeError) as error:
            self.fault = str(error)
            self.close()

    def told(self, evaluation: Evaluation) -> None:
        """A design was measured, and how its tasks failed."""
        e = evaluation
        again = {"replayed": True} if e.number <= self._told else {}
        self.write(
            "told",
            design=e.design.hash,
            number=e.number,
            label=e.design.label,
            purpose=e.purpose,
            by=e.by,
            tasks=e.n,
            score=e.score,
            cost=e.cost(self._cost),
            unit=self._cost,
            failures=e.failures,
            **again,
        )
        first: dict[str, str] = {}
        for each in e.failed:
            first.setdefault(each.kind, each.why)
        for kind, count in e.failures.items():
            self.write(
                "failed",
                design=e.design.hash,
                number=e.number,
                failure=kind,
                count=count,
                why=first[kind],
                **again,
            )

    def settled(self, evaluation: Evaluation) -> None:
        """A finalist was measured further."""
        e = evaluation
        self.write(
            "settled",
            design=e.design.hash,
            split=e.split,
            tasks=e.n,
            score=e.score,
            failures=e.failures,
        )

    def taken(self, evaluation: Evaluation) -> None:
        """Another search's evaluation was taken."""
        e = evaluation
        facts = {"tasks": e.n, "score": e.score, "cost": e.cost(self._cost), "unit": self._cost}
        self.write("taken", design=e.design.hash, label=e.design.label, **{"from": e.by}, **facts)

    def workers(self, alive: int | None) -> None:
        """So many workers are alive; a line where that is new."""
        if alive != self._workers:
            self._workers = alive
            self.write("workers", alive=alive)

    def close(self) -> None:
        """Nothing is written from here on."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

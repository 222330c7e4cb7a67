"""The run's memory: append-only SQLite, from which resume, report and export read everything.

What is measured stays: an outcome of a design on a task is stored once and never changed; only
failures that may pass by themselves (an outage, an expired key) are dropped on request. A process
that is killed at any point leaves a store that can be resumed: the search is run again from its
seed, and finds here what was already measured. One writer at a time (a lock file says so).
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from paragent.design import Design, canonical_json
from paragent.errors import StoreError
from paragent.outcome import (
    Evaluation,
    Failed,
    Outcome,
    Purpose,
    Split,
    outcome_from_json,
    outcome_to_json,
)

SCHEMA_VERSION = 1
FILE = "run.db"
#: Seconds that rows wait for others to share their transaction.
GATHER_S = 0.05

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS designs (hash TEXT PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outcomes (
    design TEXT NOT NULL, split TEXT NOT NULL, task TEXT NOT NULL, outcome TEXT NOT NULL,
    PRIMARY KEY (design, split, task)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS evaluations (
    number INTEGER PRIMARY KEY, design TEXT NOT NULL, purpose TEXT NOT NULL, by TEXT NOT NULL,
    tasks TEXT NOT NULL);
"""


@contextmanager
def _clear(path: Path, doing: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: cannot {doing}: {error}") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot {doing}: {error.strerror or error}") from None


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Store:
    """One run folder. Use as a context manager; `write=True` takes the lock.

    Raises StoreError where the folder is missing, locked, corrupt, or of another version.
    """

    def __init__(self, folder: Path, *, write: bool, create: bool = False) -> None:
        self.folder, self._file = folder, folder / FILE
        self._lock: IO[str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fault: StoreError | None = None
        if create:
            with _clear(folder, "create the run folder"):
                folder.mkdir(parents=True, exist_ok=False)
        elif not (folder / FILE).is_file():
            raise StoreError(f"{folder}: no run is stored here ({FILE} is missing)")
        if write:
            self._take_lock()
        mode = "rwc" if create else "rw" if write else "ro"
        try:
            with _clear(folder / FILE, "open the store"):
                uri = f"{(folder / FILE).resolve().as_uri()}?mode={mode}"
                self._db = sqlite3.connect(uri, uri=True, isolation_level=None)
                if write:
                    self._db.execute("PRAGMA journal_mode=WAL")
                    self._db.execute("PRAGMA synchronous=NORMAL")
                if create:
                    self._db.executescript(_SCHEMA)
                    self.set_meta("schema", SCHEMA_VERSION)
                found = self.meta("schema")
            if found != SCHEMA_VERSION:
                raise StoreError(
                    f"{folder}: the run has schema {found}, this version reads {SCHEMA_VERSION}"
                )
        except StoreError:
            self._release_lock()
            raise

    def _take_lock(self) -> None:
        with _clear(self.folder, "lock the run"):
            lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise StoreError(f"{self.folder}: another process is writing to this run") from None
        self._lock = lock

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def close(self) -> None:
        """Write what waits, close the file and give up the lock."""
        try:
            self.commit()
        finally:
            self._db.close()
            self._release_lock()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- writing ------------------------------------------------------------------------------

    def _add(self, statement: str, row: tuple[object, ...]) -> None:
        """One row, at once, or on an event loop soon."""
        self._check()
        with _clear(self._file, "write"):
            if self._timer is None and (loop := _loop()) is not None:
                self._timer = loop.call_later(GATHER_S, self._commit_late)
                self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(statement, row)

    def commit(self) -> None:
        """What was added is on disk when this returns."""
        self._check()
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        if self._db.in_transaction:  # SQLite itself may have ended it for an error told before
            with _clear(self._file, "write"):
                self._db.execute("COMMIT")

    def _commit_late(self) -> None:
        try:
            self.commit()
        except StoreError as error:  # nobody to tell here: the next one who writes is told
            self._fault = error

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault

    # -- meta: a few facts about the run, each a JSON value ------------------------------------

    def set_meta(self, key: str, value: Any) -> None:
        """Write one fact (overwrites), and what waits."""
        self.commit()
        with _clear(self._file, "write"):
            self._db.execute(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value, default=str))
            )

    def meta(self, key: str, default: Any = None) -> Any:
        """Read one fact."""
        with _clear(self._file, "read"):
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else default

    def metas(self, prefix: str) -> dict[str, Any]:
        """All facts whose key begins so, by key."""
        with _clear(self._file, "read"):
            rows = self._db.execute(
                "SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?", (len(prefix), prefix)
            ).fetchall()
        return {key: json.loads(value) for key, value in rows}

    # -- designs and outcomes -------------------------------------------------------------------

    def add_design(self, design: Design) -> None:
        """Remember a design by its hash."""
        self._add(
            "INSERT OR IGNORE INTO designs VALUES (?, ?)", (design.hash, canonical_json(design))
        )

    def design(self, key: str) -> Design:
        """The design of that hash. Raises StoreError where there is none."""
        with _clear(self._file, "read"):
            row = self._db.execute("SELECT data FROM designs WHERE hash = ?", (key,)).fetchone()
        if row is None:
            raise StoreError(f"{self.folder}: no design {key} is stored")
        return Design.from_data(json.loads(row[0]))

    def add_outcome(self, design: str, split: Split, task: str, outcome: Outcome) -> None:
        """Append one outcome; one that is there already stays as it is."""
        self._add(
            "INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?, ?)",
            (design, split, task, json.dumps(outcome_to_json(outcome))),
        )

    def outcomes(self, design: str, split: Split) -> dict[str, Outcome]:
        """All outcomes of one design on one split, by task id."""
        with _clear(self._file, "read"):
            rows = self._db.execute(
                "SELECT task, outcome FROM outcomes WHERE design = ? AND split = ?", (design, split)
            ).fetchall()
        return {task: outcome_from_json(json.loads(data)) for task, data in rows}

    def drop_failures(self, kinds: Collection[str]) -> dict[str, int]:
        """Forget failures of these kinds, so that they are run again; returns how many, by kind.

        What the search was told from the first of them on is forgotten too: it is told anew, with
        what comes of them now. Measured outcomes stay.
        """
        self.commit()
        dropped: Counter[str] = Counter()
        keys: list[tuple[str, str, str]] = []
        with _clear(self._file, "write"):
            found = self._db.execute(
                "SELECT design, split, task, outcome FROM outcomes WHERE outcome LIKE '%failed%'"
            ).fetchall()
            for design, split, task, data in found:
                outcome = outcome_from_json(json.loads(data))
                if isinstance(outcome, Failed) and outcome.kind in kinds:
                    dropped[outcome.kind] += 1
                    keys.append((design, split, task))
            gone = {(design, task) for design, split, task in keys if split == "dev"}
            told = self._db.execute("SELECT number, design, tasks FROM evaluations").fetchall()
            first = [
                number
                for number, key, tasks in told
                if any((key, task) in gone for task in json.loads(tasks))
            ]
            self._db.execute("BEGIN IMMEDIATE")
            if first:
                self._db.execute("DELETE FROM evaluations WHERE number >= ?", (min(first),))
            self._db.executemany(
                "DELETE FROM outcomes WHERE design = ? AND split = ? AND task = ?", keys
            )
            self._db.execute("COMMIT")
        return dict(sorted(dropped.items()))

    def designs_with(self, split: Split) -> tuple[str, ...]:
        """Hashes of the designs that have any outcome on a split, sorted."""
        with _clear(self._file, "read"):
            rows = self._db.execute(
                "SELECT DISTINCT design FROM outcomes WHERE split = ? ORDER BY design", (split,)
            ).fetchall()
        return tuple(row[0] for row in rows)

    # -- evaluations: what the search was told, in order ---------------------------------------

    def add_evaluation(self, evaluation: Evaluation) -> None:
        """Append what the searcher is told; its outcomes must be stored already."""
        self._add(
            "INSERT OR IGNORE INTO evaluations VALUES (?, ?, ?, ?, ?)",
            (
                evaluation.number,
                evaluation.design.hash,
                evaluation.purpose,
                evaluation.by,
                json.dumps(list(evaluation.outcomes)),
            ),
        )

    def evaluations(self) -> list[Evaluation]:
        """Everything told so far, in the order of proposal."""
        with _clear(self._file, "read"):
            rows = self._db.execute(
                "SELECT number, design, purpose, by, tasks FROM evaluations ORDER BY number"
            ).fetchall()
        found = []
        for number, key, purpose, by, tasks in rows:
            found.append(self.evaluation(key, purpose, json.loads(tasks), number, by))
        return found

    def evaluation(
        self, key: str, purpose: Purpose, tasks: Sequence[str], number: int = -1, by: str = ""
    ) -> Evaluation:
        """A design on these dev tasks, whose outcomes are stored."""
        outcomes: Mapping[str, Outcome] = self.outcomes(key, "dev")
        chosen = {task: outcomes[task] for task in tasks}
        return Evaluation(self.design(key), "dev", purpose, chosen, number, by)

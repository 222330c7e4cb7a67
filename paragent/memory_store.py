"""A store without a folder, gone when closed: for replays, which are cheap to repeat.

Everything is as in `Store`, but for outcomes: they are kept as they are, not as text in a database,
since a lab's comparison stores them by the hundred thousand.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path

from paragent.outcome import Outcome, Split
from paragent.store import _SCHEMA, SCHEMA_VERSION, Store


class MemoryStore(Store):
    """An empty store in memory."""

    def __init__(self) -> None:
        self.folder, self._lock = Path(":memory:"), None
        self._file = self.folder
        self._timer, self._fault = None, None
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._outcomes: dict[tuple[str, Split], dict[str, Outcome]] = {}
        self.set_meta("schema", SCHEMA_VERSION)

    def add_outcome(self, design: str, split: Split, task: str, outcome: Outcome) -> None:
        """Append one outcome; one that is there already stays as it is."""
        self._outcomes.setdefault((design, split), {}).setdefault(task, outcome)

    def outcomes(self, design: str, split: Split) -> dict[str, Outcome]:
        """All outcomes of one design on one split, by task id."""
        return dict(self._outcomes.get((design, split), {}))

    def designs_with(self, split: Split) -> tuple[str, ...]:
        """Hashes of the designs that have any outcome on a split, sorted."""
        return tuple(sorted(design for design, of in self._outcomes if of == split))

    def drop_failures(self, kinds: Collection[str]) -> dict[str, int]:
        """A replay has no failures to run again."""
        return {}

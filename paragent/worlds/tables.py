"""A small database of named records that many worlds share and each changes for itself."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from paragent.environment import Refused

Record = dict[str, Any]


class Tables:
    """Tables of records by id over a base that is never changed: what is edited is copied first.

    Two of the same base are in the same state where their `digest` is the same.
    """

    def __init__(self, base: Mapping[str, Mapping[str, Record]]) -> None:
        self._base = base
        self._mine: dict[str, dict[str, Record]] = {table: {} for table in base}

    def __contains__(self, place: tuple[str, str]) -> bool:
        table, key = place
        return key in self._mine[table] or key in self._base[table]

    def get(self, table: str, key: str) -> Record:
        """A record to read. Raises Refused where there is none."""
        found = self._mine[table].get(key) or self._base[table].get(key)
        if found is None:
            raise Refused(f"there is no {table.removesuffix('s')} {key!r}")
        return found

    def edit(self, table: str, key: str) -> Record:
        """A record to change. Raises Refused where there is none."""
        if key not in self._mine[table]:
            self._mine[table][key] = copy.deepcopy(self.get(table, key))
        return self._mine[table][key]

    def add(self, table: str, key: str, record: Record) -> None:
        """A new record."""
        self._mine[table][key] = record

    def all(self, table: str) -> Iterator[tuple[str, Record]]:
        """Every record, those of the base first, in their order."""
        for key in self._base[table]:
            yield key, self.get(table, key)
        for key, record in self._mine[table].items():
            if key not in self._base[table]:
                yield key, record

    def digest(self) -> str:
        """16 hex digits of what differs from the base."""
        changed = {
            table: {k: r for k, r in records.items() if r != self._base[table].get(k)}
            for table, records in self._mine.items()
        }
        text = json.dumps(changed, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def cents(amount: float) -> float:
    """An amount of money, rounded to cents, so that sums in another order are the same."""
    return round(amount, 2)

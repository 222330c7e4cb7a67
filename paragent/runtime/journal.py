"""The journal guards one invariant: **a completion is on disk before anyone sees it**.

Every billed call is one row of `calls.db` in the run folder. The rows are the cache (a resumed run
finds its earlier answers and pays for none twice) and the ledger's memory (`entries`). A call to an
endpoint is also noted before it is sent (`take_off`) and struck off when it is back: what is left
there after a crash may have been billed, and counts against the caps with its worst case.

Rows are appended by one event loop; those of the same turn of the loop share a transaction, so that
thousands of rows a second are cheap. The file is SQLite in WAL mode with synchronous=NORMAL: what
was committed survives the death of the process at any point; a power cut may lose the last
transactions, never the file. Only the SQLite connection is shared, never an object: each look-up
builds a fresh completion.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paragent.errors import StoreError
from paragent.runtime.ledger import PICO, Entry
from paragent.runtime.model import Completion, LanguageModel, Request, ToolCall

#: Bumped whenever the table or the key's meaning changes; other versions are refused.
VERSION = 1
APPLICATION_ID = 0x50617261  # "Para"

#: Seconds that calls to endpoints wait for others to share their transaction (a transaction costs
#: about 0.1 ms of processor time; no latency counts it). Local calls share the loop's turn only.
GATHER_S = 0.004

_TABLE = (
    """
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,          -- call_key(model, request)
    model TEXT NOT NULL,
    purpose TEXT NOT NULL,
    completion TEXT,            -- JSON; NULL for a billed call without a usable reply
    failure TEXT,               -- a word of FAILURE_KINDS where there is no completion
    paid INTEGER NOT NULL,      -- 1: billed to this run; 0: copied from the shared cache
    usd_pico INTEGER,           -- 1e-12 dollars; NULL: price unknown
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    latency_s REAL NOT NULL,
    at REAL NOT NULL            -- seconds since 1970
)
""",
    "CREATE INDEX calls_by_key ON calls (key)",
    """
CREATE TABLE flights (          -- sent, and not known to have landed
    id INTEGER PRIMARY KEY,
    purpose TEXT NOT NULL,
    usd_pico INTEGER,           -- worst cases, as above
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL
)
""",
)


# Encoders are made once: making one costs as much as encoding a short request.
_canonical = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=dict).encode
_compact = json.JSONEncoder(separators=(",", ":")).encode


def call_key(model: LanguageModel, request: Request) -> bytes:
    """What makes two calls the same call: 32 bytes of SHA-256.

    Model name, its version where it has one, endpoint, and the request. The seed and the sample
    name enter only above temperature 0: greedy draws are one draw.
    """
    drawn = [request.seed, request.sample] if request.temperature > 0 else None
    data = [
        model.name,
        getattr(model, "version", ""),
        model.endpoint,
        [
            [m.role, m.content, m.tool_call_id, [[c.id, c.name, c.arguments] for c in m.tool_calls]]
            if m.tool_calls or m.tool_call_id
            else [m.role, m.content]
            for m in request.messages
        ],
        request.max_tokens,
        request.temperature,
        drawn,
        request.stop,
        [[t.name, t.description, t.schema] for t in request.tools],
        request.json_output,
    ]
    text = _canonical(data)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def completion_to_json(c: Completion) -> str:
    """Compact JSON without defaults; `completion_from_json` is its inverse."""
    data: dict[str, Any] = {
        "text": c.text,
        "tokens": [c.prompt_tokens, c.completion_tokens, c.cached_tokens],
        "latency_s": c.latency_s,
    }
    if c.confidence is not None:
        data["confidence"] = c.confidence
    if c.tool_calls:
        data["tool_calls"] = [[t.id, t.name, t.arguments] for t in c.tool_calls]
    if c.finish != "stop":
        data["finish"] = c.finish
    if c.estimated:
        data["estimated"] = True
    if c.extra:
        data["extra"] = dict(c.extra)
    return _compact(data)


def completion_from_json(text: str) -> Completion:
    """Inverse of `completion_to_json`; every call builds new objects."""
    data = json.loads(text)
    prompt, completion, cached = data["tokens"]
    return Completion(
        text=data["text"],
        prompt_tokens=prompt,
        completion_tokens=completion,
        latency_s=data["latency_s"],
        cached_tokens=cached,
        confidence=data.get("confidence"),
        tool_calls=tuple(ToolCall(*t) for t in data.get("tool_calls", ())),
        finish=data.get("finish", "stop"),
        estimated=data.get("estimated", False),
        extra=data.get("extra", {}),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One billed call. `completion` is None where it failed; `failure` then says how."""

    key: bytes
    model: str
    purpose: str
    completion: Completion | None
    usd: float | None
    prompt_tokens: int
    completion_tokens: int
    failure: str | None = None
    paid: bool = True

    def values(self) -> tuple[object, ...]:
        """The row as the table wants it, but for its id."""
        c = self.completion
        return (
            self.key,
            self.model,
            self.purpose,
            None if c is None else completion_to_json(c),
            self.failure,
            int(self.paid),
            None if self.usd is None else round(self.usd * PICO),
            self.prompt_tokens,
            self.completion_tokens,
            0.0 if c is None else c.latency_s,
            time.time(),
        )


@dataclass(slots=True)
class _Batch:
    """What the next transaction writes, and who waits for it."""

    rows: list[tuple[object, ...]] = field(default_factory=list)
    flights: list[tuple[object, ...]] = field(default_factory=list)
    landed: list[tuple[int]] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)


class Journal:
    """`calls.db`: append with `put`, look up with `get`. Belongs to one event loop.

    Raises StoreError, with one line, for a file that is corrupt, of another version, on a full
    disk or not writable.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._pending = _Batch()
        self._timer: asyncio.TimerHandle | None = None
        # Numbers of flights are unique among the processes that ever wrote this file.
        self._last_flight = int.from_bytes(os.urandom(5), "big") << 20
        with self._plainly():
            self._db = sqlite3.connect(
                self.path, isolation_level=None, timeout=30.0, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("BEGIN IMMEDIATE")  # two openers of a new file: one makes the table
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version == 0 and tables == 0:
            for statement in _TABLE:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version={VERSION}")
        self._db.execute("COMMIT")
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise StoreError(f"{self.path}: this is not a journal of Paragent")
        if version != VERSION:
            raise StoreError(
                f"{self.path}: written by another version (format {version}, this one reads "
                f"{VERSION})"
            )

    def get(self, key: bytes) -> Completion | None:
        """The recorded completion of a key, as a new object; None where there is none."""
        try:
            row = self._db.execute(
                "SELECT completion FROM calls WHERE key = ? AND completion IS NOT NULL "
                "ORDER BY id LIMIT 1",
                (key,),
            ).fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {_plain(error)}") from None
        if row is None:
            return None
        try:
            return completion_from_json(row[0])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.path}: a record cannot be read ({error!r})") from None

    async def put(self, row: Row, flight: int | None = None) -> None:
        """Append, and strike its flight off; returns once that is committed."""
        self._pending.rows.append(row.values())
        if flight is not None:
            self._pending.landed.append((flight,))
        await self._committed(GATHER_S if flight is not None else 0.0)

    async def take_off(
        self, purpose: str, prompt_tokens: int, completion_tokens: int, usd: float | None
    ) -> int:
        """Note a call, with its worst case, before it is sent; returns the flight's number."""
        self._last_flight += 1
        flight = self._last_flight
        pico = None if usd is None else round(usd * PICO)
        self._pending.flights.append((flight, purpose, pico, prompt_tokens, completion_tokens))
        await self._committed(GATHER_S)
        return flight

    def land(self, flight: int) -> None:
        """Strike a flight off that was surely not billed; written with the next commit."""
        self._pending.landed.append((flight,))
        self._schedule(GATHER_S)

    async def _committed(self, within_s: float) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.waiting.append(done)
        self._schedule(within_s)
        await done

    def _schedule(self, within_s: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + within_s
        if self._timer is not None and not self._timer.cancelled():
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._flush)

    def _flush(self) -> None:
        self._timer = None
        batch, self._pending = self._pending, _Batch()
        try:
            self._write(batch)
        except Exception as error:  # handed to every caller that waits for its row
            for done in batch.waiting:
                if not done.done():
                    done.set_exception(error)
            return
        for done in batch.waiting:
            if not done.done():
                done.set_result(None)

    def append(self, rows: Iterable[Row]) -> None:
        """Write rows in one transaction, now."""
        self._write(_Batch(rows=[row.values() for row in rows]))

    def _write(self, batch: _Batch) -> None:
        with self._plainly():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if batch.flights:
                    self._db.executemany("INSERT INTO flights VALUES (?,?,?,?,?)", batch.flights)
                if batch.rows:
                    self._db.executemany(
                        "INSERT INTO calls (key, model, purpose, completion, failure, paid, "
                        "usd_pico, prompt_tokens, completion_tokens, latency_s, at) "
                        "VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                        batch.rows,
                    )
                if batch.landed:
                    self._db.executemany("DELETE FROM flights WHERE id = ?", batch.landed)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def entries(self) -> Iterator[Entry]:
        """What this run paid so far, summed by purpose, for `Ledger(settled=...)`."""
        with self._plainly():
            rows = self._db.execute(
                "SELECT purpose, sum(prompt_tokens), sum(completion_tokens), sum(usd_pico), "
                "count(*) FROM calls WHERE paid GROUP BY purpose, usd_pico IS NULL "
                "ORDER BY 1, usd_pico IS NULL"
            ).fetchall()
            lost = self._db.execute(
                "SELECT purpose, prompt_tokens, completion_tokens, usd_pico, 1 FROM flights "
                "ORDER BY id"
            ).fetchall()
        for unsure, found in ((False, rows), (True, lost)):
            for purpose, prompt, completion, pico, calls in found:
                usd = None if pico is None else pico / PICO
                yield Entry(purpose, prompt, completion, usd, calls, unsure)

    def stats(self) -> dict[str, int | float]:
        """How many rows, completions and distinct models; and the file's bytes."""
        with self._plainly():
            rows, answers, models, paid = self._db.execute(
                "SELECT count(*), count(completion), count(DISTINCT model), total(paid) FROM calls"
            ).fetchone()
        size = sum(
            p.stat().st_size for end in ("", "-wal") if (p := Path(f"{self.path}{end}")).exists()
        )
        return {
            "calls": rows,
            "completions": answers,
            "models": models,
            "paid": int(paid),
            "bytes": size,
        }

    def clear(self) -> int:
        """Forget every row (never of a run one wants to resume); returns how many there were."""
        with self._plainly():
            gone = self._db.execute("DELETE FROM calls").rowcount
            self._db.execute("DELETE FROM flights")
            self._db.execute("VACUUM")
        return gone

    def close(self) -> None:
        """Write what waits and close the file."""
        if self._timer is not None:
            self._timer.cancel()
        if self._pending.waiting or self._pending.landed:
            self._flush()
        self._db.close()

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {_plain(error)}") from None
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror or error}") from None


def _plain(error: sqlite3.Error) -> str:
    text = str(error)
    for sign, plain in (
        ("malformed", "the file is corrupt"),
        ("not a database", "the file is corrupt or no journal"),
        ("disk is full", "the disk is full; free some space and resume"),
        ("readonly", "the file cannot be written"),
        ("unable to open", "the file cannot be opened; does its folder exist?"),
        ("locked", "another process holds it"),
        ("closed database", "the journal is closed"),
    ):
        if sign in text:
            return plain
    return text


def user_cache_path() -> Path | None:
    """Where the user's cache of endpoint answers is: `$PARAGENT_CACHE`, else
    `~/.cache/paragent/cache.db`; None where the variable is "off"."""
    given = os.environ.get("PARAGENT_CACHE", "")
    if given.lower() in ("off", "none", "0"):
        return None
    if given:
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "paragent" / "cache.db"


def open_user_cache() -> Journal | None:
    """The user's cache, made where it is missing; None where it is off."""
    path = user_cache_path()
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent}: {error.strerror or error}") from None
    return Journal(path)

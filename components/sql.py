"""SQL over the benchmark's SQLite database, for reading only (Rajkumar et al. 2022, Evaluating the
Text-to-SQL Capabilities of Large Language Models, section 2: the schema stands in the prompt).

Three walls keep the data as it is: the file is opened read-only, an authorizer lets SELECT through
and nothing else (no ATTACH, no PRAGMA), and a query ends after `SECONDS`. Values and results are
limited in size. Queries run in a thread: others go on meanwhile.
No model calls of its own. Requires "steps", "tools" and "database".
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from paragent.component import Component, Context, Tool

SECONDS = 3.0
MOST_ROWS = 30
MOST_CHARACTERS = 3000
#: Bytes of one value, so that a query cannot fill the memory.
MOST_BYTES = 1_000_000

_READS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}


def query(path: str, text: str, seconds: float = SECONDS) -> str:
    """Columns and rows of one SELECT, a line each. Raises ValueError with what is wrong."""
    with contextlib.closing(_open(path)) as database:
        end = time.monotonic() + seconds
        database.set_progress_handler(lambda: time.monotonic() > end, 10_000)
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        database.set_authorizer(_allowed)
        try:
            cursor = database.execute(text.strip().rstrip(";"))
            rows = cursor.fetchmany(MOST_ROWS + 1)
        except sqlite3.Error as error:
            why = str(error)
            if "interrupted" in why:
                why = f"the query took longer than {seconds:g} s"
            elif "not authorized" in why or "prohibited" in why:
                why = f"only SELECT is allowed here ({why})"
            raise ValueError(why) from None
        except sqlite3.Warning as error:  # two statements at once
            raise ValueError(str(error)) from None
    if cursor.description is None:
        raise ValueError("only SELECT is allowed here")
    lines = [" | ".join(column[0] for column in cursor.description)]
    lines += [" | ".join("NULL" if v is None else str(v) for v in row) for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines.append(f"… only the first {MOST_ROWS} rows are shown")
    found = "\n".join(lines)
    return found if len(found) <= MOST_CHARACTERS else f"{found[:MOST_CHARACTERS]} … (cut)"


@lru_cache(maxsize=64)
def schema(path: str) -> str:
    """The CREATE statements of the database, on one line. Raises ValueError for no database."""
    try:
        with contextlib.closing(_open(path)) as database:
            rows = database.execute(
                "SELECT sql FROM sqlite_master WHERE type IN ('table', 'view') AND sql IS NOT NULL "
                "AND name NOT LIKE 'sqlite_%' ORDER BY name"
            ).fetchall()
    except sqlite3.Error as error:
        raise ValueError(f"{path}: {error}") from None
    return "; ".join(" ".join(row[0].split()) for row in rows)


def _open(path: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise ValueError(f"{path}: {error}") from None


def _allowed(action: int, *what: str | None) -> int:
    risky = action == sqlite3.SQLITE_FUNCTION and what[1] in ("load_extension", "writefile", "edit")
    return sqlite3.SQLITE_OK if action in _READS and not risky else sqlite3.SQLITE_DENY


def sql_tool(path: str, name: str = "sql") -> Tool:
    """The tool over this database; the schema stands in its description."""
    known = ""
    if path:
        with contextlib.suppress(ValueError):  # then the call says what is wrong
            known = schema(path)

    async def call(text: str) -> str:
        if not path:
            raise LookupError("there is no database here")
        return await asyncio.to_thread(query, path, text)

    return Tool(
        name=name,
        description=f"Runs one SELECT on the SQLite database. Schema: {known}",
        call=call,
        instruction=f". Query the SQLite database by writing <<SELECT …>> (schema: {known})",
        native_instruction=". Query the database for what you do not know",
        schema={
            "type": "object",
            "properties": {"query": {"type": "string", "description": "one SELECT statement"}},
            "required": ["query"],
            "additionalProperties": False,
        },
        argument="query",
    )


def build() -> Tool:
    """The tool, over the database of whichever benchmark is answered."""

    def over(context: Context) -> Tool:
        return sql_tool(context.database)

    return replace(sql_tool(""), over=over)


SQL = Component(
    name="sql",
    kind="tool",
    summary="queries the benchmark's SQLite database, for reading only",
    build=build,
    calls=lambda params, inner: 0,
    requires=("steps", "tools", "database"),
    paper="Rajkumar et al. 2022, Text-to-SQL Capabilities of LLMs, section 2",
)

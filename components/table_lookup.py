"""Rows of the benchmark's tables by a key (Schick et al. 2023, Toolformer, section 3: a question
answered by looking it up).

A row is found where one of its cells is the key, but for case and blanks. Where none is, the
nearest cells are named, so that the model can correct a misspelling. At most `MOST_ROWS` rows.
No model calls of its own. Requires "steps", "tools" and "table".
"""

from __future__ import annotations

import difflib
from dataclasses import replace

from paragent.component import Component, Context, Table, Tool

MOST_ROWS = 10


def find(tables: tuple[Table, ...], key: str) -> str:
    """The rows as `table: column=cell, …`. Raises LookupError, with the nearest cells."""
    wanted = key.strip().casefold()
    rows = [
        f"{table.name}: " + ", ".join(f"{c}={v}" for c, v in zip(table.columns, row, strict=True))
        for table in tables
        for row in table.rows
        if any(cell.strip().casefold() == wanted for cell in row)
    ]
    if rows:
        more = f"\n… and {len(rows) - MOST_ROWS} more rows" if len(rows) > MOST_ROWS else ""
        return "\n".join(rows[:MOST_ROWS]) + more
    cells = {
        cell.strip().casefold(): cell.strip() for t in tables for row in t.rows for cell in row
    }
    near = [cells[c] for c in difflib.get_close_matches(wanted, list(cells), n=3, cutoff=0.6)]
    hint = f"; near: {', '.join(near)}" if near else ""
    raise LookupError(f"no row has {key.strip()!r}{hint}")


def table_tool(tables: tuple[Table, ...], name: str = "table") -> Tool:
    """The tool over these tables; their columns stand in its description."""

    def call(key: str) -> str:
        if not tables:
            raise LookupError("there is no table here")
        return find(tables, key)

    known = "; ".join(f"{t.name} ({', '.join(t.columns)})" for t in tables) or "none"
    return Tool(
        name=name,
        description=f"Looks up rows by the text of one of their cells. Tables: {known}.",
        call=call,
        instruction=f". Look up rows of the tables ({known}) by writing <<a cell's text>>",
        native_instruction=". Look up in the tables what you do not know",
        schema={
            "type": "object",
            "properties": {"key": {"type": "string", "description": "the text of a cell"}},
            "required": ["key"],
            "additionalProperties": False,
        },
        argument="key",
    )


def build() -> Tool:
    """The tool, over the tables of whichever benchmark is answered."""

    def over(context: Context) -> Tool:
        return table_tool(context.tables)

    return replace(table_tool(()), over=over)


TABLE_LOOKUP = Component(
    name="table_lookup",
    kind="tool",
    summary="looks up rows of the benchmark's tables by the text of a cell",
    build=build,
    calls=lambda params, inner: 0,
    requires=("steps", "tools", "table"),
    paper="Schick et al. 2023, Toolformer, section 3",
)

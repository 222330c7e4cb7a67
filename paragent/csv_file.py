"""Columns and numbers of CSV files that people write: what is wrong is told with file and line."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from paragent.errors import ConfigError, nearest


def text_of(path: Path) -> str:
    """The file as text; a name that ends in .gz is unpacked. Raises ConfigError."""
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def rows_of(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The header, and (line number, cells) of every further line; all as long as the header."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text_of(path), newline=""))
    header = next(reader, [])
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise ConfigError(f"{path}: line 1: the column {twice!r} is given twice")

    def lines() -> Iterator[tuple[int, list[str]]]:
        try:
            for cells in reader:
                if len(cells) != len(header):
                    if not any(cells):
                        continue
                    raise ConfigError(
                        f"{path}: line {reader.line_num}: {len(cells)} cells, "
                        f"the header has {len(header)}"
                    )
                yield reader.line_num, cells
        except csv.Error as error:
            raise ConfigError(f"{path}: line {reader.line_num}: {error}") from None

    return header, lines()


def need(path: Path, header: Sequence[str], needed: Sequence[str]) -> None:
    """Raises ConfigError for a column that is missing, with the nearest one there is."""
    for name in needed:
        if name not in header:
            near = nearest(name, header)
            hint = f" Did you mean {near!r}?" if near else f" It has: {', '.join(header)}"
            raise ConfigError(f"{path}: the column {name!r} is missing.{hint}")


def number(
    where: str, name: str, cell: str, low: float, high: float, *, empty: bool = False
) -> float:
    """The cell as a number in [low, high]; NaN for an empty cell where that is allowed."""
    if not cell.strip():
        if empty:
            return math.nan
        raise ConfigError(f"{where}: {name} is empty; a design that was not measured is left out")
    try:
        value = float(cell)
    except ValueError:
        raise ConfigError(f"{where}: {name} is {cell!r}; wanted a number") from None
    if not low <= value <= high or math.isinf(value):
        wanted = f"a number in [{low:g}, {high:g}]" if high < math.inf else f"{low:g} or more"
        raise ConfigError(f"{where}: {name} is {cell!r}; wanted {wanted}")
    return value

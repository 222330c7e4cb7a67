"""Which run a word on the command line means, and how results are printed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from paragent.errors import UnknownName, UsageError

#: Where runs are kept, under the working folder.
RUNS = Path("runs")
_STORE = "run.db"


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """The RUN argument, the same for every command."""
    parser.add_argument(
        "run", metavar="RUN", help="a run's folder, its name under ./runs, or `last`"
    )


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """The --json flag, the same for every command."""
    parser.add_argument(
        "--json", action="store_true", help="one JSON object on stdout, nothing else"
    )


def known_runs() -> list[Path]:
    """The runs under ./runs, the one written to last at the end."""
    stores = [path for path in RUNS.glob(f"*/{_STORE}") if path.is_file()]
    return [path.parent for path in sorted(stores, key=_written)]


def _written(store: Path) -> tuple[float, str]:
    # SQLite writes to the -wal file first, so the newer of the two tells.
    wal = store.with_name(f"{_STORE}-wal")
    times = [path.stat().st_mtime for path in (store, wal) if path.exists()]
    return max(times, default=0.0), store.parent.name


def find_run(word: str) -> Path:
    """The folder that `word` means: a path, a name under ./runs, or `last`. Raises UsageError."""
    runs = known_runs()
    if word == "last":
        if not runs:
            raise UsageError(f"there is no run under ./{RUNS} yet; start with `paragent search`")
        return runs[-1]
    for folder in (Path(word), RUNS / word):
        if (folder / _STORE).is_file():
            return folder
        if (folder / "job.json").is_file():
            raise UsageError(f"{folder} was submitted: paragent attach {word} brings its run here")
    if Path(word).is_dir():
        raise UsageError(f"{word}: no run is stored here ({_STORE} is missing)")
    raise UnknownName("run", word, ["last", *(run.name for run in runs)])


def print_json(data: Any) -> None:
    """One JSON object on stdout."""
    json.dump(data, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_table(columns: list[str], rows: list[list[str]]) -> None:
    """A table: rich on a terminal, tab-separated lines without a head otherwise."""
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        Console(markup=False, highlight=False).print(table)
    else:
        for row in rows:
            print("\t".join(row))


def load_models() -> None:
    """Make the models of models.yaml known. Raises ConfigError for a file that cannot be read."""
    from paragent.runtime.models_file import register_models

    register_models()

"""Your own tasks: `paragent search --data my.csv --input question --answer label --scorer number`.

Source: your file (CSV, TSV, JSON lines or JSON). Licence: yours. Tasks are divided into dev and
test by hash of their question. One raw example:

    question,label
    "Mia has 3 apples and buys 4 more. How many has she?",7

Scored by the scorer you name (`paragent.grading.scorers`): number, exact, choice, f1, yes_no, judge
(with --judge MODEL), or python:FILE:FUNCTION of your own.
"""

from __future__ import annotations

from typing import Any

from paragent.benchmark import Benchmark
from paragent.errors import UsageError
from paragent.registry import BenchmarkPlugin

COMMAND = "paragent search --data FILE --input COLUMN --answer COLUMN --scorer exact"


def load(data: str | None = None, **columns: Any) -> Benchmark:
    """The benchmark of a file; see `paragent.own_data.load`."""
    from paragent.own_data import load as load_file

    if data is None:
        raise UsageError(f"which file holds your tasks? {COMMAND}")
    return load_file(data, **columns)


OWN_DATA = BenchmarkPlugin(
    "data",
    "your own questions and answers",
    load,
    source="your own file",
    licence="yours",
    scorer="number, exact, choice, f1, yes_no, judge or python:FILE:FUNCTION",
    needs="a file with two columns",
    missing=lambda: COMMAND,
)

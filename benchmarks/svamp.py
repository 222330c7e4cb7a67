"""SVAMP: one-step arithmetic in words, varied so that keywords mislead; the answer is a number.

Source: Patel et al. 2021, github.com/arkilpatel/SVAMP at 689d7cc; hub: ChilleD/SVAMP.
Licence: MIT. 1,000 tasks, divided by hash of their ids. Version 1. One raw example:

    {"ID": "chal-1", "Body": "Each pack of dvds costs 76 dollars. If there is a discount of 25
    dollars on each pack", "Question": "How much do you have to pay to buy each pack?",
    "Equation": "( 76.0 - 25.0 )", "Answer": 51.0, "Type": "Subtraction"}

Scored by the final number.
"""

from __future__ import annotations

from pathlib import Path

from paragent.benchmark import Task
from paragent.grading.numbers import number
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"


def _convert(row: Row) -> Row:
    return {
        "id": row["ID"],
        "question": f"{row['Body']} {row['Question']}",
        "answer": float(row["Answer"]),
        "type": row["Type"],
    }


SOURCE = Source(
    "svamp",
    (Part("test", 1000, "train+test"),),
    ("question", "answer"),
    hub="ChilleD/SVAMP",
    convert=_convert,
)


def _task(part: str, row: Row, place: int) -> Task:
    answer = f"{float(row['answer']):g}"
    name = str(row.get("id", f"svamp-{place}"))
    return Task(name, str(row["question"]), answer, {"type": str(row.get("type", ""))})


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark; 8 dev tasks are worked examples instead."""
    return RowsBenchmark(
        SOURCE,
        VERSION,
        _task,
        lambda task, answer: number(task.answer, answer),
        test="test",
        shown=8,
        data=data,
    )


SVAMP = BenchmarkPlugin(
    "svamp",
    "one-step arithmetic in misleading words",
    load,
    source="github.com/arkilpatel/SVAMP",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 506, "test": 486},
    scorer="final number",
    missing=SOURCE.missing,
    data=SOURCE,
)

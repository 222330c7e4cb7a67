"""DROP: reading a passage with discrete reasoning (counting, sorting, differences).

Source: Dua et al. 2019, allennlp.org/drop; hub: ucinlp/drop. Licence: CC BY-SA 4.0. The 9,535
answered questions of its development part, divided by hash of their ids (the official test labels
are hidden). Version 1. One raw example:

    {"passage": "In the city, the age distribution of the population shows 21.8% under the age of
    18, 13.1% from 18 to 24, ...", "question": "Which age groups each made up more than 20% of the
    population?", "answers_spans": {"spans": ["under the age of 18", "25 to 44", "45 to 64"], ...}}

Scored by DROP's own F1 (`paragent.grading.texts.drop`), best over the given answers, in [0, 1].
"""

from __future__ import annotations

from pathlib import Path

from paragent.benchmark import Task
from paragent.grading.texts import drop
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"


def _convert(row: Row) -> Row:
    return {
        "id": row["query_id"],
        "input": f"Passage: {row['passage']}\nQuestion: {row['question']}\nAnswer:",
        "answers": [" and ".join(row["answers_spans"]["spans"])],
    }


SOURCE = Source(
    "drop",
    (Part("dev", 9535, "validation"),),
    ("input", "answers"),
    hub="ucinlp/drop",
    convert=_convert,
)


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark; 4 dev tasks are worked examples instead."""
    answers: dict[str, list[str]] = {}

    def task(part: str, row: Row, place: int) -> Task:
        name = str(row.get("id", f"drop-{place}"))
        answers[name] = [str(answer) for answer in row["answers"]]
        question = str(row["input"]).removesuffix("Answer:").rstrip()
        return Task(name, question, answers[name][0] if answers[name] else "")

    return RowsBenchmark(
        SOURCE,
        VERSION,
        task,
        lambda task, answer: drop(answers[task.id], answer),
        test="dev",
        shown=4,
        data=data,
    )


DROP = BenchmarkPlugin(
    "drop",
    "passages to count, sort and subtract over",
    load,
    source="allennlp.org/drop",
    licence="CC BY-SA 4.0",
    version=VERSION,
    sizes={"dev": 4767, "test": 4764},
    scorer="F1 of DROP",
    missing=SOURCE.missing,
    data=SOURCE,
)

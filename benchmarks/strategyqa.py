"""StrategyQA: yes/no questions whose steps are not in the question.

Source: Geva et al. 2021, github.com/eladsegal/strategyqa at 1ba1e97 (data/strategyqa/train.json and
dev.json, as JSON lines with the fields below). Licence: MIT. 2,061 training tasks (dev) and 229 of
its development part (test; the official test labels are hidden). Version 1. One raw example:

    {"qid": "e0044a7b4d146d611e73", "term": "Albany, Georgia", "question": "Will the Albany in
    Georgia reach a hundred thousand occupants before the one in New York?", "answer": false,
    "facts": ["Albany, GA has around 75,000 people", "Albany, NY has almost 100,000 people"], ...}

Scored by yes or no. The facts of a task are not shown: `facts=True` puts them into the question.
"""

from __future__ import annotations

from pathlib import Path

from paragent.benchmark import Task
from paragent.grading.choices import yes_no
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"

SOURCE = Source(
    "strategyqa",
    (Part("train", 2061), Part("dev", 229)),
    ("question", "answer"),
    where="train.jsonl and dev.jsonl from github.com/eladsegal/strategyqa",
)


def load(data: str | Path | None = None, *, facts: bool = False) -> RowsBenchmark:
    """The benchmark; 8 training tasks are worked examples instead."""

    def task(part: str, row: Row, place: int) -> Task:
        question = f"{row['question']}\nAnswer yes or no."
        if facts:
            question = "\n".join([*map(str, row.get("facts", ())), question])
        name = str(row.get("id", row.get("qid", f"strategyqa-{part}-{place}")))
        return Task(name, question, "yes" if row["answer"] else "no")

    return RowsBenchmark(
        SOURCE,
        VERSION + ("-facts" if facts else ""),
        task,
        lambda task, answer: yes_no(task.answer, answer),
        dev="train",
        test="dev",
        shown=8,
        data=data,
    )


STRATEGYQA = BenchmarkPlugin(
    "strategyqa",
    "yes/no questions that take hidden steps",
    load,
    source="github.com/eladsegal/strategyqa",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 2052, "test": 229},
    scorer="yes or no",
    missing=SOURCE.missing,
    data=SOURCE,
)

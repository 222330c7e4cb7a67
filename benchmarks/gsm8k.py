r"""GSM8K: grade-school maths in words; the answer is a number.

Source: Cobbe et al. 2021, github.com/openai/grade-school-math at 3101c7d; hub: openai/gsm8k.
Licence: MIT. 7,473 training tasks (dev) and 1,319 test tasks. Version 1. One raw example:

    {"question": "Natalia sold clips to 48 of her friends in April, and then she sold half as many
    clips in May. How many clips did Natalia sell altogether in April and May?",
    "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nNatalia sold 48+24 = <<48+24=72>>72
    clips altogether in April and May.\n#### 72"}

Scored by the final number (official: `extract_answer` of grade_school_math/dataset.py).
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
    solution, _, answer = str(row["answer"]).partition("####")
    return {
        "question": row["question"],
        "answer": answer.strip().replace(",", ""),
        "solution": solution.strip(),
    }


SOURCE = Source(
    "gsm8k",
    (Part("train", 7473), Part("test", 1319)),
    ("question", "answer"),
    hub="openai/gsm8k",
    configs=("main",),
    convert=_convert,
)


def _task(part: str, row: Row, place: int) -> Task:
    answer = str(row["answer"])
    if "####" in answer:  # a row as published
        answer = str(_convert(row)["answer"])
    return Task(str(row.get("id", f"gsm8k-{part}-{place}")), str(row["question"]), answer)


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark; 8 training tasks are worked examples for agents that look things up."""
    return RowsBenchmark(
        SOURCE,
        VERSION,
        _task,
        lambda task, answer: number(task.answer, answer),
        dev="train",
        test="test",
        shown=8,
        data=data,
    )


GSM8K = BenchmarkPlugin(
    "gsm8k",
    "grade-school maths in words",
    load,
    source="github.com/openai/grade-school-math",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 7465, "test": 1319},
    scorer="final number",
    missing=SOURCE.missing,
    data=SOURCE,
)

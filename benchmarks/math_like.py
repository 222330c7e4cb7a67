r"""MATH-500: competition mathematics; the answer is a formula, a number or a word.

Source: Hendrycks et al. 2021 (github.com/hendrycks/math), the 500 test problems chosen by Lightman
et al. 2023 (github.com/openai/prm800k); hub: HuggingFaceH4/MATH-500. Licence: MIT as labelled; the
problems come from a site that has objected to the data set, so think before you publish them.
500 tasks, divided by hash of their ids. Version 1. One raw example:

    {"problem": "Suppose $\\sin D = 0.7$ in the diagram below. What is $DE$? [asy] ...",
    "answer": "\\sqrt{51}", "subject": "Precalculus", "level": 1,
    "unique_id": "test/precalculus/1303.json", "solution": "The triangle is a right triangle, ..."}

Scored by the same formula after normalisation; where that says no, by math-verify (extra `math`) in
a worker process with a time limit. Without math-verify it is not ready, so that one answer never
has two scores.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from paragent.benchmark import Task
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"


def _convert(row: Row) -> Row:
    return {**row, "id": row["unique_id"]}


SOURCE = Source(
    "math500",
    (Part("test", 500),),
    ("problem", "answer"),
    hub="HuggingFaceH4/MATH-500",
    convert=_convert,
)


def _task(part: str, row: Row, place: int) -> Task:
    return Task(
        str(row.get("id", f"math500-{place}")),
        f"{row['problem']}\nGive the final answer in \\boxed{{}}.",
        str(row["answer"]),
        {"subject": str(row.get("subject", "")), "level": str(row.get("level", ""))},
    )


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark. Raises UsageError without math-verify."""
    from paragent.grading.maths import MathsGrader

    grader = MathsGrader()
    return RowsBenchmark(
        SOURCE,
        VERSION,
        _task,
        lambda task, answer: grader.score(task.answer, answer),
        test="test",
        shown=4,
        data=data,
        reads_all=True,
        close=grader.aclose,
    )


def missing() -> str:
    """The data, or math-verify."""
    if importlib.util.find_spec("math_verify") is None:
        return "pip install 'paragent[math]'"
    return SOURCE.missing()


MATH500 = BenchmarkPlugin(
    "math500",
    "competition mathematics with formulas as answers",
    load,
    source="github.com/hendrycks/math",
    licence="MIT (as labelled; see the file)",
    version=VERSION,
    sizes={"dev": 250, "test": 246},
    scorer="same formula, else math-verify",
    needs="math-verify",
    missing=missing,
    data=SOURCE,
)

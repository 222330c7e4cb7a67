"""AQuA-RAT: algebra in words with five options; the answer is a letter.

Source: Ling et al. 2017, github.com/google-deepmind/AQuA at 26b64ed; hub: deepmind/aqua_rat (raw).
Licence: Apache-2.0. 254 dev and 254 test tasks. Version 1. One raw example:

    {"question": "A grocery sells a bag of ice for $1.25, and makes 20% profit. If it sells 500 bags
    of ice, how much total profit does it make?", "options": ["A)125", "B)150", "C)225", "D)250",
    "E)275"], "rationale": "Profit per bag = 1.25 * 0.20 = 0.25 ...", "correct": "A"}

Scored by the letter.
"""

from __future__ import annotations

import re
from pathlib import Path

from paragent.benchmark import Task
from paragent.grading.choices import choice_of, with_options
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"

SOURCE = Source(
    "aqua",
    (Part("dev", 254, "validation"), Part("test", 254)),
    ("question", "options", "answer"),
    hub="deepmind/aqua_rat",
    configs=("raw",),
    convert=lambda row: {**row, "answer": row["correct"]},
)


def _options(row: Row) -> dict[str, str]:
    found = [re.match(r"\s*\(?([A-E])\)?\s*\)?\s*(.*)", o, re.DOTALL) for o in row["options"]]
    return {m[1]: m[2].strip() for m in found if m}


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark; 8 dev tasks are worked examples instead."""
    options: dict[str, dict[str, str]] = {}

    def task(part: str, row: Row, place: int) -> Task:
        name = str(row.get("id", f"aqua-{part}-{place}"))
        options[name] = _options(row)
        return Task(name, with_options(str(row["question"]), options[name]), str(row["answer"]))

    return RowsBenchmark(
        SOURCE,
        VERSION,
        task,
        lambda task, answer: choice_of(options[task.id], task.answer, answer),
        dev="dev",
        test="test",
        shown=8,
        data=data,
    )


AQUA = BenchmarkPlugin(
    "aqua",
    "algebra in words with five options",
    load,
    source="github.com/google-deepmind/AQuA",
    licence="Apache-2.0",
    version=VERSION,
    sizes={"dev": 246, "test": 254},
    scorer="letter",
    missing=SOURCE.missing,
    data=SOURCE,
)

r"""CRUXEval (output prediction): what does this short Python function return?

Source: Gu et al. 2024, github.com/facebookresearch/cruxeval at 190faf1; hub: cruxeval-org/cruxeval.
Licence: MIT. 800 tasks, divided by hash of their ids. Version 1. One raw example:

    {"id": "sample_0", "code": "def f(nums):\n    output = []\n    for n in nums:\n
    output.append((nums.count(n), n))\n    output.sort(reverse=True)\n    return output",
    "input": "[1, 1, 3, 1, 3, 1]", "output": "[(4, 1), (4, 1), (4, 1), (4, 1), (2, 3), (2, 3)]"}

Scored by equality of the value; an answer that is no literal is run in the cage and compared there,
as officially (`assert f(input) == answer`).
"""

from __future__ import annotations

import re
from pathlib import Path

from paragent.benchmark import Task
from paragent.grading.code import CodeGrader, missing_cage
from paragent.hub import Part, Row, Source
from paragent.python_text import literal
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"
MOST_CHARACTERS = 2_000

SOURCE = Source(
    "cruxeval",
    (Part("test", 800),),
    ("code", "input", "output"),
    hub="cruxeval-org/cruxeval",
)


def value_in(text: str) -> str:
    """The value that a text gives: after the last `==`, in backquotes, or the whole last line."""
    lines = [line.strip() for line in text[-20_000:].splitlines() if line.strip(" `")]
    last = re.sub(r"(?i)^.*\banswer\s*(?:is|:)\s*", "", lines[-1]) if lines else ""
    last = last.removesuffix("[/ANSWER]").strip()
    quoted = re.fullmatch(r".*`([^`]+)`\.?", last)
    found = quoted[1] if quoted else last
    return found.rpartition("==")[2].strip() if found.startswith(("assert", "f(")) else found


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark; 4 dev tasks are worked examples instead."""
    calls: dict[str, tuple[str, str]] = {}
    grader = CodeGrader()

    def task(part: str, row: Row, place: int) -> Task:
        name = str(row.get("id", f"crux-{place}"))
        calls[name] = (str(row["code"]), str(row["input"]))
        question = (
            f"{row['code']}\n\nWhat does f({row['input']}) return? Answer with the Python literal."
        )
        return Task(name, question, str(row["output"]))

    async def score(task: Task, answer: str) -> float:
        value = value_in(answer)
        if len(value) > MOST_CHARACTERS or not value:
            return 0.0
        if value == task.answer:
            return 1.0
        try:
            return float(literal(value) == literal(task.answer))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            code, given = calls[task.id]
            return await grader.passes(code, f"assert f({given}) == ({value})")

    return RowsBenchmark(
        SOURCE,
        VERSION,
        task,
        score,
        test="test",
        shown=4,
        data=data,
        close=grader.aclose,
    )


CRUXEVAL = BenchmarkPlugin(
    "cruxeval",
    "what a short Python function returns",
    load,
    source="github.com/facebookresearch/cruxeval",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 406, "test": 390},
    scorer="equal value, else in the cage",
    needs="bubblewrap",
    missing=lambda: SOURCE.missing() or missing_cage(),
    data=SOURCE,
)

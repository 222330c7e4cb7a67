r"""HumanEval: complete a Python function from its docstring; hidden tests decide.

Source: Chen et al. 2021, github.com/openai/human-eval at 6d43fb9; hub: openai/openai_humaneval.
Licence: MIT. 164 tasks, divided by hash of their ids. Version 1. One raw example:

    {"task_id": "HumanEval/0", "prompt": "from typing import List\n\n\ndef has_close_elements(
    numbers: List[float], threshold: float) -> bool:\n    \"\"\" Check if in given list of numbers,
    ...\n    \"\"\"\n", "entry_point": "has_close_elements", "canonical_solution": "    for idx,
    elem in enumerate(numbers):\n ...", "test": "def check(candidate):\n    assert ..."}

Scored by running program and tests in the cage (pass@1): the fenced code of the answer, or all of
it; a whole function or the completion of the one given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from paragent.benchmark import Task
from paragent.grading.code import CodeGrader, code_in, defines, missing_cage
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"

SOURCE = Source(
    "humaneval",
    (Part("test", 164),),
    ("prompt", "entry_point", "canonical_solution", "test"),
    hub="openai/openai_humaneval",
    convert=lambda row: {**row, "id": row["task_id"]},
)


@dataclass(frozen=True)
class Problem:
    """What the tests need: the prompt that was given, the function's name, and the tests."""

    prompt: str
    name: str
    tests: str

    def program(self, answer: str) -> str:
        """The answer as a whole program: with the prompt's head, or as its completion."""
        code = code_in(answer, self.name)
        if defines(code, self.name):
            head = re.split(rf"^def\s+{re.escape(self.name)}\b", self.prompt, flags=re.MULTILINE)[0]
            return f"{head}\n{code}"
        if code and not code[0].isspace():  # a body that lost its indentation
            code = "\n".join("    " + line for line in code.split("\n"))
        return self.prompt + code


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark; code runs in two cages."""
    problems: dict[str, Problem] = {}
    grader = CodeGrader()

    def task(part: str, row: Row, place: int) -> Task:
        name = str(row.get("id", f"HumanEval/{place}"))
        entry = str(row["entry_point"])
        problems[name] = Problem(str(row["prompt"]), entry, f"{row['test']}\n\ncheck({entry})\n")
        question = f"Complete this Python function. Answer with its code.\n\n{row['prompt']}"
        return Task(name, question, f"```python\n{row['prompt']}{row['canonical_solution']}\n```")

    async def score(task: Task, answer: str) -> float:
        problem = problems[task.id]
        return await grader.passes(problem.program(answer), problem.tests)

    return RowsBenchmark(
        SOURCE,
        VERSION,
        task,
        score,
        test="test",
        data=data,
        reads_all=True,
        close=grader.aclose,
    )


HUMANEVAL = BenchmarkPlugin(
    "humaneval",
    "Python functions from docstrings, with hidden tests",
    load,
    source="github.com/openai/human-eval",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 81, "test": 83},
    scorer="tests pass in the cage",
    needs="bubblewrap",
    missing=lambda: SOURCE.missing() or missing_cage(),
    data=SOURCE,
)

r"""MBPP: small Python programs from one sentence; three assertions decide.

Source: Austin et al. 2021, github.com/google-research/google-research (mbpp); hub:
google-research-datasets/mbpp (full). Licence: CC BY 4.0. 974 tasks by id: 1 to 10 are worked
examples, 11 to 510 test, 511 to 974 dev. Version 1. One raw example:

    {"task_id": 1, "text": "Write a function to find the minimum cost path to reach (m, n) from
    (0, 0) for the given cost matrix cost[][] and a position (m, n) in cost[][].", "code": "R = 3\n
    C = 3\ndef min_cost(cost, m, n): ...", "test_list": ["assert min_cost([[1, 2, 3], [4, 8, 2],
    [1, 5, 3]], 2, 2) == 8", ...], "test_setup_code": "", "challenge_test_list": []}

The first assertion is shown in the question, as is usual. Scored by running all in the cage.
"""

from __future__ import annotations

import re
from pathlib import Path

from paragent.benchmark import Task
from paragent.component import Context, Example
from paragent.grading.code import CodeGrader, code_in, missing_cage
from paragent.hub import Part, Row, Source
from paragent.outcome import Split
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark, without

VERSION = "1"


def _convert(row: Row) -> Row:
    return {
        "id": f"mbpp-{row['task_id']}",
        "prompt": row["text"],
        "reference": row["code"],
        "tests": row["test_list"],
        "test_setup_code": row["test_setup_code"],
    }


SOURCE = Source(
    "mbpp",
    (Part("mbpp", 974, "train+test+validation+prompt"),),
    ("id", "prompt", "tests", "test_setup_code", "reference"),
    hub="google-research-datasets/mbpp",
    configs=("full",),
    convert=_convert,
)


class Mbpp(RowsBenchmark):
    """Splits by number, as published."""

    def tasks(self, split: Split) -> list[Task]:
        """11 to 510 are test, 511 to 974 dev."""
        test = [t for t in self._part("mbpp") if 11 <= _number(t) <= 510]
        if split == "test":
            return test
        return without([t for t in self._part("mbpp") if _number(t) >= 511], test)

    @property
    def context(self) -> Context:
        """The ten tasks of the few-shot prompt."""
        shown = [t for t in self._part("mbpp") if _number(t) <= 10]
        return Context(examples=tuple(Example(t.question, t.answer) for t in shown))


def _number(task: Task) -> int:
    return int(task.id.rpartition("-")[2])


def load(data: str | Path | None = None) -> Mbpp:
    """The benchmark; code runs in two cages."""
    tests: dict[str, tuple[str, str]] = {}
    grader = CodeGrader()

    def task(part: str, row: Row, place: int) -> Task:
        name, asserts = str(row["id"]), [str(test) for test in row["tests"]]
        tests[name] = (_called(asserts[0]), "\n".join([str(row["test_setup_code"]), *asserts]))
        question = f"{row['prompt']}\nAnswer with the Python code. It must pass:\n{asserts[0]}"
        return Task(name, question, f"```python\n{row['reference']}\n```")

    async def score(task: Task, answer: str) -> float:
        name, asserts = tests[task.id]
        return await grader.passes(code_in(answer, name), asserts)

    return Mbpp(
        SOURCE,
        VERSION,
        task,
        score,
        test="mbpp",
        data=data,
        reads_all=True,
        close=grader.aclose,
    )


def _called(test: str) -> str:
    """The function that an assertion is about: the first name that is called, builtins apart."""
    import builtins

    names = re.findall(r"([A-Za-z_]\w*)\s*\(", test.removeprefix("assert"))
    return next((name for name in names if not hasattr(builtins, name)), "")


MBPP = BenchmarkPlugin(
    "mbpp",
    "small Python programs from one sentence",
    load,
    source="github.com/google-research/google-research/tree/master/mbpp",
    licence="CC BY 4.0",
    version=VERSION,
    sizes={"dev": 464, "test": 500},
    scorer="tests pass in the cage",
    needs="bubblewrap",
    missing=lambda: SOURCE.missing() or missing_cage(),
    data=SOURCE,
)

"""Game of 24: make 24 from four numbers, each used once, with + - * / and brackets.

Source: the 1,362 solvable hands of four numbers from 1 to 13, found here by trying everything; by
human difficulty they stand in data/24/24.csv of github.com/princeton-nlp/tree-of-thought-llm (Yao
et al. 2023) at ab40034. Licence: MIT. Version 1. One raw example:

    {"id": "game24-0", "rank": 1, "numbers": [1, 1, 4, 6]}

With that file at hand (`--data`) the test split is the one of the paper, ranks 901 to 1,000, and
all other hands are dev; without it nothing is needed, and the hands are divided by hash.
Scored by an exact check of the expression in the last line (`paragent.grading.expressions`).
"""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement
from pathlib import Path

from paragent.benchmark import Task
from paragent.grading.expressions import makes
from paragent.hub import Part, Row, Source
from paragent.outcome import Split
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"
TARGET = 24

SOURCE = Source(
    "game24",
    (Part("game24", 1362),),
    ("numbers",),
    where="game24.jsonl from github.com/princeton-nlp/tree-of-thought-llm",
)


class Game24(RowsBenchmark):
    """See the module."""

    def tasks(self, split: Split) -> list[Task]:
        """The paper's hundred hands as test where ranks are known."""
        everything = self._part("game24")
        if all("rank" in task.tags for task in everything):
            return [
                t for t in everything if (900 < int(t.tags["rank"]) <= 1000) == (split == "test")
            ]
        return [t for t in everything if self._is_test(t) == (split == "test")]

    def _rows(self, part: str) -> list[Row]:
        if self.data is not None or self.source.place() is not None:
            return super()._rows(part)
        return [{"numbers": list(hand)} for hand in solvable()]


@cache
def solvable() -> tuple[tuple[int, ...], ...]:
    """All hands of four numbers from 1 to 13 that make 24, sorted; about a second of work."""
    hands = combinations_with_replacement(range(1, 14), 4)
    return tuple(hand for hand in hands if solution(hand) is not None)


def solution(hand: tuple[int, ...]) -> str | None:
    """An expression over the hand that makes 24, or None."""
    return _solve(tuple((float(n), str(n)) for n in hand))


def _solve(items: tuple[tuple[float, str], ...]) -> str | None:
    if len(items) == 1:
        return items[0][1] if abs(items[0][0] - TARGET) < 1e-6 else None
    for i in range(len(items)):
        for j in range(i + 1, len(items)):
            rest = tuple(items[k] for k in range(len(items)) if k not in (i, j))
            (a, x), (b, y) = items[i], items[j]
            made = [(a + b, f"({x} + {y})"), (a - b, f"({x} - {y})"), (b - a, f"({y} - {x})"),
                    (a * b, f"({x} * {y})")]  # fmt: skip
            if b:
                made.append((a / b, f"({x} / {y})"))
            if a:
                made.append((b / a, f"({y} / {x})"))
            for new in made:
                found = _solve((*rest, new))
                if found is not None:
                    return found
    return None


def _task(part: str, row: Row, place: int) -> Task:
    numbers = [int(n) for n in row["numbers"]]
    text = " ".join(map(str, numbers))
    question = (
        f"Use the numbers {text}, each exactly once, with + - * / and brackets to make {TARGET}. "
        "Answer with the expression alone."
    )
    tags = {"numbers": text} | ({"rank": str(row["rank"])} if "rank" in row else {})
    return Task(str(row.get("id", f"game24-{'-'.join(map(str, numbers))}")), question, "", tags)


def _score(task: Task, answer: str) -> float:
    return makes([int(n) for n in task.tags["numbers"].split()], TARGET, answer)


def load(data: str | Path | None = None) -> Game24:
    """The benchmark."""
    return Game24(SOURCE, VERSION, _task, _score, test="game24", data=data)


GAME24 = BenchmarkPlugin(
    "game24",
    "make 24 from four numbers",
    load,
    source="github.com/princeton-nlp/tree-of-thought-llm",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 1262, "test": 100},
    scorer="expression checked exactly",
)

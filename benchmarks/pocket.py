"""The embedded benchmark: generated tasks with exact answers, made for the pocket models.

Source: `paragent.pocket.tasks`, this project. Licence: MIT. Five families (arithmetic, units,
facts, lists, schedule), levels 1 to 6, 2,000 dev and 2,000 test tasks that share no problem. The
values of the made-up units are not in the questions: they stand in the benchmark's notes, which an
agent with a memory can look up.

It is a real but small laboratory: effects measured here (a vote of one small model's samples that
does not help, say) need not hold for large models.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from paragent.benchmark import Task
from paragent.component import Context
from paragent.outcome import Split
from paragent.pocket.tasks import FAMILIES, is_correct, labelled, notes, tasks
from paragent.registry import BenchmarkPlugin

VERSION = "1"


class PocketBenchmark:
    """See the module."""

    name = "pocket"
    version = VERSION

    @property
    def context(self) -> Context:
        """The notes of the tasks' world, the families as skills with 40 training questions of each
        for routers; no examples."""
        return Context(notes=notes(), skills=FAMILIES, labelled=labelled())

    def tasks(self, split: Split) -> Sequence[Task]:
        """2,000 tasks; any prefix is balanced over families."""
        return _tasks(split)

    def score(self, task: Task, answer: str) -> float:
        """1.0 where the final answer is exact, else 0.0."""
        return float(is_correct(task.answer, answer))


@cache
def _tasks(split: Split) -> tuple[Task, ...]:
    return tuple(
        Task(t.id, t.question, t.answer, {"family": t.family, "level": str(t.level)})
        for t in tasks(split)
    )


POCKET = BenchmarkPlugin(
    name="pocket",
    summary="generated tasks of five families with exact answers, for the pocket models",
    load=PocketBenchmark,
    source="paragent.pocket.tasks",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 2000, "test": 2000},
    scorer="exact final answer",
)

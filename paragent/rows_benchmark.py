"""A benchmark over rows of a public data set: tasks made when first asked for, splits that hold.

`dev` comes from the data set's own training or validation part where it has one, and its official
test part is then the test split, whole and untouched. A data set of one part only is divided by
hash of the task's id, so that no task ever changes its split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from paragent.benchmark import Task, check_tasks
from paragent.component import Context, Example
from paragent.hub import Row, Source
from paragent.outcome import Split

#: Makes the task of a row: (part, row, the row's place in the part, from 0).
ToTask = Callable[[str, Row, int], Task]


@dataclass
class RowsBenchmark:
    """Tasks of `source`; `score` is text grading by `scorer` (task, answer).

    `dev` and `test` name the parts of the source; `dev` empty (or `data` a single file): `test` is
    divided by hash, with `test_share` of it to the test split. `examples` names a part whose tasks
    agents may look up; by default `shown` tasks are kept back from `dev` for that. `close` ends
    what the scorer keeps (cages, a worker process).
    """

    source: Source
    version: str
    to_task: ToTask
    scorer: Callable[[Task, str], float | Awaitable[float]]
    test: str
    dev: str = ""
    test_share: float = 0.5
    examples: str = ""
    shown: int = 0
    data: str | Path | None = None
    reads_all: bool = False
    skills: tuple[str, ...] = ()
    close: Callable[[], Awaitable[None]] | None = None
    _kept: dict[str, list[Task]] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.source.name

    @property
    def context(self) -> Context:
        """Worked examples that are no tasks, for agents that look things up."""
        return self._context

    @cached_property
    def _context(self) -> Context:
        if self.examples and self.source.has(self.examples, self.data):
            tasks = self._part(self.examples)
        else:
            tasks = self._dev_and_shown[1]
        return Context(
            examples=tuple(Example(t.question, t.answer) for t in tasks), skills=self.skills
        )

    def tasks(self, split: Split) -> Sequence[Task]:
        """The tasks of one split, in an order fixed by their ids' hashes: any prefix is fair."""
        return self._dev_and_shown[0] if split == "dev" else self._test

    def score(self, task: Task, answer: str) -> float | Awaitable[float]:
        """See the benchmark's own file."""
        return self.scorer(task, answer)

    def __post_init__(self) -> None:
        if self.data is not None and Path(self.data).is_file():
            self.dev = self.examples = ""

    async def aclose(self) -> None:
        """End what the scorer keeps on this event loop."""
        if self.close is not None:
            await self.close()

    @cached_property
    def _dev_and_shown(self) -> tuple[list[Task], list[Task]]:
        if self.dev:
            found = self._part(self.dev)
        else:
            found = [t for t in self._part(self.test) if not self._is_test(t)]
        tasks = without(found, self._test)
        shown = tasks[len(tasks) - self.shown :] if self.shown else []
        return tasks[: len(tasks) - self.shown], shown

    @cached_property
    def _test(self) -> list[Task]:
        tasks = self._part(self.test)
        return tasks if self.dev else [t for t in tasks if self._is_test(t)]

    def everything(self) -> list[Task]:
        """Every row of dev and test parts as a task, examples and repeated questions included."""
        return [*(self._part(self.dev) if self.dev else ()), *self._part(self.test)]

    def _is_test(self, task: Task) -> bool:
        return share_of(task.id) < self.test_share

    def _rows(self, part: str) -> list[Row]:
        return self.source.rows(part, self.data)

    def _part(self, part: str) -> list[Task]:
        if part not in self._kept:
            rows = enumerate(self._rows(part))
            tasks = [self.to_task(part, row, number) for number, row in rows]
            check_tasks(self.name, tasks)
            self._kept[part] = sorted(tasks, key=lambda t: (share_of(t.id, "order:"), t.id))
        return self._kept[part]


def without(tasks: Sequence[Task], others: Sequence[Task]) -> list[Task]:
    """The tasks whose question is none of the others', each question once: data sets repeat some,
    and a question of the test split must not guide a search."""
    taken = {t.question for t in others}
    return list({t.question: t for t in tasks if t.question not in taken}.values())


def share_of(task_id: str, purpose: str = "split:") -> float:
    """A number in [0, 1) that belongs to the id, the same on every machine."""
    digest = hashlib.sha256((purpose + task_id).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48

"""A benchmark whose tasks are environments, from its tasks and a function that opens a world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from paragent.benchmark import Referee, Task
from paragent.component import Answer, Context
from paragent.environment import Environment, Oracle, World
from paragent.outcome import Split


@dataclass(frozen=True)
class WorldBenchmark:
    """`load(split)` gives the tasks, `open_world` a fresh world of one, `known` its oracle.

    `steps` and `plays` are as in `paragent.environment.Interactive`.
    """

    name: str
    version: str
    load: Callable[[Split], Sequence[Task]] = field(repr=False)
    open_world: Callable[[Task, Referee | None], Environment] = field(repr=False)
    known: Callable[[Task], Oracle | None] = field(repr=False)
    steps: int = 0
    plays: int = 1
    context: Context = field(default_factory=Context)

    def tasks(self, split: Split) -> Sequence[Task]:
        """The tasks of one split, in a fixed order."""
        return self.load(split)

    def environment(self, task: Task, referee: Referee | None = None) -> Environment:
        """A fresh world of the task."""
        return self.open_world(task, referee)

    def oracle(self, task: Task) -> Oracle | None:
        """What reaches the full score, where that is known."""
        return self.known(task)

    def score(self, task: Task, answer: str) -> float | Awaitable[float]:
        """What the answer alone is worth, in a world in which nothing was done."""
        return self._untouched(task, answer)

    async def _untouched(self, task: Task, answer: str) -> float:
        environment = self.environment(task)
        try:
            return await World(environment, 0).score(Answer(answer, answer))
        finally:
            await environment.aclose()

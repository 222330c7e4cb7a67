"""A searcher looking for committees on one half of an answer matrix, through the engine's own loop.

Answers are recorded, so a design is graded exactly and at once: no model is asked, no dollar spent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from paragent.benchmark import Task
from paragent.committee import Graded, Rule, grade, smoothed_accuracy
from paragent.committee_space import CommitteeSpace
from paragent.component import Context
from paragent.config import RunConfig
from paragent.design import Design
from paragent.engine import Engine
from paragent.errors import UsageError
from paragent.executor import Job, OnOutcome
from paragent.lab.trial import Timed, parse_searcher
from paragent.memory_store import MemoryStore
from paragent.outcome import Evaluation, Measured, Split, Usage
from paragent.recorded import AnswerMatrix
from paragent.registry import searchers
from paragent.runtime.ledger import Caps, Ledger


def halves(tasks: int, seed: int) -> tuple[Any, Any]:
    """(to choose on, to judge on): the tasks halved by the seed, each in order.

    Raises UsageError for fewer than two tasks.
    """
    if tasks < 2:
        raise UsageError("a matrix of one task cannot be split")
    mixed = np.random.default_rng([seed, 3]).permutation(tasks)
    cut = (tasks + 1) // 2
    return np.sort(mixed[:cut]), np.sort(mixed[cut:])


class CommitteeReplay:
    """The half of a matrix that choices are made on: a benchmark and an executor in one."""

    def __init__(self, matrix: AnswerMatrix, seed: int) -> None:
        self.name, self.version, self.context = matrix.name, "1", Context()
        self.matrix = matrix
        self.choosing, self.judging = halves(len(matrix.task_ids), seed)
        self.accuracy = smoothed_accuracy(matrix, self.choosing)
        self.space = CommitteeSpace(matrix, self.choosing)
        self.graded: dict[Rule, Graded] = {}

    def tasks(self, split: Split) -> Sequence[Task]:
        """The tasks to choose on."""
        if split == "test":
            return []
        return [Task(self.matrix.task_ids[i], "", "") for i in self.choosing]

    def score(self, task: Task, answer: str) -> float:
        """Never used: answers are graded already."""
        raise UsageError("a recorded matrix is graded already")

    async def aclose(self) -> None:
        """Nothing of its own."""

    async def run(self, job: Job, on_outcome: OnOutcome) -> None:
        """Grade the design on the tasks asked."""
        rule = self.space.rule(Design.from_data(job.design))
        found = self.graded.get(rule)
        if found is None:
            found = grade(self.matrix, rule, self.choosing, self.accuracy)
            self.graded[rule] = found
        asked = set(job.task_ids)
        for k, i in enumerate(self.choosing):
            if (name := self.matrix.task_ids[i]) in asked:
                usage = Usage(int(found.calls[k]), 0, 0, float(found.usd[k]))
                on_outcome(name, Measured(float(found.right[k]), usage))


def search_committees(
    matrix: AnswerMatrix, searcher: str, seed: int, evals: int
) -> tuple[CommitteeReplay, list[Design], float]:
    """The split of this seed with all rules that the searcher had graded in `evals` evaluations,
    the designs in the order they were told, and the seconds the searcher took."""
    replay = CommitteeReplay(matrix, seed)
    name, options = parse_searcher(searcher)
    timed = Timed(searchers[name].make(replay.space, seed=seed, cost="usd", **options))
    told: list[Design] = []

    def watch(kind: str, evaluation: Evaluation | None) -> None:
        if kind == "told" and evaluation is not None:
            told.append(evaluation.design)

    config = RunConfig(
        benchmark=matrix.name, searcher=name, evals=evals, tasks=len(replay.choosing), seed=seed,
        parallel=1,
    )  # fmt: skip
    with MemoryStore() as store:
        engine = Engine(config, replay, timed, replay, store, Ledger(Caps()), watch)
        asyncio.run(engine.search())
    return replay, told, timed.seconds

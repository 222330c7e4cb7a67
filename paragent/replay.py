"""A design table replayed through the engine: its tasks, its executor and a simulated clock.

What a task of a design returns:

    none       every task of a design scores the table's mean: an evaluation returns the truth
    binomial   only means are recorded: a task is a 0/1 draw with the design's mean, seeded
    outcomes   recorded results of single tasks; one run of each design is replayed, seeded, and
               every design is asked the same tasks in the same order (paired)
    finite     where only means are known: the recorded tasks are all there is, drawn without
               replacement, so that all of them together give the mean exactly

`--noise recorded` is `outcomes` where they exist, else `binomial`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from paragent.benchmark import Task
from paragent.component import Context
from paragent.design import Design
from paragent.errors import CapReached, UsageError
from paragent.executor import Job, OnOutcome
from paragent.outcome import Measured, Pruned, Split, Usage
from paragent.recorded import DesignTable, Floats

Noise = Literal["none", "recorded", "finite"]

#: Tasks of an evaluation without noise: all score the mean, so their number only says "exact".
EXACT_TASKS = 50


@dataclass
class VirtualClock:
    """Seconds on a machine with `workers` places. `now` is when the last result was told."""

    workers: int
    now: float = 0.0
    _free: list[float] = field(default_factory=list)
    _done: dict[str, float] = field(default_factory=dict)

    def run(self, design: str, seconds: Sequence[float]) -> None:
        """Tasks of these lengths start now, each on the place that is free first."""
        last = self.now
        for length in seconds:
            full = len(self._free) >= self.workers
            start = max(self.now, heapq.heappop(self._free)) if full else self.now
            heapq.heappush(self._free, start + length)
            last = max(last, start + length)
        self._done[design] = max(last, self._done.get(design, 0.0))

    def told(self, design: str) -> None:
        """The searcher learns of the design's result: the clock goes to when it was there."""
        self.now = max(self.now, self._done.get(design, 0.0))


class Replay:
    """One replay of a table under one seed: a benchmark and an executor in one.

    `held_out` (a share of the tasks, only with recorded outcomes) is kept from the search; the
    shares are drawn by the seed. `task_budget` and `cost_budget` (in the table's unit) are hard
    caps on what is run: before either is exceeded CapReached is raised, and what was run stays.
    Raises UsageError for noise that the table does not record.
    """

    def __init__(
        self,
        table: DesignTable,
        noise: Noise = "none",
        *,
        seed: int = 0,
        held_out: float = 0.0,
        workers: int = 1,
        task_budget: int | None = None,
        cost_budget: float | None = None,
    ) -> None:
        if noise == "finite" and table.outcomes is not None:
            noise = "recorded"
        if noise == "finite" and not table.tasks > 1:
            raise UsageError(f"{table.name}: a score of one task cannot be drawn from")
        if noise == "recorded" and table.outcomes is None and not table.binomial:
            raise UsageError(
                f"{table.name}: no noise is recorded (neither outcomes.csv.gz nor binomial n); "
                "use --noise none"
            )
        if not 0 <= held_out < 1:
            raise UsageError(f"the held-out share is {held_out!r}; wanted a share in [0, 1)")
        self.table, self.noise, self.seed = table, noise, seed
        self.name, self.version, self.context = table.name, "1", Context()
        self.clock = VirtualClock(workers)
        self.tasks_run, self.cost_spent = 0, 0.0
        self._budget, self._cost_budget = task_budget, cost_budget
        self._drawn: dict[int, tuple[Floats, Floats]] = {}
        order = np.random.default_rng([seed, 1])
        if noise == "none":
            self._ids: tuple[str, ...] = tuple(f"exact-{i}" for i in range(EXACT_TASKS))
            self.held: NDArray[np.int64] = np.arange(0)
        elif table.outcomes is None:
            count = table.tasks if noise == "finite" else table.binomial
            self._ids, self.held = tuple(f"draw-{i}" for i in range(count)), np.arange(0)
        else:
            mixed = order.permutation(len(table.outcomes.task_ids))
            cut = round(len(mixed) * held_out)
            cut = min(cut, len(mixed) - 1)
            self.held, self._asked = mixed[:cut], mixed[cut:]
            self._ids = tuple(table.outcomes.task_ids[i] for i in self._asked)
        self._place = {name: i for i, name in enumerate(self._ids)}

    # The benchmark.

    def tasks(self, split: Split) -> Sequence[Task]:
        """The tasks that may be asked, in this seed's order; none in the test split."""
        return [Task(name, name, "") for name in self._ids] if split == "dev" else []

    def score(self, task: Task, answer: str) -> float:
        """Never used: a replay has scores, no answers."""
        raise UsageError("a replayed table has no answers to score")

    # The executor.

    async def run(self, job: Job, on_outcome: OnOutcome) -> None:
        """Look the job's tasks up; a task that was not recorded is Pruned."""
        design = Design.from_data(job.design)
        index = self.table.index(design)
        scores, costs = self.drawn(index)
        wait = float(self.table.latency[index])
        wait = 0.0 if math.isnan(wait) else wait
        ran = 0
        try:
            for name in job.task_ids:
                i = self._place[name]
                self._check_budget(float(costs[i]))
                if math.isnan(scores[i]):
                    on_outcome(name, Pruned("not recorded"))
                    continue
                cost = None if math.isnan(costs[i]) else float(costs[i])
                self.tasks_run += 1
                ran += 1
                self.cost_spent += cost or 0.0
                on_outcome(name, Measured(float(scores[i]), Usage(1, 0, 0, cost, wait)))
        finally:
            self.clock.run(design.hash, [wait] * ran)

    async def aclose(self) -> None:
        """Nothing of its own."""

    def _check_budget(self, cost: float) -> None:
        if self._budget is not None and self.tasks_run >= self._budget:
            raise CapReached("tasks")
        if self._cost_budget is None:
            return
        if math.isnan(cost):
            raise UsageError(f"{self.table.name}: a cap on cost needs the cost of every design")
        if self.cost_spent + cost > self._cost_budget * (1 + 1e-12):  # sums of floats
            raise CapReached("usd")

    def drawn(self, index: int) -> tuple[Floats, Floats]:
        """(scores, costs) of a design on every task, as this seed replays it."""
        if index not in self._drawn:
            self._drawn[index] = self._draw(index)
        return self._drawn[index]

    def _draw(self, index: int) -> tuple[Floats, Floats]:
        table, n = self.table, len(self._ids)
        if self.noise == "none":
            return np.full(n, table.score[index]), np.full(n, table.cost[index])
        rng = np.random.default_rng([self.seed, 2, index])
        if self.noise == "finite":
            share = np.clip(table.score[index] * n - np.arange(n), 0.0, 1.0)  # 1, …, 1, rest, 0, …
            return rng.permutation(share), np.full(n, table.cost[index])
        if table.outcomes is None:
            hits = rng.random(n) < table.score[index]
            return hits.astype(float), np.full(n, table.cost[index])
        runs = np.flatnonzero(~np.isnan(table.outcomes.score[index]).all(axis=1))
        run = rng.choice(runs)
        recorded = table.outcomes
        return recorded.score[index, run][self._asked], recorded.cost[index, run][self._asked]

    def held_out_scores(self) -> Floats:
        """Mean score of every design on the tasks kept from the search; the table's scores where
        none are kept (a mean over all runs is then as fresh as can be had)."""
        if self.table.outcomes is None or not len(self.held):
            return self.table.score
        means: Floats = np.nanmean(self.table.outcomes.mean_score[:, self.held], axis=1)
        return means

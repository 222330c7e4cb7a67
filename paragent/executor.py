"""Runs evaluation jobs. A job is plain data, so the same job runs here or on another machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from paragent.benchmark import Benchmark
from paragent.chat import Caller
from paragent.compile import System, compile_design
from paragent.errors import UsageError
from paragent.evaluate import evaluate_task
from paragent.inventory import design_of
from paragent.outcome import Failed, Outcome, Purpose, Split
from paragent.runtime.limits import Limiter, Limits, turns_of

#: Told of every outcome as soon as it is there: (task id, outcome).
OnOutcome = Callable[[str, Outcome], None]


@dataclass(frozen=True)
class Job:
    """One design on some tasks of one split: its canonical data, and under `subagents` those that
    workers may not have (see `paragent.inventory.design_of`)."""

    design: Mapping[str, Any]
    split: Split
    task_ids: tuple[str, ...]
    purpose: Purpose
    seed: int


class Executor(Protocol):
    """Where jobs run. `run` tells every outcome once; CapReached ends it, outcomes told stay."""

    async def run(self, job: Job, on_outcome: OnOutcome) -> None: ...

    async def aclose(self) -> None:
        """Let go of workers, where it has some."""


class LocalExecutor:
    """In this process, on the running event loop; tasks of all jobs share `in_flight` places.

    Designs take turns for them, and for the calls that a model's limits allow.
    """

    def __init__(self, benchmark: Benchmark, caller: Caller, *, in_flight: int = 256) -> None:
        self._benchmark, self._caller = benchmark, caller
        self._places = Limiter(Limits(concurrency=in_flight))
        self._tasks = {
            split: {task.id: task for task in benchmark.tasks(split)} for split in ("dev", "test")
        }

    async def run(self, job: Job, on_outcome: OnOutcome) -> None:
        """Run the job's tasks side by side. The first CapReached cancels the others.

        A design with a part that cannot be built fails on every task; other designs go on.
        """
        try:
            system = compile_design(design_of(job.design))
        except UsageError as error:
            for task_id in job.task_ids:
                on_outcome(task_id, Failed("component", str(error)))
            return
        running = [
            asyncio.ensure_future(self._one(system, job, task_id, on_outcome))
            for task_id in job.task_ids
        ]
        try:
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def aclose(self) -> None:
        """Nothing of its own: models belong to the caller."""

    async def _one(self, system: System, job: Job, task_id: str, on_outcome: OnOutcome) -> None:
        turns_of.set(system.design.hash)  # each task of the event loop has a context of its own
        async with self._places.slot():
            outcome = await evaluate_task(
                system,
                self._benchmark,
                self._tasks[job.split][task_id],
                self._caller,
                purpose=job.purpose,
                seed=job.seed,
            )
        on_outcome(task_id, outcome)

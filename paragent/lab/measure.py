"""Measure given designs on given tasks, without a search: the instrument of the lab's tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from paragent.ask import DirectCaller
from paragent.benchmark import Benchmark
from paragent.design import Design
from paragent.executor import Job, LocalExecutor
from paragent.outcome import Evaluation, Outcome, Split
from paragent.runtime.pocket import close_pool


async def measure_designs(
    benchmark: Benchmark,
    designs: Sequence[Design],
    split: Split,
    tasks: int,
    *,
    seed: int = 0,
    done: Callable[[Evaluation], None] = lambda evaluation: None,
    ids: Sequence[str] = (),
) -> list[Evaluation]:
    """Every design on the first `tasks` tasks of a split (or on those of `ids`), one design after
    the other."""
    ids = tuple(ids) or tuple(t.id for t in benchmark.tasks(split)[:tasks])
    executor = LocalExecutor(benchmark, DirectCaller())
    found = []
    try:
        for design in designs:
            outcomes: dict[str, Outcome] = {}
            job = Job(design.to_data(), split, ids, "final-eval", seed)
            await executor.run(job, outcomes.__setitem__)
            evaluation = Evaluation(
                design, split, "final-eval", {i: outcomes[i] for i in ids if i in outcomes}
            )
            found.append(evaluation)
            done(evaluation)
    finally:
        await close_pool()
    return found


def measure(
    benchmark: Benchmark,
    designs: Sequence[Design],
    split: Split,
    tasks: int,
    *,
    seed: int = 0,
    done: Callable[[Evaluation], None] = lambda evaluation: None,
    ids: Sequence[str] = (),
) -> list[Evaluation]:
    """`measure_designs`, run to its end."""
    return asyncio.run(
        measure_designs(benchmark, designs, split, tasks, seed=seed, done=done, ids=ids)
    )

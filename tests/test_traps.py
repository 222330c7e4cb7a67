"""The traps of the knapsack's and the bandit's sources: each in the page's table has its test."""

from __future__ import annotations

import asyncio
import re
from functools import cache
from pathlib import Path

import pytest

from paragent.benchmarks.pocket import PocketBenchmark
from paragent.config import RunConfig
from paragent.engine import Engine
from paragent.executor import Job, OnOutcome
from paragent.memory_store import MemoryStore
from paragent.outcome import Measured, Usage
from paragent.registry import searchers
from paragent.runtime.ledger import Caps, Ledger
from paragent.testing import toy_space

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "composing.md"


def test_every_trap_of_the_page_has_its_test() -> None:
    """Twenty of them, each named by a file and a function that exist."""
    if not PAGE.is_file():
        pytest.skip("the pages are in a checkout only")
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)` \|", PAGE.read_text(encoding="utf-8"))
    assert len(set(named)) == 20
    for file, function in named:
        assert f"def {function}(" in (HERE / file).read_text(encoding="utf-8"), (file, function)


class Noting:
    """Runs nothing: every task is right; notes the splits, purposes and tasks that were asked."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def run(self, job: Job, on_outcome: OnOutcome) -> None:
        """One outcome for each task."""
        self.jobs.append(job)
        for task in job.task_ids:
            on_outcome(task, Measured(1.0, Usage(1, 1, 1, 0.1)))

    async def aclose(self) -> None:
        """Nothing to close."""


@cache
def jobs_of(searcher: str) -> list[Job]:
    """What thirty evaluations of a search ask to be run."""
    benchmark, executor = PocketBenchmark(), Noting()
    config = RunConfig(searcher=searcher, evals=30, tasks=20)
    plugin = searchers[searcher]
    questions = {t.id: t.question for t in benchmark.tasks("dev")[:60]}
    options = {"questions": questions} if plugin.reads_tasks else {}
    made = plugin.make(toy_space(), seed=0, cost="usd", **options)
    with MemoryStore() as store:
        ledger = Ledger(Caps(evaluations=30))
        engine = Engine(
            config, benchmark, made, executor, store, ledger, lambda kind, evaluation: None
        )
        asyncio.run(engine.search())
    return executor.jobs


@pytest.mark.parametrize("searcher", ["bandit", "knapsack"])
def test_a_search_never_sees_a_task_of_the_test_split(searcher: str) -> None:
    """Warm-ups, trials and teams alike run on dev tasks, and no question is in both splits."""
    benchmark = PocketBenchmark()
    dev, test = ({t.id for t in benchmark.tasks(split)} for split in ("dev", "test"))
    jobs = jobs_of(searcher)
    assert jobs and {job.split for job in jobs} == {"dev"}
    assert {t for job in jobs for t in job.task_ids} <= dev - test


@pytest.mark.parametrize(("searcher", "purpose"), [("bandit", "warm-up"), ("knapsack", "trial")])
def test_trials_and_warm_ups_have_purposes_of_their_own(searcher: str, purpose: str) -> None:
    """So the ledger tells them from the evaluations of teams."""
    assert {purpose, "search-eval"} <= {job.purpose for job in jobs_of(searcher)}

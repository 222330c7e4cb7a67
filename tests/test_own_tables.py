"""The shipped tables: how they are made, that they equal live runs, that files are checked."""

from __future__ import annotations

import asyncio
import random

import pytest

from paragent.benchmarks.pocket_hard import PocketHard
from paragent.lab import own_tables
from paragent.lab.measure import measure_designs
from paragent.outcome import Measured

#: A seed that is not 0: a draw that ignored it would differ.
TASKS, RUN = 3, 1


def test_the_space_is_what_the_page_says() -> None:
    """20 single agents, 210 votes of two, 400 ordered pairs in each of five cascades."""
    levels = list(own_tables.all_levels())
    assert len(levels) == len(set(levels)) == 20 + 210 + 5 * 400
    for row in levels:
        assert all(x in own for x, own in zip(row, own_tables.FACTORS.values(), strict=True))


def test_recombined_equals_live() -> None:
    """Designs put together from recorded answers score and cost exactly what a live run of them
    measures: a random sample with at least one of every topology."""
    benchmark, rng = PocketHard(), random.Random(5)
    tasks = own_tables.chosen_tasks(benchmark, TASKS // 3)
    every = list(own_tables.all_levels())
    sample = [
        rng.choice([row for row in every if row[0] == topology])
        for topology in own_tables.FACTORS["topology"]
    ] + rng.sample(every, 3)

    async def both() -> None:
        needed = {
            own_tables.key_of(cell, path, RUN)
            for topology, *row in sample
            for cell, path in [((row[0], row[1]), "0"), ((row[2], row[3]), "1")]
            for path in (["" if topology == own_tables.SINGLE else path])
            if cell[0] != own_tables.NONE
        }
        answers = {
            key: await own_tables.answer_all(benchmark, tasks, key) for key in sorted(needed)
        }
        made = own_tables.Recombination(benchmark, tasks, answers)
        designs = [own_tables.design_of(row) for row in sample]
        ids = [task.id for task in tasks]
        live = await measure_designs(benchmark, designs, "dev", 0, seed=RUN, ids=ids)
        for row, evaluation in zip(sample, live, strict=True):
            for i, name in enumerate(ids):
                outcome = evaluation.outcomes[name]
                assert isinstance(outcome, Measured)
                found = await made.outcome(row, i, RUN)
                assert found is not None
                assert found[0] == outcome.score
                assert found[1] == pytest.approx(outcome.usage.usd, abs=1e-15)

    asyncio.run(both())

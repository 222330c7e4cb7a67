"""The shipped tables: how they are made, that they equal live runs, that files are checked."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from paragent.benchmarks.pocket_hard import PocketHard
from paragent.cli import main
from paragent.design import Param
from paragent.errors import ConfigError
from paragent.lab import own_tables
from paragent.lab.measure import measure_designs
from paragent.lab.shipped import open_table, shipped
from paragent.lab.table_files import Column, write_table
from paragent.outcome import Evaluation, Measured
from paragent.recorded import load_table

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


def test_a_table_is_written_as_it_is_read(tmp_path: Path) -> None:
    """Two designs, two runs, two tasks; a blank where there was no outcome is left out of means."""
    rows = {
        "a": Column(("x",), [[1.0, 0.0], [1.0, None]], [[2000, 4000], [3000, None]]),
        "b": Column(("y",), [[0.0, 0.0], [0.0, 1.0]], [[10, 10], [10, 10]]),
    }
    write_table(tmp_path, "small", {"f": ["x", "y"]}, rows, ["t1", "t2"])
    table = load_table(tmp_path)
    assert table.score.tolist() == pytest.approx([2 / 3, 1 / 4], abs=1e-6)
    assert table.cost.tolist() == pytest.approx([3e-6, 1e-8])
    assert table.outcomes is not None
    assert table.outcomes.task_ids == ("t1", "t2")
    assert table.outcomes.cost[0, 0].tolist() == pytest.approx([2e-6, 4e-6])
    assert np.isnan(table.outcomes.score[0, 1, 1])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_table(tmp_path, "small", {"f": ["x", "y"]}, rows, ["t1", "t2"])
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_table_is_what_its_means_say(name: str) -> None:
    """Every hash holds; 2,230 designs x 3 runs x 200 tasks, no outcome missing; the scores and
    costs of table.csv are the means of the outcomes."""
    table = open_table(name)
    assert table.outcomes is not None
    assert table.outcomes.score.shape == (2230, 3, 200)
    assert not np.isnan(table.outcomes.score).any()
    assert np.abs(table.outcomes.score.mean(axis=(1, 2)) - table.score).max() < 1e-6
    assert np.abs(table.outcomes.cost.mean(axis=(1, 2)) / table.cost - 1).max() < 1e-6


def test_a_shipped_table_equals_a_live_run() -> None:
    """Four designs of the mixed table, run again on eight tasks under the seed of run 1: what was
    shipped. (One answer in twenty may differ: another processor rounds differently.)"""
    table, benchmark = open_table("pocket-mixed"), PocketHard()
    assert table.outcomes is not None
    rows = [17, 452, 1186, 2151]
    ids = list(table.outcomes.task_ids[:8])

    async def live() -> list[Evaluation]:
        designs = [own_tables.design_of(levels_of(table.rows[i])) for i in rows]
        return await measure_designs(benchmark, designs, "dev", 0, seed=1, ids=ids)

    found = [list(e.scores.values()) for e in asyncio.run(live())]
    same = np.array(found) == table.outcomes.score[rows, 1][:, :8]
    assert same.mean() >= 0.95


def test_a_changed_file_is_told(tmp_path: Path) -> None:
    """One byte more, or no file at all: the file is named."""
    folder = tmp_path / "pocket-facts"
    shutil.copytree(Path(own_tables.__file__).parent / "tables" / "pocket-facts", folder)
    (folder / "table.csv").write_text((folder / "table.csv").read_text() + "\n")
    with pytest.raises(ConfigError, match=r"table\.csv is not the file"):
        open_table("pocket-facts", tmp_path)
    (folder / "table.csv").unlink()
    with pytest.raises(ConfigError, match=r"table\.csv is missing"):
        open_table("pocket-facts", tmp_path)


def test_an_unknown_table_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a folder nor a name."""
    assert main(["lab", "compare", "--table", "pocket-fact", "--searchers", "random"]) == 2
    assert "Did you mean 'pocket-facts'?" in capsys.readouterr().err


def test_tables_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """With sizes, licence and hashes."""
    assert main(["list", "tables", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["tables"]
    assert [t["name"] for t in listed] == list(shipped())
    assert all(t["licence"] == "MIT" and len(t["sha256"]) == 4 for t in listed)


def levels_of(row: tuple[Param | None, ...]) -> own_tables.Levels:
    """A table's row as the levels that it was made of."""
    one, two, three, four, five = map(str, row)
    return one, two, three, four, five

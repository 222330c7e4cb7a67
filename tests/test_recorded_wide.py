"""Outcomes in the wide form: by hand, equal to the long form, and what is wrong with a file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from test_recorded import CSV, YAML, write

from paragent.errors import ConfigError
from paragent.recorded import load_table

IDS = [line.split(",")[0] for line in CSV.splitlines()[1:]]
SCORES = "design_id,run,t1,t2\n" + "".join(f"{i},0,1,0\n{i},1,,1\n" for i in IDS)
COSTS = "design_id,run,t1,t2\n" + "".join(f"{i},0,2000,4000\n{i},1,,8000\n" for i in IDS)


def folder(path: Path, scores: str = SCORES, costs: str | None = COSTS, yaml: str = YAML) -> Path:
    """A table with wide outcomes."""
    path.mkdir(exist_ok=True)
    write(path, yaml + "cost_scale: 1.0e-9\n", CSV)
    (path / "scores.csv.gz").write_bytes(gzip.compress(scores.encode()))
    if costs is not None:
        (path / "costs.csv.gz").write_bytes(gzip.compress(costs.encode()))
    return path


def test_wide_outcomes_by_hand(tmp_path: Path) -> None:
    """[designs, runs, tasks], blanks are not recorded, costs in billionths."""
    outcomes = load_table(folder(tmp_path)).outcomes
    assert outcomes is not None
    assert outcomes.task_ids == ("t1", "t2")
    assert outcomes.score[0, 0].tolist() == [1.0, 0.0]
    assert np.isnan(outcomes.score[0, 1, 0]) and np.isnan(outcomes.cost[0, 1, 0])
    assert outcomes.cost[-1, 1, 1] == pytest.approx(8e-6)


def test_both_forms_are_one(tmp_path: Path) -> None:
    """The same outcomes, written long."""
    wide = load_table(folder(tmp_path / "wide")).outcomes
    (tmp_path / "long").mkdir()
    write(tmp_path / "long", YAML, CSV)
    lines = ["design_id,task_id,run,score,cost_usd"]
    for i in IDS:
        lines += [f"{i},t1,0,1,2e-6", f"{i},t2,0,0,4e-6", f"{i},t2,1,1,8e-6"]
    data = gzip.compress("\n".join(lines).encode())
    (tmp_path / "long" / "outcomes.csv.gz").write_bytes(data)
    long = load_table(tmp_path / "long").outcomes
    assert wide is not None and long is not None and wide.task_ids == long.task_ids
    np.testing.assert_array_equal(wide.score, long.score)
    np.testing.assert_allclose(wide.cost, long.cost)


def test_without_costs_the_row_s_cost_stands_in(tmp_path: Path) -> None:
    """Every recorded task then costs the design's mean."""
    table = load_table(folder(tmp_path, costs=None))
    assert table.outcomes is not None
    assert table.outcomes.cost[0, 0].tolist() == [table.cost[0]] * 2


BAD = [
    (SCORES.replace(f"{IDS[0]},0", "zz,0"), COSTS, "line 2: 'zz' is no design of table.csv"),
    (SCORES.replace(f"{IDS[0]},1", f"{IDS[0]},0"), COSTS, "run '0' twice"),
    (SCORES.replace(f"{IDS[0]},0,1", f"{IDS[0]},0,nan"), COSTS, "line 2: t1 is 'nan'"),
    (SCORES.replace(f"{IDS[0]},0,1", f"{IDS[0]},0,2"), COSTS, r"wanted a number in \[0, 1\]"),
    (SCORES.replace("run", "ran"), COSTS, "column 'run' is missing"),
    (SCORES.replace("t2", "t1"), COSTS, "'t1' is given twice"),
    (SCORES.splitlines()[0], COSTS, "no outcomes"),
    ("\n".join(SCORES.splitlines()[:3]), COSTS, "no outcome of design"),
    (SCORES, COSTS.replace("t2", "t3"), "differ in runs or tasks"),
    (SCORES, COSTS.replace("2000", "-1"), "t1 is '-1'; wanted 0 or more"),
    (SCORES, COSTS.replace(",4000", ""), "3 cells, the header has 4"),
]


@pytest.mark.parametrize(("scores", "costs", "message"), BAD, ids=[m for _, _, m in BAD])
def test_bad_files_say_what_and_where(
    tmp_path: Path, scores: str, costs: str, message: str
) -> None:
    """One line with the file and the line or design."""
    with pytest.raises(ConfigError, match=message) as told:
        load_table(folder(tmp_path, scores, costs))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("scale", ["0", "-1", "much", ".inf", "true"])
def test_a_scale_that_is_none_is_refused(tmp_path: Path, scale: str) -> None:
    """The costs' unit must be a number above 0."""
    write(tmp_path, f"{YAML}cost_scale: {scale}\n", CSV)
    with pytest.raises(ConfigError, match="cost_scale is"):
        load_table(tmp_path)


def test_both_forms_at_once_are_refused(tmp_path: Path) -> None:
    """Which of them would be right?"""
    folder(tmp_path)
    (tmp_path / "outcomes.csv.gz").write_bytes(gzip.compress(b"design_id,task_id,score\n"))
    with pytest.raises(ConfigError, match="remove one"):
        load_table(tmp_path)

"""Recorded tables and answer matrices: what is read, and what is refused in one clear line."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from real_data import real_data

from paragent.errors import ConfigError, ParagentError, UsageError
from paragent.pareto import front
from paragent.recorded import DesignTable, load_matrix, load_table

YAML = """
name: toy
factors: {model: [s, m], n: [1, 3]}
objectives:
  score: {direction: maximize}
  cost_usd: {direction: minimize, per: 10 tasks}
tasks: 10
noise: binomial n=10 (means only)
extra_columns: {note: for people}
something_new: 1
"""
CSV = """design_id,model,n,score,cost_usd,latency_s,note,unknown
a,s,1,0.5,0.10,1.5,secret,x
b,s,3,0.6,0.30,,,
c,m,1,0.9,1.00,2,,
"""


def write(folder: Path, yaml: str = YAML, csv: str = CSV, outcomes: str | None = None) -> Path:
    """A table's folder."""
    (folder / "table.yaml").write_text(yaml)
    (folder / "table.csv").write_text(csv)
    if outcomes is not None:
        (folder / "outcomes.csv.gz").write_bytes(gzip.compress(outcomes.encode()))
    return folder


def test_a_table_by_hand(tmp_path: Path) -> None:
    """Costs are per task, blanks unknown, unknown columns and keys ignored."""
    table = load_table(write(tmp_path))
    assert table.ids == ("a", "b", "c")
    assert table.rows == (("s", 1), ("s", 3), ("m", 1))
    assert list(table.cost) == pytest.approx([0.01, 0.03, 0.1])
    assert table.latency[0] == 1.5 and math.isnan(table.latency[1])
    assert table.binomial == 10 and table.outcomes is None
    assert [table.index(table.design(i)) for i in range(3)] == [0, 1, 2]


def test_extra_columns_are_never_shown(tmp_path: Path) -> None:
    """A design holds the factors and levels, nothing else of its row."""
    table = load_table(write(tmp_path))
    for i in range(3):
        text = str(table.design(i).to_data()) + str(dict(table.space.features(table.design(i))))
        assert "secret" not in text and "0.5" not in text and "design_id" not in text


def test_outcomes_by_hand(tmp_path: Path) -> None:
    """Means over runs; a run without a cost takes the mean of the design's others on that task."""
    outcomes = "design_id,task_id,run,score,cost_usd\n"
    outcomes += "a,t1,r1,1,0.1\na,t1,r2,0,\na,t2,r1,1,\nb,t1,r1,0,0.3\nc,t2,r1,1,\n"
    table = load_table(write(tmp_path, outcomes=outcomes))
    found = table.outcomes
    assert found is not None and found.task_ids == ("t1", "t2")
    assert found.mean_score[0].tolist() == [0.5, 1.0]
    assert found.cost[0, :, 0].tolist() == [0.1, 0.1]
    assert found.cost[0, 0, 1] == pytest.approx(0.01), "no run has one: the row's per task"
    assert np.isnan(found.score[1]).tolist() == [[False, True], [True, True]]


def test_rows_that_share_levels_differ_in_their_id(tmp_path: Path) -> None:
    """With repeated_factor_combinations the id becomes a choice, for those rows only."""
    csv = CSV + "d,s,1,0.4,0.2,,,\n"
    with pytest.raises(ConfigError, match="'a' and 'd' have the same levels"):
        load_table(write(tmp_path, csv=csv))
    table = load_table(write(tmp_path, YAML + "repeated_factor_combinations: true\n", csv))
    assert table.space.size() == 4
    assert "design_id=d" in table.design(3).label
    assert "design_id" not in table.design(2).label
    assert [table.index(table.design(i)) for i in range(4)] == [0, 1, 2, 3]


def test_one_design_and_one_level_are_fine(tmp_path: Path) -> None:
    """A table of one row, and a factor that never varies."""
    yaml = YAML.replace("model: [s, m], n: [1, 3]", "model: [s], n: [1]")
    table = load_table(write(tmp_path, yaml, "\n".join(CSV.splitlines()[:2])))
    assert len(table) == table.space.size() == 1


BAD = [
    (YAML, CSV.replace("0.6", ""), r"line 3: score is empty"),
    (YAML, CSV.replace("0.6", "nan"), r"line 3: score is 'nan'; wanted a number in \[0, 1\]"),
    (YAML, CSV.replace("0.6", "1.6"), r"wanted a number in \[0, 1\]"),
    (YAML, CSV.replace("0.6", "good"), "wanted a number"),
    (YAML, CSV.replace("0.30", "-1"), "cost_usd is '-1'"),
    (YAML, CSV.replace("b,s,3", "a,s,3"), "design_id 'a' is given twice"),
    (YAML, CSV.replace("b,s,3", "b,,3"), "line 3: model is empty"),
    (YAML, CSV.replace("b,s,3", "b,S,3"), "'S' is no level of 'model'. Did you mean 's'"),
    (YAML, CSV.replace("b,s,3", "b,s"), "line 3: 7 cells, the header has 8"),
    (YAML, CSV.replace("unknown", "note"), "'note' is given twice"),
    (YAML, CSV.replace(",score,", ",points,"), "column 'score' is missing"),
    (YAML, CSV.splitlines()[0], "no designs"),
    (YAML.replace("n: [1, 3]", "n: []"), CSV, "line 3, column 26: factor 'n' needs a list"),
    (YAML.replace("n: [1, 3]", "n: [1, 1]"), CSV, "names a level twice"),
    (YAML.replace("tasks: 10", "tasks: ten"), CSV, "tasks is 'ten'"),
    (YAML.replace("direction: maximize", "direction: up"), CSV, "wanted `direction: maximize`"),
    (YAML.replace("direction: maximize", "direction: minimize"), CSV, "a score is maximised"),
    (YAML.replace("binomial n=10 (means only)", "per-task outcomes"), CSV, "outcomes.csv.gz is"),
    ("[]", CSV, "wanted a mapping"),
]


@pytest.mark.parametrize(("yaml", "csv", "message"), BAD, ids=[m for _, _, m in BAD])
def test_bad_tables_say_what_and_where(tmp_path: Path, yaml: str, csv: str, message: str) -> None:
    """One line with the file and the line or design."""
    with pytest.raises(ParagentError, match=message) as caught:
        load_table(write(tmp_path, yaml, csv))
    assert "\n" not in str(caught.value)


BAD_OUTCOMES = [
    ("z,t1,r1,1,1\n", "'z' is no design"),
    ("a,t1,r1,1,1\na,t1,r1,0,1\n", "design 'a', task 't1', run 'r1' twice"),
    ("a,t1,r1,2,1\n", "wanted a number in"),
    ("a,t1,r1,1,1\n", "no outcome of design 'b'"),
    ("", "no outcomes"),
]


@pytest.mark.parametrize(("lines", "message"), BAD_OUTCOMES, ids=[m for _, m in BAD_OUTCOMES])
def test_bad_outcomes_say_what_and_where(tmp_path: Path, lines: str, message: str) -> None:
    """The same for the file of outcomes."""
    text = "design_id,task_id,run,score,cost_usd\n" + lines
    with pytest.raises(ConfigError, match=message):
        load_table(write(tmp_path, outcomes=text))


def test_a_folder_that_holds_no_table(tmp_path: Path) -> None:
    """No folder, an empty folder, and a matrix where a table was wanted."""
    with pytest.raises(UsageError, match="no such folder"):
        load_table(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"table\.yaml is missing"):
        load_table(tmp_path)
    (tmp_path / "matrix.yaml").write_text("models: {}")
    with pytest.raises(UsageError, match=r"it has matrix\.yaml"):
        load_table(tmp_path)


def test_a_matrix_by_hand(tmp_path: Path) -> None:
    """Right, agreement, prices: 8 characters are 2 tokens in; an empty answer is none."""
    (tmp_path / "matrix.yaml").write_text(
        "name: toy\nmodels:\n  x: {usd_per_mtok_in: 1, usd_per_mtok_out: 2}\n"
        "  y: {usd_per_mtok_in: null, usd_per_mtok_out: 1}\n"
    )
    for name, text in {
        "tasks": "task_id,gold,prompt_chars,question\nt1,7,8,q\nt2,9,5,q\n",
        "answers": "task_id,x,y\nt2,9,\nt1,7,7\n",
        "output_tokens": "task_id,x,y\nt1,10,1\nt2,1,1\n",
    }.items():
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    matrix = load_matrix(tmp_path)
    assert matrix.right.tolist() == [[True, True], [True, False]]
    assert matrix.answer.tolist() == [[0, 0], [0, -1]]
    assert matrix.usd[:, 0].tolist() == pytest.approx([22e-6, 4e-6])
    assert np.isnan(matrix.usd[:, 1]).all(), "an unknown price is not zero"


def points(table: DesignTable) -> list[tuple[float | None, float | None]]:
    """(score, cost) of every row."""
    return list(zip(map(float, table.score), map(float, table.cost), strict=True))


def test_hotpot_as_published() -> None:
    """81 rows, best 0.7427 at $2.64, five on the front, $51.91 in all."""
    table = load_table(real_data("recorded", "hotpot-planner-solver-81"))
    best = int(table.score.argmax())
    assert len(table) == table.space.size() == 81
    assert table.score[best] == 0.7427 and table.cost[best] * 200 == pytest.approx(2.64)
    assert table.rows[best] == ("Ministral 3 8B", "Claude Opus 4.6")
    assert len(front(points(table))) == 5
    assert table.cost.sum() * 200 == pytest.approx(51.91)


def test_humaneval_as_published() -> None:
    """29 rows, 143 runs, best 0.932927 at $6.355392, ten on the front; means agree with rows."""
    table = load_table(real_data("recorded", "humaneval-designs"))
    found = table.outcomes
    assert found is not None
    assert len(table) == table.space.size() == 29
    assert (~np.isnan(found.score).all(axis=2)).sum() == 143
    best = int(table.score.argmax())
    assert table.score[best] == 0.932927 and table.cost[best] * 164 == pytest.approx(6.355392)
    assert len(front(points(table))) == 10
    assert np.abs(found.mean_score.mean(axis=1) - table.score).max() < 1e-6
    assert np.abs(found.mean_cost.mean(axis=1) - table.cost).max() < 1e-6


def test_zeroeval_as_published() -> None:
    """Accuracy and price of two models; at least one of 44 is right on 0.9962."""
    matrix = load_matrix(real_data("recorded", "zeroeval-gsm8k"))
    rows = {
        "claude-3-5-sonnet-20241022": (0.9666, 1.943),
        "gpt-4o-mini-2024-07-18": (0.9424, 0.103),
    }
    for name, (accuracy, usd) in rows.items():
        k = matrix.models.index(name)
        assert matrix.right[:, k].mean() == pytest.approx(accuracy, abs=5e-5)
        assert matrix.usd[:, k].mean() * 1000 == pytest.approx(usd, abs=5e-4)
    assert matrix.right.any(axis=1).mean() == pytest.approx(0.9962, abs=5e-5)

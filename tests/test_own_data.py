"""A user's own table: every format, every scorer, and mistakes told with their line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from paragent import open_run, optimize, resume
from paragent.benchmark import Task, tasks_digest
from paragent.cli import main
from paragent.errors import StoreError, UsageError
from paragent.own_data import load

ROWS = [(f"What is {a} + 7, the {a}th?", str(a + 7)) for a in range(40)]
Write = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Write:
    """Writes rows as CSV and returns the path."""

    def write(
        rows: list[tuple[str, str]] = ROWS,
        name: str = "my.csv",
        head: tuple[str, str] = ("question", "label"),
        encoding: str = "utf-8",
        delimiter: str = ",",
    ) -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding=encoding) as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(head)
            writer.writerows(rows)
        return path

    return write


def test_all_formats_hold_the_same_tasks(table: Write, tmp_path: Path) -> None:
    """CSV, with a byte-order mark, with semicolons or tabs, JSON lines and JSON."""
    objects = [{"question": q, "label": int(a)} for q, a in ROWS]
    lines = tmp_path / "my.jsonl"
    lines.write_text("\n".join(map(json.dumps, objects)) + "\n\n", encoding="utf-8")
    whole = tmp_path / "my.json"
    whole.write_text(json.dumps(objects), encoding="utf-8")
    files = [
        table(),
        table(name="bom.csv", encoding="utf-8-sig"),
        table(name="semi.csv", delimiter=";"),
        table(name="my.tsv", delimiter="\t"),
        lines,
        whole,
    ]
    assert len({tasks_digest(load(file)) for file in files}) == 1


@pytest.mark.parametrize(
    ("scorer", "rows", "right", "wrong"),
    [
        ("number", ROWS, "so it is 7.", "8"),
        ("exact", ROWS, " 7 ", "seven"),
        ("f1", [(q, f"about {a} ducks") for q, a in ROWS], "about 7 ducks", "none"),
        ("choice", [(q, "B") for q, _ in ROWS], "The answer is (B)", "A"),
        ("yes_no", [(q, "yes") for q, _ in ROWS], "Yes.", "no"),
    ],
)
def test_every_scorer_by_name(
    table: Write, scorer: str, rows: list[tuple[str, str]], right: str, wrong: str
) -> None:
    """A right answer scores 1, a wrong one 0."""
    benchmark = load(table(rows), scorer=scorer)
    task = Task("x", *rows[0])
    assert (benchmark.score(task, right), benchmark.score(task, wrong)) == (1.0, 0.0)


def test_a_scorer_of_ones_own(table: Write, tmp_path: Path) -> None:
    """A function in a file; its text is part of the version, so a change ends resuming."""
    file = tmp_path / "mine.py"
    file.write_text("def half(expected, given):\n    return 0.5\n", encoding="utf-8")
    before = load(table(), scorer=f"python:{file}:half")
    assert before.score(Task("x", "q", "a"), "b") == 0.5
    file.write_text("def half(expected, given):\n    return 0.25\n", encoding="utf-8")
    assert load(table(), scorer=f"python:{file}:half").version != before.version


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({"rows": ROWS[:3]}, {}, "3 tasks; wanted at least 10"),
        ({"rows": [*ROWS, (ROWS[0][0], "9")]}, {}, "my.csv:42: the question of line 2 again"),
        ({"rows": [*ROWS[:5], ("q", " ")]}, {}, "my.csv:7: the cell 'label' is empty"),
        ({"head": ("question", "question")}, {}, "two columns are called 'question'"),
        ({"head": ("text", "label")}, {}, "which column is the input.*text, label"),
        ({"encoding": "utf-16"}, {}, "my.csv:1: not UTF-8"),
        ({"name": "my.xlsx"}, {}, "save the sheet as CSV"),
        ({}, {"input": "qestion"}, "Did you mean 'question'"),
        ({}, {"input": "label", "answer": "label"}, "are both column"),
        ({}, {"scorer": "nummer"}, "Did you mean 'number'"),
        ({}, {"scorer": "choice"}, "my.csv:2: '7' is no option's letter.*39 more"),
        ({}, {"scorer": "judge"}, "--judge MODEL"),
        ({}, {"judge": "pocket-m"}, "--judge is for the scorer judge"),
        ({}, {"scorer": "python:no.py:f"}, "there is no file no.py"),
        ({}, {"scorer": "python:f"}, "wanted python:FILE:FUNCTION"),
    ],
)
def test_mistakes_are_told(
    table: Write, change: dict[str, object], options: dict[str, str], said: str
) -> None:
    """Each in one line, with the line of the file or the nearest right name."""
    with pytest.raises(UsageError, match=said):
        load(table(**change), **options)


def test_broken_lines_and_ragged_rows_are_told(tmp_path: Path) -> None:
    """The file and the line."""
    lines = tmp_path / "x.jsonl"
    lines.write_text('{"question": "a", "label": "b"}\n{"question": \n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"x\.jsonl:2: not JSON"):
        load(lines)
    ragged = tmp_path / "x.csv"
    ragged.write_text("question,label\nWhat, is it?,4\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"x\.csv:2: 3 cells under 2 columns"):
        load(ragged)
    with pytest.raises(UsageError, match="no such file"):
        load(tmp_path / "none.csv")


def test_repeated_rows_count_once(table: Write) -> None:
    """And are told."""
    benchmark = load(table([*ROWS, *ROWS[:3]]))
    assert len(benchmark.all_tasks) == 40
    assert benchmark.notes == ("3 rows of my.csv repeat others: counted once",)


def test_a_run_knows_its_data(
    table: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A search on a table is resumed and traced from another folder; changed data are refused."""
    path = table()
    monkeypatch.chdir(path.parent)
    run = optimize(data="my.csv", scorer="number", evals=1, tasks=4, confirm=4, test_tasks=4,
                   searcher="random", out=tmp_path / "run")  # fmt: skip
    assert run.config["benchmark"] == "data"
    assert run.config["data"] == str(path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    task = open_run(run.path).load_benchmark().tasks("dev")[0]
    assert len(resume(run.path, evals=2).evaluations) == 2
    assert main(["trace", str(run.path), task.id]) == 0
    assert task.question in capsys.readouterr().out
    table([*ROWS[:-1], (ROWS[-1][0], "1")])
    with pytest.raises(StoreError, match="are not those that the run was measured on"):
        resume(run.path, evals=3)
    path.unlink()
    assert main(["resume", str(run.path), "--evals", "3"]) == 2
    assert "no such file" in capsys.readouterr().err


def test_flags_without_their_data_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """--scorer without --data, and data for a benchmark whose data are missing."""
    assert main(["search", "--scorer", "number"]) == 2
    assert "--scorer is for your own tasks" in capsys.readouterr().err
    assert main(["search", "--benchmark", "gsm8k", "--data", "/nowhere"]) == 2
    assert "no such file or folder" in capsys.readouterr().err

"""A user's own table of questions and answers as a benchmark: CSV, TSV, JSON lines or JSON.

Every mistake in the file is told with its line, before anything is spent. Equal rows count once;
one question with two answers is a mistake. What is worth knowing but no mistake stands in `notes`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paragent.benchmark import ListBenchmark, Referee, Task, question_id
from paragent.errors import ConfigError, UnknownName, UsageError
from paragent.grading.judge import ModelJudge
from paragent.grading.scorers import JUDGE, NamedScorer, scorer_of, suits
from paragent.hub import read_lines

NAME = "data"
#: Fewer tasks cannot both guide a search and report it.
FEWEST = 10
#: Column names that are taken where none is given.
INPUTS = ("question", "input", "prompt", "problem", "query")
ANSWERS = ("answer", "label", "target", "output", "expected", "gold")
FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")

Line = tuple[int, Mapping[str, Any]]


@dataclass(frozen=True)
class OwnData(ListBenchmark):
    """The tasks of one file. `notes` are told before a run."""

    notes: tuple[str, ...] = ()
    reads_all: bool = False


@dataclass(frozen=True)
class JudgedData(OwnData):
    """The tasks of one file, judged by a model."""

    by: ModelJudge = field(default_factory=lambda: ModelJudge(""))

    @property
    def models(self) -> tuple[str, ...]:
        """The judge."""
        return (self.by.model,)

    async def judge(self, task: Task, answer: str, referee: Referee) -> float:
        """Mean mark of the judge's votes."""
        return await self.by.score(task, answer, referee)


def load(
    data: str | Path,
    *,
    input: str | None = None,
    answer: str | None = None,
    scorer: str = "exact",
    judge: str | None = None,
) -> OwnData:
    """The benchmark of a file. Raises UsageError (with file and line where there is one)."""
    path = Path(data)
    named = scorer_of(scorer)
    if (judge is None) == (named.name == JUDGE):
        raise UsageError(
            "scorer judge needs the model that judges: --judge MODEL (`paragent list models`)"
            if judge is None
            else f"--judge is for the scorer judge; here it is {scorer}"
        )
    lines = list(read_table(path))
    if not lines:
        raise ConfigError(f"{path}: no rows")
    columns = list(dict.fromkeys(key for _, row in lines for key in row))
    question = _column(path, "input", input, INPUTS, columns)
    expected = _column(path, "answer", answer, ANSWERS, columns)
    if question == expected:
        raise UsageError(f"{path}: input and answer are both column {question!r}")
    tasks, notes = _tasks(path, lines, question, expected, named)
    if len(tasks) < FEWEST:
        raise UsageError(
            f"{path}: {len(tasks)} tasks; wanted at least {FEWEST}, since half of them guide the "
            "search and the other half reports what it found"
        )
    version = f"{named.name.split(':')[0]}-{named.version}"
    if named.score is not None:
        return OwnData(NAME, tasks, named.score, version=version, notes=notes)
    by = ModelJudge(judge or "")
    return JudgedData(
        NAME,
        tasks,
        _never,
        version=f"{version}-{by.model}",
        notes=notes,
        reads_all=True,
        by=by,
    )


def read_table(path: Path) -> Iterator[Line]:
    """(line number, row) of a file. Raises ConfigError or UsageError."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; wanted a file ({', '.join(FORMATS)})")
    kind = path.suffix.lower()
    if kind not in FORMATS:
        hint = "; save the sheet as CSV" if kind in (".xlsx", ".xls", ".ods") else ""
        raise UsageError(f"{path}: wanted one of {', '.join(FORMATS)}{hint}")
    if kind in (".jsonl", ".ndjson"):
        yield from read_lines(path)
        return
    text = _text(path)
    yield from (_json(path, text) if kind == ".json" else _csv(path, text, kind))


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from None


def _json(path: Path, text: str) -> Iterator[Line]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not JSON ({error}); one object a line is .jsonl") from None
    if not isinstance(rows, list):
        raise ConfigError(f"{path}: wanted a list of objects")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ConfigError(f"{path}: entry {number} is no object")
        yield number, row


def _csv(path: Path, text: str, kind: str) -> Iterator[Line]:
    head = text.split("\n", 1)[0]
    divider = "\t" if kind == ".tsv" else max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=divider, strict=True)
    header: list[str] = []
    begin = 1
    try:
        for cells in reader:
            if not header:
                header = [name.strip() for name in cells]
                twice = [n for n in header if header.count(n) > 1]
                if twice:
                    raise ConfigError(f"{path}:1: two columns are called {twice[0]!r}")
            elif any(cell.strip() for cell in cells):
                if len(cells) != len(header):
                    raise ConfigError(
                        f"{path}:{begin}: {len(cells)} cells under {len(header)} columns; "
                        'a cell that holds the divider needs "quotes"'
                    )
                yield begin, dict(zip(header, cells, strict=True))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(f"{path}:{begin}: {error}") from None


def _column(
    path: Path, what: str, given: str | None, usual: tuple[str, ...], columns: list[str]
) -> str:
    if given is not None:
        if given not in columns:
            raise UnknownName("column", given, columns, str(path))
        return given
    there = [name for name in usual if name in columns]
    if there:
        return there[0]
    raise UsageError(
        f"{path}: which column is the {what}? Give --{what}; there are: {', '.join(columns)}"
    )


def _tasks(
    path: Path, lines: list[Line], question: str, expected: str, scorer: NamedScorer
) -> tuple[tuple[Task, ...], tuple[str, ...]]:
    seen: dict[str, tuple[int, Task]] = {}
    doubles = 0
    unsuited: list[str] = []
    for number, row in lines:
        asked, wanted = _cell(row.get(question)), _cell(row.get(expected))
        for name, text in ((question, asked), (expected, wanted)):
            if not text.strip() and not (name == expected and scorer.name == JUDGE):
                raise ConfigError(f"{path}:{number}: the cell {name!r} is empty")
        if why := suits(scorer.name, wanted):
            unsuited.append(f"{path}:{number}: {wanted[:40]!r} {why}")
        if asked in seen:
            first, task = seen[asked]
            if task.answer != wanted:
                raise ConfigError(
                    f"{path}:{number}: the question of line {first} again, with another answer "
                    f"({task.answer[:40]!r}, {wanted[:40]!r})"
                )
            doubles += 1
            continue
        seen[asked] = (number, Task(question_id(asked), asked, wanted))
    if unsuited:
        more = f" (and {len(unsuited) - 1} more)" if len(unsuited) > 1 else ""
        raise ConfigError(f"{unsuited[0]}, which the scorer {scorer.name} needs{more}")
    notes = (f"{doubles} rows of {path.name} repeat others: counted once",) if doubles else ()
    return tuple(task for _, task in seen.values()), notes


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _never(expected: str, given: str) -> float:
    raise UsageError("these tasks are scored by a judge, which needs a run's calls")

"""Recorded results as offline benchmarks: design tables and answer matrices, read from a folder.

A folder with `table.yaml` is a design table (one row = one measured design), one with `matrix.yaml`
an answer matrix (one row = one task, a column per model); docs/lab.md describes the files. Columns
and keys that are not known are ignored. An empty cell means "not recorded", never zero: a design
without a score cannot be replayed and is refused, one without a cost is kept with an unknown cost.

All user mistakes raise ConfigError with file and line, or with the design they concern.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paragent.csv_file import need, number, rows_of, text_of
from paragent.design import Design, Param
from paragent.errors import ConfigError, UsageError, nearest
from paragent.factor_space import FactorSpace, row_levels
from paragent.recorded_outcomes import ID, Outcomes, read_outcomes
from paragent.yaml_file import Document, parse

Floats = NDArray[np.float64]

TABLE, MATRIX = "table.yaml", "matrix.yaml"
#: Columns that are taken as the cost where they are objectives, in this order; then any other
#: objective to be minimised.
COSTS = ("cost_usd", "cost", "usd", "calls", "model_calls", "tokens")


@dataclass(frozen=True)
class DesignTable:
    """Measured designs. `score` [n] in [0, 1]; `cost` [n] per task, NaN where unknown;
    `latency` [n] seconds per task, NaN where unknown.

    `cost_name` is the column the cost comes from; `tasks` is the number of tasks behind a score;
    `binomial` that number where only means are known and noise is binomial (0: no noise known).
    """

    name: str
    ids: tuple[str, ...]
    factors: Mapping[str, tuple[Param, ...]] = field(hash=False)
    rows: tuple[tuple[Param | None, ...], ...]
    score: Floats = field(hash=False)
    cost: Floats = field(hash=False)
    latency: Floats = field(hash=False)
    cost_name: str
    tasks: int
    binomial: int = 0
    outcomes: Outcomes | None = field(default=None, hash=False)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def space(self) -> FactorSpace:
        """What a searcher sees: factors and levels. Rows that share all levels differ in the
        extra choice `design_id`."""
        return FactorSpace(self.factors, rows=self.rows)

    @cached_property
    def _index(self) -> dict[tuple[Param | None, ...], int]:
        return {row: i for i, row in enumerate(self.rows)}

    def design(self, index: int) -> Design:
        """The design of a row."""
        return self.space.design(self.rows[index])

    def index(self, design: Design) -> int:
        """The row of a design. Raises KeyError for one that is not in the table."""
        levels = row_levels(design) or {}
        return self._index[tuple(levels.get(name) for name in self.factors)]


@dataclass(frozen=True)
class AnswerMatrix:
    """Recorded answers of `models` to tasks.

    `right` [tasks, models] is whether the answer equals the gold; `answer` [tasks, models] numbers
    equal answers of one task alike, -1 for none (which is wrong and agrees with nothing); `usd`
    [tasks, models] is the price of the call, NaN where the price is unknown. `votes` is False
    where there is no answer text (normaliser `resolved`), so that agreement means nothing.
    """

    name: str
    models: tuple[str, ...]
    task_ids: tuple[str, ...]
    right: NDArray[np.bool_] = field(hash=False)
    answer: NDArray[np.int32] = field(hash=False)
    usd: Floats = field(hash=False)
    questions: tuple[str, ...] = ()
    prompt_chars: Floats | None = field(default=None, hash=False)
    votes: bool = True
    partial: Mapping[str, int] = field(default_factory=dict, hash=False)


def load_table(folder: Path | str) -> DesignTable:
    """Read a design table. Raises ConfigError."""
    folder = Path(folder)
    document = _document(folder, TABLE)
    data = document.data
    factors = _factors(document)
    objectives = data.get("objectives")
    if not isinstance(objectives, Mapping) or not objectives:
        document.fail(("objectives",), "wanted a mapping of the columns to optimise")
    for key, about in objectives.items():
        if not isinstance(about, Mapping) or about.get("direction") not in ("maximize", "minimize"):
            document.fail(("objectives", key), "wanted `direction: maximize` or `minimize`")
    score_name = _score_name(document, objectives)
    cost_name = _cost_name(objectives)
    tasks = _count(document, "tasks")
    header, lines = rows_of(folder / "table.csv")
    needed = [ID, *factors, score_name, *([cost_name] if cost_name else [])]
    need(folder / "table.csv", header, needed)
    texts = {name: _by_text(levels) for name, levels in factors.items()}
    at = {name: header.index(name) for name in needed}
    ids: list[str] = []
    rows: list[tuple[Param | None, ...]] = []
    scores: list[float] = []
    costs: list[float] = []
    waits: list[float] = []
    wait_at = header.index("latency_s") if "latency_s" in header else None
    for count, line in lines:
        where = f"{folder / 'table.csv'}: line {count}"
        ids.append(line[at[ID]].strip())
        if not ids[-1]:
            raise ConfigError(f"{where}: design_id is empty")
        rows.append(tuple(_level(where, n, line[at[n]], texts[n]) for n in factors))
        scores.append(number(where, score_name, line[at[score_name]], 0.0, 1.0))
        given = line[at[cost_name]] if cost_name else "1"
        cost = number(where, cost_name or "cost", given, 0.0, math.inf, empty=True)
        costs.append(cost / _per(document, cost_name) if cost_name else cost)
        wait = line[wait_at] if wait_at is not None else ""
        waits.append(number(where, "latency_s", wait, 0.0, math.inf, empty=True))
    if not ids:
        raise ConfigError(f"{folder / 'table.csv'}: no designs (only a header)")
    _no_doubles(folder / "table.csv", ids)
    factors, rows = _with_ids(document, factors, rows, ids)
    noise = str(data.get("noise", ""))
    found = re.search(r"binomial\D*(\d+)", noise)
    table = DesignTable(
        name=str(data.get("name", folder.name)),
        ids=tuple(ids),
        factors=factors,
        rows=tuple(rows),
        score=np.array(scores),
        cost=np.array(costs),
        latency=np.array(waits),
        cost_name=cost_name or "none",
        tasks=tasks,
        binomial=int(found.group(1)) if found else 0,
    )
    found_outcomes = read_outcomes(folder, table.ids, table.cost_name, table.cost, _scale(document))
    if found_outcomes is None and "per-task" in noise:
        raise ConfigError(f"{folder}: the noise is {noise!r}, but outcomes.csv.gz is missing")
    return replace(table, outcomes=found_outcomes)


def _scale(document: Document) -> float:
    value = document.data.get("cost_scale", 1.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        document.fail(("cost_scale",), f"cost_scale is {value!r}; wanted a number above 0")
    return float(value)


def _document(folder: Path, name: str) -> Document:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    path = folder / name
    if not path.is_file():
        other = MATRIX if name == TABLE else TABLE
        hint = f"; it has {other}" if (folder / other).is_file() else ""
        raise UsageError(f"{folder}: {name} is missing{hint}")
    document = parse(text_of(path), str(path))
    if not isinstance(document.data, Mapping):
        document.fail((), "wanted a mapping")
    return document


def _no_doubles(path: Path, ids: Sequence[str]) -> None:
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        raise ConfigError(f"{path}: the {ID} {twice!r} is given twice")


def _factors(document: Document) -> dict[str, tuple[Param, ...]]:
    found = document.data.get("factors")
    if not isinstance(found, Mapping) or not found:
        document.fail(("factors",), "wanted a mapping of factors to their levels")
    for name, levels in found.items():
        if not isinstance(levels, list) or not levels:
            document.fail(("factors", name), f"factor {name!r} needs a list of levels")
        for i, level in enumerate(levels):
            if not isinstance(level, str | int | float):
                document.fail(("factors", name, i), f"{level!r} is no level; quote it as text")
        if len({str(level) for level in levels}) < len(levels):
            document.fail(("factors", name), f"factor {name!r} names a level twice")
    return {str(name): tuple(levels) for name, levels in found.items()}


def _by_text(levels: Sequence[Param]) -> dict[str, Param]:
    # YAML reads an unquoted `yes` or `true` as a truth value; a cell may spell it either way.
    return {
        text: level
        for level in levels
        for text in ({str(level), str(level).lower()} if isinstance(level, bool) else {str(level)})
    }


def _level(where: str, factor: str, cell: str, texts: Mapping[str, Param]) -> Param:
    if cell in texts:
        return texts[cell]
    if not cell.strip():
        raise ConfigError(f"{where}: {factor} is empty; write `none` where it does not apply")
    for level in texts.values():  # 0.50 is the level 0.5
        if isinstance(level, int | float) and not isinstance(level, bool):
            try:
                if float(cell) == level:
                    return level
            except ValueError:
                break
    near = nearest(cell, texts)
    hint = f" Did you mean {near!r}?" if near else ""
    raise ConfigError(f"{where}: {cell!r} is no level of {factor!r}.{hint}")


def _count(document: Document, key: str) -> int:
    value = document.data.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        document.fail((key,), f"{key} is {value!r}; wanted a whole number of at least 1")
    return value


def _score_name(document: Document, objectives: Mapping[str, Any]) -> str:
    up = [k for k, v in objectives.items() if v["direction"] == "maximize"]
    if "score" in objectives and "score" not in up:
        document.fail(("objectives", "score"), "a score is maximised")
    if not up:
        document.fail(("objectives",), "nothing is to be maximised; wanted a score")
    return "score" if "score" in up else str(up[0])


def _cost_name(objectives: Mapping[str, Any]) -> str:
    """The column of the cost, or "" where none is listed (every design then costs 1)."""
    down = [k for k, v in objectives.items() if v["direction"] == "minimize"]
    preferred = [k for k in COSTS if k in down] + [k for k in down if k != "latency_s"] + down
    return str(preferred[0]) if preferred else ""


def _per(document: Document, cost_name: str) -> int:
    """For how many tasks the cost column stands: `200 tasks` is 200, `task` is 1."""
    per = str(document.data["objectives"][cost_name].get("per", "task"))
    found = re.match(r"\s*(\d+)", per)
    return max(1, int(found.group(1))) if found else 1


def _with_ids(
    document: Document,
    factors: dict[str, tuple[Param, ...]],
    rows: list[tuple[Param | None, ...]],
    ids: Sequence[str],
) -> tuple[dict[str, tuple[Param, ...]], list[tuple[Param | None, ...]]]:
    """`design_id` as a last factor, for the rows that share all their levels with another."""
    first: dict[tuple[Param | None, ...], int] = {}
    shared: set[tuple[Param | None, ...]] = set()
    for i, row in enumerate(rows):
        if row in first and not document.data.get("repeated_factor_combinations"):
            raise ConfigError(
                f"{document.source}: the designs {ids[first[row]]!r} and {ids[i]!r} have the same "
                "levels; remove one, or set repeated_factor_combinations: true"
            )
        if row in first:
            shared.add(row)
        first.setdefault(row, i)
    if not shared:
        return factors, rows
    named = tuple(key for key, row in zip(ids, rows, strict=True) if row in shared)
    wide = [(*r, k if r in shared else None) for k, r in zip(ids, rows, strict=True)]
    return {**factors, ID: named}, wide


def load_matrix(folder: Path | str) -> AnswerMatrix:
    """Read an answer matrix. Raises ConfigError."""
    folder = Path(folder)
    document = _document(folder, MATRIX)
    about = document.data.get("models")
    if not isinstance(about, Mapping) or not about:
        document.fail(("models",), "wanted a mapping of models to their prices")
    models = tuple(str(name) for name in about)
    task_header, task_lines = rows_of(folder / "tasks.csv.gz")
    need(folder / "tasks.csv.gz", task_header, ["task_id", "gold"])
    tasks = [dict(zip(task_header, cells, strict=True)) for _, cells in task_lines]
    ids = [row["task_id"] for row in tasks]
    if not ids:
        raise ConfigError(f"{folder / 'tasks.csv.gz'}: no tasks (only a header)")
    _no_doubles(folder / "tasks.csv.gz", ids)
    answers = _cells(folder / "answers.csv.gz", ids, models)
    right = np.array(
        [[bool(a) and a == t["gold"] for a in row] for row, t in zip(answers, tasks, strict=True)]
    )
    numbered = np.full(right.shape, -1, dtype=np.int32)
    for i, row in enumerate(answers):
        names: dict[str, int] = {}
        for j, text in enumerate(row):
            if text:
                numbered[i, j] = names.setdefault(text, len(names))
    chars = None
    if "prompt_chars" in task_header:
        chars = np.array([_cell(folder, "prompt_chars", row["prompt_chars"]) for row in tasks])
    return AnswerMatrix(
        name=str(document.data.get("name", folder.name)),
        models=models,
        task_ids=tuple(ids),
        right=right,
        answer=numbered,
        usd=_prices(document, folder, ids, models, chars),
        questions=tuple(row.get("question", "") for row in tasks),
        prompt_chars=chars,
        votes=document.data.get("answer_normaliser") != "resolved",
        partial={str(k): int(v) for k, v in (document.data.get("partial_models") or {}).items()},
    )


def _cells(path: Path, ids: Sequence[str], models: Sequence[str]) -> list[list[str]]:
    """The columns of the models, in the order of the tasks."""
    header, lines = rows_of(path)
    need(path, header, ["task_id", *models])
    at = [header.index(name) for name in models]
    key = header.index("task_id")
    found: dict[str, list[str]] = {}
    for line, cells in lines:
        if cells[key] in found:
            raise ConfigError(f"{path}: line {line}: the task {cells[key]!r} is given twice")
        found[cells[key]] = [cells[i].strip() for i in at]
    missing = [i for i in ids if i not in found]
    if missing:
        raise ConfigError(f"{path}: no line for the task {missing[0]!r} ({len(missing)} such)")
    return [found[i] for i in ids]


def _cell(path: Path, name: str, text: str) -> float:
    return number(str(path), name, text, 0.0, math.inf, empty=True)


def _prices(
    document: Document,
    folder: Path,
    ids: Sequence[str],
    models: Sequence[str],
    chars: Floats | None,
) -> Floats:
    """Dollars of every call, [tasks, models]; NaN where a price or a token number is unknown.

    An input is `input_tokens.csv.gz`, else a fourth of the prompt's characters, rounded up.
    """

    def tokens(name: str) -> Floats:
        rows = _cells(folder / name, ids, models)
        return np.array([[_cell(folder / name, "tokens", cell) for cell in row] for row in rows])

    out = tokens("output_tokens.csv.gz")
    if (folder / "input_tokens.csv.gz").exists():
        into = tokens("input_tokens.csv.gz")
    elif chars is not None:
        into = np.repeat(np.ceil(chars / 4)[:, None], len(models), axis=1)
    else:
        raise ConfigError(f"{folder}: neither input_tokens.csv.gz nor prompt_chars in the tasks")
    prices = []
    for name in models:
        entry = document.data["models"][name] or {}
        pair = []
        for key in ("usd_per_mtok_in", "usd_per_mtok_out"):
            value = entry.get(key)
            if value is not None and (not isinstance(value, int | float) or not value >= 0):
                document.fail(("models", name), f"{key} is {value!r}; wanted dollars, or nothing")
            pair.append(math.nan if value is None else float(value))
        prices.append(pair)
    per = np.array(prices)
    usd: Floats = (into * per[:, 0] + out * per[:, 1]) / 1e6
    return usd

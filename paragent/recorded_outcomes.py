"""Results of single tasks of a design table, in either of two forms.

    outcomes.csv.gz   long: one line per design, task and run
    scores.csv.gz     wide: one line per design and run, one column per task; costs.csv.gz beside
                      it has the same shape, in `cost_scale` of the table's unit (1e-9: billionths)

The wide form is for large tables: a tenth of the size. An empty cell means "not recorded".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from paragent.csv_file import need, number, rows_of
from paragent.errors import ConfigError

Floats = NDArray[np.float64]

#: The column that names a design.
ID = "design_id"
LONG, WIDE, WIDE_COSTS = "outcomes.csv.gz", "scores.csv.gz", "costs.csv.gz"


@dataclass(frozen=True)
class Outcomes:
    """Per-task results: NaN where a design was not run.

    `score` and `cost` are [designs, runs, tasks]; a cost is per task, in the table's unit, and
    where a run has none it is the design's mean on that task over its other runs, else the row's.
    """

    task_ids: tuple[str, ...]
    score: Floats
    cost: Floats

    @cached_property
    def mean_score(self) -> Floats:
        """Mean over the runs of each design and task, [designs, tasks]; NaN where none."""
        return _nanmean(self.score, 1)

    @cached_property
    def mean_cost(self) -> Floats:
        """As `mean_score`, of the cost."""
        return _nanmean(self.cost, 1)


def _nanmean(values: Floats, axis: int) -> Floats:
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    mean: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def _long(path: Path, ids: Sequence[str], cost_name: str) -> tuple[tuple[str, ...], Floats, Floats]:
    header, lines = rows_of(path)
    need(path, header, [ID, "task_id", "score"])
    designs = {key: i for i, key in enumerate(ids)}
    at = {name: header.index(name) for name in (ID, "task_id", "score")}
    run_at = header.index("run") if "run" in header else None
    cost_at = header.index(cost_name) if cost_name in header else None
    runs: dict[str, int] = {}
    tasks: dict[str, int] = {}
    seen: list[tuple[int, int, int]] = []
    values: list[tuple[float, float]] = []
    for line, cells in lines:
        where = f"{path}: line {line}"
        design = designs.get(cells[at[ID]])
        if design is None:
            raise ConfigError(f"{where}: {cells[at[ID]]!r} is no design of table.csv")
        if not cells[at["score"]].strip():
            continue  # not recorded
        run = runs.setdefault(cells[run_at] if run_at is not None else "", len(runs))
        task = tasks.setdefault(cells[at["task_id"]], len(tasks))
        score = number(where, "score", cells[at["score"]], 0.0, 1.0)
        cost = math.nan
        if cost_at is not None:
            name = cost_name
            cost = number(where, name, cells[cost_at], 0.0, math.inf, empty=True)
        seen.append((design, run, task))
        values.append((score, cost))
    if not seen:
        raise ConfigError(f"{path}: no outcomes (only a header)")
    shape = (len(ids), len(runs), len(tasks))
    place = np.ravel_multi_index(tuple(np.array(seen).T), shape)
    if len(np.unique(place)) < len(place):
        order = np.sort(place)
        twice = np.unravel_index(int(order[:-1][order[:-1] == order[1:]][0]), shape)
        names = (ids[int(twice[0])], list(tasks)[int(twice[2])], list(runs)[int(twice[1])])
        raise ConfigError(f"{path}: design {names[0]!r}, task {names[1]!r}, run {names[2]!r} twice")
    scores, costs = np.full(shape, np.nan), np.full(shape, np.nan)
    scores.ravel()[place], costs.ravel()[place] = np.array(values).T
    return tuple(tasks), scores, costs


def _wide(path: Path, ids: Sequence[str], high: float) -> tuple[tuple[str, ...], Floats]:
    """Task names and [designs, runs, tasks]; runs are in the order of their lines."""
    header, lines = rows_of(path)
    need(path, header, [ID, "run"])
    skip = {header.index(ID), header.index("run")}
    columns = [i for i in range(len(header)) if i not in skip]
    at, run_at = header.index(ID), header.index("run")
    places = {key: i for i, key in enumerate(ids)}
    runs: dict[str, int] = {}
    found: dict[tuple[int, int], list[float]] = {}
    known: dict[str, float] = {"": math.nan}
    for line, cells in lines:
        where = f"{path}: line {line}"
        design = places.get(cells[at])
        if design is None:
            raise ConfigError(f"{where}: {cells[at]!r} is no design of table.csv")
        place = (design, runs.setdefault(cells[run_at], len(runs)))
        if place in found:
            raise ConfigError(f"{where}: design {cells[at]!r}, run {cells[run_at]!r} twice")
        for i in columns:
            if cells[i] not in known:
                known[cells[i]] = number(where, header[i], cells[i], 0.0, high, empty=True)
        found[place] = [known[cells[i]] for i in columns]
    if not found or not columns:
        raise ConfigError(f"{path}: no outcomes (only a header)")
    values = np.full((len(ids), len(runs), len(columns)), np.nan)
    for (design, run), row in found.items():
        values[design, run] = row
    return tuple(header[i] for i in columns), values


def read_outcomes(
    folder: Path, ids: Sequence[str], cost_name: str, mean_cost: Floats, scale: float = 1.0
) -> Outcomes | None:
    """The outcomes of a table's designs; None where the folder has neither form.

    `mean_cost` [designs] stands in where no cost was recorded, per task. Raises ConfigError.
    """
    if (folder / LONG).exists() and (folder / WIDE).exists():
        raise ConfigError(f"{folder}: {LONG} and {WIDE} hold the same; remove one")
    if (folder / LONG).exists():
        tasks, scores, costs = _long(folder / LONG, ids, cost_name)
    elif (folder / WIDE).exists():
        tasks, scores = _wide(folder / WIDE, ids, 1.0)
        costs = np.full(scores.shape, np.nan)
        if (folder / WIDE_COSTS).exists():
            other, costs = _wide(folder / WIDE_COSTS, ids, math.inf)
            if other != tasks or costs.shape != scores.shape:
                raise ConfigError(f"{folder}: {WIDE_COSTS} and {WIDE} differ in runs or tasks")
            costs = costs * scale
    else:
        return None
    missing = [ids[int(i)] for i in np.flatnonzero(np.isnan(scores).all(axis=(1, 2)))]
    if missing:
        raise ConfigError(f"{folder}: no outcome of design {missing[0]!r} ({len(missing)} such)")
    mean = np.where(np.isnan(costs).all(axis=1), mean_cost[:, None], _nanmean(costs, 1))
    costs = np.where(np.isnan(costs), mean[:, None, :], costs)
    return Outcomes(tasks, scores, np.where(np.isnan(scores), np.nan, costs))

"""Writes a design table in the public format, with outcomes in the wide form."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Cells = list[list[float | None]]  # [runs][tasks]; None where there is no outcome

DESCRIPTION = (
    "Teams of at most two agents of the pocket models on {n} tasks of the benchmark pocket_hard "
    "({families}), every design measured; made by `paragent lab own-tables`, see docs/tables.md."
)


@dataclass(frozen=True)
class Column:
    """One design: its levels, and its scores and costs (billionths of a dollar)."""

    levels: Sequence[str]
    scores: Cells
    costs: Cells

    def only(self, tasks: Sequence[int]) -> Column:
        """The same on some tasks."""
        return Column(
            self.levels,
            [[run[i] for i in tasks] for run in self.scores],
            [[run[i] for i in tasks] for run in self.costs],
        )


def mean(cells: Cells) -> float | None:
    """Of what is there; None for nothing."""
    known = [x for run in cells for x in run if x is not None]
    return sum(known) / len(known) if known else None


def write_table(
    folder: Path,
    name: str,
    factors: Mapping[str, Sequence[str]],
    rows: Mapping[str, Column],
    task_ids: Sequence[str],
) -> None:
    """table.yaml, table.csv, scores.csv.gz, costs.csv.gz. The same rows give the same bytes."""
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    families = sorted({task.rpartition("-")[2] for task in task_ids})
    runs = len(next(iter(rows.values())).scores)
    about: dict[str, Any] = {
        "name": name,
        "description": DESCRIPTION.format(n=len(task_ids), families=", ".join(families)),
        "version": 1,
        "licence": "MIT",
        "factors": {key: list(levels) for key, levels in factors.items()},
        "objectives": {
            "score": {"direction": "maximize", "unit": "fraction of tasks answered exactly"},
            "cost_usd": {"direction": "minimize", "unit": "US dollars", "per": "1000 tasks"},
        },
        "tasks": len(task_ids),
        "repeats": runs,
        "noise": "per-task outcomes",
        "cost_scale": 1e-9,
    }
    text = yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=100)
    (folder / "table.yaml").write_text(text, encoding="utf-8")
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["design_id", *factors, "score", "cost_usd"])
        for key, column in rows.items():
            score, cost = mean(column.scores), mean(column.costs)
            if score is None or cost is None:
                raise ValueError(f"{name}: the design {key} has no outcome")
            table.writerow([key, *column.levels, f"{score:.6f}", f"{cost * 1e-6:.9f}"])
    for file_name, cells in (
        ("scores.csv.gz", {key: column.scores for key, column in rows.items()}),
        ("costs.csv.gz", {key: column.costs for key, column in rows.items()}),
    ):
        _write_wide(folder / file_name, cells, task_ids)


def _write_wide(path: Path, cells: Mapping[str, Cells], task_ids: Sequence[str]) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["design_id", "run", *task_ids])
    for key, runs in cells.items():
        for number, run in enumerate(runs):
            table.writerow([key, number, *("" if x is None else f"{x:g}" for x in run)])
    # No time stamp: the same cells give the same file.
    path.write_bytes(gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0))

"""A finished run as a design table, so that searchers can be compared on one's own results.

Every design that was measured on development tasks is a row. Its tree is laid flat: one factor for
each place and slot that occurs (`root.model`, `0.reasoning`, `1.memory`, …), with `none` where a
design does not have it. Outcomes of single tasks are written too; failed and pruned ones are left
blank, since they were not measured.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paragent.design import PART_SLOTS, Agent, Design
from paragent.errors import UsageError
from paragent.outcome import CostName, Measured, Outcome
from paragent.run import stored_config
from paragent.store import Store

NONE = "none"

#: Column of the cost, and what it says of one measured task.
COLUMNS: Mapping[CostName, str] = {
    "usd": "cost_usd",
    "tokens": "tokens",
    "calls": "calls",
    "latency": "latency_s",
}


def flat(design: Design) -> dict[str, str]:
    """The design's factors and levels; different designs differ in at least one.

    `root` is the root's place, `0.1` the second member of its first member.
    """
    found: dict[str, str] = {}
    for path, node in design.nodes():
        at = path or "root"
        if isinstance(node, Agent):
            found[f"{at}.model"] = str(node.model)
            for slot in PART_SLOTS:
                part = getattr(node, slot)
                if part is not None:
                    found[f"{at}.{slot}"] = str(part)
            if node.tools:
                found[f"{at}.tools"] = " + ".join(map(str, node.tools))
            if node.role:
                found[f"{at}.role"] = node.role
        else:
            found[f"{at}.topology"] = str(node.topology)
    return found


def record(run: Path, out: Path) -> dict[str, Any]:
    """Write table.yaml, table.csv and outcomes.csv.gz of the run to `out`; a summary of them.

    Raises UsageError for a run without two measured designs, StoreError for a folder that is no
    run.
    """
    with Store(run, write=False) as store:
        config = stored_config(store)
        designs = {key: store.design(key) for key in store.designs_with("dev")}
        outcomes = {key: store.outcomes(key, "dev") for key in designs}
    measured = {
        key: {t: o for t, o in found.items() if isinstance(o, Measured)}
        for key, found in outcomes.items()
    }
    keys = sorted(key for key, found in measured.items() if found)
    if not keys:
        raise UsageError(f"{run}: no design was measured, so there is nothing to record")
    rows = {key: flat(designs[key]) for key in keys}
    factors = {
        name: sorted({row.get(name, NONE) for row in rows.values()})
        for name in sorted({name for row in rows.values() for name in row})
    }
    out.mkdir(parents=True, exist_ok=True)
    most = max(len(found) for found in measured.values())
    _write_yaml(out, run, config.benchmark, factors, config.cost, most)
    _write_rows(out, keys, rows, factors, measured, config.cost)
    _write_outcomes(out, keys, outcomes, config.cost)
    return {"table": str(out), "designs": len(keys), "factors": len(factors), "tasks": most}


def _write_yaml(
    out: Path,
    run: Path,
    benchmark: str,
    factors: Mapping[str, Sequence[str]],
    cost: CostName,
    tasks: int,
) -> None:
    import yaml

    objectives: dict[str, Any] = {
        "score": {"direction": "maximize", "unit": "fraction, mean over measured tasks"},
        COLUMNS[cost]: {"direction": "minimize", "per": "task"},
    }
    data = {
        "name": run.name,
        "description": f"Designs that a Paragent run measured on development tasks of {benchmark}.",
        "factors": {name: list(levels) for name, levels in factors.items()},
        "objectives": objectives,
        "tasks": tasks,
        "repeats": 1,
        "noise": "per-task outcomes",
        "extra_columns": {"measured": "number of tasks behind the score"},
    }
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    (out / "table.yaml").write_text(text, encoding="utf-8")


def _cost(outcome: Measured, cost: CostName) -> float | None:
    usage = outcome.usage
    return {
        "usd": usage.usd,
        "tokens": float(usage.tokens),
        "calls": float(usage.calls),
        "latency": usage.latency_s,
    }[cost]


def _mean(values: Sequence[float | None]) -> float | str:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else ""


def _write_rows(
    out: Path,
    keys: Sequence[str],
    rows: Mapping[str, Mapping[str, str]],
    factors: Mapping[str, Sequence[str]],
    measured: Mapping[str, Mapping[str, Measured]],
    cost: CostName,
) -> None:
    columns = [COLUMNS[cost]] + (["latency_s"] if cost != "latency" else [])
    with (out / "table.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["design_id", *factors, "score", *columns, "measured"])
        for key in keys:
            found = list(measured[key].values())
            costs = [_mean([_cost(o, cost) for o in found])]
            if cost != "latency":
                costs.append(_mean([o.usage.latency_s for o in found]))
            levels = [rows[key].get(name, NONE) for name in factors]
            score = _mean([o.score for o in found])
            table.writerow([key, *levels, score, *costs, len(found)])


def _write_outcomes(
    out: Path, keys: Sequence[str], outcomes: Mapping[str, Mapping[str, Outcome]], cost: CostName
) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text)
    columns = [COLUMNS[cost]] + (["latency_s"] if cost != "latency" else [])
    table.writerow(["design_id", "task_id", "run", "score", *columns])
    for key in keys:
        for task, outcome in sorted(outcomes[key].items()):
            if isinstance(outcome, Measured):
                value = _cost(outcome, cost)
                cells = ["" if value is None else value]
                if cost != "latency":
                    cells.append(outcome.usage.latency_s)
                table.writerow([key, task, "run1", outcome.score, *cells])
    # No time stamp: the same run gives the same file.
    data = gzip.compress(text.getvalue().encode(), mtime=0)
    (out / "outcomes.csv.gz").write_bytes(data)

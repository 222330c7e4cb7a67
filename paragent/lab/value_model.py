"""`paragent lab value-model`: how well each value model predicts designs it has not seen.

Every design of a recorded table, or of a run (`--run`), is predicted by models that were fitted
without it (10 folds): its score, log10 cost and log10 latency. For a run the Gaussian process is
judged with more features, too: `gp+prior` and `gp+words` (`paragent.lab.knowledge`).

Printed per family: rank correlation with a 95 % interval, R2, mean absolute error, the share of
designs inside 90 % intervals (as the model says, and after conformal calibration), seconds. The
chosen family has the highest rank correlation; `mixture` is what the tree search uses.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paragent.design import Design
from paragent.errors import UsageError
from paragent.lab.knowledge import amplification, words
from paragent.parts import call_bound, features_of, usd_bound
from paragent.recorded import load_table
from paragent.searcher import Bounds
from paragent.value.choose import best, families, left_out, quality
from paragent.value.gp import GaussianProcess
from paragent.value.surrogate import mixture
from paragent.value.table import Row
from paragent.warm_start import read_run

#: Families whose equal mixture the search uses, by target.
MIXED = {"score": ("gp", "latent"), "cost": ("gp", "parts")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--table", metavar="DIR", help="a folder with table.yaml")
    what.add_argument("--run", metavar="RUN", help="the folder of a finished search")
    parser.add_argument("--folds", type=int, default=10, help="parts the designs are split into")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


@dataclass(frozen=True)
class Measurements:
    """Designs as features, `extra` features by what they are called, and what was measured of
    them: [n] scores, and costs and seconds per task, NaN where unknown."""

    name: str
    rows: Sequence[Row]
    extra: Mapping[str, Sequence[Row]]
    score: Sequence[float]
    cost: Sequence[float]
    latency: Sequence[float]


def of_table(folder: str) -> Measurements:
    """A recorded table. Raises as `load_table`."""
    table = load_table(folder)
    rows = [table.space.features(table.design(i)) for i in range(len(table))]
    score, cost, latency = (list(map(float, c)) for c in (table.score, table.cost, table.latency))
    return Measurements(table.name, rows, {}, score, cost, latency)


def of_run(folder: str) -> Measurements:
    """A run's designs. Raises as `read_run`, and UnknownName for parts that are not here."""
    data = read_run(Path(folder))
    found = data["evaluations"]
    designs = [Design.from_data(e["design"]) for e in found]
    rows = [features_of(d, Bounds(call_bound(d.root), usd_bound(d.root))) for d in designs]
    extra = {"prior": [amplification(d) for d in designs], "words": words(designs)}
    return Measurements(
        data["run"],
        rows,
        extra,
        [e["score"] for e in found],
        [e["cost"].get("usd", math.nan) for e in found],
        [e["cost"].get("latency", math.nan) for e in found],
    )


def assess(
    rows: Sequence[Row],
    targets: Sequence[float],
    target: str,
    *,
    folds: int,
    seed: int,
    extra: Mapping[str, Sequence[Row]] | None = None,
) -> dict[str, Any]:
    """Every family's quality on one target, and the chosen one."""
    found, predicted = {}, {}
    seconds = {}
    judged = [(name, make, rows) for name, make in families(rows, target).items()]
    for name, more in (extra or {}).items():
        both = [{**row, **new} for row, new in zip(rows, more, strict=True)]
        judged.append((f"gp+{name}", GaussianProcess, both))
    for name, make, seen in judged:
        start = time.perf_counter()
        predicted[name] = left_out(make, seen, targets, folds=folds, seed=seed)
        seconds[name] = time.perf_counter() - start
        found[name] = quality(targets, *predicted[name])
    parts = [predicted[name] for name in MIXED.get(target, ()) if name in predicted]
    if len(parts) > 1:
        found["mixture"] = quality(targets, *mixture(parts))
        seconds["mixture"] = sum(seconds[n] for n in MIXED.get(target, ()) if n in seconds)
    chosen = best(found)
    shown = {
        name: {
            "spearman": q.spearman,
            "low": q.interval.low,
            "high": q.interval.high,
            "r2": q.r2,
            "mae": q.mae,
            "coverage_90": q.coverage,
            "coverage_90_conformal": q.calibrated,
            "seconds": seconds[name],
        }
        for name, q in found.items()
    }
    return {"families": shown, "chosen": chosen, "designs": len(rows)}


def main(args: argparse.Namespace) -> int:
    """Assess and print."""
    if args.folds < 2:
        raise UsageError(f"--folds is {args.folds}; wanted at least 2")
    told = of_table(args.table) if args.table else of_run(args.run)
    n = len(told.rows)
    if n < 4:
        raise UsageError(f"{told.name} has {n} designs; a value model needs at least 4")
    report: dict[str, Any] = {"table": told.name, "folds": args.folds, "seed": args.seed}
    how = {"folds": args.folds, "seed": args.seed}
    report["score"] = assess(told.rows, told.score, "score", extra=told.extra, **how)
    for name, values, target in (
        ("log10_cost", told.cost, "cost"),
        ("log10_latency", told.latency, "latency"),
    ):
        known = [i for i, v in enumerate(values) if v > 0]
        if len(known) >= 4:
            extra = {key: [rows[i] for i in known] for key, rows in told.extra.items()}
            logs = [math.log10(values[i]) for i in known]
            rows = [told.rows[i] for i in known]
            report[name] = assess(rows, logs, target, extra=extra, **how)
    if args.json:
        print(json.dumps(report))
        return 0
    for target in ("score", "log10_cost", "log10_latency"):
        if target in report:
            _print(told.name, target, report[target])
    return 0


def _print(table: str, target: str, found: dict[str, Any]) -> None:
    print(f"{target} of {table}, {found['designs']} designs left out in turn")
    print(
        f"{'family':<10}{'Spearman [95 %]':>24}{'R2':>8}{'MAE':>9}{'90 %':>7}{'conf.':>7}{'s':>7}"
    )
    for name, q in found["families"].items():
        mark = " <- chosen" if name == found["chosen"] else ""
        interval = f"{q['spearman']:.3f} [{q['low']:.3f}, {q['high']:.3f}]"
        print(
            f"{name:<10}{interval:>24}{q['r2']:>8.3f}{q['mae']:>9.4f}{q['coverage_90']:>7.2f}"
            f"{q['coverage_90_conformal']:>7.2f}{q['seconds']:>7.1f}{mark}"
        )
    print()

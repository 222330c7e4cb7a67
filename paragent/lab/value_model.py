"""`paragent lab value-model`: how well each value model predicts designs it has not seen.

Every row of a recorded table is predicted by models that were fitted without it (10 folds), for
the score and for log10 cost. Printed per family: rank correlation with a 95 % interval, R2, mean
absolute error, the share of designs inside 90 % intervals (as the model says, and after conformal
calibration), seconds. The chosen family has the highest rank correlation; `mixture` is what the
tree search uses.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from paragent.errors import UsageError
from paragent.recorded import load_table
from paragent.value.choose import best, families, left_out, quality
from paragent.value.surrogate import mixture
from paragent.value.table import Row

#: Families whose equal mixture the search uses, by target.
MIXED = {"score": ("gp", "latent"), "cost": ("gp", "parts")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--table", required=True, metavar="DIR", help="a folder with table.yaml")
    parser.add_argument("--folds", type=int, default=10, help="parts the designs are split into")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def assess(
    rows: Sequence[Row], targets: Sequence[float], target: str, *, folds: int, seed: int
) -> dict[str, Any]:
    """Every family's quality on one target, and the chosen one."""
    found, predicted = {}, {}
    seconds = {}
    for name, make in families(rows, target).items():
        start = time.perf_counter()
        predicted[name] = left_out(make, rows, targets, folds=folds, seed=seed)
        seconds[name] = time.perf_counter() - start
        found[name] = quality(targets, *predicted[name])
    parts = [predicted[name] for name in MIXED[target] if name in predicted]
    if len(parts) > 1:
        found["mixture"] = quality(targets, *mixture(parts))
        seconds["mixture"] = sum(seconds[n] for n in MIXED[target] if n in seconds)
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
    table = load_table(args.table)
    if args.folds < 2:
        raise UsageError(f"--folds is {args.folds}; wanted at least 2")
    if len(table) < 4:
        raise UsageError(f"{table.name} has {len(table)} designs; a value model needs at least 4")
    space = table.space
    rows = [space.features(table.design(i)) for i in range(len(table))]
    priced = [i for i, c in enumerate(table.cost) if not math.isnan(c) and c > 0]
    report: dict[str, Any] = {
        "table": table.name,
        "folds": args.folds,
        "seed": args.seed,
        "score": assess(rows, list(table.score), "score", folds=args.folds, seed=args.seed),
    }
    if len(priced) >= 4:
        costs = [float(np.log10(table.cost[i])) for i in priced]
        report["log10_cost"] = assess(
            [rows[i] for i in priced], costs, "cost", folds=args.folds, seed=args.seed
        )
    if args.json:
        print(json.dumps(report))
        return 0
    for target in ("score", "log10_cost"):
        if target in report:
            _print(table.name, target, report[target])
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

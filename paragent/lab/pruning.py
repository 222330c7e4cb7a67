"""`paragent lab pruning`: what skipping hopeless proposals saves on real runs, and what it loses.

On the pocket benchmark, the same search with and without pruning, with the same number of
evaluations and the same seeds. Judged by the front's hypervolume on the test tasks (one pair of
bounds for both runs of a seed) and by the best design's test score; differences are paired by
seed. The audits of all seeds together give the false-prune rate.

    paragent lab pruning --searchers mcts,random --seeds 5 --evals 60
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paragent.api import optimize
from paragent.errors import UnknownName, UsageError
from paragent.lab.compare import names
from paragent.pareto import score_cost_hypervolume
from paragent.registry import searchers
from paragent.stats import clopper_pearson, paired_difference

if TYPE_CHECKING:
    from paragent.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--searchers", default="mcts,random", help="names, comma-separated")
    parser.add_argument(
        "--models",
        default="pocket-s,pocket-s-math,pocket-s-text",
        help="names, comma-separated (default: the three small ones)",
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evals", type=int, default=60)
    parser.add_argument("--test-tasks", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    for name in ("seeds", "evals", "test_tasks"):
        if getattr(args, name) < 1:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is {getattr(args, name)}; wanted 1 or more")
    asked = names(args.searchers)
    for name in asked:
        if name not in searchers:
            raise UnknownName("searcher", name, searchers.names())
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for searcher in asked:
            for seed in range(args.seeds):
                runs = [
                    optimize(
                        "pocket",
                        searcher=searcher,
                        models=tuple(names(args.models)),
                        evals=args.evals,
                        test_tasks=args.test_tasks,
                        prune=prune,
                        seed=seed,
                        out=Path(folder) / f"{searcher}-{seed}-{prune}",
                    )
                    for prune in (True, False)
                ]
                rows.append(row_of(searcher, seed, *runs))
                print(f"{searcher} seed {seed}: {rows[-1]}", file=sys.stderr, flush=True)
    report = {name: summed([r for r in rows if r["searcher"] == name]) for name in asked}
    if args.json:
        print(json.dumps({"searchers": report, "seeds": rows}))
        return 0
    print("| searcher | hypervolume, pruning - not [95 %] | best test score, pruning - not [95 %] "
          "| dollars, ratio | skipped | audits | false | rate [95 %] |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name, found in report.items():
        low, high = found["false_prune_interval"] or (0.0, 1.0)
        rate = found["false_prune_rate"]
        said = "nothing audited" if rate is None else f"{rate:.2f} [{low:.2f}, {high:.2f}]"
        print(
            f"| {name} | {_shown(found['hypervolume'])} | {_shown(found['best'])} "
            f"| {found['usd_ratio']:.2f} | {found['pruned']} | {found['audits']} "
            f"| {found['false_prunes']} | {said} |"
        )
    return 0


def row_of(searcher: str, seed: int, pruning: Run, plain: Run) -> dict[str, Any]:
    """One seed's two runs, judged within the same bounds of cost."""
    costs = [c for run in (pruning, plain) for e in run.evaluations if (c := e.cost("usd"))]
    bounds = min(costs) / 1.5, max(costs) * 1.5
    record = pruning.pruning or {}

    def volume(run: Run) -> float:
        points = [(p.best_known.score, p.best_known.cost("usd")) for p in run.front()]
        return score_cost_hypervolume(points, *bounds)

    def best(run: Run) -> float | None:
        return run.best().point.best_known.score

    return {
        "searcher": searcher,
        "seed": seed,
        "hypervolume": [volume(pruning), volume(plain)],
        "best": [best(pruning), best(plain)],
        "usd": [pruning.spent.usd, plain.spent.usd],
        **{key: record.get(key, 0) for key in ("pruned", "audits", "false_prunes")},
    }


def summed(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Paired differences over seeds, the ratio of what the searches spent, and all audits."""
    audits, wrong = (sum(r[key] for r in rows) for key in ("audits", "false_prunes"))
    bounds = clopper_pearson(wrong, audits) if audits else None
    found: dict[str, Any] = {}
    for figure in ("hypervolume", "best"):
        with_, without = ({r["seed"]: r[figure][i] for r in rows} for i in (0, 1))
        pair = paired_difference(with_, without)
        found[figure] = {"difference": pair.mean, "low": pair.low, "high": pair.high}
    return {
        **found,
        "usd_ratio": sum(r["usd"][0] for r in rows) / sum(r["usd"][1] for r in rows),
        "pruned": sum(r["pruned"] for r in rows),
        "audits": audits,
        "false_prunes": wrong,
        "false_prune_rate": wrong / audits if audits else None,
        "false_prune_interval": [bounds.low, bounds.high] if bounds else None,
    }


def _shown(pair: dict[str, float]) -> str:
    return f"{pair['difference']:+.3f} [{pair['low']:+.3f}, {pair['high']:+.3f}]"

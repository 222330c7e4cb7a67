"""`paragent lab front-gain`: is a found front really better than what one would use instead?

Over several seeds, on the pocket benchmark: the front's best design against the best single agent
(chosen by trying all plain single agents on dev tasks), and the front's cheapest design against
the cheapest model answering directly. Paired on the same test tasks, which chose neither side.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paragent.api import optimize
from paragent.benchmarks.pocket import PocketBenchmark
from paragent.design import Agent, Design, Part
from paragent.lab.measure import measure
from paragent.outcome import Evaluation
from paragent.pocket.engine import catalog
from paragent.stats import holm, paired_difference

REASONING = (
    Part("direct"),
    Part("chain_of_thought"),
    Part.of("self_consistency", n=3, temperature=0.7),
    Part.of("best_of_n", n=5, temperature=0.5),
    Part.of("self_refine", rounds=1),
)


def single_agents(models: Sequence[str]) -> list[Design]:
    """Every model with every plain reasoning, with and without notes and calculator."""
    return [
        Design(
            Agent(
                Part(model),
                reasoning,
                memory=Part.of("lookup", k=4) if notes else None,
                tools=(Part("calculator"),) if tools else (),
            )
        )
        for model in models
        for reasoning in REASONING
        for notes in (False, True)
        for tools in ((False,) if reasoning.name == "direct" else (False, True))
    ]


def compare(one: Evaluation, other: Evaluation) -> dict[str, Any]:
    """`one - other`, paired."""
    pair = paired_difference(one.scores, other.scores)
    return {
        "score": one.score,
        "against": other.score,
        "difference": pair.mean,
        "low": pair.low,
        "high": pair.high,
        "p": pair.p_value,
        "n": pair.n,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--models", help="names, comma-separated (default: all that are shipped)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evals", type=int, default=60)
    parser.add_argument("--searcher", default="mcts")
    parser.add_argument("--dev-tasks", type=int, default=200, help="to choose the single agent")
    parser.add_argument("--test-tasks", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    benchmark = PocketBenchmark()
    models = tuple(args.models.split(",")) if args.models else tuple(catalog())
    singles = measure(benchmark, single_agents(models), "dev", args.dev_tasks)
    best_single = max(singles, key=lambda e: e.score or 0.0).design
    (single,) = measure(benchmark, [best_single], "test", args.test_tasks)
    print(f"best single agent: {best_single.label} {single.score:.3f}", file=sys.stderr, flush=True)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seeds):
            run = optimize(
                "pocket",
                searcher=args.searcher,
                models=models,
                evals=args.evals,
                test_tasks=args.test_tasks,
                seed=seed,
                out=Path(folder) / str(seed),
            )
            best, cheapest, baseline = run.best().point, run.cheapest().point, run.baseline
            assert best.test and cheapest.test and baseline and baseline.test, "a run without caps"
            rows.append(
                {
                    "seed": seed,
                    "best": best.design.label,
                    "best_vs_single": compare(best.test, single),
                    "cheapest": cheapest.design.label,
                    "cheapest_vs_baseline": compare(cheapest.test, baseline.test),
                    "seconds": run.spent.seconds,
                    "hypervolume": run.hypervolume(),
                }
            )
            print(f"seed {seed}: {best.test.score:.3f}  {best.design.label}", file=sys.stderr)
    for key in ("best_vs_single", "cheapest_vs_baseline"):
        for row, p in zip(rows, holm([r[key]["p"] for r in rows]), strict=True):
            row[key]["p_holm"] = p
    if args.json:
        print(json.dumps({"single": best_single.label, "seeds": rows}))
        return 0
    print("| seed | best design (test) | - best single agent [95 %] | p (Holm) "
          "| cheapest - direct baseline [95 %] | p (Holm) | s |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        b, c = row["best_vs_single"], row["cheapest_vs_baseline"]
        print(
            f"| {row['seed']} | {b['score']:.3f} {row['best']} | {b['difference']:+.3f} "
            f"[{b['low']:+.3f}, {b['high']:+.3f}] | {b['p_holm']:.1e} | {c['difference']:+.3f} "
            f"[{c['low']:+.3f}, {c['high']:+.3f}] | {c['p_holm']:.1e} | {row['seconds']:.0f} |"
        )
    return 0

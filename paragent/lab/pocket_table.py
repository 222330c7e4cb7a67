"""`paragent lab pocket-table`: what the shipped models can do, design by design, with intervals.

Hand-made designs on fresh tasks of the test split, then the gates that the model family should
pass, each as a paired test (Holm over all gates). The same table stands in the model card.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from paragent.benchmarks.pocket import PocketBenchmark
from paragent.design import Agent, Design, Node, Part, Team
from paragent.lab.measure import measure
from paragent.outcome import Evaluation
from paragent.pocket.engine import catalog
from paragent.pocket.tasks import FAMILIES
from paragent.stats import holm, paired_difference

COT = Part("chain_of_thought")
DIRECT = Part("direct")
LOOKUP = Part.of("lookup", k=4)
CALCULATOR = (Part("calculator"),)


def agent(model: str, reasoning: Part = COT, *, notes: bool = True, tools: bool = True) -> Agent:
    """One agent; chain of thought, notes and calculator unless told otherwise."""
    return Agent(
        Part(model),
        reasoning,
        memory=LOOKUP if notes else None,
        tools=CALCULATOR if tools and reasoning != DIRECT else (),
    )


def hand_made(models: Sequence[str]) -> dict[str, Design]:
    """The table's designs by name; teams only where their models are there."""
    nodes: dict[str, Node] = {}
    for m in models:
        nodes[f"{m} direct"] = agent(m, DIRECT)
        nodes[f"{m} steps"] = agent(m, tools=False)
        nodes[f"{m} steps, no notes"] = agent(m, notes=False, tools=False)
        nodes[f"{m} calculator"] = agent(m)
        nodes[f"{m} calculator, no notes"] = agent(m, notes=False)
    small = [m for m in models if m.startswith("pocket-s")]
    base = small[0] if small else models[0]
    nodes[f"{base} 5 votes"] = agent(base, Part.of("self_consistency", n=5, temperature=0.4))
    nodes[f"{base} best of 5"] = agent(base, Part.of("best_of_n", n=5, temperature=0.5))
    nodes[f"{base} self-refine"] = agent(base, Part.of("self_refine", rounds=1))
    for by in ("model", "calculator"):
        nodes[f"{base} decompose by {by}"] = Agent(
            Part(base), COT, Part.of("decompose", by=by), LOOKUP
        )
    if len(models) > 1:
        everyone = tuple(agent(m) for m in models)
        nodes["vote of all models"] = Team(Part.of("vote", rule="plurality"), everyone)
        nodes["most confident of all models"] = Team(Part.of("vote", rule="confident"), everyone)
    if len(small) > 1:
        cheap = tuple(agent(m) for m in small)
        nodes["vote of the small models"] = Team(Part.of("vote", rule="plurality"), cheap)
        nodes["most confident of the small models"] = Team(Part.of("vote", rule="confident"), cheap)
    if {"pocket-s-math", "pocket-s-text"} <= set(models):
        nodes["orchestrated specialists"] = Team(
            Part("orchestrator"),
            (
                replace(agent("pocket-s-math"), role="arithmetic+units+schedule"),
                replace(agent("pocket-s-text"), role="facts+lists"),
            ),
            lead=Agent(Part("pocket-s-math"), DIRECT),
        )
    if {"pocket-s", "pocket-m"} <= set(models):
        pair = (agent("pocket-s"), agent("pocket-m"))
        for threshold in (0.9, 0.97, 0.99):
            nodes[f"cascade s-m at {threshold}"] = Team(
                Part.of("cascade", threshold=threshold, keep="best"), pair
            )
        nodes["generate (m), verify (s)"] = Team(Part("generate_verify"), (pair[1], pair[0]))
    return {name: Design(node) for name, node in nodes.items()}


def gates(found: Mapping[str, Evaluation], models: Sequence[str]) -> list[dict[str, Any]]:
    """The gates: each a paired difference `better - worse` with its interval, Holm-corrected."""
    small = "pocket-s" if "pocket-s" in models else models[0]

    def best(names: Sequence[str]) -> str:
        return max(names, key=lambda n: found[n].score or 0.0)

    wanted = [
        ("step by step above direct", f"{small} steps", f"{small} direct", 0.30),
        ("calculator", f"{small} calculator", f"{small} steps", 0.0),
        ("notes", f"{small} calculator", f"{small} calculator, no notes", 0.0),
    ]
    if "pocket-m" in models and small == "pocket-s":
        wanted.append(("medium above small", "pocket-m calculator", "pocket-s calculator", 0.0))
        cascades = [n for n in found if n.startswith("cascade")]
        if cascades:
            wanted.append(("confidence cascade", best(cascades), f"{small} calculator", 0.0))
    for size, members in (("small", [m for m in models if m != "pocket-m"]), ("all", models)):
        name = f"vote of {'the small' if size == 'small' else 'all'} models"
        if name in found:
            votes = [name, name.replace("vote", "most confident")]
            alone = best([f"{m} calculator" for m in members])
            wanted.append(
                (f"mixed models ({size}) above the best of them", best(votes), alone, 0.0)
            )
    if "orchestrated specialists" in found:
        alone = best([f"{m} calculator" for m in models if m != "pocket-m"])
        wanted.append(
            (
                "specialists under a lead above the best of them",
                "orchestrated specialists",
                alone,
                0,
            )
        )
    rows: list[dict[str, Any]] = []
    for name, better, worse, margin in wanted:
        pair = paired_difference(found[better].scores, found[worse].scores)
        rows.append(
            {
                "gate": name,
                "better": better,
                "worse": worse,
                "difference": pair.mean,
                "low": pair.low,
                "high": pair.high,
                "p": pair.p_value,
                "wanted": margin,
            }
        )
    for row, p in zip(rows, holm([r["p"] for r in rows]), strict=True):
        row["p_holm"] = p
        row["passed"] = p < 0.01 and row["difference"] > row["wanted"]
    top = best(list(found))
    interval = found[top].interval()
    assert interval is not None
    rows.append(
        {
            "gate": "best design at least .80",
            "better": top,
            "difference": found[top].score,
            "low": interval.low,
            "high": interval.high,
            "passed": (found[top].score or 0.0) >= 0.80,
        }
    )
    return rows


def by_family(evaluation: Evaluation, family_of: Mapping[str, str]) -> dict[str, float]:
    """Mean score per family."""
    groups: dict[str, list[float]] = {}
    for task, score in evaluation.scores.items():
        groups.setdefault(family_of[task], []).append(score)
    return {f: sum(v) / len(v) for f, v in groups.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--tasks", type=int, default=800, help="test tasks per design")
    parser.add_argument("--models", help="names, comma-separated (default: all that are shipped)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Measure and print; 0 also where a gate is not passed: the table is the result."""
    models = args.models.split(",") if args.models else list(catalog())
    benchmark = PocketBenchmark()
    family_of = {t.id: t.tags["family"] for t in benchmark.tasks("test")}
    designs = hand_made(models)
    names = {d.hash: n for n, d in designs.items()}

    def progress(evaluation: Evaluation) -> None:
        print(f"  {names[evaluation.design.hash]}: {evaluation.score:.3f}", file=sys.stderr)

    evaluations = measure(benchmark, list(designs.values()), "test", args.tasks, done=progress)
    found = dict(zip(designs, evaluations, strict=True))
    rows = []
    for name, evaluation in found.items():
        interval = evaluation.interval()
        assert interval is not None
        rows.append(
            {
                "design": name,
                "score": evaluation.score,
                "low": interval.low,
                "high": interval.high,
                "n": evaluation.n,
                "failures": evaluation.failures,
                "usd_per_1k": (evaluation.usd_per_task or 0.0) * 1000,
                "tokens": evaluation.tokens_per_task,
                "calls": evaluation.calls_per_task,
                "cpu_ms": (evaluation.latency_s or 0.0) * 1000,
                **by_family(evaluation, family_of),
            }
        )
    checks = gates(found, models)
    if args.json:
        print(json.dumps({"tasks": args.tasks, "designs": rows, "gates": checks}))
        return 0
    print_table(rows, checks)
    return 0


def print_table(rows: Sequence[Mapping[str, Any]], checks: Sequence[Mapping[str, Any]]) -> None:
    """Two Markdown tables, as they stand in the model card."""
    print("| design | score [95 %] | " + " | ".join(FAMILIES) + " | calls | tokens | $/1k | ms |")
    print("|---" * (6 + len(FAMILIES)) + "|")
    for r in rows:
        families = " | ".join(f"{r.get(f, float('nan')):.2f}" for f in FAMILIES)
        print(
            f"| {r['design']} | {r['score']:.3f} [{r['low']:.3f}, {r['high']:.3f}] | {families} | "
            f"{r['calls']:.2f} | {r['tokens']:.0f} | {r['usd_per_1k']:.4f} | {r['cpu_ms']:.1f} |"
        )
    print()
    print("| gate | better | worse | difference [95 %] | p (Holm) | passed |")
    print("|---|---|---|---|---|---|")
    for c in checks:
        p = f"{c['p_holm']:.1e}" if "p_holm" in c else ""
        print(
            f"| {c['gate']} | {c['better']} | {c.get('worse', '')} | {c['difference']:+.3f} "
            f"[{c['low']:+.3f}, {c['high']:+.3f}] | {p} | {'yes' if c['passed'] else 'NO'} |"
        )

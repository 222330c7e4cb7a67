"""One component, benchmark or design in full."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from paragent.commands.designs import HELP, find_design
from paragent.commands.runs import add_json_argument, load_models, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What kind of thing, and which."""
    parser.add_argument("what", choices=("component", "benchmark", "design"))
    parser.add_argument("name", metavar="NAME", help=f"its name; for a design: {HELP}")
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Print it."""
    load_models()
    facts: dict[str, Any] = {
        "component": _component,
        "benchmark": _benchmark,
        "design": _design,
    }[args.what](args.name)
    if args.json:
        print_json(facts)
        return 0
    for name, value in facts.items():
        text = value.rstrip("\n") if isinstance(value, str) else _text(value)
        if "\n" in text:
            print(f"{name}:")
            for line in text.splitlines():
                print(f"  {line}")
        else:
            print(f"{name:<22}{text}")
    return 0


def _component(name: str) -> dict[str, Any]:
    from paragent.registry import components

    c = components[name]
    price = None
    if c.price is not None:
        price = {
            "usd_per_mtok_in": c.price.usd_per_mtok_in,
            "usd_per_mtok_out": c.price.usd_per_mtok_out,
            "usd_per_mtok_cached": c.price.usd_per_mtok_cached,
            "usd_per_call": c.price.usd_per_call,
        }
    facts: dict[str, Any] = {
        "name": c.name,
        "kind": c.kind,
        "summary": c.summary,
        "parameters": {key: list(values) for key, values in c.params.items()},
        "requires": list(c.requires),
        "provides": list(c.provides),
        "price": price,
        "paper": c.paper,
        "version": c.version,
    }
    if c.kind == "topology":
        facts |= {"members": list(c.members), "lead": c.lead}
    return facts


def _benchmark(name: str) -> dict[str, Any]:
    from paragent.registry import benchmarks

    plugin = benchmarks[name]
    benchmark = plugin.load()
    first = benchmark.tasks("dev")[0]
    tags = Counter(
        f"{key}={value}" for task in benchmark.tasks("dev") for key, value in task.tags.items()
    )
    return {
        "name": plugin.name,
        "summary": plugin.summary,
        "version": benchmark.version,
        "source": plugin.source,
        "licence": plugin.licence,
        "dev_tasks": len(benchmark.tasks("dev")),
        "test_tasks": len(benchmark.tasks("test")),
        "notes": len(benchmark.context.notes),
        "examples": len(benchmark.context.examples),
        "dev_tags": dict(sorted(tags.items())),
        "first_question": first.question,
        "first_answer": first.answer,
    }


def _design(word: str) -> dict[str, Any]:
    from paragent.compile import compile_design

    found = find_design(word)
    design = found.design
    facts: dict[str, Any] = {
        "hash": design.hash,
        "label": design.label,
        "agents": sum(1 for _ in design.agents()),
        "depth": design.depth,
        "most_calls_per_task": compile_design(design).max_calls,
        "models": sorted({agent.model.name for _, agent in design.agents()}),
    }
    if found.picked is not None:
        point = found.picked.point
        for split, evaluation in (("dev", point.dev), ("test", point.test)):
            interval = evaluation.interval() if evaluation else None
            if evaluation is not None and interval is not None:
                facts[split] = {
                    "score": evaluation.score,
                    "low": interval.low,
                    "high": interval.high,
                    "n": evaluation.n,
                    "usd_per_task": evaluation.usd_per_task,
                }
    return {**facts, "design": design.to_yaml()}


def _text(value: Any) -> str:
    if value is None:
        return "?"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_text(v)}" for key, v in value.items()) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

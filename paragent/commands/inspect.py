"""One component, benchmark or design in full."""

from __future__ import annotations

import argparse
import inspect
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paragent.commands.designs import HELP, find_design
from paragent.commands.runs import add_json_argument, load_models, print_json
from paragent.errors import UsageError

if TYPE_CHECKING:
    from paragent.benchmark import Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What kind of thing, and which."""
    parser.add_argument("what", choices=("component", "benchmark", "design"))
    parser.add_argument("name", metavar="NAME", help=f"its name; for a design: {HELP}")
    parser.add_argument("--data", metavar="PATH", help="the benchmark's file or folder")
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Print it."""
    load_models()
    if args.data is not None and args.what != "benchmark":
        raise UsageError("--data is for benchmarks")
    facts: dict[str, Any] = {
        "component": _component,
        "benchmark": lambda name: _benchmark(name, args.data),
        "design": _design,
    }[args.what](args.name)
    code = 2 if facts.get("missing") else 0
    if args.json:
        print_json(facts)
        return code
    for name, value in facts.items():
        text = value.rstrip("\n") if isinstance(value, str) else _text(value)
        if name == "price" and value is None and facts["kind"] != "model":
            text = "what its model calls cost"
        if "\n" in text:
            print(f"{name}:")
            for line in text.splitlines():
                print(f"  {line}")
        else:
            print(f"{name:<22}{text}")
    return code


def _component(name: str) -> dict[str, Any]:
    from paragent.describe import bound_text
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
        "calls": bound_text(c),
        "requires": list(c.requires),
        "provides": list(c.provides),
        "price": price,
        "paper": c.paper,
        "version": c.version,
    }
    if c.kind == "topology":
        facts |= {"members": list(c.members), "lead": c.lead}
    if c.prompts:
        facts["prompts"] = {p.name: p.text for p in c.prompts}
    description = " ".join((inspect.getdoc(inspect.getmodule(c.build)) or "").split())
    return facts | {"measured": _measured(name), "description": description}


def _measured(name: str) -> list[str] | str:
    """The measured effect, one line a setting, or why there is none."""
    from paragent.lab.effects import effects_of, why_unmeasured

    rows = effects_of(name)
    if not rows:
        why = why_unmeasured(name)
        return f"not measurable with the shipped models: {why}" if why else "not measured"
    return [
        f"{row['setting'].strip(', ') or 'alone'}{', ' + row['family'] if row['family'] else ''}, "
        f"against {row['against']}: {row['score']:.3f} vs {row['control_score']:.3f} "
        f"({row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}], n {row['n']}): "
        f"{row['verdict']}"
        for row in rows
    ]


def _benchmark(name: str, data: str | None) -> dict[str, Any]:
    from paragent.config import RunConfig
    from paragent.registry import benchmark_of, benchmarks

    plugin = benchmarks[name]
    command = plugin.missing() if data is None else ""
    if command:
        return {
            "name": plugin.name,
            "summary": plugin.summary,
            "version": plugin.version,
            "source": plugin.source,
            "licence": plugin.licence,
            "scorer": plugin.scorer,
            "needs": plugin.needs,
            **{f"{split}_tasks": count for split, count in plugin.sizes.items()},
            "missing": command,
        }
    benchmark = benchmark_of(RunConfig(benchmark=name, data=data))
    tags = Counter(
        f"{key}={value}" for task in benchmark.tasks("dev") for key, value in task.tags.items()
    )
    return {
        "name": plugin.name,
        "summary": plugin.summary,
        "version": benchmark.version,
        "source": plugin.source,
        "licence": plugin.licence,
        "scorer": plugin.scorer,
        "needs": plugin.needs or "nothing more",
        "ready": "yes",
        "dev_tasks": len(benchmark.tasks("dev")),
        "test_tasks": len(benchmark.tasks("test")),
        "notes": len(benchmark.context.notes),
        "examples": len(benchmark.context.examples),
        "dev_tags": dict(sorted(tags.items())),
        **_three(benchmark.tasks("dev")[:3]),
    }


def _three(tasks: Sequence[Task]) -> dict[str, str]:
    """The first tasks, long ones by their beginning and end."""
    shown = {}
    for number, task in enumerate(tasks, 1):
        shown[f"task_{number}"] = task.id
        shown[f"question_{number}"] = _short(task.question)
        shown[f"answer_{number}"] = _short(task.answer) or "(no single right answer)"
    return shown


def _short(text: str, most: int = 1200) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}\n[…]\n{text[-most // 2 :]}"


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
        sentences = any(isinstance(v, str) and len(v) > 60 for v in value)
        return ("\n" if sentences else ", ").join(map(str, value)) or "none"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_text(v)}" for key, v in value.items()) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

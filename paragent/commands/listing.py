"""List what there is: components, searchers, benchmarks, models, the lab's tables, or the runs
under ./runs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from paragent.commands.runs import (
    add_json_argument,
    known_runs,
    load_models,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from paragent.component import Component
    from paragent.runtime.models_file import ModelSpec

WHAT = ("components", "searchers", "benchmarks", "models", "tables", "runs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to list."""
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--kind", help="components of this kind only")
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Print the listing."""
    from paragent.component import KINDS
    from paragent.errors import UnknownName

    if args.kind is not None and args.kind not in KINDS:
        raise UnknownName("kind", args.kind, KINDS)
    items = {
        "components": _components,
        "searchers": _searchers,
        "benchmarks": _benchmarks,
        "models": _models,
        "tables": _tables,
        "runs": _runs,
    }[args.what](args)
    if args.json:
        print_json({args.what: items})
        return 0
    columns = list(items[0]) if items else []
    print_table(columns, [[_cell(item[column]) for column in columns] for item in items])
    return 0


def _components(args: argparse.Namespace) -> list[dict[str, Any]]:
    from paragent.describe import bound_text
    from paragent.registry import components

    def more(c: Component) -> dict[str, Any]:
        if not args.json:  # a table has little room
            return {"source": c.paper}
        parameters = {name: list(values) for name, values in c.params.items()}
        return {"provides": list(c.provides), "parameters": parameters, "paper": c.paper}

    return [
        {
            "name": c.name,
            "kind": c.kind,
            "calls": bound_text(c),
            "requires": list(c.requires),
            "summary": c.summary,
            **more(c),
        }
        for c in sorted(components, key=lambda c: (c.kind, c.name))
        if c.kind == args.kind or (args.kind is None and c.kind != "model")
    ]


def _searchers(args: argparse.Namespace) -> list[dict[str, Any]]:
    from paragent.registry import searchers

    return [
        {"name": s.name, "options": dict(s.options), "summary": s.summary, "paper": s.paper}
        for s in searchers
    ]


def _benchmarks(args: argparse.Namespace) -> list[dict[str, Any]]:
    from paragent.registry import benchmarks

    found = []
    for b in benchmarks:
        missing = b.missing()
        facts = {
            "name": b.name,
            "summary": b.summary,
            "tasks": sum(b.sizes.values()) or None,
            "splits": dict(b.sizes),
            "scorer": b.scorer,
            "licence": b.licence,
            "needs": b.needs,
            "ready": not missing,
            "missing": missing,
        }
        if args.json:
            found.append({**facts, "version": b.version, "source": b.source})
        else:
            splits = " + ".join(f"{n:,} {split}" for split, n in b.sizes.items())
            ready = missing or "ready"
            found.append(
                {"name": b.name, "tasks": splits, "scorer": b.scorer, "licence": b.licence,
                 "ready": ready, "summary": b.summary}
            )  # fmt: skip
    return found


def _models(args: argparse.Namespace) -> list[dict[str, Any]]:
    import asyncio

    from paragent.registry import components
    from paragent.runtime.models_file import all_models

    load_models()
    specs = all_models()
    answers = asyncio.run(_reachable(specs))
    found = []
    for c in components:
        if c.kind != "model":
            continue
        price, spec = c.price, specs.get(c.name)
        found.append(
            {
                "name": c.name,
                "endpoint": spec.endpoint if spec else "pocket",
                "reachable": answers[c.name] if spec else "yes",
                "usd_per_mtok_in": price.usd_per_mtok_in if price else None,
                "usd_per_mtok_out": price.usd_per_mtok_out if price else None,
                "prices_as_of": spec.prices_as_of if spec else c.paper,
                "limits": {k: v for k, v in asdict(spec.limits).items() if v} if spec else {},
                "summary": c.summary,
            }
        )
    return found


async def _reachable(specs: Mapping[str, ModelSpec]) -> dict[str, str]:
    """Yes, no, or which key is not set (such an endpoint is not contacted), by model."""
    import asyncio

    from paragent.runtime.models_file import variables

    asked: dict[tuple[str, tuple[str, ...]], asyncio.Task[bool | None]] = {}
    missing: dict[str, str] = {}
    where: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name, spec in specs.items():
        unset = [v for v in variables(spec) if not os.environ.get(v)]
        if unset:
            missing[name] = f"{unset[0]} is not set"
            continue
        where[name] = (spec.endpoint, variables(spec))
        if where[name] not in asked:  # one question per endpoint, not per model
            from paragent.runtime.reach import reachable

            asked[where[name]] = asyncio.ensure_future(reachable(spec))
    said = {place: await task for place, task in asked.items()}
    return missing | {name: "yes" if said[place] else "no" for name, place in where.items()}


def _tables(args: argparse.Namespace) -> list[dict[str, Any]]:
    from paragent.lab.shipped import shipped

    keep = ("designs", "tasks", "runs", "licence", "summary", *(("sha256",) if args.json else ()))
    return [{"name": name, **{k: about[k] for k in keep}} for name, about in shipped().items()]


def _runs(args: argparse.Namespace) -> list[dict[str, Any]]:
    from paragent.api import open_run
    from paragent.errors import ParagentError

    found: list[dict[str, Any]] = []
    for folder in known_runs():
        try:
            run = open_run(folder)
        except ParagentError as error:
            found.append({"name": folder.name, "designs": None, "front": None, "state": str(error)})
            continue
        state = run.stopped_by if run.meta.get("finished") else "not finished"
        designs, front = len(run.evaluations), len(run.front())
        found.append({"name": run.name, "designs": designs, "front": front, "state": state})
    return found


def _cell(value: Any) -> str:
    if value is None:
        return "?"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return " ".join(
            f"{key}={'|'.join(map(str, v)) if isinstance(v, list) else v}"
            for key, v in value.items()
        )
    return f"{value:g}" if isinstance(value, float) else str(value)

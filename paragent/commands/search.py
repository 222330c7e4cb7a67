"""Search for the best agent systems of a benchmark, within hard caps.

Settings come from the specification (YAML, the same keys as the flags), then from the flags, which
win. Everything measured is kept in the run's folder at once: Ctrl-C loses nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from paragent.commands.progress import add_progress_argument, watching
from paragent.commands.runs import RUNS, add_json_argument, find_run, print_json
from paragent.commands.spec import SETTINGS, names, read_spec

_HELP = {
    "benchmark": "what to search for (`paragent list benchmarks`)",
    "searcher": "who proposes designs (`paragent list searchers`)",
    "models": "models that agents may use, by comma; default: the pocket models",
    "evals": "designs to measure",
    "tasks": "dev tasks that measure a design",
    "confirm": "further dev tasks for the finalists",
    "test_tasks": "test tasks that the front is reported on",
    "finalists": "designs that are measured further",
    "seed": "one seed, one run",
    "parallel": "designs in flight; part of what makes a run repeatable",
    "cost": "the second objective: usd, tokens, calls or latency",
    "usd": "cap in dollars",
    "tokens": "cap in tokens",
    "calls": "cap in model calls",
    "minutes": "cap in minutes",
    "final_share": "share of the caps kept for the finalists",
    "include": "only these components beside the models, by comma",
    "exclude": "not these components, by comma",
    "max_depth": "teams of teams: how deep",
    "max_members": "members of one team",
    "max_calls_per_task": "worst-case model calls of a design on one task",
    "max_tools": "tools that one agent may hold",
    "subagents": "ready sub-agents that may stand where an agent stands, by comma; or: all",
    "failure_limit": "share of failed tasks above which a design does not count",
    "data": "a file of your own tasks (CSV, JSONL), or the data of --benchmark (file or folder)",
    "input": "own tasks: the column of the questions",
    "answer": "own tasks: the column of the right answers",
    "scorer": "own tasks: number, exact, choice, f1, yes_no, judge or python:FILE:FUNCTION",
    "judge": "own tasks, scorer judge: the model that judges",
    "share": "a folder through which searches of the same benchmark share what they measure",
    "warm_start": "an earlier run whose evaluations the search starts from, as far as they help",
    "proposer": "a language model that the searcher asks for edits, prompts, sub-agents and "
    "skills; its calls count under the same caps",
}

#: Options of single searchers that have a flag; all others: `options:` in the specification.
_OPTIONS: Mapping[str, tuple[type, str]] = {
    "selection": (str, "mcts: which designs to grow from, mixed or uct"),
    "refine": (int, "mcts: every how many designs logged failures choose the edits; 0: never"),
    "credit": (
        str,
        "bandit: who helped a team, by helpful, judge (the --proposer), counterfactual or success",
    ),
    "composer": (str, "knapsack: online, offline, retrieval or identity"),
    "price_budget": (float, "knapsack: worst-case dollars per 1,000 tasks of a team's parts"),
}

_METAVAR: Mapping[object, str] = {int: "N", float: "X", names: "A,B"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for every setting."""
    parser.add_argument(
        "spec", nargs="?", type=Path, metavar="SPEC.yaml", help="settings in a file"
    )
    for name, text in _HELP.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=SETTINGS[name],
            metavar=_METAVAR.get(SETTINGS[name], "NAME"),
            help=text,
        )
    for name, (kind, text) in _OPTIONS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=kind, metavar=_METAVAR.get(kind, "NAME"), help=text
        )
    add_where_arguments(parser)
    parser.add_argument("--out", metavar="DIR", help="the run's folder; default: ./runs/<name>")
    parser.add_argument(
        "--no-prune", action="store_true", help="run every proposal, however hopeless it looks"
    )
    parser.add_argument(
        "--race",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="measure a design block by block, and leave it once another surely dominates it",
    )
    parser.add_argument("--no-report", action="store_true", help="write no HTML report at the end")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the request and estimate what it will use; spends nothing",
    )
    add_progress_argument(parser)
    add_json_argument(parser)


def add_where_arguments(parser: argparse.ArgumentParser) -> None:
    """--address and --workers."""
    parser.add_argument(
        "--address",
        metavar="WHERE",
        help="where tasks run: none (this process, the default), local (a Ray of its own on this "
        "machine), auto, HOST:PORT or ray://HOST:PORT (a running cluster); same results",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="worker processes there; default: one per core"
    )


def main(args: argparse.Namespace) -> int:
    """Search, settle, report."""
    settings: dict[str, Any] = {}
    out = args.out
    if args.spec is not None:
        settings = read_spec(args.spec)
        out = out or settings.pop("out", None)
        settings.pop("out", None)
    where = {
        "address": args.address or settings.pop("address", "none"),
        "workers": args.workers if args.workers is not None else settings.pop("workers", None),
    }
    for name in ("address", "workers"):
        settings.pop(name, None)
    for name in _HELP:
        given = getattr(args, name)
        if given is not None:
            settings[name] = given
    given = {name: value for name in _OPTIONS if (value := getattr(args, name)) is not None}
    if given:
        settings["options"] = {**settings.get("options", {}), **given}
    if args.warm_start is not None:
        settings["warm_start"] = str(find_run(args.warm_start))
    if args.no_prune:
        settings["prune"] = False
    if args.race is not None:
        settings["race"] = args.race
    if args.dry_run:
        return _dry_run(settings, as_json=args.json)

    from paragent.api import new_folder, optimize
    from paragent.config import RunConfig

    folder = Path(out) if out else new_folder(RunConfig.from_data(settings))
    with watching(folder, quiet=args.json, way=args.progress) as progress:
        run = optimize(**settings, **where, out=folder, progress=progress)
    return finish(run, report=not args.no_report, as_json=args.json)


def finish(run: Any, *, report: bool, as_json: bool) -> int:
    """Show a finished run, and write its report. Exit code 1 where nothing could be measured."""
    page = None
    if report:
        from paragent.report import write_report

        page = write_report(run, run.path / "report")
    if as_json:
        print_json(run.summary())
    else:
        from paragent.commands.show import print_front

        print_front(run)
        print()
        print(f"run       {run.path}")
        if page is not None:
            print(f"report    {page}")
        print(f"configs   {run.path / 'configs'}")
        word = run.name if run.path == RUNS / run.name else run.path
        print(f"next      paragent export {word} --pick knee --format python")
    return 0 if run.front() else 1


def _dry_run(settings: dict[str, Any], *, as_json: bool) -> int:
    from paragent.api import check
    from paragent.config import RunConfig

    plan = check(RunConfig.from_data(settings))
    e = plan.estimate
    if as_json:
        print_json({**asdict(e), "config": plan.config.to_data(), "notes": list(plan.notes)})
        return 0
    print("the request is in order; nothing was spent")
    for name, value in plan.config.to_data().items():
        text = ", ".join(value) if isinstance(value, tuple) else value
        print(f"{name:<20}{text if text not in (None, '', {}) else '-'}")
    print(f"estimate            {e.calls:,} calls, {e.tokens:,} tokens, {_dollars(e.usd)}")
    high = f"{e.calls_high:,} calls, {e.tokens_high:,} tokens, {_dollars(e.usd_high)}"
    print(f"high figure         {high}")
    for note in plan.notes:
        print(f"note: {note}")
    return 0


def _dollars(usd: float | None) -> str:
    return "dollars unknown" if usd is None else f"${usd:.4g}"

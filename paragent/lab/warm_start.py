"""`paragent lab warm-start`: does it help to start from an earlier run, and what if it misleads?

On a design table, the same search with and without an earlier one's evaluations: of the same table
under another seed, of related tables of the same designs, and of the same table with its scores
turned round (a run that says the opposite of what is true). Judged by the table's true values after
5, 10, 20, … evaluations; differences are paired by seed.

    paragent lab warm-start --table pocket-facts --related pocket-mixed --seeds 20
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from paragent.errors import UsageError
from paragent.lab.compare import in_processes, names
from paragent.lab.shipped import open_table
from paragent.lab.trial import Protocol, run_trial
from paragent.lab.verdicts import summary
from paragent.recorded import DesignTable
from paragent.replay import Noise, Replay
from paragent.searcher import Earlier
from paragent.stats import paired_difference, variance_of_mean

#: The earlier run has a seed of its own.
OTHER_SEED = 100_000
#: What is compared: name, key of the trial's curve, and what a difference is divided by.
FIGURES = (("hypervolume share", "curve", 1.0), ("best missed, points", "missed_curve", 100.0))
MARKS = (5, 10, 20, 40, 80, 160)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--table", required=True, help="a folder with table.yaml, or a name")
    parser.add_argument("--related", default="", help="tables of the same designs, by comma")
    parser.add_argument("--searcher", default="mcts")
    parser.add_argument("--evals", type=int, default=40)
    parser.add_argument("--before", type=int, default=60, help="evaluations of the earlier run")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--noise", choices=("none", "recorded", "finite"), default="recorded")
    parser.add_argument("--eval-tasks", type=int, default=50, help="tasks of one evaluation")
    parser.add_argument("--jobs", type=int, help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    for name in ("seeds", "evals", "before", "eval_tasks"):
        if getattr(args, name) < 1:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is {getattr(args, name)}; wanted 1 or more")
    table = open_table(args.table)
    related = [open_table(name) for name in names(args.related)] if args.related else []
    noise: Noise = args.noise
    held = 0.5 if noise == "recorded" and table.outcomes is not None else 0.0
    protocol = Protocol(noise=noise, evals=args.evals, per_eval=args.eval_tasks, held_out=held)
    ways = ["none", "same", "reversed", *(t.name for t in related)]
    sources = {"same": table, "reversed": table, **{t.name: t for t in related}}
    work = [
        (table, sources.get(way), way, args.searcher, seed, protocol, args.before)
        for way in ways
        for seed in range(args.first_seed, args.first_seed + args.seeds)
    ]
    done = list(in_processes(_one, work, args.jobs))
    trials = {way: [t for w, t in zip(work, done, strict=True) if w[2] == way] for way in ways}
    report = report_of(trials, args.evals)
    if args.json:
        print(json.dumps({"table": table.name, "before": args.before, **report}))
        return 0
    print(f"{table.name}: {len(table)} designs; {args.before} evaluations before; noise {noise}; "
          f"{args.seeds} seeds")  # fmt: skip
    print_report(report)
    return 0


def _one(
    work: tuple[DesignTable, DesignTable | None, str, str, int, Protocol, int],
) -> dict[str, Any]:
    table, source, way, searcher, seed, protocol, before = work
    earlier: list[Earlier] = []
    if source is not None:
        earlier = evidence(source, searcher, OTHER_SEED + seed, replace(protocol, evals=before))
    if way == "reversed":
        earlier = [replace(e, score=1 - e.score) for e in earlier]
    same = way in ("same", "reversed")
    found = run_trial(table, searcher, seed, protocol, earlier, same=same)
    print(f"{way} seed {seed}: {found['hv_share']:.3f}", file=sys.stderr, flush=True)
    return found


def evidence(table: DesignTable, searcher: str, seed: int, protocol: Protocol) -> list[Earlier]:
    """What a search of the table under that seed measures."""
    rows = run_trial(table, searcher, seed, protocol)["rows"]
    replay = Replay(table, protocol.noise, seed=seed, held_out=protocol.held_out)
    count = len(replay.tasks("dev"))
    per_eval = count if protocol.noise == "none" else min(protocol.per_eval, count)
    found = []
    for row in dict.fromkeys(rows):
        scores, costs = replay.drawn(row)
        mine = [float(s) for s in scores[:per_eval]]
        cost = float(costs[:per_eval].mean())
        known = None if cost != cost else cost
        score = statistics.fmean(mine)
        found.append(Earlier(table.design(row), score, variance_of_mean(mine), known))
    return found


def report_of(trials: Mapping[str, Sequence[Mapping[str, Any]]], evals: int) -> dict[str, Any]:
    """Figures of every way at checkpoints, differences to a start from nothing, and the guard."""
    marks = [m for m in MARKS if m <= evals] or [evals]
    rows = []
    for name, key, scale in FIGURES:
        for mark in marks:
            plain = _at(trials["none"], key, mark)
            for way in trials:
                mine = _at(trials[way], key, mark)
                pair = None
                if way != "none":
                    pair = paired_difference(
                        {i: v / scale for i, v in enumerate(mine)},
                        {i: v / scale for i, v in enumerate(plain)},
                    )
                rows.append(
                    {
                        "figure": name,
                        "evaluations": mark,
                        "way": way,
                        **{k: v for k, v in summary(mine).items() if k in ("mean", "median")},
                        "minus_none": None if pair is None else scale * pair.mean,
                        "low": None if pair is None else scale * pair.low,
                        "high": None if pair is None else scale * pair.high,
                    }
                )
    guard = {}
    for way in trials:
        warm = [t["warm"] for t in trials[way] if t["warm"]]
        if warm:
            after = [w["dropped_after"] for w in warm if w["dropped_after"] is not None]
            guard[way] = {
                "relevance": statistics.fmean(w["relevance"] for w in warm),
                "slope": statistics.fmean(w["slope"] for w in warm),
                "spread_between": statistics.fmean(w["spread_between"] for w in warm),
                "dropped": len(after) / len(warm),
                "dropped_after": statistics.median(after) if after else None,
            }
    return {"rows": rows, "guard": guard}


def _at(trials: Sequence[Mapping[str, Any]], key: str, mark: int) -> list[float]:
    """The curve after so many evaluations; a search that ended earlier stays where it was."""
    return [float(t[key][min(mark, len(t[key])) - 1]) for t in trials]


def print_report(report: Mapping[str, Any]) -> None:
    """Two tables for people."""
    print("\n| figure | evaluations | start | mean | minus a start from nothing [95 %] |")
    print("|---|---|---|---|---|")
    for r in report["rows"]:
        gain = "" if r["minus_none"] is None else (
            f"{r['minus_none']:+.3f} [{r['low']:+.3f}, {r['high']:+.3f}]"
        )  # fmt: skip
        print(f"| {r['figure']} | {r['evaluations']} | {r['way']} | {r['mean']:.3f} | {gain} |")
    print("\n| start | rank correlation | slope | spread between runs | dropped | after |")
    print("|---|---|---|---|---|---|")
    for way, g in report["guard"].items():
        after = "" if g["dropped_after"] is None else f"{g['dropped_after']:g}"
        print(f"| {way} | {g['relevance']:.2f} | {g['slope']:.2f} | {g['spread_between']:.3f} "
              f"| {g['dropped']:.0%} | {after} |")  # fmt: skip

"""`paragent lab compare`: which searcher to trust, measured on recorded results.

Every searcher gets the same budget on the same table, once per seed, through the engine's own
loop; it sees factors and levels only. Judged by the table's true values: share of the hypervolume,
best score missed, cost to reach the optimum, regret of the recommended design, duplicates. A pair
of searchers is compared seed by seed. docs/lab.md states the protocol.

    paragent lab compare --table DIR --searchers mcts,tpe,random --evals 20 --seeds 50
    paragent lab compare --table DIR --noise recorded --tasks 1600 --searchers mcts,random
    paragent lab compare --matrix DIR --usd 1.0 --splits 20
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from paragent.errors import UsageError
from paragent.lab.best_arm import ARM_RULES
from paragent.lab.reaching import BARS, UNITS, Reach, counted_in, reaching
from paragent.lab.shipped import open_table
from paragent.lab.trial import Protocol, Truth, parse_searcher, run_trial
from paragent.lab.verdicts import summary, verdicts
from paragent.recorded import DesignTable
from paragent.replay import Noise
from paragent.stats import paired_difference

#: Figures of one trial that are summed up over seeds.
FIGURES = (
    "hv_share",
    "front_share",
    "best_missed",
    "regret",
    "luckiest_regret",
    "posterior_regret",
    "held_out_regret",
    "found_best",
    "within_half_point",
    "duplicates",
    "evaluations",
    "designs",
    "tasks",
    "cost",
    "virtual_s",
    "overhead_ms",
)
#: Added to the name of a contender whose designs run all their tasks, where both are compared.
WHOLE = " unraced"

Trials = Mapping[str, Sequence[Mapping[str, Any]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--table", metavar="DIR", help="a design table: a folder with table.yaml, or a shipped name"
    )
    what.add_argument("--matrix", metavar="DIR", help="an answer matrix (with matrix.yaml)")
    parser.add_argument(
        "--searchers",
        default="mcts,tpe,random",
        help="names, comma-separated; options as tpe:startup=5+repeats=true",
    )
    parser.add_argument("--seeds", type=int, default=20, help="replays of each searcher")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--evals", type=int, help="budget in evaluations (default 20)")
    parser.add_argument("--tasks", type=int, help="budget in tasks: racing counts")
    parser.add_argument("--usd", type=float, help="budget in the unit of the table's cost")
    parser.add_argument(
        "--noise",
        choices=("none", "recorded", "finite"),
        help="what an evaluation returns (default: none; with --tasks or --usd: recorded)",
    )
    parser.add_argument("--eval-tasks", type=int, default=50, help="tasks of one evaluation")
    parser.add_argument(
        "--race",
        choices=("on", "off", "both"),
        default="on",
        help="with --tasks or --usd: leave designs that are surely dominated; `both` sets every "
        "searcher beside itself without racing",
    )
    parser.add_argument(
        "--held-out",
        type=float,
        help="share of recorded tasks that only judge (default 0.5 where tasks are recorded)",
    )
    parser.add_argument("--parallel", type=int, default=1, help="designs in flight")
    parser.add_argument("--workers", type=int, default=1, help="places of the simulated clock")
    parser.add_argument("--splits", type=int, default=20, help="halvings of a matrix's tasks")
    parser.add_argument("--jobs", type=int, help="processes (default: one per core)")
    parser.add_argument("-o", "--out", metavar="DIR", help="write compare.json and a page there")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    for name in ("seeds", "evals", "tasks", "eval_tasks", "parallel", "workers", "splits", "jobs"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; wanted 1 or more")
    if args.usd is not None and not 0 < args.usd < float("inf"):
        raise UsageError(f"--usd is {args.usd:g}; wanted more than 0")
    if args.matrix:
        from paragent.lab.compare_matrix import compare_matrix

        return compare_matrix(args)
    searchers = names(args.searchers)
    for each in searchers:
        parse_searcher(each)
    start = time.perf_counter()
    table = open_table(args.table)
    loaded = time.perf_counter() - start
    protocol = protocol_of(args, table)
    note = f"{table.name}: {len(table)} designs, loaded in {loaded:.1f} s"
    print(note, file=sys.stderr)
    contenders = {name: (name, protocol) for name in searchers}
    if args.race == "both":
        whole = replace(protocol, race=False)
        contenders = {
            label: pair
            for name in searchers
            for label, pair in ((name, (name, protocol)), (name + WHOLE, (name, whole)))
            if label == name or name not in ARM_RULES
        }
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    trials = run_all(table, contenders, seeds, args.jobs)
    report = report_of(table, trials, protocol)
    report["seconds"] = time.perf_counter() - start
    report["memory_mb"] = memory_mb()
    if args.out:
        from paragent.lab.compare_page import write_page

        write_page(Path(args.out), report, trials, Truth(table))
        print(f"wrote {args.out}/index.html and compare.json", file=sys.stderr)
    if args.json:
        print(json.dumps(report, allow_nan=False))
    else:
        print_report(report)
    return 0


def names(text: str) -> list[str]:
    """The searchers given, without empty ones. Raises UsageError for none or for doubles."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise UsageError("--searchers names none")
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise UsageError(f"--searchers names {twice!r} twice")
    return found


def protocol_of(args: argparse.Namespace, table: DesignTable) -> Protocol:
    """The terms that the options state."""
    spending = args.tasks is not None or args.usd is not None
    noise: Noise = args.noise or ("recorded" if spending else "none")
    if args.tasks is not None and noise == "none":
        raise UsageError(
            "--tasks needs noise to be recorded or finite: without noise one task is all"
        )
    held = args.held_out
    if held is None:
        held = 0.5 if noise == "recorded" and table.outcomes is not None else 0.0
    if not 0 <= held < 1:
        raise UsageError(f"--held-out is {held:g}; wanted a share in [0, 1)")
    if args.race == "both" and not spending:
        raise UsageError("--race both needs a budget in --tasks or --usd: racing saves those")
    return Protocol(
        noise=noise,
        evals=args.evals or (None if spending else 20),
        tasks=args.tasks,
        usd=args.usd,
        per_eval=args.eval_tasks,
        race=args.race != "off",
        parallel=args.parallel,
        workers=args.workers,
        held_out=held,
    )


def memory_mb() -> float:
    """The most memory that this process held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 if sys.platform != "darwin" else 1024.0**2)


def run_all(
    table: DesignTable,
    contenders: Mapping[str, tuple[str, Protocol]],
    seeds: Sequence[int],
    jobs: int | None,
) -> dict[str, list[dict[str, Any]]]:
    """Every contender (a searcher and its terms) on every seed; in `jobs` processes, with the same
    results as in one."""
    work = [(table, *contenders[label], seed) for label in contenders for seed in seeds]
    done = iter(in_processes(_trial, work, jobs))
    return {label: [next(done) for _ in seeds] for label in contenders}


def _trial(work: tuple[DesignTable, str, Protocol, int]) -> dict[str, Any]:
    table, name, protocol, seed = work
    return run_trial(table, name, seed, protocol)


def in_processes(
    function: Callable[[Any], dict[str, Any]], work: Sequence[Any], jobs: int | None
) -> Iterable[dict[str, Any]]:
    """`map` over processes of one thread each, in this process where one is enough; each result
    comes as soon as those before it are there."""
    count = min(jobs or os.cpu_count() or 1, len(work))
    if count <= 1:
        yield from map(function, work)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # the children's
    chunk = max(1, len(work) // (8 * count))
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, work, chunksize=chunk)


def report_of(table: DesignTable, trials: Trials, protocol: Protocol) -> dict[str, Any]:
    """What `--json` prints."""
    truth = Truth(table)
    results: dict[str, Any] = {}
    for name, rows in trials.items():
        results[name] = {figure: summary([t[figure] for t in rows]) for figure in FIGURES}
        results[name]["regret_saved"] = regret_saved(rows)
    said: list[dict[str, Any]] = []
    for figure, called, scale in compared(protocol):
        said += verdicts(trials, figure, name=called, scale=scale, more_is_better="share" in figure)
    unit = counted_in({"tasks": protocol.tasks, "usd": protocol.usd})
    for counted in UNITS:
        for bar in BARS:
            words = f"{UNITS[counted]} to {BARS[bar]}"
            found = reaching(reaches(trials, counted, bar), f"{counted}_to_{bar}", words)
            for name, rows in trials.items():
                results[name][f"{counted}_to_{bar}"] = {
                    **summary([t[f"{counted}_to_{bar}"] for t in rows]),
                    **found["contenders"][name],
                    "horizon": found["horizon"],
                }
            if counted == unit and bar in ("95", "score_99"):
                said += found["verdicts"]
    return {
        "table": table.name,
        "designs": len(table),
        "optimum": {
            "best_score": truth.best,
            "exact_cost": truth.exact_cost(protocol.per_eval),
            "best_design": table.ids[int(table.score.argmax())],
            "front": [table.ids[i] for i in truth.front],
        },
        "protocol": {
            "noise": protocol.noise,
            "evals": protocol.evals,
            "tasks": protocol.tasks,
            "usd": protocol.usd,
            "tasks_per_evaluation": None if protocol.noise == "none" else protocol.per_eval,
            "raced": protocol.raced and protocol.noise != "none",
            "held_out": protocol.held_out,
            "parallel": protocol.parallel,
            "workers": protocol.workers,
            "seeds": len(next(iter(trials.values()))),
            "cost": table.cost_name,
            "reference": "worst score and highest cost of the table, score x log10 cost",
            "judged_by": "true values of what was evaluated (hypervolume, best missed) or "
            "recommended (regret, in points)",
        },
        "results": results,
        "verdicts": said,
    }


def regret_saved(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Points of regret that a way to recommend saves against the luckiest observed mean, paired by
    trial: mean and 95 % interval."""
    lucky = {i: t["luckiest_regret"] / 100 for i, t in enumerate(rows)}
    found = {}
    for way, figure in (("own rule", "regret"), ("posterior", "posterior_regret")):
        pair = paired_difference(lucky, {i: t[figure] / 100 for i, t in enumerate(rows)})
        found[way] = {"mean": 100 * pair.mean, "low": 100 * pair.low, "high": 100 * pair.high}
    return found


def compared(protocol: Protocol) -> list[tuple[str, str, float]]:
    """The figures that contenders are compared by, their names in words, and their scales. Without
    noise a search reports the truth of what it evaluated, so one figure of each pair says all."""
    found = [("hv_share", "hypervolume share", 1.0)]
    if protocol.noise == "none":
        return [*found, ("best_missed", "points of best score missed", 100.0)]
    found += [
        ("front_share", "hypervolume share of the reported front", 1.0),
        ("regret", "points of regret", 100.0),
    ]
    if protocol.held_out:
        found.append(("held_out_regret", "points of regret on held-out tasks", 100.0))
    return found


def reaches(trials: Trials, counted: str, bar: str) -> dict[str, list[Reach]]:
    """When every trial reached the bar and where it ended, in evaluations, tasks or cost."""
    key, end = f"{counted}_to_{bar}", UNITS[counted]
    return {name: [Reach(t[key], float(t[end])) for t in rows] for name, rows in trials.items()}


def print_report(report: Mapping[str, Any]) -> None:
    """A table for people, and the verdicts."""
    p, best = report["protocol"], report["optimum"]
    budget = ", ".join(
        f"{p[key]:g} {unit}"
        for key, unit in (("evals", "evaluations"), ("tasks", "tasks"), ("usd", p["cost"]))
        if p[key] is not None
    )
    print(f"{report['table']}: {report['designs']} designs; best {best['best_score']:.4f} "
          f"({best['best_design']}); {len(best['front'])} on the front")  # fmt: skip
    if best["exact_cost"] is not None and p["noise"] != "none":
        whole = f"{p['tasks_per_evaluation']} tasks each cost {best['exact_cost']:.4g} {p['cost']}"
        print(f"all of it: {report['designs']} designs on {whole}")
    print(f"budget {budget}; noise {p['noise']}; {p['seeds']} seeds; medians [95 % interval]\n")
    for line in table_of(report):
        print(line)
    if p["noise"] != "none":
        print("\nregret of the luckiest mean; points saved by recommending otherwise, mean [95 %]")
        for name, r in report["results"].items():
            ways = (
                f"{way} {s['mean']:+.2f} [{s['low']:+.2f}, {s['high']:+.2f}]"
                for way, s in r["regret_saved"].items()
            )
            print(f"{name}: {r['luckiest_regret']['mean']:.2f}; {', '.join(ways)}")
    print_verdicts(report["verdicts"])
    print(f"\n{report['seconds']:.1f} s, {report['memory_mb']:.0f} MB", file=sys.stderr)


def print_verdicts(found: Sequence[Mapping[str, Any]]) -> None:
    """Who beats whom; pairs that cannot be told apart share a line."""
    for figure in dict.fromkeys(v["figure"] for v in found):
        mine = [v for v in found if v["figure"] == figure]
        told = [v["text"] for v in mine if v["better"] is not None]
        tied = [" and ".join(v["pair"]) for v in mine if v["better"] is None]
        print("\n" + "\n".join(told) if told else "")
        if tied and told:
            print(f"cannot be told apart in {mine[0]['words']}: {'; '.join(tied)}")
        elif tied:
            print(f"nobody can be told apart in {mine[0]['words']}")


def table_of(report: Mapping[str, Any]) -> list[str]:
    """The lines of the table: medians with intervals; of times to a bar the median and the share of
    trials that got there."""
    p = report["protocol"]
    noisy, unit = p["noise"] != "none", counted_in(p)
    head = ["searcher", "hypervolume share", *(["reported front"] if noisy else []),
            "best missed", *(["regret"] if noisy else []), f"{unit} to 95 %", "to 99 %",
            "best score 99 %", *(["designs"] if unit != "evals" else []), "twice",
            "ms/eval"]  # fmt: skip
    lines = [head]
    for name, r in report["results"].items():
        lines.append([
            name, _cell(r["hv_share"], 3), *([_cell(r["front_share"], 3)] if noisy else []),
            _cell(r["best_missed"], 2), *([_cell(r["regret"], 2)] if noisy else []),
            *(_to(r[f"{unit}_to_{bar}"]) for bar in ("95", "99", "score_99")),
            *([f"{r['designs']['median']:g}"] if unit != "evals" else []),
            f"{r['duplicates']['mean']:.1f}", f"{r['overhead_ms']['median']:.1f}",
        ])  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)) for line in lines]


def _cell(figure: Mapping[str, float | None], digits: int) -> str:
    median, low, high = (figure[key] for key in ("median", "low", "high"))
    if median is None or low is None or high is None:
        return "-"
    return f"{median:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _to(figure: Mapping[str, Any]) -> str:
    if not figure["reached"]:
        return "never"
    median = "later" if figure["median"] is None else f"{figure['median']:.4g}"
    return f"{median} ({figure['reached']:.0%})"

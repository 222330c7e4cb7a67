"""Searchers side by side on an answer matrix: they look for committees, judged on fresh tasks.

The tasks are halved by the seed of a split. A searcher proposes designs of the committee space,
each is graded on the first half (exactly: the answers are recorded), and of those within the price
the best is recommended; everything is judged on the second half. Prices are dollars per 1,000
tasks. The same engine loop runs underneath.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from paragent.committee import Rule, grade
from paragent.committee_search import candidates, choose, greedy_committee, priced, promises
from paragent.errors import UsageError
from paragent.lab.committee_replay import CommitteeReplay, search_committees
from paragent.lab.compare import in_processes, memory_mb, names, print_verdicts
from paragent.lab.trial import parse_searcher
from paragent.lab.verdicts import summary, verdicts
from paragent.pareto import hypervolume
from paragent.recorded import AnswerMatrix, load_matrix

FIGURES = (
    "hv_share",
    "best_missed",
    "accuracy",
    "usd_per_1k",
    "lost_to_selection",
    "duplicates",
    "overhead_ms",
)


def run_split(work: tuple[AnswerMatrix, str, int, int, float]) -> dict[str, Any]:
    """One searcher on one split; `overhead_ms` alone differs from run to run."""
    matrix, searcher, seed, evals, ceiling = work
    replay, told, seconds = search_committees(matrix, searcher, seed, evals)
    return _judged(replay, ceiling) | {
        "duplicates": len(told) - len(set(told)),
        "overhead_ms": 1000 * seconds / max(1, len(told)),
    }


def reference_split(work: tuple[AnswerMatrix, int, float, str]) -> dict[str, Any]:
    """A contender that proposes nothing: the references, and our own committee search."""
    matrix, seed, ceiling, which = work
    replay = CommitteeReplay(matrix, seed)
    able = sorted(priced(matrix, replay.choosing), key=lambda i: (-replay.accuracy[i], i))
    if which == "committee search":
        replay.graded = candidates(matrix, replay.choosing)
    else:
        rule = {
            "best single": lambda: Rule("single", (able[0],)),
            "vote of the top 5": lambda: Rule("vote", tuple(able[:5])),
            "greedy committee": lambda: greedy_committee(matrix, replay.choosing),
        }[which]()
        replay.graded = {rule: grade(matrix, rule, replay.choosing, replay.accuracy)}
        ceiling = math.inf
    return _judged(replay, ceiling) | {"duplicates": 0, "overhead_ms": 0.0}


def _judged(replay: CommitteeReplay, ceiling: float) -> dict[str, Any]:
    """The recommended design and the chosen front, on the judging half."""
    matrix = replay.matrix
    chosen = choose(replay.graded, ceiling, len(matrix.models))
    front = _promising(replay)
    fresh = {r: grade(matrix, r, replay.judging, replay.accuracy) for r in front}
    singles = priced(matrix, replay.choosing)
    prices = 1000 * matrix.usd[np.ix_(replay.judging, singles)].mean(axis=0)
    low, high = math.log10(prices[prices > 0].min()), math.log10(prices.max())
    worst = float(matrix.right[np.ix_(replay.judging, singles)].mean(axis=0).min())
    oracle = float(matrix.right[replay.judging].any(axis=1).mean())
    points = [(max(low, math.log10(max(g.usd_per_1k, 1e-12))), -g.accuracy) for g in fresh.values()]
    box = (high - low) * (oracle - worst)
    share = hypervolume(points, (high, -worst)) / box if box > 0 else 1.0
    judged = None
    if chosen is not None:
        judged = grade(matrix, chosen, replay.judging, replay.accuracy)
    accuracy = judged.accuracy if judged else 0.0
    return {
        "hv_share": share,
        "accuracy": accuracy,
        "usd_per_1k": judged.usd_per_1k if judged else 0.0,
        "best_missed": 100 * (oracle - accuracy),
        "lost_to_selection": 100 * (replay.graded[chosen].accuracy - accuracy) if chosen else 0.0,
        "rule": chosen.label(matrix.models) if chosen else None,
    }


def _promising(replay: CommitteeReplay) -> list[Rule]:
    """The front of promised accuracy and price on the choosing half."""
    from paragent.pareto import front

    rules = list(replay.graded)
    if not rules:
        return []
    measured = np.array([replay.graded[r].accuracy for r in rules])
    value = promises(rules, measured, len(replay.matrix.models))
    price = [replay.graded[r].usd_per_1k for r in rules]
    return [rules[i] for i in front(list(zip(map(float, value), price, strict=True)))]


def compare_matrix(args: argparse.Namespace) -> int:
    """Measure and print."""
    start = time.perf_counter()
    contenders = names(args.searchers)
    for each in contenders:
        parse_searcher(each)
    if args.tasks is not None or args.noise is not None or args.race != "on":
        raise UsageError(
            "--tasks, --noise and --race are for tables; a matrix is graded on whole halves"
        )
    matrix = load_matrix(Path(args.matrix))
    ceiling = math.inf if args.usd is None else args.usd
    evals = args.evals or 100
    splits = range(args.splits)
    trials: dict[str, list[dict[str, Any]]] = {}
    work = [(matrix, name, s, evals, ceiling) for name in contenders for s in splits]
    done = iter(in_processes(run_split, work, args.jobs))
    for name in contenders:
        trials[name] = [next(done) for _ in splits]
    references = ["best single", "committee search"]
    if matrix.votes and len(matrix.models) >= 5:
        references[1:1] = ["vote of the top 5", "greedy committee"]
    others = [(matrix, s, ceiling, which) for which in references for s in splits]
    done = iter(in_processes(reference_split, others, args.jobs))
    for name in references:
        trials[name] = [next(done) for _ in splits]
    report: dict[str, Any] = {
        "table": matrix.name,
        "protocol": {
            "splits": args.splits,
            "evals": evals,
            "usd_per_1k": args.usd,
            "chosen_on": "one half of the tasks",
            "judged_on": "the other half",
            "hv_share": "share of the box from the worst single model at the highest price of one "
            "to what at least one model gets right at the lowest price of one",
            "best_missed": "points below what at least one model gets right",
        },
        "results": {
            name: {figure: summary([t[figure] for t in rows]) for figure in FIGURES}
            | {
                "rule": max(
                    (t["rule"] or "" for t in rows), key=[t["rule"] or "" for t in rows].count
                )
            }
            for name, rows in trials.items()
        },
        "verdicts": verdicts(trials) + verdicts(trials, "accuracy", name="accuracy"),
        "seconds": time.perf_counter() - start,
        "memory_mb": memory_mb(),
    }
    if args.json:
        print(json.dumps(report, allow_nan=False))
        return 0
    print(f"{matrix.name}: {len(matrix.models)} models, {len(matrix.task_ids)} tasks; {evals} "
          f"evaluations; {args.splits} splits; medians, judged on fresh tasks\n")  # fmt: skip
    width = max(map(len, trials))
    print(f"{'contender':<{width}}  hv share  accuracy  $ per 1,000  lost to selection  ms/eval")
    for name, rows in trials.items():
        m = {key: float(np.median([t[key] for t in rows])) for key in FIGURES}
        print(f"{name:<{width}}  {m['hv_share']:.3f}     {m['accuracy']:.4f}    "
              f"{m['usd_per_1k']:>8.3f}     {m['lost_to_selection']:+.2f} points        "
              f"{m['overhead_ms']:.1f}")  # fmt: skip
    print_verdicts(report["verdicts"])
    print(f"\n{report['seconds']:.1f} s, {report['memory_mb']:.0f} MB", file=sys.stderr)
    return 0

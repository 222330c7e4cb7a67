"""`paragent lab committee`: committees of models chosen from recorded answers, at real prices.

The tasks are halved again and again: every rule is chosen on one half and judged on the other.
Beside the rules chosen under a price (dollars per 1,000 tasks) stand the best single model, the
plain vote of the five best, a greedily chosen committee of five, the same search without its
penalty for selection, and what at least one model gets right.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paragent.committee import Rule, grade, smoothed_accuracy
from paragent.committee_search import candidates, choose, greedy_committee, priced
from paragent.errors import UsageError
from paragent.lab.compare import in_processes
from paragent.recorded import AnswerMatrix, load_matrix
from paragent.stats import bootstrap_interval, paired_difference

#: Prices, in dollars per 1,000 tasks, at which the searched front is shown.
CEILINGS = (0.06, 0.1, 0.23, 0.5, 1.0, 2.0, 4.0, 5.9)

Split = tuple[AnswerMatrix, int, tuple[float, ...]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--matrix", required=True, metavar="DIR", help="a folder with matrix.yaml")
    parser.add_argument(
        "--usd", type=float, default=1.0, help="most that a design may cost per 1,000 tasks"
    )
    parser.add_argument("--splits", type=int, default=20, help="halvings of the tasks")
    parser.add_argument("--jobs", type=int, help="processes (default: one per core)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def halves(tasks: int, seed: int) -> tuple[Any, Any]:
    """(to choose on, to judge on): the tasks halved by the seed, each in order.

    Raises UsageError for fewer than two tasks.
    """
    if tasks < 2:
        raise UsageError("a matrix of one task cannot be split")
    mixed = np.random.default_rng([seed, 3]).permutation(tasks)
    cut = (tasks + 1) // 2
    return np.sort(mixed[:cut]), np.sort(mixed[cut:])


def one_split(work: Split) -> dict[str, Any]:
    """Every contender of one split: {name: {rule, accuracy, usd_per_1k, chosen_on}}."""
    matrix, seed, ceilings = work
    choosing, judging = halves(len(matrix.task_ids), seed)
    accuracy = smoothed_accuracy(matrix, choosing)
    able = sorted(priced(matrix, choosing), key=lambda i: (-accuracy[i], i))
    rules: dict[str, Rule | None] = {"best single": Rule("single", (able[0],))}
    if matrix.votes and len(able) >= 5:
        rules["vote of the top 5"] = Rule("vote", tuple(able[:5]))
        rules["greedy committee"] = greedy_committee(matrix, choosing)
    graded = candidates(matrix, choosing)
    for ceiling in ceilings:
        rules[f"searched, up to ${ceiling:g}"] = choose(graded, ceiling, len(matrix.models))
        rules[f"unpenalised, up to ${ceiling:g}"] = choose(
            graded, ceiling, len(matrix.models), penalty=False
        )
    found = {}
    for name, rule in rules.items():
        if rule is not None:
            judged = grade(matrix, rule, judging, accuracy)
            found[name] = {
                "rule": rule.label(matrix.models),
                "accuracy": judged.accuracy,
                "usd_per_1k": judged.usd_per_1k,
                "chosen_on": grade(matrix, rule, choosing, accuracy).accuracy,
            }
    return {
        "contenders": found,
        "oracle": float(matrix.right[judging].any(axis=1).mean()),
        "rules": len(graded),
    }


def measure_committees(
    matrix: AnswerMatrix, ceilings: Sequence[float], splits: int, jobs: int | None
) -> dict[str, Any]:
    """What `--json` prints."""
    every = tuple(sorted(set(ceilings)))
    rows = list(in_processes(one_split, [(matrix, s, every) for s in range(splits)], jobs))
    names = list(rows[0]["contenders"])
    results = {}
    for name in names:
        there = [r["contenders"][name] for r in rows if name in r["contenders"]]
        scores = [t["accuracy"] for t in there]
        interval = bootstrap_interval(scores)
        results[name] = {
            "accuracy": statistics.fmean(scores),
            "low": interval.low,
            "high": interval.high,
            "usd_per_1k": statistics.fmean(t["usd_per_1k"] for t in there),
            "lost_to_selection": statistics.fmean(t["chosen_on"] - t["accuracy"] for t in there),
            "splits": len(there),
            "rule": statistics.mode(t["rule"] for t in there),
        }
    return {
        "matrix": matrix.name,
        "models": len(matrix.models),
        "tasks": len(matrix.task_ids),
        "splits": splits,
        "rules_per_split": statistics.fmean(r["rules"] for r in rows),
        "results": results,
        "oracle": statistics.fmean(r["oracle"] for r in rows),
        "verdicts": [v for name in names for v in _verdict(rows, name)],
    }


def _verdict(rows: Sequence[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """A searched rule against the references, split by split.

    Splits share tasks, so the interval says how it varies over halvings of these tasks only.
    """
    found: list[dict[str, Any]] = []
    if not name.startswith("searched"):
        return found
    for reference in ("best single", "greedy committee", "vote of the top 5"):
        pairs = [
            (r["contenders"][name], r["contenders"][reference])
            for r in rows
            if name in r["contenders"] and reference in r["contenders"]
        ]
        if not pairs:
            continue
        a = {i: one["accuracy"] for i, (one, _) in enumerate(pairs)}
        b = {i: other["accuracy"] for i, (_, other) in enumerate(pairs)}
        pair = paired_difference(a, b)
        price = statistics.fmean(one["usd_per_1k"] for one, _ in pairs)
        theirs = statistics.fmean(other["usd_per_1k"] for _, other in pairs)
        how = "more than" if pair.low > 0 else "less than" if pair.high < 0 else "as much as"
        found.append(
            {
                "design": name,
                "reference": reference,
                "difference": pair.mean,
                "low": pair.low,
                "high": pair.high,
                "price_share": price / theirs if theirs else None,
                "dominates": pair.mean >= 0 and price <= theirs,
                "text": f"{name}: {how} {reference} ({100 * pair.mean:+.2f} points "
                f"[{100 * pair.low:+.2f}, {100 * pair.high:+.2f}]) "
                f"at ${price:.3g} against ${theirs:.3g} per 1,000 tasks",
            }
        )
    return found


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.splits < 1:
        raise UsageError(f"--splits is {args.splits}; wanted 1 or more")
    if not 0 < args.usd < float("inf"):
        raise UsageError(f"--usd is {args.usd:g}; wanted more than 0")
    matrix = load_matrix(Path(args.matrix))
    report = measure_committees(matrix, (*CEILINGS, args.usd), args.splits, args.jobs)
    report["usd"] = args.usd
    report["chosen"] = report["results"].get(f"searched, up to ${args.usd:g}")
    if args.json:
        print(json.dumps(report, allow_nan=False))
        return 0
    print(f"{report['matrix']}: {report['models']} models, {report['tasks']} tasks; chosen on one "
          f"half, judged on the other, {report['splits']} splits\n")  # fmt: skip
    width = max(map(len, report["results"]))
    print(f"{'design':<{width}}  accuracy [95 %]        $ per 1,000   lost to selection")
    for name, r in report["results"].items():
        print(f"{name:<{width}}  {r['accuracy']:.4f} [{r['low']:.4f}, {r['high']:.4f}]  "
              f"{r['usd_per_1k']:>9.3f}    {100 * r['lost_to_selection']:+.2f} points")  # fmt: skip
    print(f"{'at least one model right':<{width}}  {report['oracle']:.4f}\n")
    for verdict in report["verdicts"]:
        print(verdict["text"])
    return 0

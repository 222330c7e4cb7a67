"""`paragent lab committee`: committees of models chosen from recorded answers, at real prices.

The tasks are halved again and again: every rule is chosen on one half and judged on the other.
Searchers look for rules through the engine's loop, a fixed number of evaluations each; beside them
stands our own exhaustive committee search ("searched"), which grades thousands. Of the rules that
each has graded one is chosen under a price (dollars per 1,000 tasks): under fixed prices, and at
nine tenths of what the best single model and the greedy committee cost, which asks whether they
are dominated. References: the best single model, the plain vote of the five best, a greedily
chosen committee of five, the search without its penalty for selection, and what at least one model
gets right.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paragent.committee import Graded, Rule, grade, smoothed_accuracy
from paragent.committee_search import candidates, choose, greedy_committee, priced
from paragent.errors import UsageError
from paragent.lab.committee_replay import halves, search_committees
from paragent.lab.compare import in_processes, names
from paragent.lab.trial import parse_searcher
from paragent.recorded import AnswerMatrix, load_matrix
from paragent.stats import Paired, bootstrap_interval, paired_difference

#: Prices, in dollars per 1,000 tasks, at which the searched front is shown.
CEILINGS = (0.06, 0.1, 0.23, 0.5, 1.0, 2.0, 4.0, 5.9)

SEARCHERS = "mcts,knapsack,bandit,random"
#: What every chosen rule is held against.
REFERENCES = ("best single", "greedy committee", "vote of the top 5")
#: References whose price is a ceiling too, and the share of it that a dominating rule may cost.
DOMINATED, SHARE = REFERENCES[:2], 0.9

Split = tuple[AnswerMatrix, int, tuple[float, ...], tuple[str, ...], float, int, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--matrix", required=True, metavar="DIR", help="a folder with matrix.yaml")
    parser.add_argument(
        "--usd", type=float, default=1.0, help="most that a design may cost per 1,000 tasks"
    )
    parser.add_argument("--splits", type=int, default=20, help="halvings of the tasks")
    parser.add_argument(
        "--searchers", default=SEARCHERS, help=f"by comma, or none (default: {SEARCHERS})"
    )
    parser.add_argument("--evals", type=int, default=100, help="designs that each searcher grades")
    parser.add_argument("--minutes", type=float, help="begin no split later than this")
    parser.add_argument("--jobs", type=int, help="processes (default: one per core)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def one_split(work: Split) -> dict[str, Any]:
    """Every contender of one split: {name: {rule, accuracy, usd_per_1k, chosen_on, right}};
    nothing where the clock is past the last entry of the work."""
    matrix, seed, ceilings, searchers, usd, evals, end = work
    if time.time() > end:
        return {}
    choosing, judging = halves(len(matrix.task_ids), seed)
    accuracy = smoothed_accuracy(matrix, choosing)
    able = sorted(priced(matrix, choosing), key=lambda i: (-accuracy[i], i))
    rules: dict[str, Rule | None] = {"best single": Rule("single", (able[0],))}
    if matrix.votes and len(able) >= 5:
        rules["vote of the top 5"] = Rule("vote", tuple(able[:5]))
        rules["greedy committee"] = greedy_committee(matrix, choosing)
    prices = {
        name: SHARE * grade(matrix, rule, choosing, accuracy).usd_per_1k
        for name in DOMINATED
        if (rule := rules.get(name)) is not None
    }
    models = len(matrix.models)

    def offer(name: str, graded: dict[Rule, Graded]) -> None:
        for reference, price in prices.items():
            rules[f"{name}, below {reference}"] = choose(graded, price, models)

    graded = candidates(matrix, choosing)
    for ceiling in ceilings:
        rules[f"searched, up to ${ceiling:g}"] = choose(graded, ceiling, models)
        rules[f"unpenalised, up to ${ceiling:g}"] = choose(graded, ceiling, models, penalty=False)
    offer("searched", graded)
    for searcher in searchers:
        print(f"split {seed}: {searcher}", file=sys.stderr, flush=True)
        own = search_committees(matrix, searcher, seed, evals)[0].graded
        rules[f"{searcher}, up to ${usd:g}"] = choose(own, usd, models)
        offer(searcher, own)
    found = {}
    for name, rule in rules.items():
        if rule is not None:
            judged = grade(matrix, rule, judging, accuracy)
            found[name] = {
                "rule": rule.label(matrix.models),
                "accuracy": judged.accuracy,
                "usd_per_1k": judged.usd_per_1k,
                "chosen_on": grade(matrix, rule, choosing, accuracy).accuracy,
                "right": judged.right,
            }
    return {
        "contenders": found,
        "judging": judging,
        "oracle": float(matrix.right[judging].any(axis=1).mean()),
        "rules": len(graded),
    }


def measure_committees(
    matrix: AnswerMatrix, usd: float, splits: int, searchers: Sequence[str], evals: int,
    jobs: int | None, minutes: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What `--json` prints. Splits that would begin after `minutes` are left out, all but one."""
    end = math.inf if minutes is None else time.time() + 60 * minutes
    every = tuple(sorted({*CEILINGS, usd}))
    work = [
        (matrix, s, every, tuple(searchers), usd, evals, end if s else math.inf)
        for s in range(splits)
    ]
    rows = [row for row in in_processes(one_split, work, jobs) if row]
    names = list(dict.fromkeys(name for row in rows for name in row["contenders"]))
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
        "splits": len(rows),
        "usd": usd,
        "searchers": list(searchers),
        "evals": evals,
        "rules_per_split": statistics.fmean(r["rules"] for r in rows),
        "results": results,
        "oracle": statistics.fmean(r["oracle"] for r in rows),
        "chosen": results.get(f"searched, up to ${usd:g}"),
        "verdicts": [v for name in names for v in _verdict(rows, name)],
    }


def _verdict(rows: Sequence[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """A chosen rule against the references, paired by split and by task.

    Splits share tasks, so the interval over splits says how the difference varies over halvings of
    these tasks; the one over tasks (each task's mean difference over the splits that judged on it)
    says what other tasks might have shown. A reference is surely dominated where the rule is
    cheaper and the interval over tasks lies above 0.
    """
    found: list[dict[str, Any]] = []
    if name in REFERENCES or name.startswith("unpenalised"):
        return found
    for reference in REFERENCES:
        both = [r for r in rows if {name, reference} <= set(r["contenders"])]
        if not both:
            continue
        pairs = [(r["contenders"][name], r["contenders"][reference]) for r in both]
        a = {i: one["accuracy"] for i, (one, _) in enumerate(pairs)}
        b = {i: other["accuracy"] for i, (_, other) in enumerate(pairs)}
        pair, tasks = paired_difference(a, b), _by_task(both, name, reference)
        price = statistics.fmean(one["usd_per_1k"] for one, _ in pairs)
        theirs = statistics.fmean(other["usd_per_1k"] for _, other in pairs)
        cheaper = price <= theirs
        how = "more than" if tasks.low > 0 else "less than" if tasks.high < 0 else "as much as"
        ends = "dominated" if cheaper and pair.mean >= 0 else "not dominated"
        found.append(
            {
                "design": name,
                "reference": reference,
                "difference": pair.mean,
                "low": pair.low,
                "high": pair.high,
                "tasks_low": tasks.low,
                "tasks_high": tasks.high,
                "price_share": price / theirs if theirs else None,
                "dominates": cheaper and pair.mean >= 0,
                "surely": cheaper and tasks.low > 0,
                "text": f"{name}: {how} {reference} ({100 * pair.mean:+.2f} points; over splits "
                f"[{100 * pair.low:+.2f}, {100 * pair.high:+.2f}], over tasks "
                f"[{100 * tasks.low:+.2f}, {100 * tasks.high:+.2f}]) at ${price:.3g} against "
                f"${theirs:.3g} per 1,000 tasks: {ends}",
            }
        )
    return found


def _by_task(rows: Sequence[Mapping[str, Any]], name: str, reference: str) -> Paired:
    """The paired difference over tasks, each by its mean over the splits that judged on it."""
    found: dict[str, dict[str, list[float]]] = {name: {}, reference: {}}
    for row in rows:
        for each, seen in found.items():
            right = row["contenders"][each]["right"]
            for task, value in zip(row["judging"].tolist(), right.tolist(), strict=True):
                seen.setdefault(str(task), []).append(float(value))
    one, other = ({t: statistics.fmean(v) for t, v in seen.items()} for seen in found.values())
    return paired_difference(one, other)


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.splits < 1:
        raise UsageError(f"--splits is {args.splits}; wanted 1 or more")
    if not 0 < args.usd < float("inf"):
        raise UsageError(f"--usd is {args.usd:g}; wanted more than 0")
    if args.evals < 1:
        raise UsageError(f"--evals is {args.evals}; wanted 1 or more")
    if args.minutes is not None and not args.minutes > 0:
        raise UsageError(f"--minutes is {args.minutes:g}; wanted more than 0")
    contenders = [] if args.searchers == "none" else names(args.searchers)
    for each in contenders:
        parse_searcher(each)
    matrix = load_matrix(Path(args.matrix))
    report = measure_committees(matrix, args.usd, args.splits, contenders, args.evals, args.jobs)
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
        # The rest is in --json: what was chosen under this price, or against this reference.
        design, reference = verdict["design"], verdict["reference"]
        if design.endswith((f"up to ${args.usd:g}", f"below {reference}")):
            print(verdict["text"])
    return 0

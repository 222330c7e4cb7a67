"""`paragent lab arms`: is a team grown by the bandit worth its search?

At an equal budget of evaluations, on the pocket benchmark with its small models: the best design of
the bandit (credited by helpfulness) against the same bandit credited by the team's success, an
evolutionary search, the best single agent that random search finds, and a team made by hand. All
are judged on the same test tasks; every seed has its own search. Intervals are over seeds, and
differences are paired by seed. Each result is printed to stderr as a line of JSON as soon as it is
there; `--known FILE` takes such lines back, so that a long measurement may be stopped and go on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paragent.api import optimize
from paragent.design import Agent, Design, Part, Team
from paragent.errors import UsageError

#: Name in the table to the settings of its search.
WAYS: Mapping[str, Mapping[str, Any]] = {
    "bandit (helpful)": {"searcher": "bandit"},
    "bandit (success)": {"searcher": "bandit", "options": {"credit": "success"}},
    "evolution": {"searcher": "ageing_evolution"},
    "single agent": {"searcher": "random", "max_depth": 1},
}


def hand_made(models: Sequence[str]) -> Design:
    """What one would write down first: each model thinks in steps with notes and a calculator, the
    first that is sure answers."""
    members = tuple(
        Agent(
            Part(model),
            Part("chain_of_thought"),
            memory=Part.of("lookup", k=4),
            tools=(Part("calculator"),),
        )
        for model in models[:3]
    )
    return Design(Team(Part.of("cascade", threshold=0.97, keep="best"), members))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--models", default="pocket-s,pocket-s-math,pocket-s-text")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evals", type=int, default=40)
    parser.add_argument("--test-tasks", type=int, default=400)
    parser.add_argument("--known", metavar="FILE", help="lines that an earlier run printed")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def read_known(path: str | None, seeds: int) -> list[dict[str, Any]]:
    """The results among a file's lines of ways and seeds that are wanted, each once, the last of
    doubles; other lines are left out.

    Raises UsageError for a file that cannot be read.
    """
    if path is None:
        return []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"--known {path}: {e}; wanted what an earlier run printed") from None
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.get("way") in WAYS and row.get("seed") in range(seeds):
            found[row["way"], row["seed"]] = row
    return list(found.values())


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    from paragent.benchmarks.pocket import PocketBenchmark
    from paragent.lab.measure import measure

    models = tuple(args.models.split(","))
    for name, least in (("seeds", 1), ("evals", 1), ("test_tasks", 1)):
        if getattr(args, name) < least:
            told = name.replace("_", "-")
            raise UsageError(f"--{told} is {getattr(args, name)}; wanted {least} or more")
    rows = read_known(args.known, args.seeds)
    known = {(row["way"], row["seed"]) for row in rows}
    (team,) = measure(PocketBenchmark(), [hand_made(models)], "test", args.test_tasks)
    print(f"hand-made team {team.score:.3f}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seeds):
            for name, settings in WAYS.items():
                if (name, seed) in known:
                    continue
                run = optimize(
                    "pocket",
                    models=models,
                    evals=args.evals,
                    confirm=100,
                    finalists=6,
                    test_tasks=args.test_tasks,
                    seed=seed,
                    out=Path(folder) / f"{seed}-{len(rows)}",
                    **settings,
                )
                best = run.best().point
                assert best.test is not None, "a run without caps"
                row = {"way": name, "seed": seed, "score": best.test.score,
                       "usd": best.test.usd_per_task, "design": best.design.label,
                       "tokens": run.spent.tokens}  # fmt: skip
                rows.append(row)
                print(json.dumps(row), file=sys.stderr, flush=True)
    summary = summarise(rows, team.score or 0.0)
    if args.json:
        print(json.dumps({"hand_made": team.score, "rows": rows, "summary": summary}))
        return 0
    print(f"{args.evals} evaluations, {args.seeds} seeds, {args.test_tasks} test tasks")
    print(f"{'way':<20}{'score [95 % over seeds]':>26}{'bandit - it [95 %]':>28}")
    for s in summary:
        gap = s["bandit_minus"]
        told = "" if gap is None else f"{gap[0]:+.3f} [{gap[1]:+.3f}, {gap[2]:+.3f}]"
        print(f"{s['way']:<20}{s['score']:>10.3f} [{s['low']:.3f}, {s['high']:.3f}]{told:>28}")
    return 0


def summarise(rows: Sequence[Mapping[str, Any]], hand: float) -> list[dict[str, Any]]:
    """Mean over seeds with a bootstrap interval, and the bandit's paired difference from it."""
    from paragent.stats import bootstrap_interval

    by_way: dict[str, dict[int, float]] = {}
    for row in rows:
        by_way.setdefault(row["way"], {})[row["seed"]] = row["score"]
    ours = by_way["bandit (helpful)"]
    by_way["hand-made team"] = dict.fromkeys(ours, hand)
    found = []
    for way, scores in by_way.items():
        values = list(scores.values())
        gaps = [ours[seed] - scores[seed] for seed in scores if seed in ours]
        spread = bootstrap_interval(values) if len(values) > 1 else None
        gap = bootstrap_interval(gaps) if len(gaps) > 1 else None
        found.append(
            {
                "way": way,
                "score": statistics.fmean(values),
                "low": spread.low if spread else values[0],
                "high": spread.high if spread else values[0],
                "bandit_minus": None
                if way == "bandit (helpful)" or gap is None
                else [statistics.fmean(gaps), gap.low, gap.high],
            }
        )
    return found

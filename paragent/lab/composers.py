"""`paragent lab composers`: which way of buying parts gives the better team for the price?

An inventory of agents and ready sub-agents, some of which promise more than they can do, on the
pocket benchmark. At each budget every composer buys parts; all teams of what it bought (at most
three parts, whichever topology) are measured on the same dev tasks, and the best of them on test
tasks that chose nothing. Beside the composers stand parts bought at random. Trials are paid in
tokens of their own, told beside the parts' price.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paragent.benchmark import Benchmark
from paragent.design import Design
from paragent.errors import UsageError
from paragent.outcome import Evaluation, Outcome, Purpose, Split
from paragent.space import DesignSpace, Limits

#: Random instances of each shape that the solver is timed on.
INSTANCES = 30
#: Share of runs in which a distractor may be bought.
DISTRACTED = 0.05

COMPOSERS = ("random", "identity", "retrieval", "offline", "online")


@dataclass
class Bench:
    """The benchmark with everything measured so far: no design runs twice on a task."""

    space: DesignSpace
    questions: Mapping[str, str]
    benchmark: Benchmark
    parts: Sequence[Design]
    known: dict[tuple[str, str], dict[str, Outcome]] = field(default_factory=dict)

    async def run(
        self, design: Design, split: Split, ids: Sequence[str], purpose: Purpose
    ) -> Evaluation:
        """The design on these tasks, what is known reused."""
        from paragent.ask import DirectCaller
        from paragent.executor import Job, LocalExecutor

        known = self.known.setdefault((design.hash, split), {})
        missing = tuple(i for i in ids if i not in known)
        if missing:
            executor = LocalExecutor(self.benchmark, DirectCaller())
            job = Job(design.to_data(), split, missing, purpose, 0)
            await executor.run(job, known.__setitem__)
        return Evaluation(design, split, purpose, {i: known[i] for i in ids})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--models", help="names, comma-separated (default: the small ones)")
    parser.add_argument("--inventory", type=int, default=110, help="parts on offer")
    parser.add_argument("--budgets", default="1,2,4", help="times the median part's price")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dev-tasks", type=int, default=60, help="to choose among a set's teams")
    parser.add_argument("--test-tasks", type=int, default=300)
    parser.add_argument(
        "--theory", action="store_true",
        help="measure no team: the solver's times, and the threshold on random streams",
    )  # fmt: skip
    parser.add_argument("--streams", type=int, default=10_000, help="of --theory")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    for name, least in (("seeds", 1), ("dev_tasks", 1), ("test_tasks", 1), ("streams", 10)):
        if getattr(args, name) < least:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is {getattr(args, name)}; wanted {least} or more")
    if args.theory:
        from paragent.lab.composer_theory import theory, told

        found = theory(args.streams, INSTANCES, 0)
        print(json.dumps(found) if args.json else "\n".join(told(found)))
        return 0
    _budgets(args.budgets)
    from paragent.benchmarks.pocket import PocketBenchmark

    models = (args.models or "pocket-s,pocket-s-math,pocket-s-text").split(",")
    benchmark = PocketBenchmark()
    dev = benchmark.tasks("dev")
    bench = Bench(
        DesignSpace(
            models,
            subagents=("all",),
            available=frozenset({"notes", "examples"}),
            limits=Limits(max_depth=2, max_members=3),
            skills=benchmark.context.skills,
        ),
        {t.id: t.question for t in dev[:400]},
        benchmark,
        (),
    )
    bench.parts = bench.space.agents(args.inventory)
    prices = [1000 * (bench.space.bounds(d).usd or 0.0) for d in bench.parts]
    unit = statistics.median(prices)
    rows = asyncio.run(_rows(args, bench, unit))
    summary = summarise(rows)
    if args.json:
        print(json.dumps({"unit_usd_per_1000": unit, "parts": len(bench.parts), "rows": rows,
                          "summary": summary, "bars": bars(rows)}))  # fmt: skip
        return 0
    print(f"{len(bench.parts)} parts; budgets in medians of their price (${unit:.3g} per 1,000)")
    print(f"{'budget':>7} {'composer':<10}{'success [95 % over seeds]':>28}{'spend':>8}"
          f"{'parts':>7}{'trials':>8}{'distractors':>13}")  # fmt: skip
    for s in summary:
        print(
            f"{s['budget']:>7g} {s['composer']:<10}"
            f"{s['score']:>12.3f} [{s['low']:.3f}, {s['high']:.3f}]{s['spend']:>8.2f}"
            f"{s['parts']:>7.1f}{s['trial_tasks']:>8.0f}{s['distracted']:>12.0%}"
        )
    for bar in bars(rows):
        print(bar["text"])
    return 0


def _budgets(text: str) -> list[float]:
    """Raises UsageError for anything but numbers above 0."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < f < float("inf") for f in found):
        raise UsageError(f"--budgets is {text!r}; wanted numbers above 0, by comma")
    return found


async def _rows(args: argparse.Namespace, bench: Bench, unit: float) -> list[dict[str, Any]]:
    from paragent.runtime.pocket import close_pool

    dev, test = bench.benchmark.tasks("dev"), bench.benchmark.tasks("test")
    rows: list[dict[str, Any]] = []
    try:
        for factor in _budgets(args.budgets):
            for seed in range(args.seeds):
                # Each seed has its own tasks to choose on and to be judged on.
                dev_ids = [t.id for t in dev[400 + seed * args.dev_tasks :][: args.dev_tasks]]
                test_ids = [t.id for t in test[seed * args.test_tasks :][: args.test_tasks]]
                for name in COMPOSERS:
                    row = await one(
                        bench, name, factor * unit, seed, dev_ids, test_ids, args.inventory
                    )
                    rows.append({"composer": name, "budget": factor, "seed": seed, **row})
                    print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    finally:
        await close_pool()
    return rows


async def one(
    bench: Bench, name: str, budget: float, seed: int,
    dev: Sequence[str], test: Sequence[str], inventory: int,
) -> dict[str, Any]:  # fmt: skip
    """What one composer buys at one budget, and what it is worth."""
    from paragent.search.knapsack import Knapsack

    order = random.Random(f"{name}/{budget:.9f}/{seed}")
    trial_tasks = 0
    if name == "random":
        chosen: list[Design] = []
        left = budget
        for part in order.sample(list(bench.parts), len(bench.parts)):
            price = 1000 * (bench.space.bounds(part).usd or 0.0)
            if price <= left and len(chosen) < 3:
                chosen.append(part)
                left -= price
    else:
        searcher = Knapsack(
            bench.space, seed=seed, questions=bench.questions, composer=name,
            price_budget=budget, inventory=inventory,
        )  # fmt: skip
        while searcher.composing:
            (proposal,) = searcher.ask(1)
            if not isinstance(proposal.tasks, tuple):
                break
            trial_tasks += len(proposal.tasks)
            searcher.tell(await bench.run(proposal.design, "dev", proposal.tasks, proposal.purpose))
        chosen = searcher.chosen
    spend = sum(1000 * (bench.space.bounds(d).usd or 0.0) for d in chosen) / budget
    found = {"parts": len(chosen), "spend": spend, "trial_tasks": trial_tasks,
             "distracted": any(is_distractor(d) for d in chosen)}  # fmt: skip
    teams = _teams(bench, chosen, order)
    if not teams:
        return {**found, "score": 0.0, "team": ""}  # nothing bought answers nothing
    tried = {d.hash: (await bench.run(d, "dev", dev, "search-eval")).score or 0.0 for d in teams}
    best = max(teams, key=lambda d: (tried[d.hash], d.hash))
    score = (await bench.run(best, "test", test, "final-eval")).score
    return {**found, "score": score or 0.0, "team": best.label}


def _teams(bench: Bench, chosen: Sequence[Design], order: random.Random) -> list[Design]:
    """All teams of what was bought; of more than fits one team, three drawn at random."""
    held = list(chosen) if len(chosen) <= 3 else order.sample(list(chosen), 3)
    held.sort(key=lambda d: (bench.space.bounds(d).usd or 0.0, d.hash))
    return [*bench.space.teams(held), *held] if held else []


def is_distractor(design: Design) -> bool:
    """Whether a ready sub-agent that promises more than it does is in it."""
    from paragent.registry import component_of

    return any(
        component_of("subagent", a.subagent.name).paper.startswith("distractor")
        for _, a in design.agents()
        if a.subagent is not None
    )


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds, with a bootstrap interval of the score."""
    from paragent.stats import bootstrap_interval

    found = []
    for budget, name in dict.fromkeys((r["budget"], r["composer"]) for r in rows):
        mine = [r for r in rows if (r["budget"], r["composer"]) == (budget, name)]
        scores = [r["score"] for r in mine]
        interval = bootstrap_interval(scores) if len(scores) > 1 else None
        found.append(
            {
                "budget": budget,
                "composer": name,
                "score": statistics.fmean(scores),
                "low": interval.low if interval else scores[0],
                "high": interval.high if interval else scores[0],
                **{
                    key: statistics.fmean(float(r[key]) for r in mine)
                    for key in ("spend", "parts", "trial_tasks", "distracted")
                },
            }
        )
    return found


def bars(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What online composing is held to: at each budget its gain over random at least twice that of
    retrieval, at less spend; over all budgets a distractor bought in less than a twentieth of runs.

    `short` is online - random - 2 (retrieval - random), paired by seed, with its interval.
    """
    from paragent.stats import bootstrap_interval

    score = {(r["budget"], r["composer"], r["seed"]): float(r["score"]) for r in rows}
    spend = {(r["budget"], r["composer"], r["seed"]): float(r["spend"]) for r in rows}
    found: list[dict[str, Any]] = []
    for budget in dict.fromkeys(r["budget"] for r in rows):
        seeds = sorted({r["seed"] for r in rows if r["budget"] == budget})

        def gain(name: str, seed: int, budget: float = budget) -> float:
            return score[budget, name, seed] - score[budget, "random", seed]

        ours, theirs = (
            statistics.fmean(gain(name, s) for s in seeds) for name in ("online", "retrieval")
        )
        over = [gain("online", s) - 2 * gain("retrieval", s) for s in seeds]
        interval = bootstrap_interval(over) if len(over) > 1 else None
        paid, asked = (
            statistics.fmean(spend[budget, name, s] for s in seeds)
            for name in ("online", "retrieval")
        )
        low, high = (interval.low, interval.high) if interval else (over[0], over[0])
        met = ours > 0 and ours >= 2 * theirs and paid < asked
        found.append(
            {
                "budget": budget,
                "online_gain": ours,
                "retrieval_gain": theirs,
                "short": [statistics.fmean(over), low, high],
                "spend": [paid, asked],
                "met": met,
                "text": f"budget {budget:g}: online gains {ours:+.3f} over random, retrieval "
                f"{theirs:+.3f}; beyond twice that {statistics.fmean(over):+.3f} "
                f"[{low:+.3f}, {high:+.3f}]; spent {paid:.2f} against {asked:.2f} budgets: "
                + ("met" if met else "missed"),
            }
        )
    runs = [r for r in rows if r["composer"] == "online"]
    share = statistics.fmean(float(r["distracted"]) for r in runs)
    met = share < DISTRACTED
    found.append(
        {
            "distracted": share,
            "runs": len(runs),
            "met": met,
            "text": f"a distractor was bought by online in {share:.0%} of {len(runs)} runs; wanted "
            f"less than {DISTRACTED:.0%}: {'met' if met else 'missed'}",
        }
    )
    return found

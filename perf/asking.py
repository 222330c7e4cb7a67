"""What a proposal costs: ask + tell of a searcher on design spaces, as the search grows.

    python perf/asking.py                                   # mcts, both spaces, up to 10,000
    python perf/asking.py --space default --marks 100 1000 --runs 5 --searcher tpe
    python perf/asking.py --jump                            # the same in minutes
    python perf/asking.py --fit --marks 300 5000            # the value model alone

Spaces: `default` is that of `paragent search` without options; `large` has every component that the
embedded models can use, all that benchmarks may give, ready sub-agents, three levels, five members
and two tools. Scores are 50 tasks drawn at a rate that follows from hashed effects of a design's
features, dollars follow its declared bound; nothing is run, so what is timed is the searcher alone.
A run is a whole search under a seed of its own. At each mark: milliseconds of processor time (which
does not depend on what else the machine does) of ask + tell per proposal, over the latest proposals
(a tenth of the mark, at least 20): the mean with its range over the runs (median of runs), the
median and the 95th percentile of single proposals; then the whole search so far and the memory of
the process. `growth` is the mean against the first mark's. With `--pruned` the engine's pruner
judges and learns every proposal, too. With `--jump` only the latest 40 evaluations before a mark
are asked for; random designs are told in place of the others, which takes minutes instead of hours
and leaves the searcher's memory of edits cold. With `--fit` so many random designs are told to a
value model, which then chooses its kernels, is fitted and predicts 4,000 others, score and cost;
features are given.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import statistics
import sys
import time
from collections.abc import Sequence

from paragent.chat import stable_seed
from paragent.config import RunConfig
from paragent.design import Design
from paragent.outcome import Evaluation, Measured, Outcome, Usage
from paragent.pruner import Pruner
from paragent.registry import benchmark_of, components, searchers
from paragent.runtime.cages import cage_tags
from paragent.space import DesignSpace, Limits
from paragent.stats import variance_of_mean
from paragent.value.surrogate import Surrogate

TASKS, CANDIDATES, JUMP = 50, 4000, 40
EVERYTHING = frozenset({"notes", "examples", "labelled", "corpus", "table", "database"})
SPACES = ("default", "large")


def space_of(name: str) -> DesignSpace:
    """See the module."""
    context = benchmark_of(RunConfig()).context
    models = [c.name for c in components if c.kind == "model" and c.name.startswith("pocket-")]
    if name == "default":
        return DesignSpace(models, available=context.tags | cage_tags(), skills=context.skills)
    return DesignSpace(
        models,
        limits=Limits(max_depth=3, max_members=5, max_tools=2, max_calls_per_task=60),
        available=context.tags | cage_tags() | EVERYTHING,
        skills=context.skills,
        subagents=["all"],
    )


def made_up(space: DesignSpace, design: Design, number: int) -> Evaluation:
    """Fifty tasks at a rate that follows from the design's features."""
    row = space.features(design)
    logit = sum(_effect(name) * min(value, 2.0) for name, value in row.items() if ":" in name)
    rate = 1 / (1 + math.exp(-logit / 2))
    rng = random.Random(number)
    usd = (space.bounds(design).usd or 1e-6) * (0.3 + 0.4 * _unit(design.hash))
    usage = Usage(1, 100, 10, usd, 0.1)
    outcomes: dict[str, Outcome] = {
        f"t{i}": Measured(float(rng.random() < rate), usage) for i in range(TASKS)
    }
    return Evaluation(design, "dev", "search-eval", outcomes)


def _unit(text: str) -> float:
    return (stable_seed(text) % 1_000_003) / 1_000_003


def _effect(name: str) -> float:
    return 1.2 * (_unit(name) - 0.5)


def measure(
    space: DesignSpace, name: str, marks: Sequence[int], seed: int, pruned: bool, jump: bool
) -> list[dict[str, float]]:
    """One search; figures at every mark that it reaches."""
    searcher = searchers[name].make(space, seed=seed, cost="usd")
    pruner = Pruner(space.features, seed=seed, cost="usd") if pruned else None
    spent: list[float] = []
    found = []
    rng = random.Random(seed)
    for number in range(1, max(marks) + 1):
        if jump and number <= min(m for m in marks if m >= number) - JUMP:
            searcher.tell(made_up(space, space.sample(rng), number))
            continue
        start = time.process_time()
        proposals = searcher.ask(1)
        if pruner:
            for proposal in proposals:
                pruner.consider(proposal)  # judged, and run all the same: only the cost matters
        asked = time.process_time() - start
        if not proposals:
            break
        told = made_up(space, proposals[0].design, number)
        start = time.process_time()
        searcher.tell(told)
        if pruner:
            pruner.tell(told)
        spent.append(1e3 * (asked + time.process_time() - start))
        if number in marks:
            latest = sorted(spent[-(JUMP if jump else max(20, number // 10)) :])
            found.append(
                {
                    "evaluations": number,
                    "mean_ms": statistics.fmean(latest),
                    "median_ms": statistics.median(latest),
                    "p95_ms": latest[int(0.95 * (len(latest) - 1))],
                    "sum_s": sum(spent) / 1e3,
                    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                }
            )
    return found


def fitting(space: DesignSpace, marks: Sequence[int], seed: int) -> list[dict[str, float]]:
    """Milliseconds of one fit from nothing and one prediction of `CANDIDATES` designs."""
    rng = random.Random(seed)
    rows = [space.features(space.sample(rng)) for _ in range(CANDIDATES)]
    found = []
    for mark in marks:
        model = Surrogate(seed)
        for number in range(mark):
            told = made_up(space, space.sample(rng), number)
            usd = told.cost("usd")
            assert told.score is not None and usd is not None
            variance = variance_of_mean(list(told.scores.values()))
            model.tell(space.features(told.design), told.score, variance, math.log10(usd))
        start = time.process_time()
        model.predict(rows)
        found.append({"evaluations": mark, "mean_ms": 1e3 * (time.process_time() - start)})
    return found


def middle(runs: Sequence[Sequence[dict[str, float]]]) -> list[dict[str, float]]:
    """At every mark the median of the runs, with the range of the mean and its growth."""
    lines: list[dict[str, float]] = []
    for at in zip(*runs, strict=False):
        line = {key: statistics.median(run[key] for run in at) for key in at[0]}
        line["low_ms"], line["high_ms"] = (
            min(r["mean_ms"] for r in at),
            max(r["mean_ms"] for r in at),
        )
        line["growth"] = line["mean_ms"] / (lines[0] if lines else line)["mean_ms"]
        lines.append(line)
    return lines


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--searcher", default="mcts", choices=searchers.names())
    parser.add_argument("--space", nargs="+", default=SPACES, choices=SPACES)
    parser.add_argument("--marks", nargs="+", type=int, default=[100, 1000, 10_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--pruned", action="store_true", help="with the engine's pruner")
    parser.add_argument("--jump", action="store_true", help="ask for the latest 40 alone")
    parser.add_argument("--fit", action="store_true", help="time the value model alone")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args()
    report: dict[str, list[dict[str, float]]] = {}
    for name in args.space:
        space = space_of(name)
        runs = []
        for seed in range(args.seed, args.seed + args.runs):
            marks = sorted(args.marks)
            runs.append(
                fitting(space, marks, seed)
                if args.fit
                else measure(space, args.searcher, marks, seed, args.pruned, args.jump)
            )
            print(f"{name}, run {len(runs)} of {args.runs}", file=sys.stderr, flush=True)
        report[name] = middle(runs)
    if args.json:
        print(json.dumps({"searcher": args.searcher, "runs": args.runs, "spaces": report}))
        return 0
    if args.fit:
        print(f"fit and prediction of {CANDIDATES} designs, median of {args.runs} runs")
        for name, lines in report.items():
            for x in lines:
                span = f"[{x['low_ms']:.0f}, {x['high_ms']:.0f}]"
                print(f"{name:>8}{x['evaluations']:>7.0f}{x['mean_ms']:>9.0f} ms{span:>16}")
        return 0
    print(f"{args.searcher}, ask + tell per proposal, median of {args.runs} runs")
    heads = ("space", "evals", "mean ms", "[runs]", "growth", "median", "p95", "sum s", "MB")
    widths = (8, 7, 9, 16, 8, 8, 8, 8, 6)
    print("".join(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True)))
    for name, lines in report.items():
        for x in lines:
            span = f"[{x['low_ms']:.1f}, {x['high_ms']:.1f}]"
            print(
                f"{name:>8}{x['evaluations']:>7.0f}{x['mean_ms']:>9.1f}{span:>16}"
                f"{x['growth']:>8.2f}{x['median_ms']:>8.1f}{x['p95_ms']:>8.1f}"
                f"{x['sum_s']:>8.1f}{x['peak_mb']:>6.0f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())

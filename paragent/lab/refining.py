"""`paragent lab refine`: do logged failures choose better edits than the value model alone?

The tree search with refinement every few iterations against the same search without it, at an
equal number of evaluations on a pocket benchmark, seed by seed. At each checkpoint the design of
the highest observed score is judged on test tasks. What a design does on a task is measured once
and remembered, whichever search asks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from paragent.benchmark import Benchmark
from paragent.design import Design
from paragent.errors import UsageError
from paragent.outcome import Evaluation, Split
from paragent.search.mcts import Mcts
from paragent.space import DesignSpace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--benchmark", default="pocket_hard", help="pocket or pocket_hard")
    parser.add_argument("--models", default="pocket-s,pocket-m")
    parser.add_argument("--every", default="2,3", help="refine every so many iterations, by comma")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--checkpoints", default="16,24,32", help="evaluations, by comma")
    parser.add_argument("--tasks", type=int, default=50, help="dev tasks of an evaluation")
    parser.add_argument("--test-tasks", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    from paragent.registry import benchmarks

    if args.benchmark not in ("pocket", "pocket_hard"):
        raise UsageError(f"--benchmark is {args.benchmark!r}; wanted pocket or pocket_hard")
    try:
        every = [0, *(int(word) for word in args.every.split(","))]
        marks = sorted(int(word) for word in args.checkpoints.split(","))
    except ValueError:
        raise UsageError("--every and --checkpoints want whole numbers, by comma") from None
    benchmark = benchmarks[args.benchmark].load()
    models = args.models.split(",")
    bench = Bench(benchmark, models, args.tasks, args.test_tasks)
    rows: list[dict[str, Any]] = []
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for refine in every:
            rows.append({"seed": seed, "refine": refine, **bench.search(seed, refine, marks)})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    found = summarise(rows, every, marks)
    if args.json:
        print(json.dumps({"rows": rows, "summary": found}))
        return 0
    print(f"{args.benchmark}, {args.seeds} seeds, {args.test_tasks} test tasks")
    print(f"{'refine every':<14}{'evaluations':>12}{'score':>8}{'minus no refining [95 %]':>28}")
    for f in found:
        gap = f["gap"]
        told = "" if gap is None else f"{gap[0]:+.3f} [{gap[1]:+.3f}, {gap[2]:+.3f}]"
        print(f"{f['refine'] or 'never':<14}{f['evals']:>12}{f['score']:>8.3f}{told:>28}")
    return 0


class Bench:
    """Searches over one benchmark that share what they measured."""

    def __init__(
        self, benchmark: Benchmark, models: Sequence[str], tasks: int, test_tasks: int
    ) -> None:
        self._benchmark = benchmark
        self._space = DesignSpace(models, available=benchmark.context.tags)
        self._sizes: dict[Split, int] = {"dev": tasks, "test": test_tasks}
        self._known: dict[tuple[str, Split], Evaluation] = {}

    def measured(self, design: Design, split: Split) -> Evaluation:
        """The design on the split's tasks."""
        from paragent.lab.measure import measure

        key = design.hash, split
        if key not in self._known:
            size = self._sizes[split]
            (self._known[key],) = measure(self._benchmark, [design], split, size)
        return self._known[key]

    def search(self, seed: int, refine: int, marks: Sequence[int]) -> dict[str, Any]:
        """Test score of the best observed design at each mark, and how often each move was made."""
        searcher = Mcts(self._space, seed=seed, cost="tokens", refine=refine)
        best: tuple[float, float, Design] | None = None
        scores: dict[int, float] = {}
        for number in range(1, marks[-1] + 1):
            (proposal,) = searcher.ask(1)
            found = self.measured(proposal.design, "dev")
            told = Evaluation(found.design, "dev", proposal.purpose, found.outcomes, number)
            searcher.tell(told)
            value, cost = told.score or 0.0, told.cost("tokens") or 0.0
            if best is None or (value, -cost) > best[:2]:
                best = value, -cost, proposal.design
            if number in marks:
                scores[number] = self.measured(best[2], "test").score or 0.0
        moves = Counter(node.move for node in searcher.tree.nodes[1:])
        return {"scores": scores, "moves": dict(sorted(moves.items()))}


def summarise(
    rows: Sequence[dict[str, Any]], every: Sequence[int], marks: Sequence[int]
) -> list[dict[str, Any]]:
    """Mean over seeds, and the difference from no refining, paired by seed."""
    from paragent.stats import bootstrap_interval

    scores = {(r["refine"], r["seed"], m): r["scores"][m] for r in rows for m in marks}
    seeds = sorted({r["seed"] for r in rows})
    found = []
    for mark in marks:
        for refine in every:
            mine = [scores[refine, s, mark] for s in seeds]
            gaps = [scores[refine, s, mark] - scores[0, s, mark] for s in seeds]
            spread = bootstrap_interval(gaps) if len(gaps) > 1 and refine else None
            gap = [statistics.fmean(gaps), spread.low, spread.high] if spread else None
            found.append(
                {"refine": refine, "evals": mark, "score": statistics.fmean(mine), "gap": gap}
            )
    return found

"""`paragent lab landscapes`: searchers on synthetic landscapes whose optimum is known exactly.

Six choices, four of them with a child that exists only under some options: 1,137,240 designs. The
true success rate is sigmoid(base + main effects + pairs of options [+ triples of choices]), all
normal; an evaluation is 50 tasks, Binomial(50, p) / 50. Scores are normalised: 0 is the mean of a
random design, 1 the best of the space, found by enumeration. Judged is the true value of the design
that would be recommended after 50, 100 and 200 evaluations: by the value model's posterior mean
over what was evaluated for `mcts`, by the best observed mean for a searcher that has no model.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paragent.design import Design
from paragent.factor_space import FactorSpace, row_levels
from paragent.outcome import Evaluation, Measured, Usage
from paragent.recommend import recommend
from paragent.registry import searchers

#: Choice, options, child, its options, the options under which the child exists.
CHOICES: tuple[tuple[str, int, str, int, tuple[int, ...]], ...] = (
    ("topology", 5, "partner", 5, (3, 4)),
    ("model", 6, "", 0, ()),
    ("reasoner", 12, "", 0, ()),
    ("memory", 5, "mem_k", 3, (3, 4)),
    ("tools", 8, "tool_policy", 2, (1, 2, 3, 4, 5, 6, 7)),
    ("verifier", 5, "retries", 2, (1, 2, 3, 4)),
)
TASKS = 50
#: Spread, in logits, of main effects, of those of a child, and of pairs; share of pairs that
#: interact; the logit of an average design; triples of choices that interact.
MAIN, CHILD, PAIR, DENSITY, BASE, TRIPLES = 0.17, 0.102, 0.15, 0.35, -0.5, 8
MARKS = (50, 100, 200)


def space() -> FactorSpace:
    """The choices as a table with conditional factors."""
    factors: dict[str, list[str]] = {}
    when: dict[str, tuple[str, list[str]]] = {}
    for name, n, child, m, under in CHOICES:
        factors[name] = [f"{name}{i}" for i in range(n)]
        if child:
            factors[child] = [f"{child}{i}" for i in range(m)]
            when[child] = (name, [f"{name}{i}" for i in under])
    return FactorSpace(factors, when=when)


@dataclass(frozen=True)
class Landscape:
    """One objective: `rate` is the success rate of every design, [option pairs of each choice];
    `best` and `mean` are its maximum and mean."""

    rate: NDArray[np.float64]
    best: float
    mean: float
    flat: tuple[Mapping[tuple[str, str], int], ...]

    @staticmethod
    def of(seed: int, triple: float = 0.0) -> Landscape:
        """`triple` is the spread of three-way interactions, in logits (0: none)."""
        rng = np.random.Generator(np.random.PCG64([seed, 11]))
        slots = [s for name, n, child, m, _ in CHOICES for s in ((name, n), (child, m)) if s[0]]
        children = {child for _, _, child, _, _ in CHOICES}
        main = {s: rng.normal(0, CHILD if s in children else MAIN, n) for s, n in slots}
        pair = {
            (a, b): rng.normal(0, PAIR, (n, m)) * (rng.random((n, m)) < DENSITY)
            for (a, n), (b, m) in itertools.combinations(slots, 2)
        }
        flats: list[list[list[tuple[str, int]]]] = []
        for name, n, child, m, under in CHOICES:
            flats.append(
                [
                    [(name, r)] + ([(child, c)] if r in under else [])
                    for r in range(n)
                    for c in range(m if r in under else 1)
                ]
            )

        def effect(one: list[tuple[str, int]], other: list[tuple[str, int]]) -> float:
            return sum(float(pair[a, b][i, j]) for a, i in one for b, j in other)

        shape = [len(flat) for flat in flats]
        logit = np.full(shape, BASE)
        for k, flat in enumerate(flats):
            own = [
                sum(float(main[s][i]) for s, i in each) + (effect(each[:1], each[1:]))
                for each in flat
            ]
            logit = logit + np.reshape(own, [-1 if g == k else 1 for g in range(6)])
        for k, g in itertools.combinations(range(6), 2):
            table = [[effect(one, other) for other in flats[g]] for one in flats[k]]
            logit = logit + np.reshape(table, [shape[i] if i in (k, g) else 1 for i in range(6)])
        if triple:
            trios = list(itertools.combinations(range(6), 3))
            for t in rng.permutation(len(trios))[:TRIPLES]:
                sizes = [shape[i] if i in trios[t] else 1 for i in range(6)]
                logit = logit + rng.normal(0, triple, sizes)
        rate = 1 / (1 + np.exp(-logit))
        index = tuple(
            {
                (str(each[0][1]), str(each[1][1]) if len(each) > 1 else ""): i
                for i, each in enumerate(flat)
            }
            for flat in flats
        )
        return Landscape(rate, float(rate.max()), float(rate.mean()), index)

    def true(self, design: Design) -> float:
        """The design's success rate."""
        levels = row_levels(design) or {}
        at = []
        for (name, _, child, _, _), index in zip(CHOICES, self.flat, strict=True):
            root = str(levels[name])[len(name) :]
            leaf = str(levels[child])[len(child) :] if child in levels else ""
            at.append(index[root, leaf])
        return float(self.rate[tuple(at)])

    def normalised(self, rate: float) -> float:
        """0 at a random design's mean, 1 at the best of the space."""
        return (rate - self.mean) / (self.best - self.mean)


def replay(name: str, seed: int, evals: int, triple: float) -> dict[str, Any]:
    """One searcher on one landscape: normalised true values at each mark, ms per proposal."""
    land = Landscape.of(seed, triple)
    rng = np.random.Generator(np.random.PCG64([seed, 12]))
    searcher = searchers[name].make(space(), seed=seed, cost="usd")
    told: list[Evaluation] = []
    marks: dict[str, dict[str, float]] = {}
    spent = 0.0
    for k in range(1, evals + 1):
        start = time.perf_counter()
        proposals = searcher.ask(1)
        spent += time.perf_counter() - start
        if not proposals:
            break
        design = proposals[0].design
        right = rng.random(TASKS) < land.true(design)
        usage = Usage(1, 100, 10, 0.001, 0.1)
        outcomes = {f"t{i}": Measured(float(r), usage) for i, r in enumerate(right)}
        told.append(Evaluation(design, "dev", proposals[0].purpose, outcomes))
        start = time.perf_counter()
        searcher.tell(told[-1])
        spent += time.perf_counter() - start
        if k in MARKS:
            lucky = max(told, key=lambda e: e.score or 0.0).design
            chosen = recommend(told, space().features) if name == "mcts" else lucky
            marks[str(k)] = {
                "recommended": land.normalised(land.true(chosen)),
                "luckiest": land.normalised(land.true(lucky)),
                "best": land.normalised(max(land.true(e.design) for e in told)),
            }
    return {"seed": seed, "marks": marks, "ms_per_proposal": 1e3 * spent / max(1, len(told))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--searchers", default="mcts,tpe,nsga2,random", help="by comma")
    parser.add_argument("--evals", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=20, help="landscapes")
    parser.add_argument("--triple", type=float, default=0.0, help="three-way spread, in logits")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Replay and print medians with quartiles."""
    names = [n.strip() for n in args.searchers.split(",") if n.strip()]
    for name in names:
        searchers[name]  # an unknown name stops here, with the nearest one
    found = {
        name: [replay(name, seed, args.evals, args.triple) for seed in range(args.seeds)]
        for name in names
    }
    if args.json:
        print(json.dumps({"evals": args.evals, "triple": args.triple, "results": found}))
        return 0
    print(f"{args.seeds} landscapes, three-way spread {args.triple}; median [quartiles]")
    for name, rows in found.items():
        print(f"{name}  {np.mean([r['ms_per_proposal'] for r in rows]):.1f} ms per proposal")
        for mark in rows[0]["marks"]:
            print(f"  after {mark:>3}  " + "  ".join(_figures(rows, mark)))
    return 0


def _figures(rows: Sequence[Mapping[str, Any]], mark: str) -> list[str]:
    shown = []
    for key in ("recommended", "luckiest", "best"):
        values = [row["marks"][mark][key] for row in rows]
        low, middle, high = np.percentile(values, [25, 50, 75])
        shown.append(f"{key} {middle:.3f} [{low:.3f}, {high:.3f}]")
    return shown

"""`paragent lab landscapes`: searchers on synthetic landscapes whose optimum is known exactly.

Six choices, four of them with a child that exists only under some options: 1,137,240 designs. The
true success rate is sigmoid(base + main effects + pairs of options [+ triples of choices]), all
normal; an evaluation is 50 tasks, Binomial(50, p) / 50. Scores are normalised: 0 is the mean of a
random design, 1 the best of the space, found by enumeration. Judged is the true value of the design
that would be recommended after 50, 100 and 200 evaluations: by the value model's posterior mean
over what was evaluated for `mcts`, by the best observed mean for every other searcher. Beside it
stand the luckiest mean for all, what the posterior saves against it (paired by landscape), and the
best design that was evaluated. All designs cost the same, so `tpe`, `nsga2` and `gp` climb the
score alone (unless told otherwise: `tpe:objectives=both`). All searchers meet the same landscapes,
one per seed, and are compared in pairs. `--keep FILE` writes each result as soon as it is there and
takes those that stand there already, so that a measurement may be stopped and go on.

    paragent lab landscapes --searchers mcts,mcts:selection=uct,tpe,gp,forest,random --seeds 20
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paragent.design import Design
from paragent.errors import UsageError
from paragent.factor_space import FactorSpace, row_levels
from paragent.lab.compare import in_processes, names
from paragent.lab.trial import parse_searcher
from paragent.lab.verdicts import verdicts
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


def replay(work: tuple[str, int, int, float]) -> dict[str, Any]:
    """(searcher with options, seed, evaluations, three-way spread): one searcher on one landscape.

    Normalised true values at each mark, and milliseconds per proposal.
    """
    said, seed, evals, triple = work
    name, options = parse_searcher(said)
    land = Landscape.of(seed, triple)
    rng = np.random.Generator(np.random.PCG64([seed, 12]))
    if "objectives" in searchers[name].options:  # costs are equal: a second aim would only mislead
        options = {"objectives": "score", **options}
    searcher = searchers[name].make(space(), seed=seed, cost="usd", **options)
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
            believed = recommend(told, space().features)
            chosen = believed if name == "mcts" else lucky
            marks[str(k)] = {
                "recommended": land.normalised(land.true(chosen)),
                "luckiest": land.normalised(land.true(lucky)),
                "posterior": land.normalised(land.true(believed)),
                "best": land.normalised(max(land.true(e.design) for e in told)),
            }
    found = {"searcher": said, "seed": seed, "evals": evals, "triple": triple, "marks": marks}
    return {**found, "ms_per_proposal": 1e3 * spent / max(1, len(told))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument(
        "--searchers",
        default="mcts,tpe,gp,forest,nsga2,random",
        help="names, comma-separated; options as mcts:selection=uct+c=1.4",
    )
    parser.add_argument("--evals", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=20, help="landscapes")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--triple", type=float, default=0.0, help="three-way spread, in logits")
    parser.add_argument("--keep", metavar="FILE", help="results as lines: taken from, added to")
    parser.add_argument("--jobs", type=int, help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def kept(path: str | None, work: Sequence[tuple[str, int, int, float]]) -> dict[Any, Any]:
    """The results of `work` that stand in the file, by piece of work; no file: none.

    A last line that was cut off is taken out of the file. Raises UsageError for a file that cannot
    be read or is none of ours.
    """
    if path is None or not Path(path).exists():
        return {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"--keep {path}: {e}; wanted what an earlier run wrote") from None
    wanted, found = set(work), dict[Any, Any]()
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            key = (row["searcher"], row["seed"], row["evals"], row["triple"])
        except (ValueError, KeyError, TypeError):
            if number == len(lines):
                Path(path).write_text("".join(f"{each}\n" for each in lines[:-1]))
                continue
            raise UsageError(f"--keep {path}, line {number}: no result of landscapes") from None
        if key in wanted:
            found[key] = row
    return found


def main(args: argparse.Namespace) -> int:
    """Replay; print means with intervals, medians, and who beats whom."""
    if args.evals < MARKS[0]:
        raise UsageError(f"--evals is {args.evals}; wanted {MARKS[0]} or more: there it is judged")
    if args.seeds < 1:
        raise UsageError(f"--seeds is {args.seeds}; wanted 1 or more")
    asked = names(args.searchers)
    for said in asked:
        name, _ = parse_searcher(said)  # an unknown one stops here, with the nearest name
        if name not in searchers:
            raise UsageError(
                f"{name} needs arms; landscapes have {sum(c[1] for c in CHOICES)} levels"
            )
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    work = [(said, seed, args.evals, args.triple) for seed in seeds for said in asked]
    known = kept(args.keep, work)
    for row in in_processes(replay, [each for each in work if each not in known], args.jobs):
        known[row["searcher"], row["seed"], row["evals"], row["triple"]] = row
        if args.keep:
            with Path(args.keep).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        print(f"seed {row['seed']}: {row['searcher']}", file=sys.stderr, flush=True)
    found = {said: [known[each] for each in work if each[0] == said] for said in asked}
    marks = [str(mark) for mark in MARKS if mark <= args.evals]
    said_all = [v for mark in marks for v in judged(found, mark)]
    if args.json:
        figures = {"evals": args.evals, "triple": args.triple, "results": found}
        print(json.dumps({**figures, "verdicts": said_all}))
        return 0
    print(f"{args.seeds} landscapes, three-way spread {args.triple:g}; 0 random, 1 optimum\n")
    print("| searcher | evaluations | recommended: mean [95 %] | median | luckiest "
          "| regret saved by the posterior | best evaluated | ms per proposal |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for said, rows in found.items():
        for mark in marks:
            print(f"| {said} | {mark} | {' | '.join(_figures(rows, mark))} |")
    print()
    for verdict in said_all:
        print(f"after {verdict['evaluations']}: {verdict['text']}")
    return 0


def judged(found: Mapping[str, Sequence[Mapping[str, Any]]], mark: str) -> list[dict[str, Any]]:
    """Pairs of searchers on the recommended design's value, on the same landscapes."""
    trials = {
        said: [{"value": row["marks"][mark]["recommended"]} for row in rows]
        for said, rows in found.items()
    }
    # Values below a random design's mean are possible: differences lie in [-2, 2] at the most.
    pairs = verdicts(trials, "value", name="recommended value", scale=2.0)
    return [{"evaluations": int(mark), **verdict} for verdict in pairs]


def _figures(rows: Sequence[Mapping[str, Any]], mark: str) -> list[str]:
    values = [row["marks"][mark]["recommended"] for row in rows]
    shown = [f"{np.mean(values):.3f} [{_low_high(values)}]", f"{np.median(values):.3f}"]
    lucky, best = ([row["marks"][mark][key] for row in rows] for key in ("luckiest", "best"))
    saved = [row["marks"][mark]["posterior"] - row["marks"][mark]["luckiest"] for row in rows]
    shown.append(f"{np.mean(lucky):.3f}")
    shown.append(f"{np.mean(saved):+.3f} [{_low_high(saved)}]")
    shown.append(f"{np.mean(best):.3f}")
    return [*shown, f"{np.mean([r['ms_per_proposal'] for r in rows]):.0f}"]


def _low_high(values: Sequence[float]) -> str:
    """95 % bootstrap interval of the mean."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(np.array(values), size=(2000, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{low:.3f}, {high:.3f}"

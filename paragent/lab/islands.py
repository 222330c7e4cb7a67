"""`paragent lab islands`: what do searches gain that share what they measure?

On a design table, for the same number of evaluations in all and in the same time:

    alone     so many searches of `--evals` each, which know nothing of one another
    sharing   the same searches, each told at once what the others measured (`search --share`)
    unclaimed the same, but nobody says beforehand what it is about to measure
    one       one search of all the evaluations, as many designs in flight as there were searches

All see the same tasks and get the same answers; searches have seeds of their own. Judged by the
table's true values, over all designs that any of the searches measured; differences are paired by
seed. `each` is what one search alone knows in the end: its own designs, and those it took.

    paragent lab islands --table pocket-facts --islands 4 --evals 20 --seeds 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from paragent.config import RunConfig
from paragent.engine import Engine
from paragent.errors import UnknownName, UsageError
from paragent.lab.compare import in_processes
from paragent.lab.shipped import open_table
from paragent.lab.trial import Protocol, Truth, Watch, parse_searcher, recommended_front
from paragent.memory_store import MemoryStore
from paragent.outcome import Evaluation
from paragent.recorded import DesignTable
from paragent.registry import searchers
from paragent.replay import Noise, Replay
from paragent.runtime.ledger import Caps, Ledger
from paragent.searcher import Proposal
from paragent.stats import paired_difference

WAYS = ("alone", "sharing", "unclaimed", "one")
#: What is compared: key, name, and what a difference is divided by.
FIGURES = (
    ("hv", "hypervolume share", 1.0),
    ("front", "hypervolume share of what is reported", 1.0),
    ("missed", "best missed, points", 100.0),
    ("distinct", "different designs", 100.0),
    ("each", "hypervolume share, each search", 1.0),
)
MARKS = (5, 10, 20, 40)
#: Seeds of the searches of one trial lie this far apart.
APART = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--table", required=True, help="a folder with table.yaml, or a name")
    parser.add_argument("--searcher", default="mcts")
    parser.add_argument("--islands", type=int, default=4, help="searches at once")
    parser.add_argument("--evals", type=int, default=20, help="evaluations of each search")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--noise", choices=("none", "recorded", "finite"), default="recorded")
    parser.add_argument("--eval-tasks", type=int, default=50, help="tasks of one evaluation")
    parser.add_argument("--jobs", type=int, help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    for name, least in (("seeds", 1), ("evals", 1), ("eval_tasks", 1), ("islands", 2)):
        if getattr(args, name) < least:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is {getattr(args, name)}; wanted {least} or more")
    table = open_table(args.table)
    name, options = parse_searcher(args.searcher)
    if name not in searchers:  # rules for arms are told of no designs but their own
        raise UnknownName("searcher that can share", name, searchers.names())
    searchers[name].make(table.space, seed=0, cost="usd", **options)  # it may refuse the space
    noise: Noise = args.noise
    held = 0.5 if noise == "recorded" and table.outcomes is not None else 0.0
    protocol = Protocol(noise=noise, evals=args.evals, per_eval=args.eval_tasks, held_out=held)
    work = [
        (table, args.searcher, way, seed, args.islands, protocol)
        for way in WAYS
        for seed in range(args.first_seed, args.first_seed + args.seeds)
    ]
    done = list(in_processes(_one, work, args.jobs))
    trials = {way: [t for w, t in zip(work, done, strict=True) if w[2] == way] for way in WAYS}
    rows = report_of(trials, args.evals)
    if args.json:
        head = {"table": table.name, "searcher": args.searcher, "islands": args.islands}
        print(json.dumps({**head, "seeds": args.seeds, "rows": rows, "trials": trials}))
        return 0
    print(
        f"{table.name}: {len(table)} designs; {args.islands} searches ({args.searcher}); noise "
        f"{noise}; {args.seeds} seeds"
    )
    print_report(rows)
    return 0


def _one(work: tuple[DesignTable, str, str, int, int, Protocol]) -> dict[str, Any]:
    table, searcher, way, seed, islands, protocol = work
    found = run_islands(table, searcher, way, seed, islands, protocol)
    print(f"{way} seed {seed}: {found['hv'][-1]:.3f}", file=sys.stderr, flush=True)
    return found


class Pool:
    """What a group of searches has measured, in the order in which it was told, and what each of
    them has claimed. Without `claims` nobody heeds those."""

    def __init__(self, claims: bool = True) -> None:
        self.given: list[tuple[int, Evaluation]] = []
        self.claimed: dict[str, int] | None = {} if claims else None


class Member:
    """One search's access to a pool: `paragent.share.Shares` without a folder."""

    def __init__(self, pool: Pool, number: int) -> None:
        self._pool, self._number, self._seen = pool, number, 0
        self._taken: set[str] = set()

    def claim(self, proposal: Proposal) -> None:
        """It is about to be measured here."""
        if self._pool.claimed is not None:
            self._pool.claimed.setdefault(proposal.design.hash, self._number)

    def elsewhere(self, proposal: Proposal) -> bool:
        """Whether another search has claimed it."""
        by = (self._pool.claimed or {}).get(proposal.design.hash, self._number)
        return by != self._number

    def give(self, told: Evaluation) -> None:
        """For the others."""
        self._pool.given.append((self._number, told))

    def take(self, position: int, proposed: Collection[str]) -> list[Evaluation]:
        """What the others gave since, each design once."""
        new, self._seen = self._pool.given[self._seen :], len(self._pool.given)
        found = []
        for number, e in new:
            key = e.design.hash
            if number != self._number and key not in proposed and key not in self._taken:
                self._taken.add(key)
                found.append(e)
        return found


def run_islands(
    table: DesignTable, searcher: str, way: str, seed: int, islands: int, protocol: Protocol
) -> dict[str, Any]:
    """One trial: curves over the evaluations of each search (of `one`, over as many times
    `islands`), in the units of FIGURES. The same arguments give the same result anywhere."""
    pool = Pool(way == "sharing") if way in ("sharing", "unclaimed") else None
    count, evals = (1, islands * (protocol.evals or 1)) if way == "one" else (islands, 0)
    found = asyncio.run(
        _together(table, searcher, seed, count, evals or protocol.evals or 1, protocol, pool,
                  parallel=islands if way == "one" else 1)
    )  # fmt: skip
    truth = Truth(table)
    step = islands if way == "one" else 1
    curves: dict[str, list[float]] = {key: [] for key, _, _ in FIGURES}
    for mark in range(1, (protocol.evals or 1) + 1):
        mine = [watch.rows[: mark * step] for watch, _ in found]
        rows = list(dict.fromkeys(row for each in mine for row in each))
        last = {row: e for watch, _ in found for row, e in watch.last.items() if row in rows}
        best = max((float(table.score[row]) for row in rows), default=float(table.score.min()))
        curves["hv"].append(truth.share(rows))
        curves["front"].append(truth.share(recommended_front(last)))
        curves["missed"].append(100 * (truth.best - best))
        curves["distinct"].append(float(len(rows)))
        known = [
            [*own, *(row for row, when in taken if when <= mark * step)]
            for own, (_, taken) in zip(mine, found, strict=True)
        ]
        curves["each"].append(statistics.fmean(truth.share(each) for each in known))
    return dict(curves)


async def _together(
    table: DesignTable,
    searcher: str,
    seed: int,
    count: int,
    evals: int,
    protocol: Protocol,
    pool: Pool | None,
    *,
    parallel: int,
) -> list[tuple[Watch, list[tuple[int, int]]]]:
    """So many searches, taking turns evaluation by evaluation: what each told, and the (row,
    evaluations told before) of what it took."""
    running, found = [], []
    name, options = parse_searcher(searcher)
    for i in range(count):
        replay = Replay(table, protocol.noise, seed=seed, held_out=protocol.held_out)
        per_eval = len(replay.tasks("dev"))
        if protocol.noise != "none":
            per_eval = min(protocol.per_eval, per_eval)
        watch, taken = Watch(replay), list[tuple[int, int]]()

        def tell(
            kind: str,
            e: Evaluation | None,
            watch: Watch = watch,
            taken: list[tuple[int, int]] = taken,
        ) -> None:
            watch(kind, e)
            if kind == "taken" and e is not None:
                taken.append((watch.replay.table.index(e.design), len(watch.rows)))

        config = RunConfig(table.name, name, evals, tasks=per_eval, parallel=parallel)
        made = searchers[name].make(table.space, seed=seed + APART * i, cost="usd", **options)
        store = MemoryStore()
        engine = Engine(
            config, replay, made, replay, store, Ledger(Caps()), tell,
            share=Member(pool, i) if pool is not None else None,
        )  # fmt: skip
        running.append(_closed(engine, store))
        found.append((watch, taken))
    # A search waits for the loop once an evaluation, so they take turns: in the order of numbers.
    await asyncio.gather(*running)
    return found


async def _closed(engine: Engine, store: MemoryStore) -> None:
    with store:
        await engine.search()


def report_of(
    trials: Mapping[str, Sequence[Mapping[str, Any]]], evals: int
) -> list[dict[str, Any]]:
    """Means at checkpoints, and differences to searches that do not share, paired by seed."""
    rows = []
    for key, name, scale in FIGURES:
        for mark in [m for m in MARKS if m < evals] + [evals]:
            plain = [t[key][mark - 1] for t in trials["alone"]]
            for way in WAYS:
                mine = [t[key][mark - 1] for t in trials[way]]
                pair = None
                if way != "alone" and len(mine) > 1:
                    pair = paired_difference(
                        {i: v / scale for i, v in enumerate(mine)},
                        {i: v / scale for i, v in enumerate(plain)},
                    )
                rows.append(
                    {
                        "figure": name,
                        "evaluations": mark,
                        "way": way,
                        "mean": statistics.fmean(mine),
                        "minus_alone": None if pair is None else scale * pair.mean,
                        "low": None if pair is None else scale * pair.low,
                        "high": None if pair is None else scale * pair.high,
                    }
                )
    return rows


def print_report(rows: Sequence[Mapping[str, Any]]) -> None:
    """A table for people."""
    print("\n| figure | evaluations each | way | mean | minus alone [95 %] |")
    print("|---|---|---|---|---|")
    for r in rows:
        gain = ""
        if r["minus_alone"] is not None:
            gain = f"{r['minus_alone']:+.3f} [{r['low']:+.3f}, {r['high']:+.3f}]"
        print(f"| {r['figure']} | {r['evaluations']} | {r['way']} | {r['mean']:.3f} | {gain} |")

"""The engine, on one page: ask, run, store, tell; then settle the front on fresh tasks.

    until a cap is reached:
        proposal = searcher.ask(1)                       # up to `parallel` are in flight
        the pruner skips it where it cannot extend the front; a few of those are run anyway
        outcomes = executor runs it on dev tasks; with `race`, until it is surely dominated
        store, then tell the searcher in the order of proposal; it may ask a language model
        with `share` other searches are given it, and what they measured is told like it
    finalists: more dev tasks decide the front; the untouched test split reports it

Telling in the order of proposal makes a run a function of its seed and of `parallel` alone,
whatever the machine. Resuming is running again: what is stored is not run a second time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from paragent.benchmark import Benchmark
from paragent.config import RunConfig
from paragent.design import Design
from paragent.errors import CapReached
from paragent.executor import Executor, Job
from paragent.luck import luck_of
from paragent.outcome import Evaluation, Outcome, Purpose, Split
from paragent.pareto import front as pareto_front
from paragent.proposer import Proposer
from paragent.pruner import Pruner
from paragent.racing import BLOCK, Entrant
from paragent.runtime.ledger import Ledger
from paragent.searcher import Proposal, Searcher
from paragent.share import Shares
from paragent.stats import paired_difference
from paragent.store import Store

#: Tasks that all finalists finish before any goes on, so that a cap leaves them comparable.
ROUND = 50


@dataclass
class Engine:
    """One run. `watch(kind, evaluation)` is told "told", "taken" and "settled"."""

    config: RunConfig
    benchmark: Benchmark
    searcher: Searcher
    executor: Executor
    store: Store
    ledger: Ledger
    watch: Callable[[str, Evaluation | None], None]
    pruner: Pruner | None = None
    proposer: Proposer | None = None
    share: Shares | None = None
    #: What other searches measured, as it was told.
    taken: list[Evaluation] = field(default_factory=list)
    #: Hashes of what was proposed, with `share`.
    proposed: set[str] = field(default_factory=set)
    #: Scores and mean cost of every design told with all its tasks: whom later ones race against.
    rivals: list[tuple[Mapping[str, float], float]] = field(default_factory=list)

    async def search(self) -> str:
        """Search until a cap is reached or nothing is left to propose; returns what ended it."""
        tasks = self.benchmark.tasks("dev")
        window: deque[tuple[int, Proposal, asyncio.Task[Evaluation]]] = deque()
        number, stop = 0, ""
        try:
            if self.proposer:
                await self.proposer.begin()
            self._take(-1)
            while True:
                while not stop and len(window) < self.config.parallel:
                    if self.ledger.evaluations == self.config.evals:
                        stop = "evaluations"
                        break
                    chosen = self._next()
                    if chosen is None:
                        stop = "" if window else "space"
                        break
                    self.ledger.count_evaluation()
                    proposal = chosen
                    wish = proposal.tasks or self.config.tasks
                    ids = wish if isinstance(wish, tuple) else tuple(t.id for t in tasks[:wish])
                    self.store.add_design(proposal.design)
                    if self.share:
                        self.proposed.add(proposal.design.hash)
                        self.share.claim(proposal)
                    job = asyncio.ensure_future(self._run(proposal, ids))
                    window.append((number, proposal, job))
                    number += 1
                if not window:
                    return stop or "space"
                position, proposal, job = window.popleft()
                try:
                    found = await job
                except CapReached as reached:
                    stop = reached.cap  # what was measured of it is stored, and found on resume
                    continue
                told = Evaluation(
                    found.design, "dev", proposal.purpose, found.outcomes, position, proposal.by
                )
                self.store.add_evaluation(told)
                self.store.commit()  # on disk before it is used
                self._enter(told)
                self.searcher.tell(told)
                if self.pruner:
                    self.pruner.tell(told)
                if self.proposer:
                    await self.proposer.told(more=not stop)
                self.watch("told", told)
                if self.share:
                    self.share.give(told)
                    self._take(position)
        finally:
            if self.proposer:
                await self.proposer.aclose()
            for _, _, job in window:
                job.cancel()
            await asyncio.gather(*(job for _, _, job in window), return_exceptions=True)

    def _take(self, position: int) -> None:
        """Tell what other searches measured since: evidence like any other, but no evaluation of
        this run, and paid for by theirs."""
        for each in self.share.take(position, self.proposed) if self.share else ():
            self._enter(each)
            self.searcher.tell(each)
            if self.pruner:
                self.pruner.tell(each)
            self.taken.append(each)
            self.watch("taken", each)

    def _next(self) -> Proposal | None:
        """What to run next; what the value model prunes, or another search is measuring, is told
        at once, as not run. None where nothing is left to propose."""
        while proposals := self.searcher.ask(1):
            if not (self.share and self.share.elsewhere(proposals[0])):
                kept = self.pruner.consider(proposals[0]) if self.pruner else proposals[0]
                if kept is not None:
                    return kept
            design, purpose = proposals[0].design, proposals[0].purpose
            self.searcher.tell(Evaluation(design, "dev", purpose, {}))
        return self.pruner.last_hope() if self.pruner else None

    async def _run(self, proposal: Proposal, ids: Sequence[str]) -> Evaluation:
        """All its tasks; with `race` block by block, until a design that was told before this one
        was asked for surely dominates it."""
        if not self.config.race or proposal.tasks or proposal.purpose != "search-eval":
            return await self.measure(proposal.design, "dev", ids, proposal.purpose)
        entrant, done = Entrant(tuple(self.rivals)), 0
        while True:
            done = min(len(ids), done + BLOCK)
            found = await self.measure(proposal.design, "dev", ids[:done], proposal.purpose)
            cost = found.cost(self.config.cost)
            if done == len(ids) or (cost is not None and entrant.lost(found.scores, cost)):
                return found

    def _enter(self, told: Evaluation) -> None:
        """What later designs race against: whatever ran all its tasks."""
        cost, whole = told.cost(self.config.cost), len(told.outcomes) >= self.config.tasks
        if self.config.race and cost is not None and whole and told.n:
            self.rivals.append((told.scores, cost))

    async def measure(
        self, design: Design, split: Split, task_ids: Sequence[str], purpose: Purpose
    ) -> Evaluation:
        """Run what is not stored yet, store every outcome as it comes. Raises CapReached."""
        known = self.store.outcomes(design.hash, split)
        missing = tuple(t for t in task_ids if t not in known)

        def keep(task_id: str, outcome: Outcome) -> None:
            self.store.add_outcome(design.hash, split, task_id, outcome)
            known[task_id] = outcome

        if missing:
            data = self.proposer.written(design) if self.proposer else design.to_data()
            job = Job(data, split, missing, purpose, self.config.seed)
            await self.executor.run(job, keep)
        return Evaluation(design, split, purpose, {t: known[t] for t in task_ids if t in known})

    async def settle(self, evaluations: Sequence[Evaluation], baselines: Sequence[Design]) -> str:
        """Re-measure finalists on fresh dev tasks, decide the front, report it on the test split.

        Returns the cap that cut it short, or "". The front is decided on dev tasks alone; its
        luckiest members lose their luck on the fresh ones.
        """
        config, dev = self.config, [t.id for t in self.benchmark.tasks("dev")]
        test = [t.id for t in self.benchmark.tasks("test")[: config.test_tasks]]
        designs = list(dict.fromkeys([*baselines, *finalists(evaluations, config)]))
        for design in designs:
            self.store.add_design(design)
        stop = await self._in_rounds(designs, "dev", dev[: config.tasks + config.confirm])
        confirmed = [self.stored(design, "dev") for design in designs]
        anchors = confirmed[: len(baselines)]
        better = [e for e in confirmed if all(above(e, anchor) for anchor in anchors)]
        front = [e.design for e in front_of(better or anchors, config)]
        self.store.set_meta("front", [d.hash for d in front])
        if front:
            self.store.set_meta("luck", luck_of(evaluations, confirmed, front[-1].hash))
        chosen = list(dict.fromkeys([*baselines, *front]))
        return await self._in_rounds(chosen, "test", test) or stop

    async def _in_rounds(self, designs: Sequence[Design], split: Split, ids: Sequence[str]) -> str:
        for start in range(0, len(ids), ROUND):
            part = ids[start : start + ROUND]
            jobs = [
                asyncio.ensure_future(self.measure(d, split, part, "final-eval")) for d in designs
            ]
            try:
                for evaluation in await asyncio.gather(*jobs):
                    self.watch("settled", evaluation)
            except CapReached as reached:
                return reached.cap
            finally:
                for job in jobs:
                    job.cancel()
                await asyncio.gather(*jobs, return_exceptions=True)
        return ""

    def stored(self, design: Design, split: Split) -> Evaluation:
        """Everything stored of a design on a split, in the order of the tasks."""
        found = self.store.outcomes(design.hash, split)
        ordered = {t.id: found[t.id] for t in self.benchmark.tasks(split) if t.id in found}
        return Evaluation(design, split, "final-eval", ordered)


def above(evaluation: Evaluation, baseline: Evaluation) -> bool:
    """Whether it scores higher than the baseline on the tasks both ran, beyond noise.

    Paired per task, two-sided 95 %. A front of designs that cannot be told from the cheapest
    direct answer would sell noise, so only such designs enter it (the baseline stands beside it).
    A baseline that could not be measured excludes nothing.
    """
    mine, theirs = evaluation.scores, baseline.scores
    if not theirs:
        return True
    if not mine.keys() & theirs.keys():
        return False
    return paired_difference(mine, theirs).low > 0


def measurable(evaluation: Evaluation, config: RunConfig) -> bool:
    """Whether it has a score, a known cost, and few enough failures to be trusted."""
    return (
        evaluation.n > 0
        and evaluation.cost(config.cost) is not None
        and evaluation.failure_share <= config.failure_limit
    )


def front_of(evaluations: Sequence[Evaluation], config: RunConfig) -> list[Evaluation]:
    """The non-dominated measurable evaluations (score up, cost down), cheapest first.

    Of designs that tie exactly in both, the one with the fewest agents stands for all: a cascade
    whose later members were never asked is its first member with idle company.
    """
    able = [e for e in evaluations if measurable(e, config)]
    points = [(e.score, e.cost(config.cost)) for e in able]
    simplest: dict[tuple[float | None, float | None], Evaluation] = {}
    for i in pareto_front([(s, c) for s, c in points if s is not None]):
        known = simplest.setdefault(points[i], able[i])
        if simplicity(able[i].design) < simplicity(known.design):
            simplest[points[i]] = able[i]
    return sorted(simplest.values(), key=lambda e: (e.cost(config.cost) or 0.0, -(e.score or 0.0)))


def comparable(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Those on at least half as many tasks as the most thorough: a trial on a few tasks would top
    every list by luck."""
    most = max((e.n for e in evaluations), default=0)
    return [e for e in evaluations if 2 * e.n >= most]


def simplicity(design: Design) -> tuple[int, str]:
    """What decides between designs that tie: fewer agents, then the hash."""
    return sum(1 for _ in design.agents()), design.hash


def finalists(evaluations: Sequence[Evaluation], config: RunConfig) -> list[Design]:
    """At most `config.finalists` designs worth fresh tasks: front after front is peeled off.

    A layer that does not fit whole gives its best scores first, since score is what luck bends.
    """
    left = [e for e in comparable(evaluations) if measurable(e, config)]
    chosen: list[Evaluation] = []
    while left and len(chosen) < config.finalists:
        layer = sorted(front_of(left, config), key=lambda e: -(e.score or 0.0))
        chosen += layer[: config.finalists - len(chosen)]
        taken = {e.design.hash for e in layer}
        left = [e for e in left if e.design.hash not in taken]
    return [e.design for e in chosen]

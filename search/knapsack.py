"""Buys parts for a team under a budget of prices, after trying them (the knapsack composer of
agents, arXiv 2510.16499, section 3), and sweeps the budget for a whole front.

    skills     of the development tasks (`paragent.skills`), with probe tasks; as a language model
               names them where one gives advice
    inventory  the space's agents, each with a price: its worst case in dollars per 1,000 tasks
    composer   identity (everything) | retrieval (best match of each skill) | offline (exact
               multiple-choice knapsack on matches) | online (threshold, after trials)
    teams      of what was bought, under every topology that is legal for them, cheapest part first
    sweep      budgeted coverage on what trials measured, at rising budgets, with the synergy of
               pairs that teams showed; then parts not yet tried, and edits of what was good

A trial is a proposal like any other (purpose "trial"; a second one of the same part "label"): the
engine runs and pays it, in a ledger apart from the parts' prices. In a space without agents (a
table of factors) the same idea needs no trials: of the candidates whose predicted cost fits a
budget, the one of highest drawn value, the budget rising and falling over what was measured.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from paragent.composer import Composer, Trials
from paragent.design import Design
from paragent.errors import UnknownName, UsageError
from paragent.knapsack import Inventory, Threshold, coverage, identity, offline, retrieval
from paragent.outcome import CostName, Evaluation
from paragent.registry import SearcherPlugin
from paragent.searcher import Advice, Proposal, Question, Space, TeamSpace
from paragent.skills import Skill, similarity, skills_of
from paragent.value import LinearValue, generator

COMPOSERS = ("online", "offline", "retrieval", "identity")
#: Errors assumed of one observation: see `paragent.search.mcts`.
SCORE_NOISE, LOG_COST_NOISE = 0.07, 0.05
TRIES = 500
#: Rounds of edits of the candidate that is judged best, before it is proposed.
CLIMBS = 1


class Knapsack:
    """See the module.

    `composer` is one of COMPOSERS; `price_budget` in dollars per 1,000 tasks in the worst case
    (0: three times the dearest part); `inventory` the most parts offered; `k` how many parts come
    along for each skill; `probes` the tasks of one trial per skill; `bar` the share of a skill's
    tasks that a helpful part solves.
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        questions: Mapping[str, str] | None = None,
        composer: str = "online",
        price_budget: float = 0.0,
        inventory: int = 120,
        k: int = 10,
        probes: int = 8,
        bar: float = 0.5,
    ) -> None:
        if composer not in COMPOSERS:
            raise UnknownName("composer", composer, COMPOSERS)
        if not 0 <= price_budget < math.inf:
            raise UsageError(
                f"price_budget is {price_budget:g}; wanted dollars per 1,000 tasks, or 0 for three "
                "times the dearest part"
            )
        for name, value in (("inventory", inventory), ("k", k), ("probes", probes)):
            if value < 1:
                raise UsageError(f"{name} is {value}; wanted 1 or more")
        if not 0 <= bar < 1:
            raise UsageError(f"bar is {bar:g}; wanted a share from 0 to less than 1")
        self._space, self._rng, self._cost = space, random.Random(seed), cost
        self._name, self._bar, self._k, self._seed = composer, bar, k, seed
        self._limit, self._most = price_budget, inventory
        self._questions, self._probes = questions or {}, probes
        self._asked: set[tuple[str, str]] = set()
        self._points: dict[str, tuple[Design, float, float]] = {}
        self._queue: deque[Proposal] = deque()
        self._waiting: dict[str, int] = {}
        self._stage = 0
        self._turn = 0
        self._parts: list[Design] = []
        self._trials: dict[int, Trials] = {}
        if isinstance(space, TeamSpace):
            self._set_up(space)

    # -- the inventory --------------------------------------------------------------------------

    def _set_up(self, space: TeamSpace) -> None:
        priced = [(d, space.bounds(d).usd) for d in space.agents(self._most)]
        self._parts = [d for d, usd in priced if usd is not None]
        self._price = [1000 * usd for _, usd in priced if usd is not None]
        self._number = {d.hash: i for i, d in enumerate(self._parts)}
        if not self._parts:
            return
        found = skills_of(self._questions, probes=2 * self._probes, seed=self._seed)
        self._compose_for(space, found or (Skill("all", 1.0, (), ""),))

    def questions(self) -> Sequence[Question]:
        """Once, before the first proposal: what the tasks ask for."""
        begun = bool(self._asked) or not self._parts or not self._questions
        return [] if begun else [Question("skills")]

    def advise(self, question: Question, advice: Advice | None) -> None:
        """Skills as a language model sees them; without them the clusters stand."""
        if advice is not None and advice.skills and isinstance(self._space, TeamSpace):
            self._compose_for(self._space, advice.skills)

    @property
    def skills(self) -> Sequence[Skill]:
        """The skills that parts are bought for."""
        return self._skills if self._parts else ()

    def _compose_for(self, space: TeamSpace, skills: Sequence[Skill]) -> None:
        self._skills: Sequence[Skill] = skills
        likeness = similarity([space.describe(d) for d in self._parts], self._skills)
        self._likeness = np.array(likeness).reshape(len(self._parts), len(self._skills))
        weights = np.array([s.weight for s in self._skills])
        self._offer = Inventory(self._likeness, np.array(self._price), weights)
        dearest = max(self._price)
        self._budget = self._limit or 3 * dearest or 1.0
        self._composer: Composer | None = None
        if self._name == "online" and dearest > 0:
            self._composer = Composer(
                self._skills,
                self._arrivals(),
                self._price,
                Threshold.of(self._price, [s.weight for s in self._skills], self._budget),
                self._bar,
                self._trials,
            )

    def _arrivals(self) -> list[int]:
        """Skill by skill, best match first, the `k` best of each; of equals the cheaper first."""
        order: dict[int, None] = {}
        for j in range(len(self._skills)):
            ranked = sorted(
                range(len(self._parts)),
                key=lambda i: (-round(float(self._likeness[i, j]), 6), self._price[i], i),
            )
            order.update(dict.fromkeys(ranked[: self._k]))
        return list(order)

    # -- asking ---------------------------------------------------------------------------------

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` proposals; none while trials are out that decide what comes next."""
        found: list[Proposal] = []
        while len(found) < n:
            proposal = self._next()
            if proposal is None:
                break
            self._asked.add((proposal.design.hash, proposal.purpose))
            found.append(proposal)
        return found

    def _next(self) -> Proposal | None:
        while True:
            while self._queue:
                proposal = self._queue.popleft()
                if (proposal.design.hash, proposal.purpose) not in self._asked:
                    return proposal
            if not self._parts:
                return self._filled()
            if self._composer is not None and not self._composer.done:
                if (trial := self._try_next(self._composer)) is not None:
                    return trial
                if self._waiting and not self._composer.done:
                    return self._filled()  # decisions wait for trials; others need not
            if not self._compose():
                return self._filled()

    def _try_next(self, composer: Composer) -> Proposal | None:
        for part in composer.order:
            if part in composer.final or self._parts[part].hash in self._waiting:
                continue
            if not composer.worth_trying(part):
                composer.skip(part)
                continue
            if (trial := self._trial(part, sorted(composer.open), "trial")) is not None:
                return trial
            composer.skip(part)
        return None

    def _trial(self, part: int, skills: Iterable[int], purpose: str) -> Proposal | None:
        """The part on the probes of these skills: the first of them, or (a second trial) the
        next. None where it was tried so before, or a skill has no probes."""
        start = 0 if purpose == "trial" else self._probes
        tasks = tuple(
            t for j in skills for t in self._skills[j].probes[start : start + self._probes]
        )
        design = self._parts[part]
        if (design.hash, purpose) in self._asked or (self._questions and not tasks):
            return None
        self._waiting[design.hash] = part
        wanted: tuple[str, ...] | int = tasks or self._probes
        return Proposal(design, wanted, "trial" if purpose == "trial" else "label", "knapsack")

    def _compose(self) -> bool:
        """Queue the teams of the next stage; False where composing has nothing more to give."""
        self._stage += 1
        if self._stage == 1:
            self._queue.extend(self._teams(self._chosen()))
            return True
        if self._name != "online" or self._stage > 200:
            return False
        before = len(self._queue)
        for share in (1.0, 0.5, 0.25, 0.12, 0.06):
            held = coverage(self._measured(), share * self._budget)
            self._queue.extend(self._teams(held))
        untried = [i for i in range(len(self._parts)) if i not in self._trials]
        if untried:
            part = self._rng.choice(untried)
            trial = self._trial(part, range(len(self._skills)), "trial")
            if trial is not None:
                self._queue.append(trial)
        fresh = [p for p in self._queue if (p.design.hash, p.purpose) not in self._asked]
        self._queue = deque(fresh)
        return bool(fresh) or len(self._queue) > before

    @property
    def chosen(self) -> list[Design]:
        """The parts that the composer bought, in the inventory's order (so far, if online)."""
        return [self._parts[i] for i in self._chosen()] if self._parts else []

    @property
    def composing(self) -> bool:
        """Whether trials may still change what is bought."""
        return self._composer is not None and not self._composer.done

    def _chosen(self) -> list[int]:
        if self._name == "identity":
            return identity(self._offer)
        if self._name == "retrieval":
            return retrieval(self._offer)
        if self._name == "offline" or self._composer is None:
            return offline(self._offer, self._budget, self._k)
        return sorted(self._composer.taken)

    def _measured(self) -> Inventory:
        """The inventory as trials showed it: what was not tried is worth nothing yet."""
        value = np.zeros_like(self._likeness)
        for i, trials in self._trials.items():
            if not trials.broken:
                for j, n in trials.measured.items():
                    value[i, j] = trials.chance(j) if n else 0.0
        return Inventory(value, self._offer.price, self._offer.weight, self._synergy())

    def _synergy(self) -> dict[tuple[int, int], float]:
        """What the best team of two was worth beyond its better member, for pairs that were
        measured together and alone."""
        found: dict[tuple[int, int], float] = {}
        for design, score, _ in self._points.values():
            members = [self._number.get(d.hash) for d in _members(design)]
            if len(members) != 2 or None in members or members[0] == members[1]:
                continue
            i, j = sorted(m for m in members if m is not None)
            alone = [self._points.get(self._parts[m].hash) for m in (i, j)]
            known = [point[1] for point in alone if point is not None]
            if len(known) == 2:
                found[i, j] = max(found.get((i, j), -math.inf), score - max(known))
        return found

    def _teams(self, parts: Sequence[int]) -> list[Proposal]:
        """All teams of these parts, cheapest part first; of too many, the most useful that fit
        one team; and the parts alone."""
        space = self._space
        assert isinstance(space, TeamSpace)
        order = sorted(parts, key=lambda i: (self._price[i], i))
        wanted: list[Design] = []
        while order:
            wanted = list(space.teams([self._parts[i] for i in order]))
            if wanted:
                break
            inventory = self._measured() if self._trials else self._offer
            order.remove(min(order, key=lambda i: (_loss(inventory, order, i), i)))
        alone = [self._parts[i] for i in order]
        return [Proposal(d, by="knapsack") for d in (*wanted, *alone)]

    # -- budgets over any space -----------------------------------------------------------------

    def _filled(self) -> Proposal | None:
        """The candidate of highest drawn value whose predicted cost fits a budget; the budgets
        rise over the range of costs that was measured."""
        if len(self._points) < 6:
            return self._any()
        known = [self._space.features(d) for d, _, _ in self._points.values()]
        rng = generator(self._rng.getrandbits(32))
        models = []
        for at, noise in ((1, SCORE_NOISE), (2, LOG_COST_NOISE)):
            targets: list[float] = [point[at] for point in self._points.values()]  # type: ignore[misc]
            model = LinearValue.fit(known, targets, noise)
            models.append((model, model.draw(rng)))
        costs = sorted(point[2] for point in self._points.values())
        self._turn += 1
        budget = costs[min(len(costs) - 1, (self._turn % 5) * len(costs) // 4)]
        chosen: Design | None = None
        for wave in range(1 + CLIMBS):
            found = self._candidates(budget) if wave == 0 else self._space.edits(chosen)  # type: ignore[arg-type]
            candidates = {d.hash: d for d in found if not self._was_asked(d)}
            if wave and chosen is not None:
                candidates[chosen.hash] = chosen
            designs = list(candidates.values())
            if not designs:
                return self._any()
            rows = [self._space.features(d) for d in designs]
            value, cost = (model.predict(rows, weights) for model, weights in models)
            fits = [i for i in range(len(designs)) if cost[i] <= budget] or [
                int(np.argmin(np.round(cost, 6)))
            ]
            chosen = designs[max(fits, key=lambda i: (round(float(value[i]), 6), designs[i].hash))]
        assert chosen is not None
        return Proposal(chosen, by="knapsack")

    def _any(self) -> Proposal | None:
        for _ in range(TRIES):
            design = self._space.sample(self._rng)
            if not self._was_asked(design):
                return Proposal(design, by="knapsack")
        return None

    def _candidates(self, budget: float) -> list[Design]:
        """Edits and children of good designs that fit the budget (log10), and some drawn."""
        points = sorted(self._points.values(), key=lambda p: (-p[1], p[2], p[0].hash))
        best = ([p for p in points if p[2] <= budget] or points)[:8]
        one, other = self._rng.choice(best)[0], self._rng.choice(best)[0]
        found = list(self._space.edits(one))
        found += [self._space.recombine(one, other, self._rng) for _ in range(8)]
        return found + [self._space.sample(self._rng) for _ in range(16)]

    def _was_asked(self, design: Design) -> bool:
        return (design.hash, "search-eval") in self._asked

    # -- learning -------------------------------------------------------------------------------

    def tell(self, evaluation: Evaluation) -> None:
        """A trial's verdict, or a team's score. What has no measured task teaches only faults."""
        design = evaluation.design
        if evaluation.purpose in ("trial", "label"):
            self._tell_trial(evaluation)
            return
        self._asked.add((design.hash, "search-eval"))
        score, cost = evaluation.score, evaluation.cost(self._cost)
        if score is None or cost is None:
            return
        self._points[design.hash] = (design, score, math.log10(cost) if cost > 0 else -9.0)

    def _tell_trial(self, evaluation: Evaluation) -> None:
        part = self._number.get(evaluation.design.hash) if self._parts else None
        if part is None:
            return
        self._waiting.pop(evaluation.design.hash, None)
        composer = self._composer
        if composer is None or composer.done or part not in composer.order:
            skill_of = {t: j for j, s in enumerate(self._skills) for t in s.probes}
            self._trials.setdefault(part, Trials()).add(evaluation, skill_of)
            return
        again = self._trial(part, sorted(composer.open), "label")
        if composer.told(part, evaluation, last=again is None) and again is not None:
            self._queue.appendleft(again)
        else:
            self._waiting.pop(evaluation.design.hash, None)


def _members(design: Design) -> list[Design]:
    from paragent.design import Team

    return [Design(m) for m in design.root.members] if isinstance(design.root, Team) else []


def _loss(inventory: Inventory, held: Sequence[int], part: int) -> float:
    rest = [i for i in held if i != part]
    return inventory.worth(list(held)) - inventory.worth(rest)


KNAPSACK = SearcherPlugin(
    name="knapsack",
    summary="buys parts under a budget of prices, after trying them on probe tasks",
    make=Knapsack,
    options={
        "composer": "online",
        "price_budget": 0.0,
        "inventory": 120,
        "k": 10,
        "probes": 8,
        "bar": 0.5,
    },
    reads_tasks=True,
    paper="arXiv 2510.16499, section 3; Zhou, Chakrabarty and Lukose 2008, section 3",
)

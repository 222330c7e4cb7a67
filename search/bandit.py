"""Sub-agents as arms of a bandit: a round plays a team of the best arms, and every member is
credited for its own part (BOAD: bandit optimisation of agent design, section 3).

    archive    arms are agents; each is warmed up alone before it may be chosen
    growth     a Chinese restaurant opens a new arm with chance theta / (theta + arms), once a round
               or once for every place in the team; new arms come from the space's agents, recombine
               two arms drawn by their helpfulness, or come from a language model's advice
    team       the K arms of highest index (UCB1, KL-UCB or Thompson; a round is one play)
    shape      a second bandit chooses the topology and the lead that the team is put under
    credit     helpful: share of the tasks on which the member was asked where its answer was the
               team's and right; judge: the same share, by a language model's verdicts, and by the
               rule where it gave none (`paragent.hindsight`); counterfactual: what the team loses
               without it, measured; success: the team's own score (kept as a control)
    deploy     from time to time the best 1 to 5 arms by helpfulness are measured as teams, so that
               the size is chosen by measurement and not by taste

Failures count for nobody: a task that failed is no trajectory, a round without a measured task no
play. A member that was never asked has no play either. In a space without agents an arm is an
option of a decision, and a team one option for each decision.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from paragent.bandits import IndexPolicy, new_table
from paragent.composer import BROKEN_SHARE, OWN_FAULTS
from paragent.design import Agent, Design, Team
from paragent.errors import UnknownName
from paragent.hindsight import by_rule, shares
from paragent.outcome import CostName, Evaluation, Failed
from paragent.registry import SearcherPlugin
from paragent.searcher import Advice, Partial, Proposal, Question, Space, TeamSpace

INDICES = ("ucb1", "kl-ucb", "beta", "gaussian")
CREDITS = ("helpful", "judge", "counterfactual", "success")
GROWTH = ("round", "slot")
DEPLOY_EVERY = 10
DEPLOY_SIZES = (1, 2, 3, 4, 5)
TRIES = 500
#: Results between two questions for new arms.
ARMS_EVERY = 8


@dataclass
class Arm:
    """One sub-agent. `helpful` over `asked` is its credit; it may be chosen once it is `warm`."""

    design: Design
    warm: bool = False
    broken: bool = False


@dataclass
class Archive:
    """All arms, by hash: two arms never share what they are credited with, whatever their names."""

    policy: IndexPolicy
    arms: list[Arm] = field(default_factory=list)
    number: dict[str, int] = field(default_factory=dict)

    def add(self, design: Design) -> int | None:
        """The new arm's number; None for one that is there."""
        if design.hash in self.number:
            return None
        self.number[design.hash] = len(self.arms)
        self.arms.append(Arm(design))
        self.policy.add()
        return len(self.arms) - 1

    @property
    def able(self) -> list[int]:
        """Arms that may be chosen."""
        return [i for i, arm in enumerate(self.arms) if arm.warm and not arm.broken]

    def best(self, k: int) -> list[int]:
        """The `k` arms of highest index among those that may be chosen."""
        index = self.policy.index()
        return sorted(self.able, key=lambda i: (-index[i], i))[:k]

    def most_helpful(self, k: int) -> list[int]:
        """The `k` arms of highest mean credit among those that were played."""
        mean, n = self.policy.tally.mean, self.policy.tally.n
        return sorted((i for i in self.able if n[i] > 0), key=lambda i: (-mean[i], i))[:k]


def helpfulness(evaluation: Evaluation, members: int) -> list[float | None]:
    """For each member: share of the tasks on which it was asked where its answer was the team's
    and scored at least 1/2; None for a member that was never asked on a measured task."""
    return shares(by_rule(evaluation, members), members)


def missed(whole: Evaluation, without: Evaluation) -> float | None:
    """What the team loses without a member, in [0, 1]: (1 + mean paired difference) / 2, so that
    1/2 means nothing; None without a task that both measured."""
    a, b = whole.scores, without.scores
    common = [t for t in a if t in b]
    return (1 + sum(a[t] - b[t] for t in common) / len(common)) / 2 if common else None


class Bandit:
    """See the module.

    `k` members of a team; `theta` the appetite for new arms; `growth` "round" or "slot"; `index`
    one of INDICES; `credit` one of CREDITS; `start` arms to begin with; `warm_up` tasks that an
    arm is warmed up on; `inventory` the most agents that new arms come from.
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        k: int = 3,
        theta: float = 1.0,
        growth: str = "slot",
        index: str = "ucb1",
        credit: str = "helpful",
        start: int = 4,
        warm_up: int = 12,
        inventory: int = 120,
    ) -> None:
        for name, value, known in (
            ("index", index, INDICES), ("credit", credit, CREDITS), ("growth", growth, GROWTH),
        ):  # fmt: skip
            if value not in known:
                raise UnknownName(name, value, known)
        self._space, self._rng = space, random.Random(seed)
        self._k, self._theta, self._growth, self._credit = k, theta, growth, credit
        self._start, self._warm_up = start, warm_up
        self._asked: set[tuple[str, str]] = set()
        self._queue: deque[Proposal] = deque()
        self._archive = Archive(IndexPolicy(index, 0, seed=seed))
        self._shapes = IndexPolicy("beta", 0, seed=seed)
        self._shape_number: dict[str, int] = {}
        self._told: dict[str, Evaluation] = {}
        self._without: dict[str, list[tuple[str, int]]] = {}
        self._rounds = 0
        #: Arms that a language model described and that are not open yet; teams it is to judge;
        #: results until it is asked for arms.
        self._advised: deque[Design] = deque()
        self._to_judge: list[Evaluation] = []
        self._until_arms = 0
        self._fresh: list[Design] = []
        if isinstance(space, TeamSpace):
            self._fresh = list(space.agents(inventory))
            self._rng.shuffle(self._fresh)
        self._options: dict[tuple[str, str], tuple[float, float]] = {}
        self._paths: dict[str, tuple[tuple[str, str], ...]] = {}

    @property
    def archive(self) -> Archive:
        """The arms and their credit."""
        return self._archive

    # -- a language model's advice: see `paragent.searcher.Consults` ----------------------------

    def questions(self) -> Sequence[Question]:
        """Verdicts on the teams that wait for one; new arms at first and after some results."""
        found = [Question("judge", evaluation) for evaluation in self._to_judge]
        self._to_judge = []
        if self._until_arms <= 0 and not self._advised and isinstance(self._space, TeamSpace):
            self._until_arms = ARMS_EVERY
            best = [self._archive.arms[i].design for i in self._archive.most_helpful(self._k)]
            found.append(Question("arms", designs=tuple(best)))
        return found

    def advise(self, question: Question, advice: Advice | None) -> None:
        """Verdicts become credit, where none came those of the rule; arms wait to be opened."""
        if question.kind == "judge" and question.evaluation is not None:
            members = self._members(question.evaluation.design)
            verdicts = advice.verdicts if advice else by_rule(question.evaluation, len(members))
            self._give(members, shares(verdicts, len(members)))
        elif advice is not None:
            self._advised.extend(advice.designs)

    # -- asking ---------------------------------------------------------------------------------

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` proposals: warm-ups of new arms, teams, teams without a member."""
        found: list[Proposal] = []
        while len(found) < n:
            proposal = self._next()
            if proposal is None:
                break
            self._asked.add((proposal.design.hash, proposal.purpose))
            found.append(proposal)
        return found

    def _next(self) -> Proposal | None:
        for _ in range(TRIES):
            while self._queue:
                proposal = self._queue.popleft()
                if (proposal.design.hash, proposal.purpose) not in self._asked:
                    return proposal
            if not self._archive.arms and not self._fresh:
                return self._one_option_each()
            if not self._round():
                return self._anything()
        return self._anything()

    def _round(self) -> bool:
        """Queue one round; False where neither a team nor a new arm is to be had."""
        space = self._space
        assert isinstance(space, TeamSpace)
        self._rounds += 1
        for _ in range(self._new_arms()):
            self._grow()
        if self._queue:
            return True
        if self._rounds % DEPLOY_EVERY == 0:
            for size in DEPLOY_SIZES:
                self._propose(self._archive.most_helpful(size))
        else:
            self._propose(self._archive.best(self._k))
        if self._queue:
            return True
        before = len(self._archive.arms)
        self._grow()  # every team of the best was played: somebody new must come
        if len(self._archive.arms) == before:
            able = self._archive.able
            if len(able) >= 2:
                size = self._rng.randint(1, min(self._k, len(able)))
                self._propose(sorted(self._rng.sample(able, size)))
        return bool(self._queue)

    def _new_arms(self) -> int:
        """How many arms to open: at first `start`, then by the restaurant's chance, which is
        fixed at the round's beginning and counts only arms that may be chosen."""
        if not self._archive.arms:
            return self._start
        chance = new_table(self._theta, len(self._archive.able))
        draws = 1 if self._growth == "round" else self._k
        return sum(self._rng.random() < chance for _ in range(draws))

    def _grow(self) -> None:
        """A new arm, and its warm-up."""
        able = self._archive.able
        design: Design | None = None
        if self._advised and (len(able) < 2 or self._rng.random() < 0.5):
            design = self._advised.popleft()
            if self._archive.add(design) is not None:
                self._queue.append(Proposal(design, self._warm_up, "warm-up", "proposer"))
                return
            design = None
        if len(able) >= 2 and self._rng.random() < 0.5:
            mean = self._archive.policy.tally.mean
            weights = [max(float(mean[i]), 1e-3) for i in able]
            one, other = self._rng.choices(able, weights, k=2)
            arms = self._archive.arms
            child = self._space.recombine(arms[one].design, arms[other].design, self._rng)
            if isinstance(child.root, Agent) and child.hash not in self._archive.number:
                design = child
        while design is None and self._fresh:
            candidate = self._fresh.pop()
            design = candidate if candidate.hash not in self._archive.number else None
        if design is None or self._archive.add(design) is None:
            return
        self._queue.append(Proposal(design, self._warm_up, "warm-up", "bandit"))

    def _propose(self, arms: Sequence[int]) -> None:
        """The team of these arms in the shape that the second bandit draws."""
        space = self._space
        assert isinstance(space, TeamSpace)
        members = [self._archive.arms[i].design for i in arms]
        while members:
            teams = [d for d in space.teams(members) if (d.hash, "search-eval") not in self._asked]
            if teams:
                self._queue.append(Proposal(self._shaped(teams), by="bandit"))
                return
            if len(members) == 1 or space.teams(members):
                return
            members = members[:-1]  # more than a team of this space may have

    def _shaped(self, teams: Sequence[Design]) -> Design:
        for team in teams:
            if _shape(team) not in self._shape_number:
                self._shape_number[_shape(team)] = len(self._shape_number)
                self._shapes.add()
        drawn = self._shapes.index()
        return max(
            teams, key=lambda t: (round(float(drawn[self._shape_number[_shape(t)]]), 9), t.hash)
        )

    def _anything(self) -> Proposal | None:
        for _ in range(TRIES):
            design = self._space.sample(self._rng)
            if (design.hash, "search-eval") not in self._asked:
                return Proposal(design, by="bandit")
        return None

    # -- one option for each decision -----------------------------------------------------------

    def _one_option_each(self) -> Proposal | None:
        for attempt in range(TRIES):
            partial: Partial = ()
            path: list[tuple[str, str]] = []
            while (decision := self._space.next(partial)) is not None:
                option = self._option(decision.name, decision.options, attempt)
                path.append((decision.name, option))
                partial = (*partial, option)
            design = self._space.build(partial)
            if (design.hash, "search-eval") not in self._asked and not self._space.check(design):
                self._paths[design.hash] = tuple(path)
                return Proposal(design, by="bandit")
        return self._anything()

    def _option(self, name: str, options: Sequence[str], attempt: int) -> str:
        """The option of highest UCB1; after a failed attempt more and more by chance."""
        if self._rng.random() < attempt / 20:
            return self._rng.choice(options)
        seen = [self._options.get((name, o), (0.0, 0.0)) for o in options]
        t = max(1.0, sum(n for n, _ in seen))
        best, chosen = -math.inf, options[0]
        for option, (n, total) in zip(options, seen, strict=True):
            index = total / n + 0.2 * math.sqrt(2 * math.log(t) / n) if n else math.inf
            if index > best or (index == best and self._rng.random() < 0.5):
                best, chosen = index, option
        return chosen

    # -- learning -------------------------------------------------------------------------------

    def tell(self, evaluation: Evaluation) -> None:
        """A warm-up opens its arm, or finds it broken; a team credits its members."""
        design = evaluation.design
        self._until_arms -= 1
        if evaluation.purpose == "warm-up":
            self._warmed(evaluation)
            return
        self._asked.add((design.hash, "search-eval"))
        score = evaluation.score
        if score is None:
            return
        for key in self._paths.get(design.hash, ()):
            n, total = self._options.get(key, (0.0, 0.0))
            self._options[key] = (n + 1, total + score)
        self._told[design.hash] = evaluation
        self._credit_whole_teams(design.hash)
        members = self._members(design)
        if not members or evaluation.purpose == "trial":
            return
        if (shape := self._shape_number.get(_shape(design))) is not None:
            self._shapes.update(shape, score)
        if self._credit == "counterfactual" and len(members) > 1:
            self._ask_without(design)
            return
        if self._credit == "judge" and len(members) > 1:
            self._to_judge.append(evaluation)
            return
        if len(members) == 1 or self._credit == "success":
            credits: list[float | None] = [score] * len(members)
        else:
            credits = helpfulness(evaluation, len(members))
        self._give(members, credits)

    def _warmed(self, evaluation: Evaluation) -> None:
        number = self._archive.number.get(evaluation.design.hash)
        if number is None:
            return
        own = sum(
            isinstance(o, Failed) and o.kind in OWN_FAULTS for o in evaluation.outcomes.values()
        )
        ran = own + evaluation.n
        arm = self._archive.arms[number]
        arm.warm, arm.broken = True, ran > 0 and own / ran >= BROKEN_SHARE

    def _members(self, design: Design) -> list[int | None]:
        """The arm of each member of the root's team; of a single agent its own arm."""
        if isinstance(design.root, Agent):
            own = self._archive.number.get(design.hash)
            return [] if own is None else [own]
        return [self._arm_of(m) for m in design.root.members if isinstance(m, Agent)]

    def _arm_of(self, member: Agent) -> int | None:
        """A topology may have given the agent a role: the arm is the agent without it."""
        return next(
            (
                self._archive.number[d.hash]
                for d in (Design(member), Design(replace(member, role="")))
                if d.hash in self._archive.number
            ),
            None,
        )

    def _give(self, members: Sequence[int | None], credits: Sequence[float | None]) -> None:
        """One play for each arm with a credit: an arm that sits in a team twice gets the mean."""
        by_arm: dict[int, list[float]] = {}
        for arm, credit in zip(members, credits, strict=True):
            if arm is not None and credit is not None:
                by_arm.setdefault(arm, []).append(credit)
        for arm, given in by_arm.items():
            self._archive.policy.update(arm, float(np.mean(given)))

    def _ask_without(self, design: Design) -> None:
        """Queue the team without each member, on the same tasks; most calls are cached."""
        root = design.root
        assert isinstance(root, Team)
        for i in range(len(root.members)):
            rest = root.members[:i] + root.members[i + 1 :]
            without = Design(rest[0]) if len(rest) == 1 else Design(replace(root, members=rest))
            if self._space.check(without):
                continue
            self._without.setdefault(without.hash, []).append((design.hash, i))
            self._queue.append(Proposal(without, None, "trial", "bandit"))
            self._credit_whole_teams(without.hash)

    def _credit_whole_teams(self, without: str) -> None:
        """The members left out of a design that has now been measured get their credit."""
        if without not in self._told:
            return
        for whole, i in self._without.pop(without, []):
            loss = missed(self._told[whole], self._told[without])
            arm = self._members(self._told[whole].design)[i]
            self._give([arm], [loss])

    def to_data(self) -> list[Mapping[str, object]]:
        """The archive as plain data: the design's hash, its state and its credit."""
        rows = self._archive.policy.tally.to_data()
        return [
            {"design": arm.design.hash, "warm": arm.warm, "broken": arm.broken, **row}
            for arm, row in zip(self._archive.arms, rows, strict=True)
        ]


def _shape(design: Design) -> str:
    """Topology with its parameters, size, and the lead's model."""
    root = design.root
    if isinstance(root, Agent):
        return "agent"
    lead = root.lead.model.name if root.lead else "-"
    return f"{root.topology} {len(root.members)} {lead}"


BANDIT = SearcherPlugin(
    name="bandit",
    summary="sub-agents as arms: teams of the best, every member credited for its own part",
    make=Bandit,
    options={
        "k": 3,
        "theta": 1.0,
        "growth": "slot",
        "index": "ucb1",
        "credit": "helpful",
        "start": 4,
        "warm_up": 12,
        "inventory": 120,
    },
    paper="BOAD: bandit optimisation of agent design, section 3",
)

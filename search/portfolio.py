"""A portfolio of searchers: one leads, the others get turns by what they have shown.

The first member (mcts) leads: it lays out the start, and a strong prior says that its proposals add
the most. Who proposes next is drawn by Thompson sampling from normal posteriors of the members'
credit (Agrawal and Goyal 2013, section 1, with a prior worth `trust` proposals), older credit
fading by `keep` (discounting: Garivier and Moulines 2011, section 2). The credit of a proposal is
the hypervolume of score x log10 cost that it added, per cost of its evaluation relative to the
mean, as g / (g + the mean gain): 1/2 is what an average proposal adds.

Members share all evaluations: each takes in what it has missed when its turn comes, so that a
member without turns costs nothing. An earlier run goes to the leader, where it can start from one.
A design that is asked for already is no proposal: the same member is asked again, then the next, so
that none is ever run twice. A space of a few designs belongs to the leader alone: there is nothing
to learn about members before it is run whole.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paragent.errors import UsageError
from paragent.outcome import CostName, Evaluation
from paragent.pareto import hypervolume
from paragent.registry import SearcherPlugin, searchers
from paragent.searcher import (
    Advice,
    Consults,
    Earlier,
    Proposal,
    Question,
    Searcher,
    Space,
    WarmStarts,
)

NAME = "portfolio"
MEMBERS = "mcts+gp+tpe+ageing_evolution+knapsack+bandit+random"
#: Proposals of one member in a row that are in flight already before the next member is asked.
TRIES = 10
#: Spread of one proposal's credit; how much less than the leader a member is expected to earn:
#: the second member, and every further one.
SPREAD, SECOND, FURTHER = 0.35, 0.12, 0.4
#: Designs of a space that belongs to the leader alone.
FEW = 16


@dataclass
class Member:
    """A searcher with its credit: `plays` and `credit` are discounted sums, `asked` is a count.

    `expected` is what the prior says of its credit; `told` is how many evaluations it knows.
    """

    name: str
    make: Callable[[], Searcher]
    expected: float
    plays: float = 0.0
    credit: float = 0.0
    asked: int = 0
    told: int = 0
    _searcher: Searcher | None = None

    def searcher(self, history: Sequence[Evaluation]) -> Searcher:
        """The searcher, made at its first turn, with all evaluations told."""
        if self._searcher is None:
            self._searcher = self.make()
        for evaluation in history[self.told :]:
            self._searcher.tell(evaluation)
        self.told = len(history)
        return self._searcher


class Portfolio:
    """See the module. `members` are names joined by "+" or "/", the leader first.

    Raises UnknownName for a member that is no searcher, UsageError for none, for itself, for
    doubles, or for options out of their ranges.
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        members: str = MEMBERS,
        trust: float = 8.0,
        keep: float = 0.97,
    ) -> None:
        names = [name for name in members.replace("/", "+").split("+") if name]
        if not names or NAME in names or len(set(names)) < len(names):
            raise UsageError(f"the portfolio's members are {members!r}; wanted other searchers")
        if not trust > 0 or not 0 < keep <= 1:
            raise UsageError(f"trust is {trust!r} and keep {keep!r}; wanted above 0, and in (0, 1]")
        self._cost, self._trust, self._keep = cost, trust, keep
        self._rng = random.Random(seed)
        self._members = []
        for i, name in enumerate(names):
            plugin = searchers[name]
            lag = (0.0, SECOND)[i] if i < 2 else FURTHER

            def make(plugin: SearcherPlugin = plugin, i: int = i) -> Searcher:
                return plugin.make(space, seed=seed + i, cost=cost)

            self._members.append(Member(name, make, 0.5 - lag))
        size = getattr(space, "size", None)
        self._alone = size is not None and size() <= FEW
        self._starting = True
        self._history: list[Evaluation] = []
        self._owner: dict[str, Member] = {}
        self._asked: set[str] = set()
        self._points: list[tuple[float, float]] = []  # log10 cost, -score
        self._costs: list[float] = []
        self._gains: list[float] = []

    @property
    def _leader(self) -> Searcher:
        """The first member, with all evaluations told."""
        return self._members[0].searcher(self._history)

    def warm(self, earlier: Sequence[Earlier], *, same: bool) -> None:
        """See `paragent.searcher.WarmStarts`; a leader that cannot start from them ignores them."""
        leader = self._leader
        if isinstance(leader, WarmStarts):
            leader.warm(earlier, same=same)

    def warm_record(self) -> Mapping[str, Any] | None:
        """See `paragent.searcher.WarmStarts`."""
        leader = self._leader
        return leader.warm_record() if isinstance(leader, WarmStarts) else None

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` designs that no member has asked for."""
        found: list[Proposal] = []
        while len(found) < n:
            proposal = self._one()
            if proposal is None:
                break
            found.append(proposal)
        return found

    def _one(self) -> Proposal | None:
        for member in self._order():
            for _ in range(TRIES):
                proposals = member.searcher(self._history).ask(1)
                if not proposals:
                    break
                proposal = proposals[0]
                if proposal.design.hash not in self._asked:
                    # The leader's labels are its layout of the start: nobody is judged by them.
                    self._starting = self._starting and proposal.purpose == "label"
                    member.asked += 1
                    self._asked.add(proposal.design.hash)
                    if not self._starting:
                        self._owner[proposal.design.hash] = member
                    return proposal
        return None

    def _order(self) -> list[Member]:
        """Who is asked first, second, and so on: by draws from the posteriors of their credit."""
        if self._starting or self._alone:
            return self._members
        drawn = []
        for i, member in enumerate(self._members):
            weight = member.plays + self._trust
            mean = (member.credit + self._trust * member.expected) / weight
            drawn.append((mean + self._rng.gauss(0, 1) * SPREAD / math.sqrt(weight), -i))
        return [self._members[-i] for _, i in sorted(drawn, reverse=True)]

    def questions(self) -> Sequence[Question]:
        """The leader's questions to a language model, where it has some."""
        leader = self._members[0].searcher(self._history)
        return leader.questions() if isinstance(leader, Consults) else []

    def advise(self, question: Question, advice: Advice | None) -> None:
        """The leader's answer."""
        leader = self._members[0].searcher(self._history)
        if isinstance(leader, Consults):
            leader.advise(question, advice)

    def tell(self, evaluation: Evaluation) -> None:
        """All members learn; who proposed it is credited."""
        key = evaluation.design.hash
        self._asked.add(key)
        self._history.append(evaluation)
        gain = self._gain(evaluation)
        owner = self._owner.pop(key, None)
        if owner is None:
            return
        for member in self._members:
            member.plays *= self._keep
            member.credit *= self._keep
        self._gains.append(gain)
        recent = self._gains[-20:]
        usual = sum(recent) / len(recent)
        owner.plays += 1
        owner.credit += gain / (gain + usual) if gain > 0 else 0.0

    def _gain(self, evaluation: Evaluation) -> float:
        """Hypervolume added, per relative cost; 0 where score or cost is unknown."""
        score, cost = evaluation.score, evaluation.cost(self._cost)
        if score is None or cost is None:
            return 0.0
        cheapest = min((x for x, _ in self._points), default=-6.0)
        point = (math.log10(cost) if cost > 0 else cheapest - 1, -score)
        before, self._points = self._points, [*self._points, point]
        self._costs.append(cost)
        if not before:
            return 0.0
        # A little beyond the worst, so that the ends of the front count too.
        reference = (max(x for x, _ in self._points) + 0.1, max(y for _, y in self._points) + 0.01)
        gain = hypervolume(self._points, reference) - hypervolume(before, reference)
        mean = sum(self._costs) / len(self._costs)
        return gain / max(cost / mean, 0.1) if mean > 0 else gain

    @property
    def shares(self) -> dict[str, int]:
        """How many proposals each member has made."""
        return {member.name: member.asked for member in self._members}


PORTFOLIO = SearcherPlugin(
    name=NAME,
    summary="several searchers; turns by the hypervolume they add per dollar, one leads",
    make=Portfolio,
    options={"members": MEMBERS, "trust": 8.0, "keep": 0.97},
    paper="Agrawal and Goyal 2013, Further Optimal Regret Bounds for Thompson Sampling, section 1; "
    "Garivier and Moulines 2011, On Upper-Confidence Bound Policies for Switching Bandit "
    "Problems, section 2",
)

"""A portfolio of searchers: who proposes next is a bandit's choice, credited by what it adds.

Each member learns from every evaluation, whoever proposed it. The credit of a proposal is the
hypervolume of score x log10 cost that it added, per cost of its evaluation relative to the mean;
older credit fades (`keep`). The member of the highest upper index proposes (discounted UCB:
Garivier and Moulines 2011, section 2). A design that is asked for already is no proposal: the same
member is asked again, then the next, so that none is ever run twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from paragent.errors import UsageError
from paragent.outcome import CostName, Evaluation
from paragent.pareto import hypervolume
from paragent.registry import SearcherPlugin, searchers
from paragent.searcher import Proposal, Searcher, Space

NAME = "portfolio"
#: Proposals of one member in a row that are in flight already before the next member is asked.
TRIES = 10


@dataclass
class Member:
    """A searcher with its credit: `plays` and `credit` are discounted sums, `asked` is a count."""

    name: str
    searcher: Searcher
    plays: float = 0.0
    credit: float = 0.0
    asked: int = 0


class Portfolio:
    """See the module. `members` are names joined by "+"; `c` weighs exploration.

    Raises UnknownName for a member that is no searcher, UsageError for none or for itself.
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        members: str = "mcts+gp+ageing_evolution",
        c: float = 0.3,
        keep: float = 0.95,
    ) -> None:
        names = [name for name in members.split("+") if name]
        if not names or NAME in names:
            raise UsageError(f"the portfolio's members are {members!r}; wanted other searchers")
        self._cost, self._c, self._keep = cost, c, keep
        self._members = [
            Member(name, searchers[name].make(space, seed=seed + i, cost=cost))
            for i, name in enumerate(names)
        ]
        self._owner: dict[str, Member] = {}
        self._asked: set[str] = set()
        self._points: list[tuple[float, float]] = []  # log10 cost, -score
        self._costs: list[float] = []

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
        for member in sorted(self._members, key=self._index, reverse=True):
            for _ in range(TRIES):
                proposals = member.searcher.ask(1)
                if not proposals:
                    break
                proposal = proposals[0]
                if proposal.design.hash not in self._asked:
                    member.asked += 1
                    self._asked.add(proposal.design.hash)
                    self._owner[proposal.design.hash] = member
                    return proposal
        return None

    def _index(self, member: Member) -> tuple[float, int]:
        """Upper index, and on ties the earlier member; a member never asked comes first."""
        order = -self._members.index(member)
        if member.asked == 0:
            return math.inf, order
        # In flight proposals count as plays that have brought nothing yet.
        plays = max(member.plays, 1.0)
        means = [m.credit / m.plays for m in self._members if m.plays > 0]
        best = max(means, default=0.0)
        mean = member.credit / plays / best if best > 0 else 0.0
        total = max(math.e, sum(max(m.plays, 1.0) for m in self._members))
        return mean + self._c * math.sqrt(math.log(total) / plays), order

    def tell(self, evaluation: Evaluation) -> None:
        """All members learn; who proposed it is credited."""
        key = evaluation.design.hash
        self._asked.add(key)
        gain = self._gain(evaluation)
        owner = self._owner.pop(key, None)
        for member in self._members:
            member.searcher.tell(evaluation)
            if owner is not None:
                member.plays *= self._keep
                member.credit *= self._keep
        if owner is not None:
            owner.plays += 1
            owner.credit += gain

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
    summary="a bandit over searchers, credited by the hypervolume they add per dollar",
    make=Portfolio,
    options={"members": "mcts+gp+ageing_evolution", "c": 0.3, "keep": 0.95},
    paper="Garivier and Moulines 2011, On Upper-Confidence Bound Policies for Switching Bandit "
    "Problems, section 2",
)

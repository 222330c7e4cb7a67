"""BOAD's selection as its code has it (arXiv 2512.23631, section 3; its repository, tool_gen).

Every part is an arm, a team fills its places one by one.

For each place: with chance theta / (theta + |archive|) a new arm enters the archive (a Chinese
restaurant), else the known arm of the highest UCB1 index plays: helpful / n + sqrt(2 ln t / n), t
the rounds so far; an arm that never played comes first. All arms of a team are credited with what
the team brought.

Here a place is a decision of the space and an arm one of its options. The published credit is a
language model's verdict whether a sub-agent helped; without one, the team's score counts. By score
alone, cost is not seen. As published it may play one team again and again: with `repeats` it does,
otherwise a repetition is replaced by a random design, as is
a team that is not legal. `bandit` is our own search on this idea.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from paragent.design import Design
from paragent.outcome import CostName, Evaluation
from paragent.registry import SearcherPlugin
from paragent.searcher import Proposal, Space
from paragent.unasked import random_unasked


@dataclass
class Arm:
    """An option of a decision: plays, and what its teams scored in sum."""

    plays: int = 0
    helpful: float = 0.0


def index(arm: Arm, t: int) -> float:
    """UCB1 after `t` rounds; infinite before the arm's first play."""
    if arm.plays == 0:
        return math.inf
    return arm.helpful / arm.plays + math.sqrt(2 * math.log(max(1, t)) / arm.plays)


class Boad:
    """See the module."""

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        theta: float = 1.0,
        repeats: bool = False,
    ) -> None:
        self._space, self._rng = space, random.Random(seed)
        self._theta, self._repeats = theta, repeats
        self._archive: dict[str, dict[str, Arm]] = {}
        self._teams: dict[str, list[Arm]] = {}
        self._asked: set[str] = set()
        self._rounds = 0

    def ask(self, n: int) -> Sequence[Proposal]:
        """The next `n` teams; fewer where the space is exhausted."""
        found: list[Proposal] = []
        while len(found) < n:
            design = self._team()
            known = design.hash in self._asked and not self._repeats
            if known or self._space.check(design):  # parts that do not go together
                other = random_unasked(self._space, self._rng, self._asked)
                if other is None:
                    break
                design = other
            self._asked.add(design.hash)
            found.append(Proposal(design, by="boad"))
        return found

    def _team(self) -> Design:
        chosen: list[str] = []
        arms: list[Arm] = []
        while (decision := self._space.next(tuple(chosen))) is not None:
            archive = self._archive.setdefault(decision.name, {})
            option = self._choose(archive, decision.options)
            arms.append(archive.setdefault(option, Arm()))
            chosen.append(option)
        design = self._space.build(tuple(chosen))
        self._teams[design.hash] = arms
        return design

    def _choose(self, archive: dict[str, Arm], options: Sequence[str]) -> str:
        known = [o for o in options if o in archive]
        new = [o for o in options if o not in archive]
        opens = not known or self._rng.random() < self._theta / (self._theta + len(archive))
        if new and opens:
            return self._rng.choice(new)
        return max(known, key=lambda o: index(archive[o], self._rounds))

    def tell(self, evaluation: Evaluation) -> None:
        """Every arm of the team is credited; a design that was not put together here teaches
        nothing but not to ask for it."""
        self._asked.add(evaluation.design.hash)
        if evaluation.score is None:
            return
        self._rounds += 1
        for arm in self._teams.get(evaluation.design.hash, ()):
            arm.plays += 1
            arm.helpful += evaluation.score


BOAD = SearcherPlugin(
    name="boad",
    summary="BOAD's rule as coded: UCB1 on parts, new ones by a Chinese restaurant; score alone",
    make=Boad,
    options={"theta": 1.0, "repeats": False},
    paper="BOAD, arXiv 2512.23631, section 3",
)

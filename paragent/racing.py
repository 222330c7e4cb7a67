"""Racing: stop measuring a design once it is surely dominated, however often one looks.

Designs run the same tasks in the same order, so two of them are compared task by task. The
evidence that design B scores above design A is an e-process: the wealth of a gambler who bets on
the differences d = b - a in [-1, 1] and could not gain if B were no better (Waudby-Smith and
Ramdas 2024, section 4; Ramdas et al. 2023, section 3). Wealth is averaged over a grid of stakes,
which keeps it a martingale and needs no tuning. By Ville's inequality it exceeds 1/alpha with
probability at most alpha at any time, so one may look after every task.

In several objectives a design is dropped only where one rival is surely better in score and not
dearer: a design that is cheaper than all rivals is never dropped.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from paragent.outcome import CostName, Evaluation
from paragent.searcher import Proposal, Searcher

#: Stakes of the bets, as shares of the wealth. All below 1, so that no bet can ruin.
STAKES = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8)
#: Tasks of one block: how often a design is looked at.
BLOCK = 10


def log_evidence(differences: Sequence[float]) -> float:
    """Logarithm of the e-value against "the mean difference is at most 0"; each in [-1, 1].

    No differences give 0.0. Evidence of 1/alpha, that is ln(1/alpha), rejects at level alpha.
    Raises ValueError for a difference outside [-1, 1].
    """
    pair = Pair()
    pair.add(differences)
    return pair.now


class Pair:
    """The running evidence that one design scores above another, as logarithms.

    `now` is that of all differences so far, `highest` the most it ever was, `seen` their number.
    """

    def __init__(self) -> None:
        self._wealth = np.zeros(len(STAKES))  # ln of the wealth at each stake
        self.seen, self.now, self.highest = 0, 0.0, 0.0

    def add(self, differences: Sequence[float]) -> float:
        """Take in further differences, in task order; returns `highest`."""
        if not len(differences):
            return self.highest
        d = np.asarray(differences, dtype=float)
        if not (np.abs(d) <= 1).all():
            raise ValueError(f"a difference is outside [-1, 1]: {max(d, key=abs)!r}")
        path = self._wealth + np.cumsum(np.log1p(np.outer(d, STAKES)), axis=0)
        evidence = np.logaddexp.reduce(path, axis=1) - math.log(len(STAKES))
        self._wealth = path[-1]
        self.seen += len(d)
        self.now = float(evidence[-1])
        self.highest = max(self.highest, float(evidence.max()))
        return self.highest


class Race:
    """Which designs are surely dominated, from their scores task by task.

    `alpha` is the risk, per design and over the whole race, of dropping one that no rival
    dominates; it is shared among the rivals that were looked at (the k-th gets 6 alpha /
    (pi k)^2, which sums to alpha however many come).
    """

    def __init__(self, alpha: float = 0.05) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha is {alpha!r}; wanted a risk in (0, 1)")
        self._alpha = alpha
        self._scores: dict[str, dict[str, float]] = {}
        self._costs: dict[str, float] = {}
        self._pairs: dict[str, dict[str, Pair]] = {}
        self.dropped: dict[str, str] = {}

    def add(self, design: str, scores: Mapping[str, float], cost: float) -> str | None:
        """All scores of a design so far (task id to score) and its mean cost per task.

        Returns the rival that surely dominates it, or None. A rival must be measured, be no
        dearer on average, and be above it beyond doubt on their common tasks.
        """
        self._scores[design] = dict(scores)
        self._costs[design] = cost
        rivals = self._pairs.setdefault(design, {})
        for rival, theirs in self._scores.items():
            if rival == design or self._costs[rival] > cost:
                continue
            common = [t for t in scores if t in theirs]
            if not common:
                continue
            pair = rivals.setdefault(rival, Pair())
            place = list(rivals).index(rival) + 1
            fresh = common[pair.seen :]
            if pair.add([theirs[t] - scores[t] for t in fresh]) >= math.log(
                (math.pi * place) ** 2 / (6 * self._alpha)
            ):
                self.dropped[design] = rival
                return rival
        return None


class Entrant:
    """A design that is measured against rivals fixed before it began.

    `rivals` are (scores task by task, mean cost per task). The null hypothesis is that no rival
    dominates it: then the evidence of each is an e-process, and so is their mean, which the
    entrant is dropped for once it reaches 1/alpha. Rivals that turn out dearer count as 0. Which
    they are never depends on what else runs at the time, so the same race has the same end.
    """

    def __init__(
        self, rivals: Sequence[tuple[Mapping[str, float], float]], alpha: float = 0.05
    ) -> None:
        self._rivals, self._alpha = rivals, alpha
        self._pairs = [Pair() for _ in rivals]

    def lost(self, scores: Mapping[str, float], cost: float) -> bool:
        """Whether it is surely dominated, by all its scores so far and its mean cost per task.

        Scores of earlier calls must come first, in the same order.
        """
        against = [-math.inf]
        for pair, (theirs, price) in zip(self._pairs, self._rivals, strict=True):
            common = [t for t in scores if t in theirs]
            pair.add([theirs[t] - scores[t] for t in common[pair.seen :]])
            if price <= cost:
                against.append(pair.now)
        evidence = float(np.logaddexp.reduce(against)) - math.log(max(1, len(self._rivals)))
        return evidence >= -math.log(self._alpha)


class Raced:
    """A searcher around another: each of its proposals is measured block by block, up to `most`
    tasks, and left where one of the designs measured before surely dominates it.

    It asks again for a design that goes on. `searcher` is told once per design, with all that was
    measured of it.
    """

    def __init__(
        self,
        searcher: Searcher,
        *,
        most: int,
        block: int = BLOCK,
        alpha: float = 0.05,
        cost: CostName = "usd",
    ) -> None:
        self._searcher, self._most, self._block, self._cost = searcher, most, block, cost
        self._race = Race(alpha)
        self._open: deque[tuple[Proposal, int]] = deque()

    def ask(self, n: int) -> Sequence[Proposal]:
        """Designs that go on first, then new ones."""
        found: list[Proposal] = []
        while len(found) < n:
            if self._open:
                proposal, tasks = self._open.popleft()
                tasks = min(self._most, tasks + self._block)
                found.append(Proposal(proposal.design, tasks, proposal.purpose, proposal.by))
                continue
            new = self._searcher.ask(1)
            if not new:
                break
            self._open.append((new[0], 0))
        return found

    def tell(self, evaluation: Evaluation) -> None:
        """Go on with it, or tell the searcher inside."""
        reached = len(evaluation.outcomes)
        cost = evaluation.cost(self._cost)
        lost = None
        if cost is not None:
            lost = self._race.add(evaluation.design.hash, evaluation.scores, cost)
        if lost is None and reached < self._most:
            proposal = Proposal(evaluation.design, None, evaluation.purpose, evaluation.by)
            self._open.append((proposal, reached))
        else:
            self._searcher.tell(evaluation)

"""Every design of a small table is an arm: who is best, at the least cost?

Two rules that ask for a design again with more tasks, which a searcher over large spaces never
does; so they are contenders of the lab, not searchers of a run.

    arm_elimination   AgentOpt's default, as published: start with a tenth of the tasks, double;
                      drop i where mean_i + c SE_i < mean_j - c SE_j of the best j, c = 1
    best_arm          top-two Thompson sampling (Russo 2016) on normal posteriors that share a prior
                      fitted to all arms; of leader and challenger the one runs a block whose doubt
                      is larger for its cost
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paragent.design import Design
from paragent.errors import UsageError
from paragent.factor_space import FactorSpace
from paragent.outcome import Evaluation
from paragent.racing import BLOCK
from paragent.searcher import Proposal, Searcher

#: More arms than this are no table to run whole.
MOST_ARMS = 5000


@dataclass
class Arm:
    """What is known of a design: number of tasks, mean score, variance of one task, mean cost."""

    design: Design
    n: int = 0
    mean: float = 0.0
    variance: float = 0.25
    cost: float = 1.0

    def learn(self, evaluation: Evaluation) -> None:
        """Take in all its outcomes so far. The variance is that of two more tasks, one right."""
        scores = list(evaluation.scores.values())
        self.n = len(evaluation.outcomes)
        if scores:
            self.mean = sum(scores) / len(scores)
            square = sum(s * s for s in scores) + 1
            smooth = (sum(scores) + 1) / (len(scores) + 2)
            self.variance = max(square / (len(scores) + 2) - smooth**2, 1e-4)
        self.cost = evaluation.cost("usd") or self.cost

    def error(self, tasks: int) -> float:
        """Standard error of the mean over all `tasks`, of which n are known (finite population:
        Cochran 1977, section 2.6)."""
        if self.n >= tasks:
            return 0.0
        if self.n == 0:
            return math.inf
        return math.sqrt(self.variance / self.n * (1 - self.n / tasks))


def arms_of(space: FactorSpace) -> dict[str, Arm]:
    """All designs by hash. Raises UsageError for a table too large for that."""
    designs = space.all(MOST_ARMS)
    if designs is None:
        raise UsageError(f"{space.size()} designs are too many to be arms; at most {MOST_ARMS}")
    return {d.hash: Arm(d) for d in designs}


class ArmElimination:
    """AgentOpt's rule; see the module. `c` is the width in standard errors."""

    def __init__(self, space: FactorSpace, tasks: int, seed: int, c: float = 1.0) -> None:
        self._arms, self._tasks, self._c = arms_of(space), tasks, c
        self._level = max(1, round(0.1 * tasks))
        self._rng = random.Random(seed)
        self._alive = list(self._arms)
        self._rng.shuffle(self._alive)
        self._queue = list(self._alive)

    def ask(self, n: int) -> Sequence[Proposal]:
        """The arms alive, one after another; then again with twice the tasks."""
        found: list[Proposal] = []
        while len(found) < n:
            if not self._queue:
                if self._level >= self._tasks or len(self._alive) < 2:
                    break
                self._alive = survivors([self._arms[key] for key in self._alive], self._c)
                self._level = min(self._tasks, 2 * self._level)
                self._queue = list(self._alive)
            key = self._queue.pop(0)
            found.append(Proposal(self._arms[key].design, self._level, by="arm_elimination"))
        return found

    def tell(self, evaluation: Evaluation) -> None:
        """An arm's outcomes so far."""
        self._arms[evaluation.design.hash].learn(evaluation)


def survivors(arms: Sequence[Arm], c: float) -> list[str]:
    """Hashes of the arms that no other is clearly above."""

    def half(arm: Arm) -> float:
        return c * math.sqrt(arm.variance / max(1, arm.n))

    bar = max(arm.mean - half(arm) for arm in arms)
    return [arm.design.hash for arm in arms if arm.mean + half(arm) >= bar]


class BestArm:
    """Top-two Thompson sampling; see the module. `tasks` is how many each arm can have."""

    def __init__(self, space: FactorSpace, tasks: int, seed: int) -> None:
        self._arms, self._tasks = arms_of(space), tasks
        self._rng = random.Random(seed)
        self._fresh = list(self._arms.values())
        self._rng.shuffle(self._fresh)

    def ask(self, n: int) -> Sequence[Proposal]:
        """A first block for every arm, then blocks where they may change who is best."""
        found: list[Proposal] = []
        while len(found) < n:
            arm = self._fresh.pop() if self._fresh else self._next()
            if arm is None:
                break
            tasks = min(self._tasks, arm.n + BLOCK)
            found.append(Proposal(arm.design, tasks, by="best_arm"))
        return found

    def posterior(self, arm: Arm) -> tuple[float, float]:
        """Mean and standard deviation of the arm's mean over all tasks, given all arms."""
        known = [a for a in self._arms.values() if a.n]
        centre = sum(a.mean for a in known) / len(known)
        total = sum((a.mean - centre) ** 2 for a in known) / len(known)
        spread = max(total - sum(a.error(self._tasks) ** 2 for a in known) / len(known), 1e-4)
        error = arm.error(self._tasks)
        if error == 0:
            return arm.mean, 0.0
        if math.isinf(error):
            return centre, math.sqrt(spread)
        weight = spread / (spread + error**2)
        return centre + weight * (arm.mean - centre), math.sqrt(weight) * error

    def _next(self) -> Arm | None:
        arms = list(self._arms.values())
        beliefs = [self.posterior(arm) for arm in arms]
        if all(deviation == 0 for _, deviation in beliefs):
            return None

        def drawn() -> int:
            values = [self._rng.gauss(*belief) for belief in beliefs]
            return max(range(len(arms)), key=lambda i: (values[i], -i))

        leader = drawn()
        challenger = leader
        for _ in range(100):
            challenger = drawn()
            if challenger != leader:
                break
        pair = [i for i in {leader, challenger} if beliefs[i][1] > 0]
        if not pair:  # both are known exactly: whoever may still pass them
            pair = [i for i, (_, deviation) in enumerate(beliefs) if deviation > 0]
            best = max(mean for mean, deviation in beliefs if deviation == 0)
            return arms[max(pair, key=lambda i: (beliefs[i][0] - best) / beliefs[i][1])]
        return arms[max(sorted(pair), key=lambda i: beliefs[i][1] ** 2 / arms[i].cost)]

    def tell(self, evaluation: Evaluation) -> None:
        """An arm's outcomes so far."""
        self._arms[evaluation.design.hash].learn(evaluation)


#: Contenders that are no searchers of a run, by name.
ARM_RULES: dict[str, Callable[[FactorSpace, int, int], Searcher]] = {
    "arm_elimination": ArmElimination,
    "best_arm": BestArm,
}

"""Every design of a small table is an arm: who is best, at the least cost?

Three rules that ask for a design again with more tasks, which a searcher over large spaces never
does; so they are contenders of the lab, not searchers of a run.

    arm_elimination   AgentOpt's default, as published: start with a tenth of the tasks, double;
                      drop i where mean_i + c SE_i < mean_j - c SE_j of the best j, c = 1
    resolved_pairs    ResponseGraphUCB (Rowland et al. 2019, section 4) with every two arms as a
                      pair: resolved once their Clopper-Pearson intervals lie apart; of the arms
                      that none is resolved above, the one of the fewest tasks runs a block (their
                      count-weighted scheme)
    best_arm          a block for the arm that promises the most per dollar: how much the score of
                      whoever is believed best is expected to rise, with the best number of further
                      tasks of that arm (the KG(*) rule: Frazier and Powell 2010, section 4), as
                      one block alone may never change a mind where many would. What is
                      believed: paragent/lab/arm_beliefs.py
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from paragent.design import Design
from paragent.errors import UsageError
from paragent.factor_space import FactorSpace, row_levels
from paragent.lab.arm_beliefs import ArmBeliefs, Belief, apart, likeness
from paragent.outcome import Evaluation
from paragent.racing import BLOCK
from paragent.recorded import Floats
from paragent.searcher import Proposal, Searcher
from paragent.stats import clopper_pearson

#: More arms than this are no table to run whole.
MOST_ARMS = 5000
#: Up to so many arms are read by the levels that they share; tasks of a block, and the share of its
#: tasks so far (1 / SLOWER) that a block has later on.
MOST_ALIKE, STEP, SLOWER = 400, 5, 10


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


class ResolvedPairs:
    """ResponseGraphUCB for arms; see the module. Each interval is at 1 - `delta`."""

    def __init__(self, space: FactorSpace, tasks: int, seed: int, delta: float = 0.1) -> None:
        self._arms, self._tasks, self._delta = arms_of(space), tasks, delta
        self._alive = list(self._arms)
        random.Random(seed).shuffle(self._alive)

    def ask(self, n: int) -> Sequence[Proposal]:
        """The arms in the race, those of the fewest tasks first; none once one is left."""
        if all(arm.n for arm in self._arms.values()):
            self._alive = unresolved([self._arms[key] for key in self._alive], self._delta)
        race = [self._arms[key] for key in self._alive] if len(self._alive) > 1 else []
        able = sorted((arm for arm in race if arm.n < self._tasks), key=lambda arm: arm.n)
        return [
            Proposal(arm.design, min(self._tasks, arm.n + BLOCK), by="resolved_pairs")
            for arm in able[:n]
        ]

    def tell(self, evaluation: Evaluation) -> None:
        """An arm's outcomes so far."""
        self._arms[evaluation.design.hash].learn(evaluation)


def unresolved(arms: Sequence[Arm], delta: float) -> list[str]:
    """Hashes of the arms that none is resolved above: whose interval is not wholly below
    another's. A score between 0 and 1 counts as that part of a success, the sum rounded."""
    ends = [clopper_pearson(round(arm.mean * arm.n), arm.n, 1 - delta) for arm in arms]
    bar = max(interval.low for interval in ends)
    return [arm.design.hash for arm, e in zip(arms, ends, strict=True) if e.high >= bar]


class BestArm:
    """Information per dollar; see the module. `tasks` is how many each arm can have."""

    def __init__(self, space: FactorSpace, tasks: int, seed: int) -> None:
        self._arms, self._tasks = list(arms_of(space).values()), tasks
        self._place = {arm.design.hash: i for i, arm in enumerate(self._arms)}
        self._column: dict[str, int] = {}
        self._scores = np.full((len(self._arms), tasks), np.nan)
        self._beliefs = None
        if len(self._arms) <= MOST_ALIKE:
            alike = likeness([row_levels(arm.design) or {} for arm in self._arms])
            self._beliefs = ArmBeliefs(alike, tasks)
        self._fresh = list(self._arms)
        random.Random(seed).shuffle(self._fresh)

    def ask(self, n: int) -> Sequence[Proposal]:
        """A first block for every arm, then blocks where they may change who is best."""
        found: list[Proposal] = []
        while len(found) < n:
            arm = self._fresh.pop() if self._fresh else self._next()
            if arm is None:
                break
            tasks = min(self._tasks, arm.n + max(STEP, arm.n // SLOWER))
            found.append(Proposal(arm.design, tasks, by="best_arm"))
        return found

    def belief(self) -> Belief:
        """Of every arm's mean over all tasks, given all arms' scores."""
        if self._beliefs is None:
            return apart(self._scores, self._tasks)
        return self._beliefs.of(self._scores)

    def recommend(self) -> Design:
        """The arm of the highest posterior mean less one deviation. Who looks best was also lucky:
        on humaneval-designs its mean was found .9 deviations too high (docs/lab.md)."""
        belief = self.belief()
        safe = belief.mean - np.sqrt(belief.variance)
        return self._arms[int(np.round(safe, 9).argmax())].design

    def _next(self) -> Arm | None:
        belief = self.belief()
        if not (belief.variance > 0).any():
            return None
        rates = log_rates(belief, np.array([arm.cost for arm in self._arms]), self._tasks)
        return self._arms[int(np.round(rates, 9).argmax())]

    def tell(self, evaluation: Evaluation) -> None:
        """An arm's outcomes so far."""
        i = self._place[evaluation.design.hash]
        self._arms[i].learn(evaluation)
        for task, score in evaluation.scores.items():
            self._scores[i, self._column.setdefault(task, len(self._column))] = score


def log_rates(belief: Belief, cost: Floats, tasks: int) -> Floats:
    """Ln of the most that running an arm on further tasks is expected to add to the score of the
    arm then believed best, per cost, over all numbers of further tasks: [arms]; -inf for an arm
    that is known. `cost` is that of a task of each arm."""
    further = np.unique(np.r_[np.arange(STEP, tasks, STEP), tasks])
    then = np.minimum(belief.count[:, None] + further, tasks)
    run = then - belief.count[:, None]
    now = belief.variance[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        # What the arm's own scores alone leave in doubt; the rest of the belief is as a prior.
        own = np.where(belief.count > 0, belief.noise / belief.count, np.inf)
        own = np.maximum(own * (1 - belief.count / tasks), belief.variance)
        prior = np.maximum(1 / now - 1 / own[:, None], 0.0)
        later = belief.noise[:, None] / then * (1 - then / tasks)
        after = np.where(then < tasks, 1 / (prior + 1 / later), 0.0)
    moves = np.sqrt(np.maximum(now - after, 0.0))
    first, second = np.argsort(-belief.mean, kind="stable")[:2] if len(run) > 1 else (0, 0)
    rival = np.full(len(run), belief.mean[first])
    rival[first] = belief.mean[second]
    gain = log_gain(np.abs(belief.mean - rival)[:, None], moves)
    able = (run > 0) & (now > 0)
    rates = np.where(able, gain - np.log(np.maximum(run * cost[:, None], 1e-12)), -np.inf)
    best: Floats = rates.max(axis=1)
    return best


def log_gain(gap: Floats, moves: Floats) -> Floats:
    """Ln E[(X - gap)+] for X normal of mean 0 and deviation `moves`: what a change of mind is
    worth. By s (phi(z) - z Phi(-z)), z = gap / s; from z = 6 on by its limit s phi(z) / z^2."""
    from scipy.special import ndtr

    s = np.maximum(moves, 1e-12)
    z = gap / s
    near = np.minimum(z, 6.0)
    density = np.exp(-0.5 * near**2) / math.sqrt(2 * math.pi)
    exact = np.log(np.maximum(density - near * ndtr(-near), 1e-300))
    far = -0.5 * z**2 - 0.5 * math.log(2 * math.pi) - 2 * np.log(np.maximum(z, 1e-12))
    found: Floats = np.log(s) + np.where(z < 6, exact, far)
    return found


#: Contenders that are no searchers of a run, by name.
ARM_RULES: dict[str, Callable[[FactorSpace, int, int], Searcher]] = {
    "arm_elimination": ArmElimination,
    "best_arm": BestArm,
    "resolved_pairs": ResolvedPairs,
}

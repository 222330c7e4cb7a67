"""Every design of a small table is an arm: who is best, at the least cost?

Two rules that ask for a design again with more tasks, which a searcher over large spaces never
does; so they are contenders of the lab, not searchers of a run.

    arm_elimination   AgentOpt's default, as published: start with a tenth of the tasks, double;
                      drop i where mean_i + c SE_i < mean_j - c SE_j of the best j, c = 1
    best_arm          top-two Thompson sampling (Russo 2016) on normal posteriors under a prior
                      fitted to all arms: what a level is worth wherever it stands, and what each
                      arm has by itself; of leader and challenger the one runs a block whose doubt
                      is larger for its cost
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from paragent.design import Design, Param
from paragent.errors import UsageError
from paragent.factor_space import FactorSpace, row_levels
from paragent.outcome import Evaluation
from paragent.racing import BLOCK
from paragent.recorded import Floats
from paragent.searcher import Proposal, Searcher

#: More arms than this are no table to run whole.
MOST_ARMS = 5000
#: Up to so many arms are read by the levels that they share; steps of the fit at a time; the least
#: variance of a kind of effect.
MOST_ALIKE, STEPS, LEAST = 400, 3, 1e-5


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
    """Top-two Thompson sampling; see the module. `tasks` is how many each arm can have.

    All arms run the same tasks, so a score is read as arm + task + rest: an arm that met the easy
    tasks first gains nothing by it, and only the rest is noise.
    """

    def __init__(self, space: FactorSpace, tasks: int, seed: int) -> None:
        self._arms, self._tasks = list(arms_of(space).values()), tasks
        self._place = {arm.design.hash: i for i, arm in enumerate(self._arms)}
        self._column: dict[str, int] = {}
        self._scores = np.full((len(self._arms), tasks), np.nan)
        self._alike = likeness([row_levels(arm.design) or {} for arm in self._arms])
        self._parts = np.full(len(self._alike), 0.01)
        self._rng = random.Random(seed)
        self._fresh = list(self._arms)
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

    def beliefs(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of every arm's mean over all tasks, given all arms.

        Normal posteriors under a normal prior whose spread is what the arms differ by beyond
        noise: by their levels, which arms share, and each by itself. An arm that has all its
        tasks is known.
        """
        known = ~np.isnan(self._scores)
        count = known.sum(axis=1)
        level, rest = effects(self._scores)
        share = 1 - count / self._tasks
        with np.errstate(divide="ignore"):
            error = np.where(count > 0, rest / np.maximum(count, 1) * share, np.inf)
        self._parts = components(level, error, self._alike, self._parts)
        mean, variance = shrunk(level, error, self._alike, self._parts)
        return mean, np.sqrt(np.where(error > 0, variance, 0.0))

    def recommend(self) -> Design:
        """The arm of the highest posterior mean."""
        mean, _ = self.beliefs()
        return self._arms[int(np.round(mean, 9).argmax())].design

    def _next(self) -> Arm | None:
        mean, deviation = self.beliefs()
        if not (deviation > 0).any():
            return None

        def drawn() -> int:
            values = [m + d * self._rng.gauss(0, 1) for m, d in zip(mean, deviation, strict=True)]
            return max(range(len(values)), key=lambda i: (values[i], -i))

        leader = challenger = drawn()
        for _ in range(100):
            challenger = drawn()
            if challenger != leader:
                break
        pair = [i for i in sorted({leader, challenger}) if deviation[i] > 0]
        if not pair:  # both are known: whoever may still pass them
            best = mean[deviation == 0].max()
            chance = np.where(deviation > 0, (mean - best) / np.maximum(deviation, 1e-12), -np.inf)
            return self._arms[int(chance.argmax())]
        return self._arms[max(pair, key=lambda i: deviation[i] ** 2 / self._arms[i].cost)]

    def tell(self, evaluation: Evaluation) -> None:
        """An arm's outcomes so far."""
        i = self._place[evaluation.design.hash]
        self._arms[i].learn(evaluation)
        for task, score in evaluation.scores.items():
            self._scores[i, self._column.setdefault(task, len(self._column))] = score


def likeness(levels: Sequence[Mapping[str, Param]]) -> Floats:
    """[kinds, arms, arms]: 1 where two arms share the level of a factor, one kind for each factor
    that tells arms apart and unites some; the last kind is each arm by itself. With more than
    MOST_ALIKE arms only the last, which is no longer a matrix worth its size: [1, arms, 0]."""
    if len(levels) > MOST_ALIKE:
        return np.zeros((1, len(levels), 0))
    kinds = []
    for name in sorted({name for row in levels for name in row}):
        own = [str(row.get(name, "")) for row in levels]
        if 1 < len(set(own)) < len(own):
            places = np.array([sorted(set(own)).index(x) for x in own])
            kinds.append((places[:, None] == places[None, :]).astype(float))
    return np.array([*kinds, np.eye(len(levels))])


def components(level: Floats, error: Floats, alike: Floats, parts: Floats) -> Floats:
    """Variances of the kinds of effects, [kinds], improved from `parts` by a few steps of the
    minorise-maximise rule for variance components (Zhou, Hu, Zhou and Lange 2019, section 3):
    each is multiplied by sqrt(y'WGWy / tr(WG)), W the inverse covariance of what was seen."""
    seen = ~np.isnan(level)
    y = level[seen]
    if alike.shape[2] == 0 or len(y) < 3:
        spread = float(y.var() - error[seen].mean()) if len(y) else 0.0
        return np.full(len(alike), max(spread / len(alike), LEAST))
    kinds = alike[:, seen][:, :, seen]
    for _ in range(STEPS):
        inverse = np.linalg.inv(np.tensordot(parts, kinds, 1) + np.diag(error[seen] + 1e-9))
        one = inverse.sum(axis=1)
        w = inverse @ (y - float(one @ y) / float(one.sum()))
        up = np.einsum("i,kij,j->k", w, kinds, w)
        down = np.einsum("ij,kij->k", inverse, kinds)
        parts = np.maximum(parts * np.sqrt(up / down), LEAST)
    return parts


def shrunk(level: Floats, error: Floats, alike: Floats, parts: Floats) -> tuple[Floats, Floats]:
    """Posterior mean and variance of every arm's level, [arms] each: best linear prediction
    (Robinson 1991, section 2) around the generalised least squares mean."""
    seen = ~np.isnan(level)
    if alike.shape[2] == 0:
        spread = float(parts.sum())
        weight = spread / (spread + error)
        centre = float(level[seen].mean())
        mean = centre + weight * (np.where(seen, level, centre) - centre)
        return mean, np.where(np.isinf(error), spread, weight * error)
    prior = np.tensordot(parts, alike, 1)
    across = prior[:, seen]
    inverse = np.linalg.inv(across[seen] + np.diag(error[seen] + 1e-9))
    one = inverse.sum(axis=1)
    centre = float(one @ level[seen]) / float(one.sum())
    mean = centre + across @ (inverse @ (level[seen] - centre))
    variance = np.diag(prior) - np.einsum("ij,jk,ik->i", across, inverse, across)
    found: Floats = np.maximum(variance, 1e-12)
    return mean, found


def effects(scores: Floats, rounds: int = 5) -> tuple[Floats, float]:
    """Level of every arm on the average task, [arms], and the variance of what is left.

    `scores` [arms, tasks] is NaN where not run. Score = arm + task + rest, by alternating means;
    a task's effect is drawn towards 0 by two arms' worth, so that one arm alone proves nothing.
    The level of an arm without a task is NaN; the variance counts two more tasks, one right.
    """
    known = ~np.isnan(scores)
    filled = np.where(known, scores, 0.0)
    count, runs = known.sum(axis=1), known.sum(axis=0)
    task = np.zeros(scores.shape[1])
    level = np.zeros(scores.shape[0])
    for _ in range(rounds):
        level = (filled - known * task).sum(axis=1) / np.maximum(count, 1)
        task = (filled - known * level[:, None]).sum(axis=0) / (runs + 2)
        task -= task[runs > 0].mean() if (runs > 0).any() else 0.0
    level = (filled - known * task).sum(axis=1) / np.maximum(count, 1)
    rest = known * (filled - level[:, None] - task)
    free = max(1, int(known.sum()) - int((count > 0).sum()) - int((runs > 1).sum()))
    variance = (float((rest**2).sum()) + 0.5) / (free + 2)
    return np.where(count > 0, level, np.nan), variance


#: Contenders that are no searchers of a run, by name.
ARM_RULES: dict[str, Callable[[FactorSpace, int, int], Searcher]] = {
    "arm_elimination": ArmElimination,
    "best_arm": BestArm,
}

"""Bandits: which arm to play next, when playing is the only way to learn.

One library for arms of sub-agents, routers and portfolios of searchers. The *index* functions are
pure and broadcast over leading axes, so a thousand simulated problems cost what one does; the
policies keep the state of one problem. Rewards are in [0, 1] unless said otherwise; a play whose
outcome failed is simply never reported: it counts for nothing.

UCB1               Auer, Cesa-Bianchi and Fischer 2002, section 2 (theorem 1)
KL-UCB             Garivier and Cappé 2011, section 2 (c = 0)
Thompson           Agrawal and Goyal 2012, algorithm 2 (Beta); 2013, section 1 (Gaussian)
EXP3               Auer et al. 2002, The Nonstochastic Multiarmed Bandit Problem, section 3
LinUCB             Li et al. 2010, algorithm 1
elimination        Even-Dar, Mannor and Mansour 2006, section 3 (successive elimination)
knapsacks          Badanidiyuru, Kleinberg and Slivkins 2013, section 4 (primal-dual)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Rng = np.random.Generator


def _array(values: ArrayLike) -> Vector:
    return np.asarray(values, dtype=np.float64)


def generator(seed: int) -> Rng:
    """A generator of its own, from a seed."""
    return np.random.Generator(np.random.PCG64(seed))


# --- indices: arrays [..., arms] in, arrays [..., arms] out; never played is +inf ---


def ucb1_index(n: ArrayLike, mean: ArrayLike, t: ArrayLike, c: float = math.sqrt(2)) -> Vector:
    """The index mean + c sqrt(ln t / n). `n` counts plays, not the tasks inside; `t` is their total
    (shape [...], or a number), at least 1. c = sqrt(2) is the constant of the theorem."""
    plays = _array(n)
    log_t = np.log(np.maximum(_array(t), 1.0))[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        index = _array(mean) + c * np.sqrt(log_t / plays)
    return np.where(plays > 0, index, np.inf)


def bernoulli_kl(p: ArrayLike, q: ArrayLike) -> Vector:
    """Kullback-Leibler divergence of Bernoulli(p) from Bernoulli(q), in nats; elementwise."""
    a = np.clip(_array(p), 1e-15, 1 - 1e-15)
    b = np.clip(_array(q), 1e-15, 1 - 1e-15)
    found: Vector = a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))
    return found


def kl_ucb_index(n: ArrayLike, mean: ArrayLike, t: ArrayLike) -> Vector:
    """The largest q with n kl(mean, q) <= ln t, by 30 bisections (error below 1e-9)."""
    plays, p = _array(n), np.clip(_array(mean), 0.0, 1.0)
    room = np.log(np.maximum(_array(t), 1.0))[..., None] / np.maximum(plays, 1e-300)
    low, high = p.copy(), np.ones_like(p)
    for _ in range(30):
        middle = (low + high) / 2
        inside = bernoulli_kl(p, middle) <= room
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(plays > 0, low, np.inf)


def beta_draw(n: ArrayLike, total: ArrayLike, rng: Rng) -> Vector:
    """A draw from Beta(1 + total, 1 + n - total); rewards between 0 and 1 are taken as shares."""
    won = _array(total)
    return rng.beta(1 + won, 1 + np.maximum(_array(n) - won, 0.0))


def gaussian_draw(n: ArrayLike, mean: ArrayLike, sd: float, rng: Rng) -> Vector:
    """A draw from N(mean n / (n + 1), sd^2 / (n + 1)); `sd` is the spread of one reward."""
    plays, centre = _array(n), np.nan_to_num(_array(mean))
    spread = sd / np.sqrt(plays + 1)
    drawn: Vector = centre * plays / (plays + 1) + spread * rng.standard_normal(plays.shape)
    return drawn


def exp3_probabilities(log_weights: ArrayLike, gamma: float) -> Vector:
    """(1 - gamma) w / sum(w) + gamma / arms."""
    logs = _array(log_weights)
    w = np.exp(logs - logs.max(axis=-1, keepdims=True))
    found: Vector = (1 - gamma) * w / w.sum(axis=-1, keepdims=True) + gamma / w.shape[-1]
    return found


def elimination_radius(n: ArrayLike, arms: int, delta: float) -> Vector:
    """sqrt(ln(4 arms n^2 / delta) / (2 n)): holds for all arms and all n at once with probability
    1 - delta (Hoeffding, summed over n). Infinite at n = 0."""
    plays = _array(n)
    with np.errstate(divide="ignore"):
        radius = np.sqrt(np.log(4 * arms * np.maximum(plays, 1) ** 2 / delta) / (2 * plays))
    return np.where(plays > 0, radius, np.inf)


def top(indices: ArrayLike, k: int) -> list[int]:
    """The `k` arms of highest index, highest first; ties go to the lower number."""
    values = _array(indices)
    return [int(i) for i in np.lexsort((np.arange(len(values)), -values))[:k]]


# --- policies: the state of one problem ---


class Policy(Protocol):
    """`choose` an arm, `update` with what it paid. Arms may be added at any time."""

    def choose(self) -> int: ...
    def update(self, arm: int, reward: float) -> None: ...
    def add(self, arms: int = 1) -> None: ...


@dataclass
class Tally:
    """Plays and summed rewards per arm."""

    n: Vector
    total: Vector

    @staticmethod
    def of(arms: int) -> Tally:
        """`arms` arms that were never played."""
        return Tally(np.zeros(arms), np.zeros(arms))

    @property
    def mean(self) -> Vector:
        """Mean reward; 0 for an arm never played (its index is infinite anyway)."""
        return self.total / np.maximum(self.n, 1)

    def play(self, arm: int, reward: float, plays: float = 1.0) -> None:
        """One more play. Raises ValueError for a reward that is not finite: a failure or an
        unknown is no reward, and must not be reported at all."""
        if not math.isfinite(reward):
            raise ValueError(f"reward is {reward!r}; wanted a finite number")
        self.n[arm] += plays
        self.total[arm] += reward

    def add(self, arms: int = 1) -> None:
        """More arms at the end."""
        self.n = np.concatenate([self.n, np.zeros(arms)])
        self.total = np.concatenate([self.total, np.zeros(arms)])

    def to_data(self) -> list[dict[str, float | None]]:
        """Plain data for JSON; the mean of an arm never played is None, never NaN."""
        return [
            {"n": float(n), "total": float(s), "mean": float(s / n) if n else None}
            for n, s in zip(self.n, self.total, strict=True)
        ]

    @staticmethod
    def from_data(data: Sequence[Mapping[str, float | None]]) -> Tally:
        """Inverse of `to_data`."""
        return Tally(
            np.array([float(row["n"] or 0) for row in data]),
            np.array([float(row["total"] or 0) for row in data]),
        )


@dataclass
class IndexPolicy:
    """Plays the arm of highest index. `rule` is "ucb1", "kl-ucb", "beta" or "gaussian"."""

    rule: str
    arms: int
    seed: int = 0
    c: float = math.sqrt(2)
    sd: float = 0.5
    tally: Tally = field(init=False)
    rng: Rng = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.rule not in ("ucb1", "kl-ucb", "beta", "gaussian"):
            raise ValueError(f"rule is {self.rule!r}; wanted ucb1, kl-ucb, beta or gaussian")
        self.tally, self.rng = Tally.of(self.arms), generator(self.seed)

    def index(self) -> Vector:
        """The index (or draw) of every arm now, [arms]."""
        n, mean = self.tally.n, self.tally.mean
        if self.rule == "ucb1":
            return ucb1_index(n, mean, n.sum(), self.c)
        if self.rule == "kl-ucb":
            return kl_ucb_index(n, mean, n.sum())
        if self.rule == "beta":
            return beta_draw(n, self.tally.total, self.rng)
        return gaussian_draw(n, mean, self.sd, self.rng)

    def choose(self) -> int:
        """The arm to play."""
        return top(self.index(), 1)[0]

    def team(self, k: int) -> list[int]:
        """The `k` arms of highest index."""
        return top(self.index(), k)

    def update(self, arm: int, reward: float) -> None:
        """What one play of `arm` paid."""
        self.tally.play(arm, reward)

    def add(self, arms: int = 1) -> None:
        """More arms."""
        self.arms += arms
        self.tally.add(arms)


@dataclass
class Exp3:
    """For rewards an adversary may choose. `gamma` in (0, 1]; `for_horizon` gives the paper's."""

    arms: int
    gamma: float
    seed: int = 0
    log_weights: Vector = field(init=False)
    rng: Rng = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.log_weights, self.rng = np.zeros(self.arms), generator(self.seed)

    @staticmethod
    def for_horizon(arms: int, plays: int, seed: int = 0) -> Exp3:
        """With gamma = min(1, sqrt(K ln K / ((e - 1) T))) (corollary 3.2)."""
        best = math.sqrt(arms * math.log(arms) / ((math.e - 1) * plays)) if arms > 1 else 1.0
        return Exp3(arms, min(1.0, best), seed)

    @property
    def probabilities(self) -> Vector:
        """Chance of every arm, [arms]."""
        return exp3_probabilities(self.log_weights, self.gamma)

    def choose(self) -> int:
        """An arm drawn by the probabilities."""
        edges = np.cumsum(self.probabilities)
        return min(int(np.searchsorted(edges, self.rng.random(), side="right")), self.arms - 1)

    def update(self, arm: int, reward: float) -> None:
        """Importance-weighted: w *= exp(gamma reward / (p arms))."""
        p = self.probabilities[arm]
        self.log_weights[arm] += self.gamma * reward / (p * self.arms)

    def add(self, arms: int = 1) -> None:
        """More arms, at the mean weight of the others."""
        self.arms += arms
        mean = float(self.log_weights.mean()) if len(self.log_weights) else 0.0
        self.log_weights = np.concatenate([self.log_weights, np.full(arms, mean)])


@dataclass
class LinUcb:
    """Rewards linear in a context of `size` numbers, one ridge regression per arm.

    The inverse is kept by Sherman and Morrison's rule. Rewards may come late: `choose` hands out
    a ticket and already counts its context (the width shrinks, so plays in flight do not pile up on
    one arm), `update` brings the reward, `forget` takes a failed play back out.
    """

    arms: int
    size: int
    alpha: float = 1.0
    ridge: float = 1.0
    inverse: NDArray[np.float64] = field(init=False, repr=False)  # [arms, size, size]
    b: NDArray[np.float64] = field(init=False, repr=False)  # [arms, size]
    open: dict[int, tuple[int, Vector]] = field(default_factory=dict)
    tickets: int = 0

    def __post_init__(self) -> None:
        self.inverse = np.tile(np.eye(self.size) / self.ridge, (self.arms, 1, 1))
        self.b = np.zeros((self.arms, self.size))

    def index(self, context: ArrayLike) -> Vector:
        """theta.x + alpha sqrt(x' A^-1 x) for every arm, [arms]."""
        x = _array(context)
        ax = self.inverse @ x
        theta = np.einsum("aij,aj->ai", self.inverse, self.b)
        return np.asarray(theta @ x + self.alpha * np.sqrt(np.maximum(ax @ x, 0.0)))

    def choose(self, context: ArrayLike) -> tuple[int, int]:
        """(arm, ticket)."""
        x = _array(context)
        arm = top(self.index(x), 1)[0]
        self._turn(arm, x, 1.0)
        self.tickets += 1
        self.open[self.tickets] = (arm, x)
        return arm, self.tickets

    def update(self, ticket: int, reward: float) -> None:
        """The reward of a play, in any order. Raises KeyError for a ticket that is not open."""
        arm, x = self.open.pop(ticket)
        self.b[arm] += reward * x

    def forget(self, ticket: int) -> None:
        """A play without a reward: as if it had never been."""
        arm, x = self.open.pop(ticket)
        self._turn(arm, x, -1.0)

    def _turn(self, arm: int, x: Vector, sign: float) -> None:
        a = self.inverse[arm]
        ax = a @ x
        self.inverse[arm] = a - sign * np.outer(ax, ax) / (1 + sign * float(x @ ax))


@dataclass
class SuccessiveElimination:
    """Finds the best arm with probability 1 - `delta`: plays all that are left in turn, and drops
    an arm once its upper bound is below another's lower bound."""

    arms: int
    delta: float = 0.05
    tally: Tally = field(init=False)
    alive: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.tally, self.alive = Tally.of(self.arms), np.ones(self.arms, bool)

    def choose(self) -> int:
        """Of the arms left, the one least played."""
        return int(np.argmin(np.where(self.alive, self.tally.n, np.inf)))

    def update(self, arm: int, reward: float) -> None:
        """One play; then whoever is surely worse is dropped."""
        self.tally.play(arm, reward)
        radius = elimination_radius(self.tally.n, self.arms, self.delta)
        lower = np.where(self.alive, self.tally.mean - radius, -np.inf)
        self.alive &= self.tally.mean + radius >= lower.max()

    def add(self, arms: int = 1) -> None:
        """More arms, alive."""
        self.arms += arms
        self.tally.add(arms)
        self.alive = np.concatenate([self.alive, np.ones(arms, bool)])

    @property
    def winner(self) -> int | None:
        """The arm left alone, or None."""
        left = np.flatnonzero(self.alive)
        return int(left[0]) if len(left) == 1 else None


@dataclass
class KnapsackBandit:
    """A play pays a reward and uses up resources, until one of them is spent.

    Primal-dual: the arm of highest optimistic reward per optimistic price of what it uses, where
    resources are priced by multiplicative weights on what was used (section 4). `budgets` [d] are
    in the units of the costs; one play uses at most `most` [d] of each.
    """

    arms: int
    budgets: Sequence[float]
    most: Sequence[float]
    plays: int = 0
    tally: Tally = field(init=False)
    used: NDArray[np.float64] = field(init=False)  # [arms, d]
    spent: Vector = field(init=False)  # [d]
    log_prices: Vector = field(init=False)  # [d]

    def __post_init__(self) -> None:
        d = len(self.budgets)
        if len(self.most) != d or min(*self.budgets, *self.most) <= 0:
            raise ValueError("budgets and most: as many of each, all above 0")
        self.tally, self.used = Tally.of(self.arms), np.zeros((self.arms, d))
        self.spent, self.log_prices = np.zeros(d), np.zeros(d)

    @property
    def left(self) -> Vector:
        """What is left of every resource, [d]."""
        return _array(self.budgets) - self.spent

    def choose(self) -> int | None:
        """The arm to play; None where a further play could overdraw a resource."""
        if (self.left < _array(self.most) - 1e-12).any():
            return None
        n = self.tally.n
        if (n == 0).any():
            return int(np.flatnonzero(n == 0)[0])
        log_t = math.log(max(2.0, float(n.sum())))
        radius = np.sqrt(log_t / (2 * n))
        reward = np.minimum(self.tally.mean + radius, 1.0)
        shares = self.used / n[:, None] / _array(self.most)
        use = np.maximum(shares - radius[:, None], 1e-3)  # optimistic: little is used
        prices = np.exp(self.log_prices - self.log_prices.max())
        weight = prices / prices.sum() * _array(self.most) / _array(self.budgets)
        return top(reward / (use @ weight), 1)[0]

    def update(self, arm: int, reward: float, cost: Sequence[float]) -> None:
        """What one play paid and used."""
        self.plays += 1
        self.tally.play(arm, reward)
        self.used[arm] += cost
        self.spent += cost
        scale = _array(self.most)
        epsilon = math.sqrt(
            math.log(len(self.budgets) + 1) / max(1.0, float((_array(self.budgets) / scale).min()))
        )
        self.log_prices += math.log1p(epsilon) * _array(cost) / scale

    def add(self, arms: int = 1) -> None:
        """More arms."""
        self.arms += arms
        self.tally.add(arms)
        self.used = np.concatenate([self.used, np.zeros((arms, len(self.budgets)))])


def new_table(theta: float, arms: int) -> float:
    """Chance that a Chinese restaurant with `arms` tables opens another: theta / (theta + arms)."""
    if theta < 0:
        raise ValueError(f"theta is {theta}; wanted at least 0")
    return theta / (theta + arms) if theta + arms > 0 else 1.0


# --- simulation: many problems at once, for tests and `paragent lab bandits` ---


def simulate(
    rule: str, means: ArrayLike, plays: int, runs: int, seed: int = 0, **options: Any
) -> NDArray[np.float64]:
    """Cumulated pseudo-regret of `rule` on Bernoulli arms: [runs, plays].

    `rule` is one of the index rules, "exp3", "elimination" or "random". All runs go side by side.
    """
    chances = _array(means)
    arms, rng = len(chances), generator(seed)
    n, total = np.zeros((runs, arms)), np.zeros((runs, arms))
    logw, alive = np.zeros((runs, arms)), np.ones((runs, arms), bool)
    gamma = Exp3.for_horizon(arms, plays).gamma
    gaps, row = chances.max() - chances, np.arange(runs)
    lost = np.empty((runs, plays))
    for t in range(plays):
        mean = total / np.maximum(n, 1)
        probabilities = None
        if rule == "ucb1":
            index = ucb1_index(n, mean, np.full(runs, t), **options)
        elif rule == "kl-ucb":
            index = kl_ucb_index(n, mean, np.full(runs, t))
        elif rule == "beta":
            index = beta_draw(n, total, rng)
        elif rule == "gaussian":
            index = gaussian_draw(n, mean, options.get("sd", 0.5), rng)
        elif rule == "elimination":
            radius = elimination_radius(n, arms, options.get("delta", 0.05))
            lower = np.where(alive, mean - radius, -np.inf).max(axis=1, keepdims=True)
            alive &= mean + radius >= lower
            index = np.where(alive, -n, -np.inf)
        elif rule == "exp3":
            probabilities = exp3_probabilities(logw, gamma)
            index = -rng.exponential(size=(runs, arms)) / probabilities  # the first to ring wins
        elif rule == "random":
            index = rng.random((runs, arms))
        else:
            raise ValueError(f"no rule is called {rule!r}")
        arm = index.argmax(axis=1)
        reward = (rng.random(runs) < chances[arm]).astype(float)
        n[row, arm] += 1
        total[row, arm] += reward
        if probabilities is not None:
            logw[row, arm] += gamma * reward / (probabilities[row, arm] * arms)
        lost[:, t] = gaps[arm]
    regret: NDArray[np.float64] = np.cumsum(lost, axis=1)
    return regret


def growth(regret: NDArray[np.float64], start: int) -> tuple[float, float]:
    """How mean regret grows from play `start` on: (slope against ln t, slope of ln regret against
    ln t). A policy with logarithmic regret has a constant first and a second that falls to 0; a
    square-root one has .5 for the second, a linear one 1."""
    t = np.arange(1, regret.shape[1] + 1)[start:]
    mean = regret.mean(axis=0)[start:]
    log_t = np.log(t)
    return (
        float(np.polyfit(log_t, mean, 1)[0]),
        float(np.polyfit(log_t, np.log(np.maximum(mean, 1e-12)), 1)[0]),
    )


def lai_robbins(means: ArrayLike) -> float:
    """The least slope of regret against ln t that any consistent policy can have: the sum over
    worse arms of gap / kl(mean, best mean) (Lai and Robbins 1985, theorem 1)."""
    chances = _array(means)
    best = chances.max()
    worse = chances[chances < best]
    return float(((best - worse) / bernoulli_kl(worse, best)).sum())

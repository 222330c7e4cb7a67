"""Choosing parts under a budget: which components of an inventory to buy.

Four composers after the knapsack composer of agents (arXiv 2510.16499, section 3): everything
(`identity`), the best match of every skill (`retrieval`), the exact multiple-choice knapsack
(`multiple_choice`), and a threshold for parts that come one after another (`Threshold`; Zhou,
Chakrabarty and Lukose 2008, section 3). Beyond the source, budgeted coverage: the greedy with its
guarantee (Khuller, Moss and Naor 1999, section 3), synergy of pairs, an exact oracle for small
instances, and a sweep over budgets.

Prices and budgets are in one unit, whichever; a price of 0 is free, an unknown price is not
allowed here (who composes must decide what an unknown price means).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
#: Relative slack of comparisons of money.
EPS = 1e-9


# --- the multiple-choice knapsack, exactly ---


@dataclass(frozen=True)
class _Class:
    """One class without its dominated options: prices and values both strictly rising."""

    price: Vector
    value: Vector
    option: NDArray[np.int64]

    @staticmethod
    def of(value: ArrayLike, price: ArrayLike) -> _Class:
        v, p = np.asarray(value, float), np.asarray(price, float)
        order = np.lexsort((-v, p))
        best = np.maximum.accumulate(v[order])
        keep = np.concatenate([[True], best[1:] > best[:-1]])
        chosen = order[keep]
        return _Class(p[chosen], v[chosen], chosen)

    @cached_property
    def hull(self) -> tuple[Vector, Vector]:
        """(price, value) steps of the upper convex hull, steepest first."""
        kept = [0]
        for i in range(1, len(self.price)):
            while len(kept) > 1:
                a, b = kept[-2], kept[-1]
                flat = (self.value[b] - self.value[a]) * (self.price[i] - self.price[b])
                if flat > (self.value[i] - self.value[b]) * (self.price[b] - self.price[a]):
                    break
                kept.pop()
            kept.append(i)
        return np.diff(self.price[kept]), np.diff(self.value[kept])


@dataclass(frozen=True)
class _Relaxed:
    """The best fractional filling of some classes as a concave function of the budget."""

    price: Vector
    value: Vector

    @staticmethod
    def of(classes: Sequence[_Class]) -> _Relaxed:
        base_price = float(sum(c.price[0] for c in classes))
        base_value = float(sum(c.value[0] for c in classes))
        steps = [c.hull for c in classes]
        dp = np.concatenate([s[0] for s in steps]) if steps else np.zeros(0)
        dv = np.concatenate([s[1] for s in steps]) if steps else np.zeros(0)
        order = np.argsort(-(dv / np.where(dp > 0, dp, 1.0)), kind="stable")
        return _Relaxed(
            np.concatenate([[base_price], base_price + np.cumsum(dp[order])]),
            np.concatenate([[base_value], base_value + np.cumsum(dv[order])]),
        )

    def bound(self, budget: Vector) -> Vector:
        """Upper bound of the value that `budget` [n] can buy; -inf where it buys nothing legal."""
        found = np.interp(budget, self.price, self.value)
        return np.where(budget >= self.price[0] * (1 - EPS) - EPS, found, -np.inf)

    def floor(self, budget: Vector) -> Vector:
        """A lower bound: the whole steps that fit, in order of steepness."""
        at = np.searchsorted(self.price, budget * (1 + EPS), side="right") - 1
        return np.where(at >= 0, self.value[np.maximum(at, 0)], -np.inf)


def multiple_choice(
    values: Sequence[ArrayLike], prices: Sequence[ArrayLike], budget: float
) -> tuple[float, list[int]] | None:
    """Exactly one option of every class, of highest total value within the budget.

    `values[c]`, `prices[c]` list the options of class c (a class that may stay empty has an option
    of value 0 and price 0). Returns (value, option of each class), or None where even the cheapest
    options cost too much. Exact: dynamic programming over undominated partial fillings, cut by the
    bound of the relaxed problem (Kellerer, Pferschy and Pisinger 2004, chapter 11).
    Raises ValueError for lists of unequal lengths, no option, or numbers that are not finite.
    """
    if len(values) != len(prices):
        raise ValueError(f"{len(values)} classes of values, {len(prices)} of prices")
    if not values:
        return 0.0, []
    for v, p in zip(values, prices, strict=True):
        both = np.concatenate([np.asarray(v, float), np.asarray(p, float)])
        if len(np.asarray(v)) != len(np.asarray(p)) or not len(both):
            raise ValueError("every class needs as many values as prices, and at least one")
        if not np.isfinite(both).all() or (np.asarray(p) < 0).any():
            raise ValueError("values and prices must be finite, and prices at least 0")
    classes = [_Class.of(v, p) for v, p in zip(values, prices, strict=True)]
    # Classes with most to lose first: the bound cuts earlier.
    order = sorted(range(len(classes)), key=lambda i: (-np.ptp(classes[i].value), i))
    rest = [_Relaxed.of([classes[j] for j in order[i:]]) for i in range(len(order) + 1)]
    limit = budget * (1 + EPS) + EPS
    price, value = np.zeros(1), np.zeros(1)
    known = -np.inf
    steps: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for depth, i in enumerate(order):
        c, tail = classes[i], rest[depth + 1]
        p = (price[:, None] + c.price).ravel()
        v = (value[:, None] + c.value).ravel()
        fits = np.flatnonzero(p <= limit)
        room = limit - p[fits]
        hope = v[fits] + tail.bound(room)
        known = max(known, float((v[fits] + tail.floor(room)).max(initial=-np.inf)))
        fits = fits[hope >= known - abs(known) * EPS]
        if not len(fits) or not np.isfinite(known):
            return None
        by_price = fits[np.lexsort((-v[fits], p[fits]))]
        best = np.maximum.accumulate(v[by_price])
        keep = by_price[np.concatenate([[True], best[1:] > best[:-1]])]
        steps.append((keep // len(c.price), c.option[keep % len(c.price)]))
        price, value = p[keep], v[keep]
    at = int(np.argmax(value))
    total, chosen = float(value[at]), [0] * len(classes)
    for i, (parent, option) in zip(reversed(order), reversed(steps), strict=True):
        chosen[i], at = int(option[at]), int(parent[at])
    return total, chosen


# --- the online threshold ---


@dataclass
class Threshold:
    """Takes a part that comes along if its value per price reaches Psi(share of the budget spent).

    `low` and `high` bound the value per price of any part worth having: with them, and parts that
    are small against the budget, the value taken is at least 1 / (ln(high / low) + 1) of the best
    that hindsight could take.
    """

    low: float
    high: float
    budget: float
    spent: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high or self.budget <= 0:
            raise ValueError(
                f"got low {self.low}, high {self.high}, budget {self.budget}; "
                "wanted 0 < low <= high and a budget above 0"
            )

    @staticmethod
    def of(prices: Sequence[float], weights: Sequence[float], budget: float) -> Threshold:
        """The source's bounds: low = the smallest weight / the highest price, high = all weights /
        the lowest price. (The source writes 1 / highest price, which holds only where every
        weight is at least 1.)"""
        paid = [p for p in prices if p > 0]
        least = min((w for w in weights if w > 0), default=0.0)
        if not paid or least <= 0:
            raise ValueError("a threshold needs a price above 0 and a weight above 0")
        return Threshold(least / max(paid), sum(weights) / min(paid), budget)

    @property
    def share(self) -> float:
        """Spent share of the budget, z in [0, 1]."""
        return min(1.0, self.spent / self.budget)

    @property
    def competitive_ratio(self) -> float:
        """ln(high / low) + 1."""
        return math.log(self.high / self.low) + 1

    def psi(self, z: float) -> float:
        """(high e / low)^z (low / e): low / e at z = 0, high at z = 1."""
        return float((self.high * math.e / self.low) ** z * self.low / math.e)

    def takes(self, value: float, price: float) -> bool:
        """Whether a part of this value and price is bought; if so it is paid. A free part with
        any value is always taken, one that does not fit never."""
        if price > self.budget - self.spent + EPS or value <= 0:
            return False
        if price > 0 and value / price < self.psi(self.share):
            return False
        self.spent += price
        return True


# --- what an inventory offers ---


@dataclass(frozen=True)
class Inventory:
    """`value[i, j]` in [0, 1]: how well part i serves skill j (similarity, or measured chance of
    success). `price[i]`; `weight[j]` of the skills. `synergy` maps pairs of parts (i < j) to what
    having both adds (below 0: takes away) beyond their values."""

    value: NDArray[np.float64]  # [parts, skills]
    price: Vector  # [parts]
    weight: Vector  # [skills]
    synergy: Mapping[tuple[int, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value.shape != (len(self.price), len(self.weight)):
            raise ValueError(
                f"value is {self.value.shape}; wanted {(len(self.price), len(self.weight))}"
            )
        if not (np.isfinite(self.price).all() and (self.price >= 0).all()):
            raise ValueError("every price must be finite and at least 0")

    def cost(self, parts: Sequence[int]) -> float:
        """Summed price."""
        return float(self.price[list(parts)].sum())

    def worth(self, parts: Sequence[int]) -> float:
        """Weighted coverage (every skill by its best part) plus synergy."""
        if not parts:
            return 0.0
        best = self.value[list(parts)].max(axis=0)
        held = set(parts)
        extra = sum(s for (i, j), s in self.synergy.items() if i in held and j in held)
        return float(best @ self.weight) + extra


def identity(inventory: Inventory) -> list[int]:
    """Every part."""
    return list(range(len(inventory.price)))


def retrieval(inventory: Inventory) -> list[int]:
    """The part of highest value for each skill, whatever it costs; ties go to the first."""
    return sorted({int(i) for i in inventory.value.argmax(axis=0)})


def offline(inventory: Inventory, budget: float, k: int = 10) -> list[int]:
    """One of the `k` best parts per skill, exactly optimal: value of a choice = summed value over
    skills, as in the source. Where the budget cannot cover every skill, skills may stay empty."""
    skills = range(len(inventory.weight))
    values, prices, options = [], [], []
    for j in skills:
        best = np.lexsort((np.arange(len(inventory.price)), -inventory.value[:, j]))[:k]
        options.append([int(i) for i in best])
        values.append(inventory.value[best, j] * inventory.weight[j])
        prices.append(inventory.price[best])
    found = multiple_choice(values, prices, budget)
    if found is None:
        for j in skills:
            options[j] = [*options[j], -1]
            values[j], prices[j] = np.append(values[j], 0.0), np.append(prices[j], 0.0)
        found = multiple_choice(values, prices, budget)
        assert found is not None, "leaving every skill empty costs nothing"
    chosen = {options[j][o] for j, o in enumerate(found[1])}
    return sorted(chosen - {-1})


def coverage(inventory: Inventory, budget: float, seeds: int = 0) -> list[int]:
    """Budgeted coverage by greedy gain per price, or the best single part, whichever is worth more.

    Without synergy its worth is at least (1 - 1/e)/2 of the optimum; started from every legal set
    of up to `seeds` = 3 parts it is at least 1 - 1/e (sections 3.1 and 3.2), at a higher price in
    time. With synergy no guarantee is known, and a pass of exchanges follows the greedy.
    """
    n = len(inventory.price)
    best: list[int] = []
    for size in range(seeds + 1):
        for start in itertools.combinations(range(n), size):
            if inventory.cost(start) > budget + EPS:
                continue
            best = _better(inventory, best, _greedy(inventory, budget, start))
    for i in range(n):
        if inventory.price[i] <= budget + EPS:
            best = _better(inventory, best, [i])
    return _exchange(inventory, budget, best) if inventory.synergy else sorted(best)


def _better(inventory: Inventory, one: list[int], other: list[int]) -> list[int]:
    return other if inventory.worth(other) > inventory.worth(one) + EPS else one


def _greedy(inventory: Inventory, budget: float, start: Sequence[int]) -> list[int]:
    chosen, left = list(start), budget - inventory.cost(start)
    while True:
        now, best, ratio = inventory.worth(chosen), -1, 0.0
        for i in range(len(inventory.price)):
            if i in chosen or inventory.price[i] > left + EPS:
                continue
            gain = inventory.worth([*chosen, i]) - now
            per = gain / inventory.price[i] if inventory.price[i] > 0 else math.inf
            if gain > EPS and per > ratio:
                best, ratio = i, per
        if best < 0:
            return sorted(chosen)
        chosen.append(best)
        left -= float(inventory.price[best])


def _exchange(inventory: Inventory, budget: float, chosen: list[int]) -> list[int]:
    """Adds, drops and swaps single parts while that is worth more."""
    current = sorted(chosen)
    while True:
        moves = [[*current, i] for i in range(len(inventory.price)) if i not in current]
        moves += [[p for p in current if p != i] for i in current]
        moves += [
            [j if p == i else p for p in current]
            for i in current
            for j in range(len(inventory.price))
            if j not in current
        ]
        legal = [m for m in moves if inventory.cost(m) <= budget + EPS]
        best = max(legal, key=lambda m: (inventory.worth(m), -len(m)), default=current)
        if inventory.worth(best) <= inventory.worth(current) + EPS:
            return current
        current = sorted(best)


def oracle(inventory: Inventory, budget: float) -> list[int]:
    """The best legal set by trying all; at most 20 parts. Of ties the cheapest, then the first.

    Raises ValueError for more parts.
    """
    n = len(inventory.price)
    if n > 20:
        raise ValueError(f"{n} parts; the oracle tries all sets of at most 20")
    sets = (
        list(s)
        for size in range(n + 1)
        for s in itertools.combinations(range(n), size)
        if inventory.cost(s) <= budget + EPS
    )
    return max(sets, key=lambda s: (round(inventory.worth(s), 12), -inventory.cost(s)))


def sweep(inventory: Inventory, budgets: Sequence[float]) -> list[list[int]]:
    """The covering choice of every budget, without doubles and without ones worth no more than a
    cheaper one: a whole front from one inventory, cheapest first."""
    found: list[list[int]] = []
    for budget in sorted(budgets):
        chosen = coverage(inventory, budget)
        if chosen and (not found or inventory.worth(chosen) > inventory.worth(found[-1]) + EPS):
            found.append(chosen)
    return found

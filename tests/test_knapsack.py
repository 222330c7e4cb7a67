"""Choosing parts under a budget: exact against brute force, thresholds against theory."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paragent.knapsack import (
    Inventory,
    Threshold,
    coverage,
    identity,
    multiple_choice,
    offline,
    oracle,
    retrieval,
    sweep,
)

OPTION = st.tuples(st.integers(0, 20), st.integers(0, 9))
CLASSES = st.lists(st.lists(OPTION, min_size=1, max_size=4), min_size=1, max_size=5)


@given(CLASSES, st.integers(0, 30))
def test_multiple_choice_is_exact(classes: list[list[tuple[int, int]]], budget: int) -> None:
    """Equal to trying every combination; its own choice costs and is worth what it says."""
    values = [[float(v) for v, _ in c] for c in classes]
    prices = [[float(p) for _, p in c] for c in classes]
    best = max(
        (
            sum(v[o] for v, o in zip(values, combo, strict=True))
            for combo in itertools.product(*(range(len(c)) for c in classes))
            if sum(p[o] for p, o in zip(prices, combo, strict=True)) <= budget
        ),
        default=None,
    )
    found = multiple_choice(values, prices, budget)
    if best is None:
        assert found is None
        return
    assert found is not None
    value, chosen = found
    assert value == pytest.approx(best)
    assert sum(v[o] for v, o in zip(values, chosen, strict=True)) == pytest.approx(best)
    assert sum(p[o] for p, o in zip(prices, chosen, strict=True)) <= budget


def test_multiple_choice_refuses_what_it_cannot_mean() -> None:
    """Unequal lists, empty classes, NaN and prices below 0 are errors; no classes are worth 0."""
    assert multiple_choice([], [], 5) == (0.0, [])
    for values, prices in (
        ([[1.0]], []),
        ([[1.0, 2.0]], [[1.0]]),
        ([[]], [[]]),
        ([[math.nan]], [[1.0]]),
        ([[1.0]], [[-1.0]]),
    ):
        with pytest.raises(ValueError):
            multiple_choice(values, prices, 5)


def test_psi_at_its_ends_and_between() -> None:
    """Psi(0) = L / e, Psi(1) = U; with U/L = 16 and U = 2 the table of the theory."""
    gate = Threshold(low=0.125, high=2.0, budget=30)
    assert gate.psi(0) == pytest.approx(0.125 / math.e)
    assert gate.psi(1) == pytest.approx(2.0)
    table = [gate.psi(z) for z in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    assert table == pytest.approx([0.046, 0.098, 0.208, 0.442, 0.940, 2.0], abs=6e-4)
    unit = Threshold(low=1.0, high=6.0, budget=6)
    table = [unit.psi(k / 6) for k in range(7)]
    assert table == pytest.approx([0.37, 0.59, 0.93, 1.49, 2.37, 3.77, 6.0], abs=6e-3)


def test_every_worthwhile_part_is_taken_until_the_threshold_reaches_low() -> None:
    """Parts of value L per price are taken until z = 1 / (1 + ln(U / L)), none after."""
    gate = Threshold(low=1.0, high=math.e, budget=100)
    taken = 0
    while gate.takes(1.0, 1.0):
        taken += 1
    assert taken == 51  # z = 1/2: parts 1 to 51 find a threshold of at most 1
    assert gate.spent == 51


def test_bounds_of_the_threshold_follow_weights_that_are_not_one() -> None:
    """Smallest weight / highest price to all weights / lowest price; nonsense is refused."""
    gate = Threshold.of([3.0, 8.0], [0.5, 0.25], 30)
    assert (gate.low, gate.high) == (0.25 / 8, 0.75 / 3)
    assert gate.competitive_ratio == pytest.approx(math.log(gate.high / gate.low) + 1)
    for prices, weights, budget in (([0.0], [1.0], 1.0), ([1.0], [0.0], 1.0), ([1.0], [1.0], 0.0)):
        with pytest.raises(ValueError):
            Threshold.of(prices, weights, budget)


def test_the_competitive_ratio_holds_where_its_assumptions_do() -> None:
    """300 random streams of small parts: never worse than 1 / (ln(U / L) + 1) of hindsight."""
    rng = np.random.default_rng(0)
    low, high, budget = 0.5, 8.0, 1.0
    worst = math.inf
    for _ in range(300):
        n = int(rng.integers(200, 600))
        price = rng.uniform(0.001, 0.01, n)
        ratio = low * (high / low) ** (rng.random(n) ** rng.uniform(0.3, 4))
        if rng.random() < 0.5:
            ratio = np.sort(ratio)  # the worst order: better and better
        gate = Threshold(low, high, budget)
        value = sum(r * p for r, p in zip(ratio, price, strict=True) if gate.takes(r * p, p))
        order = np.argsort(-ratio)
        fits = np.cumsum(price[order]) <= budget
        best = float((ratio * price)[order][fits].sum())
        worst = min(worst, value / best)
    # The last part's size is the theory's vanishing term: one percent of the budget here.
    assert worst >= 1 / (math.log(high / low) + 1) - 0.02


def test_what_does_not_fit_or_is_worth_nothing_is_left() -> None:
    """Free parts with value are always taken."""
    gate = Threshold(0.1, 1.0, budget=1.0)
    assert not gate.takes(5.0, 1.5)
    assert not gate.takes(0.0, 0.1)
    assert gate.takes(0.01, 0.0)
    assert gate.spent == 0


def small(rng: np.random.Generator, synergy: bool = False) -> tuple[Inventory, float]:
    parts, skills = int(rng.integers(2, 8)), int(rng.integers(1, 4))
    pairs = {}
    if synergy:
        pairs = {
            (i, j): float(rng.normal(0, 0.3))
            for i, j in itertools.combinations(range(parts), 2)
            if rng.random() < 0.4
        }
    made = Inventory(
        rng.random((parts, skills)) * (rng.random((parts, skills)) < 0.6),
        rng.integers(1, 9, parts).astype(float),
        rng.random(skills),
        pairs,
    )
    return made, float(rng.integers(1, 20))


def test_coverage_keeps_its_guarantee_against_the_oracle() -> None:
    """On 200 small instances: at least (1 - 1/e)/2 of the optimum, 1 - 1/e with seeds of three."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        inventory, budget = small(rng)
        best = inventory.worth(oracle(inventory, budget))
        plain, seeded = coverage(inventory, budget), coverage(inventory, budget, seeds=3)
        assert inventory.cost(plain) <= budget and inventory.cost(seeded) <= budget
        assert inventory.worth(plain) >= (1 - 1 / math.e) / 2 * best - 1e-9
        assert inventory.worth(seeded) >= (1 - 1 / math.e) * best - 1e-9


def test_synergy_is_used_and_measured_against_the_oracle() -> None:
    """Two parts that only help together are bought together; over 100 instances the mean worth is
    within 3 % of the optimum."""
    pair = Inventory(np.zeros((3, 1)), np.ones(3), np.ones(1), {(0, 2): 1.0})
    assert oracle(pair, 2) == [0, 2]
    rng = np.random.default_rng(2)
    ours = best = 0.0
    for _ in range(100):
        inventory, budget = small(rng, synergy=True)
        ours += inventory.worth(coverage(inventory, budget))
        best += inventory.worth(oracle(inventory, budget))
    assert ours >= 0.97 * best


def test_the_four_composers_by_hand() -> None:
    """Two skills; part 0 looks best for both, parts 1 and 2 are cheap and nearly as good."""
    inventory = Inventory(
        np.array([[0.9, 0.9], [0.8, 0.0], [0.0, 0.8], [0.1, 0.1]]),
        np.array([8.0, 1.0, 1.0, 1.0]),
        np.array([0.5, 0.5]),
    )
    assert identity(inventory) == [0, 1, 2, 3]
    assert retrieval(inventory) == [0]
    assert offline(inventory, 2.0) == [1, 2]
    assert offline(inventory, 1.0) in ([1], [2])  # one skill must stay empty
    assert coverage(inventory, 2.0) == [1, 2]
    assert sweep(inventory, [0.5, 1, 2, 8]) == [[1], [1, 2], [0]]


def test_offline_pays_twice_for_nothing_it_holds_once() -> None:
    """The choice per skill is priced per skill, as in the source: it stays within the budget."""
    rng = np.random.default_rng(3)
    for _ in range(100):
        inventory, budget = small(rng)
        assert inventory.cost(offline(inventory, budget)) <= budget


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_oracle_is_never_beaten(seed: int) -> None:
    """No composer that keeps to the budget is worth more."""
    inventory, budget = small(np.random.default_rng(seed), synergy=seed % 2 == 0)
    best = inventory.worth(oracle(inventory, budget))
    for chosen in (coverage(inventory, budget), offline(inventory, budget)):
        assert inventory.worth(chosen) <= best + 1e-9


def test_inventories_that_make_no_sense_are_refused() -> None:
    """Shapes that differ and unknown prices."""
    with pytest.raises(ValueError, match="wanted"):
        Inventory(np.zeros((2, 2)), np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        Inventory(np.zeros((1, 1)), np.array([math.nan]), np.ones(1))
    with pytest.raises(ValueError, match="20"):
        oracle(Inventory(np.zeros((21, 1)), np.ones(21), np.ones(1)), 1)

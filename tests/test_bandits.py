"""Bandits: hand-worked indices, known growth of regret, and state that survives saving."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.bandits import (
    Exp3,
    IndexPolicy,
    KnapsackBandit,
    LinUcb,
    SuccessiveElimination,
    Tally,
    bernoulli_kl,
    elimination_radius,
    growth,
    kl_ucb_index,
    lai_robbins,
    new_table,
    simulate,
    top,
    ucb1_index,
)

MEANS = [0.3, 0.4, 0.5, 0.6, 0.7]


def test_ucb1_by_hand() -> None:
    """With t = 20, three plays, mean .5: .5 + sqrt(2 ln 20 / 3) = 1.913; an arm never played is
    infinite."""
    index = ucb1_index([3, 0], [0.5, 0.0], 20)
    assert (
        index[0]
        == pytest.approx(0.5 + math.sqrt(2 * math.log(20) / 3))
        == pytest.approx(1.9132, abs=1e-4)
    )
    assert index[1] == math.inf


def test_plays_are_the_unit_not_tasks() -> None:
    """Counting 12 tasks as 12 plays shrinks the bonus by sqrt(12): .41 instead of 1.41."""
    plays, tasks = ucb1_index([3], [0.0], 20), ucb1_index([36], [0.0], 20)
    assert plays[0] / tasks[0] == pytest.approx(math.sqrt(12))


def test_kl_ucb_solves_its_equation() -> None:
    """The index q satisfies n kl(mean, q) = ln t, and is below UCB1's."""
    (q,) = kl_ucb_index([10], [0.5], 100)
    assert 10 * bernoulli_kl(0.5, q) == pytest.approx(math.log(100), rel=1e-6)
    assert q < ucb1_index([10], [0.5], 100)[0]
    assert kl_ucb_index([5], [1.0], 100)[0] == pytest.approx(1.0)


def test_the_best_teams_are_the_highest_indices_and_ties_go_to_the_first() -> None:
    """Top three of five."""
    assert top([0.1, 0.9, 0.5, 0.9, math.inf], 3) == [4, 1, 3]


@pytest.mark.parametrize("rule", ["kl-ucb", "beta", "gaussian"])
def test_regret_grows_like_the_logarithm_near_the_lower_bound(rule: str) -> None:
    """Mean of 40 runs: the slope against ln t is of the order of Lai and Robbins', and ln regret
    flattens (a square root would have slope .5)."""
    slope, order = growth(simulate(rule, MEANS, 4000, 40, seed=1), 1000)
    assert order < 0.4
    assert 0.2 * lai_robbins(MEANS) < slope < 3 * lai_robbins(MEANS)


def test_ucb1_stays_below_its_theorem() -> None:
    """Regret at most 8 sum(ln t / gap) + (1 + pi^2/3) sum(gap), and growing ever slower."""
    regret = simulate("ucb1", MEANS, 4000, 40, seed=2).mean(axis=0)
    gaps = [0.7 - m for m in MEANS[:-1]]
    bound = 8 * sum(math.log(4000) / g for g in gaps) + (1 + math.pi**2 / 3) * sum(gaps)
    assert regret[-1] < bound
    assert regret[-1] - regret[2999] < regret[999]


def test_exp3_grows_like_the_square_root() -> None:
    """Regret within 2 sqrt(e - 1) sqrt(T K ln K), its order about a half."""
    regret = simulate("exp3", MEANS, 4000, 40, seed=3)
    assert regret[:, -1].mean() < 2 * math.sqrt(math.e - 1) * math.sqrt(4000 * 5 * math.log(5))
    assert growth(regret, 500)[1] < 0.7


def test_elimination_stops_losing_once_it_has_found_the_best() -> None:
    """With gaps of .4 all others are dropped; the winner is wrong in few runs, as promised."""
    regret = simulate("elimination", [0.2, 0.4, 0.8], 3000, 40, seed=4)
    assert (regret[:, -1] - regret[:, 2000]).max() == 0


def test_random_play_is_the_control() -> None:
    """Its regret is the mean gap at every play."""
    regret = simulate("random", MEANS, 1000, 50, seed=5)
    assert regret[:, -1].mean() == pytest.approx(200, rel=0.05)
    assert growth(regret, 100)[1] == pytest.approx(1, abs=0.05)


def test_policies_play_every_arm_then_the_best() -> None:
    """Four arms, the third always pays."""
    for rule in ("ucb1", "kl-ucb", "beta", "gaussian"):
        policy = IndexPolicy(rule, 4, seed=1)
        for _ in range(400):
            arm = policy.choose()
            policy.update(arm, float(arm == 2))
        assert policy.tally.n.argmax() == 2, rule
        if rule in ("ucb1", "kl-ucb"):
            assert (policy.tally.n > 0).all()
        policy.add()
        assert len(policy.index()) == 5


def test_one_seed_is_one_sequence() -> None:
    """Draws come from the policy's own generator."""

    def run(seed: int) -> list[int]:
        policy = IndexPolicy("beta", 5, seed=seed)
        arms = []
        for _ in range(50):
            arms.append(policy.choose())
            policy.update(arms[-1], arms[-1] / 4)
        return arms

    assert run(1) == run(1) != run(2)


def test_a_failure_cannot_be_reported_as_a_reward() -> None:
    """NaN is refused; an arm whose plays all failed keeps n = 0 and its infinite index."""
    policy = IndexPolicy("ucb1", 2)
    with pytest.raises(ValueError, match="finite"):
        policy.update(0, math.nan)
    assert policy.tally.n.sum() == 0


def test_saved_state_is_plain_json_without_nan() -> None:
    """Arms never played are saved with mean None and come back as they were."""
    tally = Tally.of(2)
    tally.play(1, 0.5)
    text = json.dumps(tally.to_data(), allow_nan=False)
    again = Tally.from_data(json.loads(text))
    assert again.n.tolist() == [0, 1] and again.total.tolist() == [0, 0.5]
    assert json.loads(text)[0] == {"n": 0.0, "total": 0.0, "mean": None}


def test_exp3_probabilities_by_hand() -> None:
    """Equal weights: uniform; after one reward of 1 at p = 1/2, gamma = .2 the weight is e^.2."""
    policy = Exp3(2, gamma=0.2)
    assert policy.probabilities.tolist() == [0.5, 0.5]
    policy.update(0, 1.0)
    assert policy.log_weights[0] == pytest.approx(0.2)
    expected = 0.8 * math.exp(0.2) / (1 + math.exp(0.2)) + 0.1
    assert policy.probabilities[0] == pytest.approx(expected)


@given(st.lists(st.lists(st.floats(-2, 2), min_size=3, max_size=3), min_size=1, max_size=12))
def test_linucb_keeps_the_exact_inverse(contexts: list[list[float]]) -> None:
    """Sherman and Morrison's rule equals inverting the summed outer products."""
    policy = LinUcb(1, 3)
    for context in contexts:
        _, ticket = policy.choose(context)
        policy.update(ticket, 1.0)
    a = np.eye(3) + sum(np.outer(c, c) for c in contexts)
    assert np.allclose(policy.inverse[0], np.linalg.inv(a), atol=1e-8)
    assert np.allclose(policy.b[0], np.sum(contexts, axis=0))


def test_linucb_takes_rewards_late_and_forgets_failures() -> None:
    """Out of order is the same; a failed play leaves no trace; a closed ticket is refused."""
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(6, 2))
    one, two = LinUcb(2, 2), LinUcb(2, 2)
    tickets = [one.choose(x)[1] for x in xs]
    for t in reversed(tickets):
        one.update(t, 1.0)
    for x in xs:
        two.update(two.choose(x)[1], 1.0)
    assert one.index(xs[0]).shape == (2,)
    fresh = LinUcb(2, 2)
    before = fresh.inverse.copy()
    _, ticket = fresh.choose(xs[0])
    assert not np.allclose(fresh.inverse, before)
    fresh.forget(ticket)
    assert np.allclose(fresh.inverse, before)
    with pytest.raises(KeyError):
        fresh.update(ticket, 1.0)
    assert two.open == {}


def test_linucb_learns_which_arm_fits_which_context() -> None:
    """Two arms, each good on one side: after 300 plays under 5 % of choices are wrong."""
    rng = np.random.default_rng(1)
    policy, wrong = LinUcb(2, 2, alpha=0.5), 0
    for t in range(600):
        x = np.array([1.0, rng.choice([-1.0, 1.0])])
        arm, ticket = policy.choose(x)
        good = int(x[1] > 0)
        policy.update(ticket, float(rng.random() < (0.9 if arm == good else 0.2)))
        wrong += t >= 300 and arm != good
    assert wrong / 300 < 0.05


def test_elimination_radius_by_hand_and_its_promise() -> None:
    """sqrt(ln(4 * 2 * 100 / .1) / 20) = .6704; over 200 runs the best arm is lost in under 5 %."""
    assert elimination_radius(10, 2, 0.1) == pytest.approx(
        math.sqrt(math.log(4 * 2 * 100 / 0.1) / 20)
    )
    rng, lost = np.random.default_rng(2), 0
    for _ in range(100):
        policy = SuccessiveElimination(3, delta=0.05)
        while policy.winner is None and policy.tally.n.sum() < 900:
            arm = policy.choose()
            policy.update(arm, float(rng.random() < (0.3, 0.35, 0.8)[arm]))
        lost += not policy.alive[2]
    assert lost <= 5


def test_the_knapsack_bandit_never_overdraws_and_beats_playing_the_richest_arm() -> None:
    """Arm 0 pays .9 for a cost of 1, arm 1 pays .5 for .1: with a budget of 40 the cheap arm is
    worth 5 per unit, the rich one .9."""
    rng = np.random.default_rng(3)
    policy = KnapsackBandit(2, budgets=[40.0], most=[1.0])
    earned = 0.0
    while (arm := policy.choose()) is not None:
        reward = float(rng.random() < (0.9, 0.5)[arm])
        policy.update(arm, reward, [(1.0, 0.1)[arm]])
        earned += reward
    assert policy.spent[0] <= 40.0
    assert earned > 100  # the rich arm alone would earn 36
    with pytest.raises(ValueError, match="above 0"):
        KnapsackBandit(2, budgets=[0.0], most=[1.0])


def test_restaurants_open_tables_as_they_should() -> None:
    """With theta = 1 certain at first, then 1/2, 1/3, ...; theta = 0 never opens a second."""
    assert [new_table(1, n) for n in range(3)] == [1.0, 0.5, pytest.approx(1 / 3)]
    assert new_table(0, 5) == 0.0
    with pytest.raises(ValueError):
        new_table(-1, 2)

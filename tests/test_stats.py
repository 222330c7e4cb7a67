"""Intervals and paired tests, against hand-worked values, SciPy and brute force."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from paragent.stats import (
    bootstrap_interval,
    clopper_pearson,
    holm,
    mean_interval,
    paired_difference,
    paired_sign_test,
    sign_test,
    welch_interval,
    wilson,
)


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    """(successes, n) with 1 <= n <= 300."""
    n = draw(st.integers(1, 300))
    return draw(st.integers(0, n)), n


def test_wilson_by_hand() -> None:
    """81 of 263 gives [.2553, .3662], the worked example of Newcombe (1998, table I)."""
    interval = wilson(81, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)


def test_wilson_of_one_task() -> None:
    """One success in one task proves little: the lower bound is 1 / (1 + z²)."""
    interval = wilson(1, 1)
    assert interval.low == pytest.approx(1 / (1 + 1.959964**2), abs=1e-6)
    assert interval.high == 1.0


@given(counts(), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
@settings(deadline=None)  # the first example imports SciPy
def test_wilson_is_scipys(case: tuple[int, int], confidence: float) -> None:
    """Wilson's interval equals SciPy's for every count."""
    from scipy.stats import binomtest

    k, n = case
    known = binomtest(k, n).proportion_ci(confidence, method="wilson")
    ours = wilson(k, n, confidence)
    assert (ours.low, ours.high) == pytest.approx((known.low, known.high), abs=1e-9)


@given(counts(), st.sampled_from([0.9, 0.95]))
@settings(deadline=None)
def test_clopper_pearson_is_scipys_and_wider(case: tuple[int, int], confidence: float) -> None:
    """The exact interval equals SciPy's and holds the observed proportion."""
    from scipy.stats import binomtest

    k, n = case
    known = binomtest(k, n).proportion_ci(confidence, method="exact")
    ours = clopper_pearson(k, n, confidence)
    assert (ours.low, ours.high) == pytest.approx((known.low, known.high), abs=1e-9)
    assert ours.low <= k / n <= ours.high


def test_clopper_pearson_covers_as_promised() -> None:
    """For p = .3 and n = 20 the exact coverage, summed over all outcomes, is at least .95."""
    n, p = 20, 0.3
    covered = sum(
        math.comb(n, k) * p**k * (1 - p) ** (n - k)
        for k in range(n + 1)
        if clopper_pearson(k, n).low <= p <= clopper_pearson(k, n).high
    )
    assert covered >= 0.95


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    """More successes than tasks, or no task, is a mistake of the caller."""
    with pytest.raises(ValueError, match="successes"):
        wilson(successes, n)


def test_impossible_confidence_is_refused() -> None:
    """A confidence of 95 instead of .95 is refused."""
    with pytest.raises(ValueError, match="confidence is 95"):
        wilson(1, 2, 95)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=60))
@settings(max_examples=40, deadline=None)
def test_mean_interval_holds_the_mean(scores: list[float]) -> None:
    """For any scores, one task or many, equal or not: 0 <= low <= mean <= high <= 1."""
    interval = mean_interval(scores)
    mean = sum(scores) / len(scores)
    assert -1e-12 <= interval.low <= mean + 1e-12
    assert mean - 1e-12 <= interval.high <= 1 + 1e-12


def test_mean_interval_is_wilson_on_zero_one_scores() -> None:
    """0/1 scores get Wilson's interval, whether they are ints, floats or bools."""
    assert mean_interval([1, 0, True, 1.0]) == wilson(3, 4)


def test_equal_fractional_scores_are_not_certain() -> None:
    """A hundred scores of .5 must not give an interval of no width."""
    interval = mean_interval([0.5] * 100)
    assert interval.low < 0.45 and interval.high > 0.55


def test_an_interval_of_nothing_is_refused() -> None:
    """No score is not a score of zero."""
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])


def test_bootstrap_agrees_with_scipys_bca() -> None:
    """BCa bounds lie within resampling noise of SciPy's BCa on skewed values."""
    import numpy as np
    from scipy.stats import bootstrap

    values = np.random.default_rng(3).beta(0.5, 2.0, 80)
    known = bootstrap((values,), np.mean, method="BCa", n_resamples=20000, rng=0)
    ours = bootstrap_interval(list(values), 0.95, seed=1, resamples=20000)
    interval = known.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=0.003)


def test_bootstrap_covers_about_as_stated() -> None:
    """The true mean of skewed scores lies inside about 90% of 90% intervals."""
    rng = random.Random(5)
    true_mean = 0.5 / 2.5
    hits = 0
    for trial in range(200):
        interval = bootstrap_interval(
            [rng.betavariate(0.5, 2.0) for _ in range(60)], 0.9, seed=trial, resamples=500
        )
        hits += interval.low <= true_mean <= interval.high
    assert 165 <= hits <= 195  # binomial(200, .9) is 180 ± 4.2; BCa at n = 60 runs a bit short


def test_bootstrap_ignores_the_order_of_values() -> None:
    """The interval of the same scores told in another order is the same to the last bit."""
    values = [i / 17 for i in range(17)]
    shuffled = random.Random(0).sample(values, len(values))
    assert bootstrap_interval(values) == bootstrap_interval(shuffled)


def test_bootstrap_is_equal_in_another_process() -> None:
    """Another process under another hash seed gives the same interval, and the seed matters."""
    code = (
        "from paragent.stats import bootstrap_interval as b;"
        "print(b([i / 17 for i in range(17)], .95, 7))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "4", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    values = [i / 17 for i in range(17)]
    assert out.stdout.strip() == str(bootstrap_interval(values, 0.95, 7))
    assert bootstrap_interval(values, 0.95, 7) != bootstrap_interval(values, 0.95, 8)


def test_sign_test_by_hand() -> None:
    """8 wins, 2 losses: 2 (1 + 10 + 45) / 1024 = .109375."""
    assert sign_test(8, 2) == sign_test(2, 8) == 0.109375


def test_sign_test_of_ties_only() -> None:
    """No task that differs is no evidence."""
    assert sign_test(0, 0) == 1.0


@given(st.integers(0, 2000), st.integers(0, 2000))
@settings(max_examples=50, deadline=None)
def test_sign_test_is_the_exact_binomial_test(wins: int, losses: int) -> None:
    """For any counts, in the thousands too, p equals SciPy's exact binomial test."""
    from scipy.stats import binomtest

    known = binomtest(wins, wins + losses, 0.5).pvalue if wins + losses else 1.0
    assert sign_test(wins, losses) == pytest.approx(known, rel=1e-6, abs=1e-300)


def test_paired_sign_test_uses_common_tasks_only() -> None:
    """Tasks that only one side has measured say nothing."""
    a = {"t1": 1.0, "t2": 1.0, "t3": 0.0, "only a": 1.0}
    b = {"t1": 0.0, "t2": 1.0, "t3": 1.0, "only b": 0.0}
    assert paired_sign_test(a, b) == sign_test(1, 1)


def test_paired_difference_by_hand() -> None:
    """10 tasks, 5 won and 1 lost: mean .4, McNemar p = 2 (1 + 6) / 64 = .21875."""
    a = {f"t{i}": float(i < 7) for i in range(10)}
    b = {f"t{i}": float(i in (5, 6, 9)) for i in range(10)}
    # a solves 0..6; b solves 5, 6, 9: a wins on 0..4, loses on 9.
    paired = paired_difference(a, b)
    assert (paired.n, paired.p_value) == (10, 0.21875)
    assert paired.mean == pytest.approx(0.4)
    # Bonett and Price: (6/12 - 2/12) ± 1.96 sqrt((8/12 - (4/12)²) / 12)
    half = 1.959964 * math.sqrt((8 / 12 - 1 / 9) / 12)
    assert (paired.low, paired.high) == pytest.approx((1 / 3 - half, 1 / 3 + half), abs=1e-6)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda t: (t[0] / 4, t[1] / 4)),
        min_size=1,
        max_size=9,
    )
)
@settings(max_examples=40, deadline=None)
def test_flip_test_is_exact(pairs: list[tuple[float, float]]) -> None:
    """On a few fractional scores p is the share of all sign patterns at least as extreme."""
    a = {i: x for i, (x, _) in enumerate(pairs)}
    b = {i: y for i, (_, y) in enumerate(pairs)}
    d = [x - y for x, y in pairs]
    patterns = list(itertools.product((-1, 1), repeat=len(d)))
    extreme = sum(
        abs(sum(s * x for s, x in zip(signs, d, strict=True))) >= abs(sum(d)) - 1e-12
        for signs in patterns
    )
    paired = paired_difference(a, b)
    assert paired.p_value == pytest.approx(extreme / len(patterns))
    assert paired.low - 1e-9 <= paired.mean <= paired.high + 1e-9


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50))
@settings(max_examples=40, deadline=None)
def test_paired_difference_is_antisymmetric(pairs: list[tuple[bool, bool]]) -> None:
    """Swapping the sides negates the mean, mirrors the interval and leaves p."""
    a = {i: float(x) for i, (x, _) in enumerate(pairs)}
    b = {i: float(y) for i, (_, y) in enumerate(pairs)}
    one, other = paired_difference(a, b), paired_difference(b, a)
    assert one.p_value == other.p_value
    assert (one.mean, one.low, one.high) == pytest.approx(
        (-other.mean, -other.high, -other.low), abs=1e-12
    )


def test_flip_test_with_many_tasks_is_seeded_and_close_to_exact() -> None:
    """Beyond 14 differing tasks the drawn p is the same each time and near SciPy's."""
    import numpy as np
    from scipy.stats import permutation_test

    rng = random.Random(1)
    a = {i: rng.random() for i in range(40)}
    b = {i: min(1.0, max(0.0, a[i] - rng.gauss(0.05, 0.2))) for i in range(40)}
    p = paired_difference(a, b).p_value
    assert p == paired_difference(a, b).p_value
    known = permutation_test(
        (np.array(list(a.values())), np.array(list(b.values()))),
        lambda x, y: (x - y).mean(),
        permutation_type="samples",
        n_resamples=9999,
        rng=2,
    )
    assert p == pytest.approx(known.pvalue, abs=0.02)


def test_no_common_task_is_refused() -> None:
    """Two designs measured on different tasks cannot be compared."""
    with pytest.raises(ValueError, match="no measured task in common"):
        paired_difference({"a": 1.0}, {"b": 1.0})


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
@settings(max_examples=40, deadline=None)
def test_welch_interval_is_scipys(a: list[float], b: list[float]) -> None:
    """Two independent groups: the same interval as SciPy's Welch test."""
    from scipy.stats import ttest_ind

    assume(max(a) - min(a) > 1e-3 and max(b) - min(b) > 1e-3)
    known = ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    ours = welch_interval(a, b)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((known.low, known.high), rel=1e-6, abs=1e-9)


def test_welch_interval_of_too_little_is_unknown() -> None:
    """One value, or values that never vary, do not tell how far the mean may be off."""
    assert welch_interval([0.5], [0.1, 0.2]) is None
    assert welch_interval([0.5, 0.5], [0.1, 0.1]) is None


def test_holm_by_hand() -> None:
    """.01, .04, .03, .005 become .03, .06, .06, .02: the factors 4, 3, 2, 1, made monotone."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
@settings(deadline=None)
def test_holm_lies_between_the_given_and_bonferroni(p_values: list[float]) -> None:
    """Adjusted p-values keep the order, never shrink and never exceed Bonferroni's."""
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1.0, len(p_values) * p)
    by_p = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert by_p == sorted(by_p)


def test_import_is_light() -> None:
    """Importing the module loads neither NumPy nor SciPy."""
    code = "import paragent.stats, sys; print('numpy' in sys.modules, 'scipy' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.split() == ["False", "False"]

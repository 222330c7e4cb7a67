"""The value model on data whose truth is known."""

from __future__ import annotations

import random

import numpy as np
import pytest

from paragent.value import LinearValue, generator


def test_it_finds_the_weights_that_made_the_data() -> None:
    """Y = 1 + 2a - b, nearly without noise: predictions to three digits, also where unseen."""
    rng = random.Random(0)
    rows = [{"a": rng.random(), "b": rng.random()} for _ in range(40)]
    model = LinearValue.fit(rows, [1 + 2 * r["a"] - r["b"] for r in rows], noise=0.001)
    assert model.predict([{"a": 0.5, "b": 0.25}, {}]) == pytest.approx([1.75, 1.0], abs=0.01)


def test_draws_spread_where_nothing_is_known() -> None:
    """With ten observations the draws of a seen design differ less than those of a rare one."""
    rows = [{"seen": float(i % 2)} for i in range(10)] + [{"rare": 1.0}]
    model = LinearValue.fit(rows, [float(i % 2) for i in range(10)] + [0.5], noise=0.3)
    rng = generator(1)
    draws = np.array([model.predict([{"seen": 1.0}, {"rare": 1.0}], model.draw(rng))
                      for _ in range(400)])  # fmt: skip
    assert draws[:, 1].std() > 1.3 * draws[:, 0].std()
    assert draws[:, 0].mean() == pytest.approx(model.predict([{"seen": 1.0}])[0], abs=0.05)


def test_a_constant_feature_and_one_observation_are_survived() -> None:
    """Nothing varies: the mean is the prediction."""
    model = LinearValue.fit([{"x": 1.0}], [0.4], noise=0.1)
    assert model.predict([{"x": 1.0}, {"y": 9.0}]) == pytest.approx([0.4, 0.4])
    assert len(model.draw(generator(0))) == 0
    with pytest.raises(ValueError, match="0 feature rows"):
        LinearValue.fit([], [], noise=0.1)


def test_the_posterior_covers_the_truth() -> None:
    """Over 200 data sets, the 90 % interval of a prediction holds the truth in 84 to 97 %."""
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        weights = rng.normal(size=5)
        rows = [{f"f{k}": float(v) for k, v in enumerate(rng.normal(size=5))} for _ in range(30)]
        truth = [sum(r[f"f{k}"] * weights[k] for k in range(5)) for r in rows]
        noisy = [t + rng.normal() * 0.5 for t in truth]
        model = LinearValue.fit(rows, noisy, noise=0.5)
        new = {f"f{k}": float(v) for k, v in enumerate(rng.normal(size=5))}
        draws = [model.predict([new], model.draw(rng))[0] for _ in range(200)]
        low, high = np.quantile(draws, [0.05, 0.95])
        inside += bool(low <= sum(new[f"f{k}"] * weights[k] for k in range(5)) <= high)
    assert 168 <= inside <= 194

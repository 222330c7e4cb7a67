"""What is recommended is what is believed, not what was lucky."""

from __future__ import annotations

import random

import pytest

from paragent.errors import UsageError
from paragent.factor_space import FactorSpace, row_levels
from paragent.lab.landscapes import Landscape, space
from paragent.outcome import Evaluation, Measured, Usage
from paragent.recommend import posterior, recommend

SPACE = FactorSpace({f"f{k}": list("abcd") for k in range(3)})


def told(noise: random.Random, tasks: int = 30) -> tuple[list[Evaluation], dict[str, float]]:
    """Forty designs of an additive space on 0/1 tasks, and their true rates by hash."""
    found, truth = [], {}
    for design in random.Random(3).sample(SPACE.all() or [], 40):
        levels = (row_levels(design) or {}).values()
        rate = 0.2 + 0.6 * sum("abcd".index(str(v)) for v in levels) / 9
        scores = {f"t{i}": Measured(float(noise.random() < rate), Usage()) for i in range(tasks)}
        found.append(Evaluation(design, "dev", "search-eval", scores))
        truth[design.hash] = rate
    return found, truth


def test_the_posterior_saves_regret_that_the_luckiest_mean_costs() -> None:
    """Over 25 noisy replays the recommended design is truly better on average than the one of
    the best observed mean."""
    saved = []
    for seed in range(25):
        evaluations, truth = told(random.Random(seed))
        lucky = max(evaluations, key=lambda e: e.score or 0.0).design
        chosen = recommend(evaluations, SPACE.features)
        saved.append(truth[chosen.hash] - truth[lucky.hash])
    assert sum(saved) / 25 > 0.005


def test_fresh_tasks_of_a_design_count_with_its_first_ones() -> None:
    """A design told twice has one mean over all of its tasks; unmeasured ones are left out."""
    evaluations, _ = told(random.Random(0))
    one = evaluations[0]
    more = Evaluation(
        one.design, "dev", "final-eval", {f"new{i}": Measured(1.0, Usage()) for i in range(400)}
    )
    before = posterior(evaluations, SPACE.features)[one.design.hash]
    after = posterior([*evaluations, more], SPACE.features)[one.design.hash]
    assert after > before + 0.1
    assert posterior([Evaluation(one.design, "dev", "label", {})], SPACE.features) == {}
    with pytest.raises(UsageError, match="nothing was measured"):
        recommend([], SPACE.features)


def test_a_landscape_is_exact() -> None:
    """1,137,240 designs; the best of them normalises to 1, the mean to 0; triples change what a
    design is worth, the same seed does not."""
    land = Landscape.of(0)
    assert land.rate.size == space().size() == 1_137_240
    assert land.normalised(land.best) == 1.0 and land.normalised(land.mean) == 0.0
    designs = [space().sample(random.Random(i)) for i in range(20)]
    rates = [land.true(d) for d in designs]
    assert len(set(rates)) > 15 and all(0 < r < 1 for r in rates)
    again, triples = Landscape.of(0), Landscape.of(0, 0.2)
    assert [again.true(d) for d in designs] == rates
    assert [triples.true(d) for d in designs] != rates

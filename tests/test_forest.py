"""The forest's rule on values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paragent.design import Design
from paragent.factor_space import FactorSpace, row_levels
from paragent.outcome import Evaluation, Failed, Measured, Usage
from paragent.search.forest import Forest, Trees, expected_improvement
from paragent.searcher import Proposal

SPACE = FactorSpace({"a": list(range(6)), "b": list(range(6)), "c": [0, 1]})


def value(design: Design) -> float:
    """A slope with its top at (5, 5, 1)."""
    return sum(float(v) for v in (row_levels(design) or {}).values()) / 11


def told(design: Design) -> Evaluation:
    """Its exact value, on two tasks."""
    outcomes = {f"t{i}": Measured(value(design), Usage(1, 1, 1, 0.1)) for i in range(2)}
    return Evaluation(design, "dev", "search-eval", outcomes)


def test_expected_improvement_by_hand() -> None:
    """At the best: s * phi(0); certain: what is above; ten deviations below: nothing."""
    mean, spread = np.array([0.5, 0.7, 0.4, 0.4]), np.array([0.2, 0.0, 0.0, 0.01])
    found = expected_improvement(mean, spread, 0.5)
    assert found == pytest.approx([0.2 / math.sqrt(2 * math.pi), 0.2, 0.0, 0.0], abs=1e-9)


def test_too_few_for_a_split_is_the_mean_and_its_spread() -> None:
    """Below ten observations no tree splits: every forecast is a bootstrap sample's mean, and the
    variance is that of the means plus the mean variance within (total variance)."""
    rows, scores = np.arange(9.0)[:, None], np.linspace(0, 0.8, 9)
    trees = Trees(rows, scores, 0)
    mean, spread = trees.predict(np.array([[0.0], [8.0]]))
    assert mean[0] == mean[1] and spread[0] == spread[1]
    parts = [t.tree_ for t in trees._forest.estimators_]
    means, within = [t.value[0, 0, 0] for t in parts], [t.impurity[0] for t in parts]
    assert mean[0] == pytest.approx(np.mean(means))
    assert spread[0] ** 2 == pytest.approx(np.var(means) + np.mean(within))


def test_every_second_design_is_random_and_the_others_climb() -> None:
    """On a slope, the designs of the forest are better than the random ones between them, the top
    is found, and nothing is asked twice."""
    searcher = Forest(SPACE, seed=1)
    asked: list[Design] = []
    for _ in range(50):
        (proposal,) = searcher.ask(1)
        asked.append(proposal.design)
        searcher.tell(told(proposal.design))
    chosen = [value(d) for d in asked[11::2]]  # the second, fourth, … after ten of the start
    drawn = [value(d) for d in asked[10::2]]
    assert np.mean(chosen) > np.mean(drawn) + 0.1
    assert max(map(value, asked)) == 1.0
    assert len({d.hash for d in asked}) == 50


def test_a_failure_teaches_nothing() -> None:
    """It is not asked for again, and no observation of the forest."""
    searcher = Forest(SPACE, seed=0, startup=1)
    (proposal,) = searcher.ask(1)
    assert isinstance(proposal, Proposal)
    broken = {"t0": Failed("server", "down", Usage())}
    searcher.tell(Evaluation(proposal.design, "dev", "search-eval", broken))
    assert not searcher._told
    assert proposal.design.hash not in {p.design.hash for p in searcher.ask(71)}

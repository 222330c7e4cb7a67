"""Which evaluated design to hand out: by what is believed of it, not by its luckiest mean.

Among many noisy means the highest is mostly luck (the winner's curse; Smith and Winkler 2006). A
Gaussian process over the designs' features takes each score for what it is worth beside its
neighbours'; the finalists then prove themselves on fresh tasks, which enter as further outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from paragent.design import Design
from paragent.errors import UsageError
from paragent.outcome import Evaluation
from paragent.stats import variance_of_mean
from paragent.value.gp import GaussianProcess
from paragent.value.threads import one_thread

#: log10 cost of a design is no score: only scores are judged here.
Features = Callable[[Design], Mapping[str, float]]


def posterior(evaluations: Sequence[Evaluation], features: Features) -> dict[str, float]:
    """Posterior mean of the true score, by design hash; designs without a score are left out.

    A design that was told twice counts once, with all of its tasks.
    """
    merged: dict[str, Evaluation] = {}
    for e in evaluations:
        known = merged.get(e.design.hash)
        outcomes = {**(known.outcomes if known else {}), **e.outcomes}
        merged[e.design.hash] = Evaluation(e.design, e.split, e.purpose, outcomes)
    able = [e for e in merged.values() if e.score is not None]
    if not able:
        return {}
    scores = [e.score or 0.0 for e in able]
    noise = [variance_of_mean(list(e.scores.values())) for e in able]
    rows = [features(e.design) for e in able]
    with one_thread():
        mean, _ = GaussianProcess(keep=4).fit(rows, scores, noise).predict(rows)
    return {e.design.hash: float(m) for e, m in zip(able, mean, strict=True)}


def recommend(evaluations: Sequence[Evaluation], features: Features) -> Design:
    """The evaluated design of the highest posterior mean (of equals, the first told).

    Raises UsageError where nothing was measured.
    """
    means = posterior(evaluations, features)
    if not means:
        raise UsageError("nothing was measured, so nothing can be recommended")
    designs = {e.design.hash: e.design for e in evaluations}
    keys = list(means)
    return designs[keys[int(np.argmax([round(means[k], 9) for k in keys]))]]

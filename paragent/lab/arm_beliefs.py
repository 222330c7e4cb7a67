"""What is believed of every arm, from all arms' scores on tasks in common.

The score of arm i on task t is y[i, t] = level[i] + noise[i, t].

    level   normal, with covariance sum_k parts[k] alike[k]: arms that share the level of a factor
            are alike, and each differs by itself
    noise   independent between tasks; on one task arms go together, with covariance
            d[i] d[j] (h_0 + sum_k h[k] alike[k]): a hard task is hard for all, and harder still
            for arms of one kind. d is an arm's own spread

Asked for is the mean over all T tasks. What was run counts as it came out; what was not is foretold
from the arm's level and from the arms that did run the task, so that luck with easy tasks is taken
out, and an arm that ran all its tasks is known exactly.

The variances are estimated: h by regression of products of residuals on the kinds (Haseman and
Elston 1972; non-negative least squares), parts by a minorise-maximise rule for variance components
(Zhou, Hu, Zhou and Lange 2019, section 3) with an inverse gamma prior worth one observation, as few
arms say little about a variance. The levels are best linear predictions (Robinson 1991, section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paragent.design import Param
from paragent.recorded import Floats

#: Steps of the fit of the parts at a time; the least part; what a part is a priori, and how many
#: observations that is worth; the prior variance of what all levels have in common, around .5.
STEPS, LEAST, EXPECTED, WORTH, COMMON = 3, 1e-5, 0.005, 1.0, 1.0
#: Tasks of the average variance that an arm's own is lent.
LENT = 100.0
#: The least noise of an arm's own, in units of its whole noise as estimated: what arms share on a
#: few tasks is easily overrated. LENT, OWN and EXPECTED are near the best log score of beliefs in
#: unfinished races, among those tried (docs/lab.md).
OWN = 1.0
#: Rounds of alternating means.
ROUNDS = 5
#: Variances are estimated anew once so many times the scores are known.
GROWTH = 1.03
#: Groups of tasks that are kept.
MOST_GROUPS = 200


def likeness(levels: Sequence[Mapping[str, Param]]) -> Floats:
    """[kinds, arms, arms]: 1 where two arms share the level of a factor, one kind for each factor
    that tells arms apart and unites some; the last kind is each arm by itself."""
    kinds = []
    for name in sorted({name for row in levels for name in row}):
        own = [str(row.get(name, "")) for row in levels]
        if 1 < len(set(own)) < len(own):
            places = np.array([sorted(set(own)).index(x) for x in own])
            kinds.append((places[:, None] == places[None, :]).astype(float))
    return np.array([*kinds, np.eye(len(levels))])


@dataclass(frozen=True)
class Belief:
    """Of every arm's mean over all tasks: `mean` and `variance`, [arms]; `noise` [arms] is the
    variance of one score around the arm's level, `count` [arms] how many scores are known."""

    mean: Floats
    variance: Floats
    noise: Floats
    count: Floats


@dataclass(frozen=True)
class _Group:
    """Tasks that the same arms ran: the inverse of those arms' noise covariance, and what a score
    of each other arm owes to each of theirs, [arms, arms] with 0 elsewhere; which are the others,
    and the variance that is left of their scores, [arms] with 0 elsewhere."""

    inverse: Floats
    owed: Floats
    others: Floats
    left: Floats


class ArmBeliefs:
    """See the module. `alike` is [kinds, arms, arms], `tasks` how many there are in all."""

    def __init__(self, alike: Floats, tasks: int) -> None:
        self._alike, self._tasks = alike, tasks
        self._parts = np.full(len(alike), EXPECTED)
        self._noise = np.zeros(alike.shape[1:])
        self._groups: dict[bytes, _Group] = {}
        self._fitted = 0.0

    def of(self, scores: Floats) -> Belief:
        """The posterior from `scores` [arms, tasks], NaN where not run."""
        known = ~np.isnan(scores)
        count = known.sum(axis=1).astype(float)
        afresh = count.sum() >= GROWTH * self._fitted
        if afresh:
            self._fitted, self._groups = count.sum(), {}
            self._noise = noise_covariance(scores, self._alike)
        columns: dict[bytes, list[int]] = {}
        for t in np.flatnonzero(known.any(axis=0)):
            columns.setdefault(known[:, t].tobytes(), []).append(int(t))
        filled = np.where(known, scores, 0.0)
        found = [
            (self._group(key, known[:, ts[0]]), len(ts), filled[:, ts].sum(axis=1))
            for key, ts in columns.items()
        ]
        precision, sums = np.zeros(self._noise.shape), np.zeros(len(scores))
        # The mean over all tasks is `fixed` plus `weights` times the levels, plus luck.
        fixed = filled.sum(axis=1)
        unseen = float(self._tasks - sum(m for _, m, _ in found))
        own, luck = np.full(len(scores), unseen), unseen * np.diag(self._noise)
        owed = np.zeros(self._noise.shape)
        for group, m, total in found:
            precision += m * group.inverse
            sums += group.inverse @ total
            fixed += group.owed @ total
            owed += m * group.owed
            own += m * group.others
            luck += m * group.left
        level, spread = self._levels(precision, sums, count > 0, afresh)
        weights = (np.diag(own) - owed) / self._tasks
        variance = ((weights @ spread) * weights).sum(axis=1) + luck / self._tasks**2
        variance = np.where(count >= self._tasks, 0.0, np.maximum(variance, 0.0))
        mean = fixed / self._tasks + weights @ level
        return Belief(mean, variance, np.diag(self._noise).copy(), count)

    def _group(self, key: bytes, ran: NDArray[np.bool_]) -> _Group:
        if key not in self._groups:
            if len(self._groups) > MOST_GROUPS:
                self._groups.clear()
            n = len(ran)
            inverse, owed, left = np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
            across = self._noise[np.ix_(~ran, ran)]
            inverse[np.ix_(ran, ran)] = np.linalg.inv(self._noise[np.ix_(ran, ran)])
            owes = across @ inverse[np.ix_(ran, ran)]
            owed[np.ix_(~ran, ran)] = owes
            left[~ran] = np.maximum(np.diag(self._noise)[~ran] - (owes * across).sum(axis=1), 0.0)
            self._groups[key] = _Group(inverse, owed, (~ran).astype(float), left)
        return self._groups[key]

    def _levels(
        self, precision: Floats, sums: Floats, seen: NDArray[np.bool_], afresh: bool
    ) -> tuple[Floats, Floats]:
        """Mean [arms] and covariance [arms, arms] of the levels; fits the parts where `afresh`."""
        at = np.ix_(seen, seen)
        error: Floats = np.asarray(
            np.linalg.inv(precision[at] + 1e-9 * np.eye(int(seen.sum()))), float
        )
        measured = error @ sums[seen]
        if afresh:
            kinds = self._alike[:, seen][:, :, seen]
            self._parts = components(measured, error, kinds, self._parts)
        prior = np.tensordot(self._parts, self._alike, 1) + COMMON
        across = prior[:, seen]
        gain = across @ np.linalg.inv(prior[at] + error)
        return 0.5 + gain @ (measured - 0.5), prior - gain @ across.T


def noise_covariance(scores: Floats, alike: Floats) -> Floats:
    """Covariance of the noise of arms on one task, [arms, arms]; see the module.

    An arm's variance counts LENT more tasks of the variance that all arms have on average: an arm
    that was lucky so far has few failures to show, and would seem surer than it is.
    """
    from scipy.optimize import nnls

    known = ~np.isnan(scores)
    count = known.sum(axis=1)
    total = np.where(known, scores, 0.0).sum(axis=1)
    square = np.where(known, scores**2, 0.0).sum(axis=1)
    within = square - total**2 / np.maximum(count, 1)
    pooled = (float(within.sum()) + 0.25) / (max(float((count - (count > 0)).sum()), 0.0) + 1)
    spread = np.sqrt(np.maximum((within + LENT * pooled) / (count + LENT), 1e-4))
    mean = total / np.maximum(count, 1)
    residual = np.where(known, (scores - mean[:, None]) / spread[:, None], 0.0)
    common = known.astype(float) @ known.T.astype(float)
    weight = np.maximum(common - 1, 0.0)  # a mean taken out is a task less
    products = residual @ residual.T / np.maximum(weight, 1.0)
    kinds = np.concatenate([np.ones((1, *alike.shape[1:])), alike])
    upper = np.triu_indices(len(scores))
    root = np.sqrt(weight[upper])
    share = np.zeros(len(kinds))
    if (root > 0).any():
        share, _ = nnls(kinds[:, upper[0], upper[1]].T * root[:, None], products[upper] * root)
    share[-1] = max(share[-1], OWN)
    together = np.tensordot(share, kinds, 1)
    scale = spread / np.sqrt(np.diag(together))
    covariance: Floats = together * np.outer(scale, scale)
    return covariance


def components(level: Floats, error: Floats, kinds: Floats, parts: Floats) -> Floats:
    """Variances of the kinds of effects, [kinds], improved from `parts` by a few steps.

    `level` [arms] was measured with the covariance `error` [arms, arms]. With y around its
    generalised least squares mean, W the inverse covariance of y and P = W less its projection on
    that mean, a step takes the part that makes

        (tr(PK) + WORTH / old) part + (old^2 y'WKWy + WORTH EXPECTED) / part

    least, which lies above minus twice the log posterior and touches it at the old part.
    """
    for _ in range(STEPS):
        inverse = np.linalg.inv(np.tensordot(parts, kinds, 1) + error)
        one = inverse.sum(axis=1)
        w = inverse @ (level - float(one @ level) / float(one.sum()))
        projected = inverse - np.outer(one, one) / one.sum()
        up = np.einsum("i,kij,j->k", w, kinds, w)
        down = np.einsum("ij,kij->k", projected, kinds)
        above = parts**2 * up + WORTH * EXPECTED
        parts = np.maximum(np.sqrt(above / (down + WORTH / parts)), LEAST)
    return parts


def apart(scores: Floats, tasks: int) -> Belief:
    """As ArmBeliefs.of for more arms than fit in a matrix: noise that differs by arm is given up,
    levels are drawn towards their common mean only, and tasks have effects."""
    level, rest = effects(scores)
    count = (~np.isnan(scores)).sum(axis=1).astype(float)
    seen = count > 0
    with np.errstate(divide="ignore"):
        error = np.where(seen, rest / np.maximum(count, 1) * (1 - count / tasks), np.inf)
    spread = EXPECTED
    if seen.any():
        spread = max(float(level[seen].var() - error[seen].mean()), LEAST)
    centre = float(level[seen].mean()) if seen.any() else 0.5
    weight = spread / (spread + error)
    mean = centre + weight * (np.where(seen, level, centre) - centre)
    variance = np.where(seen, weight * np.where(seen, error, 0.0), spread)
    return Belief(mean, variance, np.full(len(scores), rest), count)


def effects(scores: Floats) -> tuple[Floats, float]:
    """Level of every arm on the average task, [arms], and the variance of what is left.

    `scores` [arms, tasks] is NaN where not run. Score = arm + task + rest, by alternating means;
    a task's effect is drawn towards 0 by two arms' worth, so that one arm alone proves nothing.
    The level of an arm without a task is NaN; the variance counts two more tasks, one right.
    """
    known = ~np.isnan(scores)
    filled = np.where(known, scores, 0.0)
    count, runs = known.sum(axis=1), known.sum(axis=0)
    task = np.zeros(scores.shape[1])
    for _ in range(ROUNDS):
        level = (filled - known * task).sum(axis=1) / np.maximum(count, 1)
        task = (filled - known * level[:, None]).sum(axis=0) / (runs + 2)
        task -= task[runs > 0].mean() if (runs > 0).any() else 0.0
    level = (filled - known * task).sum(axis=1) / np.maximum(count, 1)
    rest = known * (filled - level[:, None] - task)
    free = max(1, int(known.sum()) - int((count > 0).sum()) - int((runs > 1).sum()))
    variance = (float((rest**2).sum()) + 0.5) / (free + 2)
    return np.where(count > 0, level, np.nan), variance

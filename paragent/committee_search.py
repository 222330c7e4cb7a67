"""Choosing a committee from recorded answers without falling for the luckiest one.

Thousands of rules are graded on the same few hundred tasks, and scores of good ones differ by less
than their error, so the best score is mostly luck. Each rule is therefore scored by what its
members and its shape promise, averaged over all rules that share them: a ridge regression of the
measured accuracies on who is asked, who is asked first, and the rule's shape (`promises`). That is
the penalty for selection: what a rule scores above its promise does not count. docs/lab.md has
what it gains on fresh tasks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from paragent.committee import Graded, Rows, Rule, grade, smoothed_accuracy
from paragent.errors import UsageError
from paragent.recorded import AnswerMatrix, Floats

#: Models that committees are made of: this many, front after front of accuracy and price.
POOL = 14
#: Committees kept from one size to the next, over the price range.
BEAM, BINS_PER_DECADE = 56, 4
LARGEST = 6
RIDGE = 1.0


def priced(matrix: AnswerMatrix, rows: Rows) -> list[int]:
    """Models of known price that were run on every task of the rows.

    Raises UsageError where there is none.
    """
    found = [
        k
        for k, name in enumerate(matrix.models)
        if name not in matrix.partial and not np.isnan(matrix.usd[rows, k]).any()
    ]
    if not found:
        raise UsageError(f"{matrix.name}: no model has a known price on every task")
    return found


def pool(matrix: AnswerMatrix, rows: Rows, size: int = POOL) -> list[int]:
    """The models worth combining: fronts of accuracy and price are peeled off until `size`."""
    price, accuracy = matrix.usd[rows].mean(axis=0), matrix.right[rows].mean(axis=0)
    left, chosen = priced(matrix, rows), list[int]()
    while left and len(chosen) < size:
        layer = [
            i
            for i in left
            if not any(accuracy[j] >= accuracy[i] and price[j] < price[i] for j in left)
        ]
        chosen += sorted(layer, key=lambda i: (-accuracy[i], i))
        left = [i for i in left if i not in layer]
    return chosen[:size]


def candidates(matrix: AnswerMatrix, rows: Rows) -> dict[Rule, Graded]:
    """Rules over the pool, graded on the rows: singles, routers, votes of the best singles, and
    cascades grown one model at a time (the best of every price range go on)."""
    accuracy = smoothed_accuracy(matrix, rows)
    members = pool(matrix, rows)
    price = matrix.usd[rows].mean(axis=0)
    found: dict[Rule, Graded] = {}

    def add(rule: Rule) -> Rule:
        if rule not in found:
            found[rule] = grade(matrix, rule, rows, accuracy)
        return rule

    for i in priced(matrix, rows):
        add(Rule("single", (i,)))
    for rule in _routers(matrix, rows, members):
        add(rule)
    if not matrix.votes:
        return found
    best = sorted(priced(matrix, rows), key=lambda i: (-accuracy[i], i))
    for size in (3, 5, 7):
        top = tuple(sorted(best[:size], key=lambda i: (price[i], i)))
        if len(top) == size:
            add(Rule("vote", top))
            add(Rule("weighted", top))
    level = [
        add(Rule("cascade", (a, b, c), 2.0))
        for a, b in itertools.permutations(members, 2)
        if price[a] <= price[b]
        for c in members
        if c not in (a, b)
    ]
    for _ in range(4, LARGEST + 1):
        kept = _best_by_price(level, found)
        level = [
            add(Rule("cascade", (*rule.members, c), lead))
            for rule in kept
            for c in members
            if c not in rule.members
            for lead in ((rule.lead, 3.0) if rule.lead == 2 else (rule.lead,))
        ]
    return found


def _routers(matrix: AnswerMatrix, rows: Rows, members: Sequence[int]) -> Iterator[Rule]:
    if matrix.prompt_chars is not None:
        for share in (0.5, 0.75):
            cut = float(np.quantile(matrix.prompt_chars[rows], share))
            for pair in itertools.permutations(members, 2):
                yield Rule("router", pair, cut=cut)


def _best_by_price(rules: Sequence[Rule], found: dict[Rule, Graded]) -> list[Rule]:
    taken: dict[int, int] = {}
    kept = []
    for rule in sorted(rules, key=lambda r: (-found[r].accuracy, found[r].usd_per_1k, r.members)):
        price = found[rule].usd_per_1k
        bin_ = round(BINS_PER_DECADE * math.log10(price)) if price > 0 else -99
        if taken.get(bin_, 0) < BEAM // 8:
            taken[bin_] = taken.get(bin_, 0) + 1
            kept.append(rule)
    return kept[:BEAM]


def promises(rules: Sequence[Rule], accuracy: Floats, models: int) -> Floats:
    """What members and shape promise of each rule, from the measured accuracies, [rules].

    Ridge regression on: who is a member, who is among the first two asked, kind with size, and
    lead. Single models are measured by themselves alone, so they keep their accuracy.
    """
    shapes: dict[tuple[object, ...], int] = {}
    for rule in rules:
        shapes.setdefault((rule.kind, len(rule.members), rule.lead), len(shapes))
    x = np.zeros((len(rules), 2 * models + len(shapes)))
    for i, rule in enumerate(rules):
        for k, member in enumerate(rule.members):
            x[i, member] = 1
            x[i, models + member] = k < 2
        x[i, 2 * models + shapes[rule.kind, len(rule.members), rule.lead]] = 1
    several = np.array([len(rule.members) > 1 for rule in rules])
    promised = np.array(accuracy, dtype=float)
    if several.any():
        a, y = x[several], promised[several]
        weights = np.linalg.solve(a.T @ a + RIDGE * np.eye(x.shape[1]), a.T @ (y - y.mean()))
        promised[several] = y.mean() + a @ weights
    return promised


def choose(
    graded: dict[Rule, Graded], ceiling: float, models: int, *, penalty: bool = True
) -> Rule | None:
    """The rule that promises most among those of at most `ceiling` dollars per 1,000 tasks; of
    ties the cheaper. Without `penalty`, the one that measured best. None where all are dearer."""
    rules = list(graded)
    measured = np.array([graded[rule].accuracy for rule in rules])
    value = promises(rules, measured, models) if penalty else measured
    price = np.array([graded[rule].usd_per_1k for rule in rules])
    able = np.flatnonzero(price <= ceiling)
    if not len(able):
        return None
    best = max(able, key=lambda i: (round(float(value[i]), 9), -price[i], rules[i].members))
    return rules[int(best)]


def greedy_committee(matrix: AnswerMatrix, rows: Rows, size: int = 5) -> Rule:
    """Greedy forward selection (Caruana et al. 2004, section 2): from the best single, always add
    the model whose vote with the others measures best. The reference that overfits."""
    accuracy = smoothed_accuracy(matrix, rows)
    able = priced(matrix, rows)
    chosen = [max(able, key=lambda i: (accuracy[i], -i))]
    while len(chosen) < min(size, len(able)):

        def with_it(k: int) -> tuple[float, float]:
            rule = Rule("vote", (*chosen, k))
            return grade(matrix, rule, rows, accuracy).accuracy, accuracy[k]

        chosen.append(max((k for k in able if k not in chosen), key=with_it))
    return Rule("vote", tuple(chosen))

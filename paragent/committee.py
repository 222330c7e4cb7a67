"""Rules over recorded answers: one model, a vote, a weighted vote, an agreement cascade, a router.

Every rule is priced and graded exactly on an answer matrix. All but the router are one procedure,
sequential voting: models are asked in a fixed order, each answer adds its model's weight, and
asking stops once the leading answer is ahead of the next by `lead` (a task never pays for models
that were not asked).

    single     one member
    vote       all members, weight 1
    weighted   all members, weight ln(p / (1 - p)) of their accuracy p where the rule was chosen
               (the optimal weights of independent voters: Nitzan and Paroush 1982, theorem 1)
    cascade    in order, weight 1, until one answer is `lead` votes ahead ("ask two, and escalate
               where they differ" is lead 2; FrugalGPT: Chen et al. 2023, section 3)
    router     two members: the first for questions of at most `cut` characters, else the second

An empty answer costs its call, has no vote and agrees with nothing. Of equal votes the answer of
the most accurate voter wins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from paragent.errors import UsageError
from paragent.recorded import AnswerMatrix, Floats

Kind = Literal["single", "vote", "weighted", "cascade", "router"]
KINDS: tuple[Kind, ...] = ("single", "vote", "weighted", "cascade", "router")

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rule:
    """A design over models, by their index; `lead` only for a cascade, `cut` for a router."""

    kind: Kind
    members: tuple[int, ...]
    lead: float = math.inf
    cut: float = math.inf

    def label(self, models: Sequence[str]) -> str:
        """For people."""
        names = [models[m] for m in self.members]
        if self.kind == "single":
            return names[0]
        if self.kind == "router":
            return f"router[up to {self.cut:g} characters {names[0]}, else {names[1]}]"
        if self.kind == "cascade":
            return f"cascade(lead={self.lead:g})[{' > '.join(names)}]"
        return f"{self.kind}[{', '.join(names)}]"


@dataclass(frozen=True)
class Graded:
    """A rule on some tasks: `right` and `usd` per task; `calls` asked per task."""

    right: NDArray[np.bool_]
    usd: Floats
    calls: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of tasks that are right."""
        return float(self.right.mean())

    @property
    def usd_per_1k(self) -> float:
        """Dollars per 1,000 tasks; NaN where a price is unknown."""
        return float(1000 * self.usd.mean())


def smoothed_accuracy(matrix: AnswerMatrix, rows: Rows) -> Floats:
    """Accuracy of each model on the rows, (right + 1) / (n + 2), [models]."""
    smoothed: Floats = (matrix.right[rows].sum(axis=0) + 1) / (len(rows) + 2)
    return smoothed


def grade(matrix: AnswerMatrix, rule: Rule, rows: Rows, accuracy: Floats) -> Graded:
    """The rule on the rows of the matrix. `accuracy` [models] sets weights and breaks ties, so it
    must come from tasks that do not judge.

    Raises UsageError for a rule that needs answers where only right or wrong is recorded, or for
    no member, a member twice, or a router without its two members.
    """
    members = rule.members
    if not members or len(set(members)) < len(members):
        raise UsageError(f"a committee needs members, each once; got {members!r}")
    if rule.kind == "single" or len(members) == 1:
        first = members[0]
        return Graded(matrix.right[rows, first], matrix.usd[rows, first], np.ones(len(rows), int))
    if rule.kind == "router":
        return _route(matrix, rule, rows)
    if not matrix.votes:
        raise UsageError(f"{matrix.name}: only right and wrong are recorded, so nothing can vote")
    p = np.clip(accuracy, 1e-6, 1 - 1e-6)
    weights = np.log(p / (1 - p)) if rule.kind == "weighted" else np.ones(len(p))
    # Ties: a little of the accuracy, too small to turn any vote.
    weights = weights + 1e-6 * p
    count = len(rows)
    lanes = np.arange(count)
    votes = np.zeros((count, int(matrix.answer.max()) + 2))  # the last lane: no answer
    asking = np.ones(count, dtype=bool)
    usd, calls = np.zeros(count), np.zeros(count, dtype=np.int64)
    for step, member in enumerate(members):
        usd[asking] += matrix.usd[rows[asking], member]
        calls[asking] += 1
        votes[lanes[asking], matrix.answer[rows[asking], member]] += weights[member]
        votes[:, -1] = 0.0
        if rule.kind == "cascade" and step + 1 < len(members):
            top = np.partition(votes, -2, axis=1)[:, -2:]
            asking &= ~(top[:, 1] - top[:, 0] >= rule.lead - 1e-3)
    leader = votes.argmax(axis=1)
    gold = _gold(matrix)[rows]
    return Graded((leader == gold) & (votes.max(axis=1) > 0), usd, calls)


def _route(matrix: AnswerMatrix, rule: Rule, rows: Rows) -> Graded:
    if len(rule.members) != 2 or matrix.prompt_chars is None:
        raise UsageError("a router needs two members and a matrix with prompt_chars")
    short, long = rule.members
    chosen = np.where(matrix.prompt_chars[rows] <= rule.cut, short, long)
    return Graded(matrix.right[rows, chosen], matrix.usd[rows, chosen], np.ones(len(rows), int))


def _gold(matrix: AnswerMatrix) -> NDArray[np.int64]:
    """The number of the right answer of each task; -2 where no model gave it."""
    who = matrix.right.argmax(axis=1)
    found = matrix.answer[np.arange(len(who)), who]
    return np.where(matrix.right.any(axis=1), found, -2)

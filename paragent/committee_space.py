"""Committees over an answer matrix as a `Space`, so that any searcher can look for them.

The first choice is the rule with its size (`single`, `vote3`, `cascade4`, …), then the models in
the order they are asked, then the lead of a cascade or the cut of a router. A design is plain
data: `recorded·row(m1=…, m2=…, rule=vote3)`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import numpy as np

from paragent.committee import KINDS, Kind, Rows, Rule
from paragent.committee_search import priced
from paragent.design import Design, Param
from paragent.errors import UsageError
from paragent.factor_space import FactorSpace, row_design, row_levels
from paragent.recorded import AnswerMatrix, Floats
from paragent.searcher import Bounds, Decision, Partial

SIZES = (3, 4, 5)
#: Questions of a router: the shortest half, or three quarters, go to its first model.
CUTS = ("half", "three quarters")
LEADS: tuple[Param, ...] = (2, 3)
#: Draws of a recombination before an edit is taken instead.
TRIES = 20
#: Dollars per task below which a price is as good as none.
FREE = 1e-9


class CommitteeSpace(FactorSpace):
    """Rules of 1 to 5 of the models; a committee names each model once.

    Models of unknown price and those that answered only part of the tasks are left out.
    """

    def __init__(self, matrix: AnswerMatrix, choosing: Rows) -> None:
        models = tuple(matrix.models[k] for k in priced(matrix, choosing))
        self._number = {name: matrix.models.index(name) for name in models}
        self._usd = matrix.usd[choosing].mean(axis=0)
        self._right = matrix.right[choosing].mean(axis=0)
        self._alike, self._misled = _pairs(matrix, choosing)
        rules: list[Param] = ["single"]
        if matrix.prompt_chars is not None and len(models) > 1:
            rules.append("router")
            chars = matrix.prompt_chars[choosing]
            self._cuts = dict(zip(CUTS, map(float, np.quantile(chars, (0.5, 0.75))), strict=True))
        sizes = [n for n in SIZES if n <= len(models)] if matrix.votes else []
        rules += [f"{kind}{n}" for kind in ("vote", "weighted", "cascade") for n in sizes]

        def larger(size: int) -> tuple[str, Sequence[Param]]:
            return "rule", [r for r in rules if _size(str(r)) >= size]

        factors: dict[str, Sequence[Param]] = {"rule": rules, "m1": models}
        when: dict[str, tuple[str, Sequence[Param]]] = {}
        for size in range(2, max((_size(str(r)) for r in rules), default=1) + 1):
            factors[f"m{size}"] = models
            when[f"m{size}"] = larger(size)
        self._places = frozenset(name for name in factors if name != "rule")
        cascades = [r for r in rules if str(r).startswith("cascade")]
        if cascades:
            factors["lead"], when["lead"] = LEADS, ("rule", cascades)
        if "router" in rules:
            factors["cut"], when["cut"] = CUTS, ("rule", ["router"])
        super().__init__(factors, when=when)

    def rule(self, design: Design) -> Rule:
        """The rule that the design names. Raises UsageError for a design of another space."""
        reasons = self.check(design)
        if reasons:
            raise UsageError(reasons[0])
        levels = row_levels(design) or {}
        name = str(levels["rule"])
        members = tuple(self._number[str(levels[f"m{k}"])] for k in range(1, _size(name) + 1))
        lead, cut = levels.get("lead"), levels.get("cut")
        return Rule(
            _kind(name),
            members,
            float("inf") if lead is None else float(lead),
            float("inf") if cut is None else self._cuts[str(cut)],
        )

    def members(self, design: Design) -> tuple[str, ...]:
        """The models, in the order they are asked."""
        levels = row_levels(design) or {}
        return tuple(str(levels[f"m{k}"]) for k in range(1, _size(str(levels["rule"])) + 1))

    def features(self, design: Design) -> Mapping[str, float]:
        """What the recorded answers to the tasks to choose on tell before the rule is graded, and
        who is in it.

        `usd`: log10 dollars per task of all members, of those asked at once, and to be expected
        where the rest is asked only if those differ. `right`: mean and best accuracy of all, mean
        of those asked at once. `pair`: how often two of those asked at once agree, and agree on
        something wrong; the latter for all members too. A model tells the same of itself wherever
        it stands, so that a learner knows it after a few committees.
        """
        levels, members = row_levels(design) or {}, self.members(design)
        name = str(levels["rule"])
        every = [self._number[m] for m in members]
        at_once = every[: _at_once(name)]
        found = {f"rule:{name}": 1.0}
        found |= {f"rule:{k} {levels[k]}": 1.0 for k in ("lead", "cut") if k in levels}
        found |= {f"has:{m}": 1.0 for m in members}
        alike = _mean_pair(self._alike, at_once, 1.0)
        usd, now = float(self._usd[every].sum()), float(self._usd[at_once].sum())
        found["usd:all"] = math.log10(max(FREE, usd))
        found["usd:at once"] = math.log10(max(FREE, now))
        found["usd:expected"] = math.log10(max(FREE, now + (1 - alike) * (usd - now)))
        found["right:mean"] = float(self._right[every].mean())
        found["right:best"] = float(self._right[every].max())
        found["right:at once"] = float(self._right[at_once].mean())
        found["pair:alike"] = alike
        wrong = float(1 - self._right[at_once].mean())
        found["pair:misled at once"] = _mean_pair(self._misled, at_once, wrong)
        found["pair:misled"] = _mean_pair(self._misled, every, wrong)
        return found

    def bounds(self, design: Design) -> Bounds:
        """Every member is asked: their mean prices on the tasks to choose on, summed."""
        members = [self._number[m] for m in self.members(design)]
        return Bounds(len(members), float(self._usd[members].sum()))

    def check(self, design: Design) -> list[str]:
        """As of any table; and no model twice."""
        reasons = super().check(design)
        members = [] if reasons else self.members(design)
        if len(set(members)) < len(members):
            twice = next(m for m in members if members.count(m) > 1)
            reasons.append(f"root: {twice} is a member twice")
        return reasons

    def next(self, partial: Partial) -> Decision | None:
        """As of any table; but whoever is a member is not offered again, and every place of a
        committee puts the same question: `model`."""
        found = super().next(partial)
        if found is None or found.name not in self._places:
            return found
        return Decision("model", tuple(m for m in found.options if m not in partial[1:]))

    def sample(self, rng: random.Random) -> Design:
        """Top down, every option of a decision equally likely."""
        rule = str(rng.choice(self.factors["rule"]))
        members = rng.sample(self.factors["m1"], _size(rule))
        return self._committee(rule, members, {k: rng.choice(v) for k, v in self._extras(rule)})

    def edits(self, design: Design) -> Sequence[Design]:
        """Another model in one place, one more or one fewer, two that change places, another rule
        of this size, another lead or cut. A single becomes a router's first or second model."""
        levels, held = row_levels(design) or {}, list(self.members(design))
        name = str(levels["rule"])
        extra = {k: levels[k] for k, _ in self._extras(name)}
        others = [str(m) for m in self.factors["m1"] if m not in held]
        found: dict[Design, None] = {}

        def add(rule: str, members: Sequence[Param]) -> None:
            if rule in self.factors["rule"]:
                kept = {k: extra.get(k, v[0]) for k, v in self._extras(rule)}
                found[self._committee(rule, members, kept)] = None

        for k in range(len(held)):
            for other in others:
                add(name, [*held[:k], other, *held[k + 1 :]])
            for j in range(k):
                swapped = list(held)
                swapped[j], swapped[k] = held[k], held[j]
                add(name, swapped)
        if name == "single":
            for other in others:
                add("router", [*held, other])
                add("router", [other, *held])
        elif name == "router":
            for member in held:
                add("single", [member])
            for other in others:
                add("cascade3", [*held, other])
        else:
            kind, size = _kind(name), _size(name)
            for another in ("vote", "weighted", "cascade"):
                add(f"{another}{size}", held)
            for other in others:
                add(f"{kind}{size + 1}", [*held, other])
            for k in range(size):
                add(f"{kind}{size - 1}", [*held[:k], *held[k + 1 :]])
        for key, options in self._extras(name):
            for option in options:
                found[self._committee(name, held, {**extra, key: option})] = None
        found.pop(design, None)
        return list(found)

    def recombine(self, one: Design, other: Design, rng: random.Random) -> Design:
        """The rule of either, over models drawn from both, those of that rule's parent first; an
        edit of `one` where that gives nothing new."""
        parents = [one, other]
        rng.shuffle(parents)
        levels = row_levels(parents[0]) or {}
        name = str(levels["rule"])
        held, more = (list(self.members(d)) for d in parents)
        fresh = [m for m in more if m not in held]
        for _ in range(TRIES if fresh else 0):
            members = [fresh[rng.randrange(len(fresh))] if rng.random() < 0.5 else m for m in held]
            extra = {k: levels[k] for k, _ in self._extras(name)}
            child = self._committee(name, members, extra)
            if len(set(members)) == len(members) and child not in (one, other):
                return child
        edits = self.edits(one)
        return rng.choice(edits) if edits else one

    def _extras(self, rule: str) -> list[tuple[str, Sequence[Param]]]:
        """What a rule has beside its members, with the choices."""
        wanted = {"cascade": "lead", "router": "cut"}.get(_kind(rule))
        return [] if wanted is None else [(wanted, self.factors[wanted])]

    def _committee(self, rule: str, members: Sequence[Param], extra: Mapping[str, Param]) -> Design:
        levels: dict[str, Param] = {"rule": rule}
        levels |= {f"m{k}": m for k, m in enumerate(members, start=1)}
        return row_design({**levels, **extra})


def _pairs(matrix: AnswerMatrix, rows: Rows) -> tuple[Floats, Floats]:
    """How often two models give one answer, and how often one that is wrong, [models, models]; an
    empty answer is like no other. Without answers, whether both are right, and both wrong."""
    models = len(matrix.models)
    alike, misled = np.zeros((models, models)), np.zeros((models, models))
    answer, right = matrix.answer[rows], matrix.right[rows]
    for k in range(models):
        if matrix.votes:
            same = (answer == answer[:, [k]]) & (answer[:, [k]] >= 0)
        else:
            same = right == right[:, [k]]
        alike[k] = same.mean(axis=0)
        misled[k] = (same & ~right).mean(axis=0)
    return alike, misled


def _mean_pair(of: Floats, members: Sequence[int], alone: float) -> float:
    """Mean over all pairs of members; `alone` where there is none."""
    n = len(members)
    if n < 2:
        return alone
    block = of[np.ix_(members, members)]
    return float((block.sum() - np.trace(block)) / (n * (n - 1)))


def _size(rule: str) -> int:
    """How many models a rule asks at most: `vote3` is 3."""
    return {"single": 1, "router": 2}.get(rule) or int(rule[-1])


def _at_once(rule: str) -> int:
    """How many models every task asks: a cascade stops after two at the soonest."""
    return {"cascade": 2, "router": 1}.get(_kind(rule)) or _size(rule)


def _kind(rule: str) -> Kind:
    return next(kind for kind in KINDS if rule.startswith(kind))

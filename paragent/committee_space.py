"""Committees over an answer matrix as a `Space`, so that any searcher can look for them.

The first choice is the rule with its size (`single`, `vote3`, `cascade4`, …), then the models in
the order they are asked, then the lead of a cascade or the cut of a router. A design is plain
data: `recorded·row(m1=…, m2=…, rule=vote3)`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from paragent.committee import KINDS, Kind, Rows, Rule
from paragent.committee_search import priced
from paragent.design import Design, Param
from paragent.errors import UsageError
from paragent.factor_space import FactorSpace, row_levels
from paragent.recorded import AnswerMatrix

SIZES = (3, 4, 5)
#: Questions of a router: the shortest half, or three quarters, go to its first model.
CUTS = ("half", "three quarters")
LEADS: tuple[Param, ...] = (2, 3)
TRIES = 2000


class CommitteeSpace(FactorSpace):
    """Rules of 1 to 5 of the models; a committee names each model once.

    Models of unknown price and those that answered only part of the tasks are left out.
    """

    def __init__(self, matrix: AnswerMatrix, choosing: Rows) -> None:
        models = tuple(matrix.models[k] for k in priced(matrix, choosing))
        self._number = {name: matrix.models.index(name) for name in models}
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

    def check(self, design: Design) -> list[str]:
        """As of any table; and no model twice."""
        reasons = super().check(design)
        levels = row_levels(design) or {}
        members = [v for k, v in levels.items() if k[0] == "m" and k[1:].isdigit()]
        if not reasons and len(set(members)) < len(members):
            twice = next(m for m in members if members.count(m) > 1)
            reasons.append(f"root: {twice} is a member twice")
        return reasons

    def sample(self, rng: random.Random) -> Design:
        """Top down; a committee with a model twice is drawn again."""
        for _ in range(TRIES):
            design = super().sample(rng)
            if not self.check(design):
                return design
        raise UsageError("no committee turned up; there are too few models")

    def edits(self, design: Design) -> Sequence[Design]:
        """As of any table, without those that name a model twice. Where a larger committee needs
        more members, they are filled in with every model."""
        return [d for d in super().edits(design) if not self.check(d)]

    def recombine(self, one: Design, other: Design, rng: random.Random) -> Design:
        """As of any table; an edit where the children name a model twice."""
        for _ in range(20):
            child = super().recombine(one, other, rng)
            if not self.check(child):
                return child
        edits = self.edits(one)
        return rng.choice(edits) if edits else one


def _size(rule: str) -> int:
    """How many models a rule asks at most: `vote3` is 3."""
    return {"single": 1, "router": 2}.get(rule) or int(rule[-1])


def _kind(rule: str) -> Kind:
    return next(kind for kind in KINDS if rule.startswith(kind))

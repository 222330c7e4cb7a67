"""Every design, one after another: exact where the budget pays for the whole space.

The decisions of the space are walked depth first, the options of each in an order that the seed
draws, so that no list of designs is held however large the space. Illegal designs are passed over.
With a budget below the size of the space it is no search at all: a corner of the space is all it
sees. What it is for is the price of certainty, which other searchers are to save.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from paragent.design import Design
from paragent.outcome import CostName, Evaluation
from paragent.registry import SearcherPlugin
from paragent.searcher import Partial, Proposal, Space


def walk(space: Space, rng: random.Random) -> Iterator[Design]:
    """All legal designs that the decisions lead to; the same design may come twice."""
    ways: list[Partial] = [()]
    while ways:
        partial = ways.pop()
        decision = space.next(partial)
        if decision is not None:
            options = rng.sample(decision.options, len(decision.options))
            ways.extend((*partial, option) for option in options)
            continue
        design = space.build(partial)
        if not space.check(design):
            yield design


class Exhaustive:
    """See the module."""

    def __init__(self, space: Space, *, seed: int = 0, cost: CostName = "usd") -> None:
        self._left = walk(space, random.Random(seed))
        self._asked: set[str] = set()

    def ask(self, n: int) -> Sequence[Proposal]:
        """The next `n` designs; none once all were asked for."""
        found: list[Proposal] = []
        while len(found) < n and (design := next(self._left, None)) is not None:
            if design.hash not in self._asked:
                self._asked.add(design.hash)
                found.append(Proposal(design, by="exhaustive"))
        return found

    def tell(self, evaluation: Evaluation) -> None:
        """Nothing is learned, but what others proposed is not proposed again."""
        self._asked.add(evaluation.design.hash)


EXHAUSTIVE = SearcherPlugin(
    name="exhaustive",
    summary="every design, one by one: exact where the budget pays for the whole space",
    make=Exhaustive,
    paper="depth-first search: Cormen, Leiserson, Rivest and Stein, Introduction to Algorithms, "
    "section 20.3",
)

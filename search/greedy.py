"""Greedy improvement, choice by choice: what people do by hand, and node-by-node tuners do.

From a random design its edits are measured one after another; as soon as one scores above the
design (or as much at lower cost), the search goes on from there. A design none of whose edits is
better is left, and another random one begun. By score alone, cost breaks ties.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from paragent.design import Design
from paragent.outcome import CostName, Evaluation
from paragent.registry import SearcherPlugin
from paragent.searcher import Proposal, Space
from paragent.unasked import random_unasked


class Greedy:
    """See the module."""

    def __init__(self, space: Space, *, seed: int = 0, cost: CostName = "usd") -> None:
        self._space, self._rng, self._cost = space, random.Random(seed), cost
        self._asked: set[str] = set()
        self._here: tuple[float, float] | None = None  # (score, -cost) of the design held
        self._left: list[Design] = []

    def ask(self, n: int) -> Sequence[Proposal]:
        """The next edits of the design held; a random design where there are none left."""
        found: list[Proposal] = []
        while len(found) < n:
            design = self._next()
            if design is None:
                break
            self._asked.add(design.hash)
            found.append(Proposal(design, by="greedy"))
        return found

    def _next(self) -> Design | None:
        while self._left:
            design = self._left.pop()
            if design.hash not in self._asked:
                return design
        self._here = None  # a local optimum: begin again
        return random_unasked(self._space, self._rng, self._asked)

    def tell(self, evaluation: Evaluation) -> None:
        """Hold the design where it is better than the one held."""
        self._asked.add(evaluation.design.hash)
        score, cost = evaluation.score, evaluation.cost(self._cost)
        if score is None:
            return
        value = (score, -math.inf if cost is None else -cost)
        if self._here is None or value > self._here:
            self._here = value
            self._left = list(self._space.edits(evaluation.design))
            self._rng.shuffle(self._left)


GREEDY = SearcherPlugin(
    name="greedy",
    summary="one choice after another, whatever scores higher, by score alone",
    make=Greedy,
    paper="hill climbing with restarts: Russell and Norvig, Artificial Intelligence, section 4.1",
)

"""Ageing evolution, also called regularised evolution (Real et al. 2019, algorithm 1).

A queue of the latest `population` designs; each step draws `tournament` of them, copies the one of
the highest score with one edit, and the oldest leaves. As published it climbs the score alone.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from paragent.design import Design
from paragent.outcome import CostName, Evaluation
from paragent.registry import SearcherPlugin
from paragent.searcher import Proposal, Space
from paragent.unasked import random_unasked

#: Tournaments that give nothing new before a random design is taken.
TRIES = 50


class AgeingEvolution:
    """See the module. Edits that were asked for before are not asked again."""

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        population: int = 10,
        tournament: int = 4,
    ) -> None:
        self._space, self._rng = space, random.Random(seed)
        self._population, self._tournament = population, tournament
        self._alive: deque[tuple[float, Design]] = deque(maxlen=population)
        self._asked: set[str] = set()
        self._begun = 0

    def ask(self, n: int) -> Sequence[Proposal]:
        """Random designs until the first population is drawn, then children of winners."""
        found: list[Proposal] = []
        while len(found) < n:
            design = self._child() if self._begun >= self._population else None
            design = design or random_unasked(self._space, self._rng, self._asked)
            if design is None:
                break
            self._begun += 1
            self._asked.add(design.hash)
            found.append(Proposal(design, by="ageing_evolution"))
        return found

    def _child(self) -> Design | None:
        for _ in range(TRIES if self._alive else 0):
            size = min(self._tournament, len(self._alive))
            _, parent = max(self._rng.sample(list(self._alive), size), key=lambda pair: pair[0])
            new = [d for d in self._space.edits(parent) if d.hash not in self._asked]
            if new:
                return self._rng.choice(new)
        return None

    def tell(self, evaluation: Evaluation) -> None:
        """A measured design joins the queue; the oldest leaves."""
        self._asked.add(evaluation.design.hash)
        if evaluation.score is not None:
            self._alive.append((evaluation.score, evaluation.design))


AGEING_EVOLUTION = SearcherPlugin(
    name="ageing_evolution",
    summary="evolution where the oldest dies, by score alone",
    make=AgeingEvolution,
    options={"population": 10, "tournament": 4},
    paper="Real et al. 2019, Regularized Evolution for Image Classifier Architecture Search, "
    "algorithm 1",
)

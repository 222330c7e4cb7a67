"""Random search: the control that every searcher must beat (Bergstra and Bengio 2012, section 2).

Draws from the space's own top-down distribution, and never the same design twice.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from paragent.outcome import Evaluation
from paragent.registry import SearcherPlugin
from paragent.searcher import Proposal, Space

#: Draws in a row that are known already before the space counts as exhausted.
PATIENCE = 500


class RandomSearch:
    """Distinct random designs."""

    def __init__(self, space: Space, *, seed: int = 0, cost: str = "usd") -> None:
        self._space, self._rng = space, random.Random(seed)
        self._known: set[str] = set()

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` new designs."""
        found: list[Proposal] = []
        misses = 0
        while len(found) < n and misses < PATIENCE:
            design = self._space.sample(self._rng)
            if design.hash in self._known:
                misses += 1
                continue
            misses = 0
            self._known.add(design.hash)
            found.append(Proposal(design, by="random"))
        return found

    def tell(self, evaluation: Evaluation) -> None:
        """Nothing is learned, but what others proposed is not proposed again."""
        self._known.add(evaluation.design.hash)


RANDOM = SearcherPlugin(
    name="random",
    summary="distinct random designs: the control",
    make=RandomSearch,
    paper="Bergstra and Bengio 2012, Random Search for Hyper-Parameter Optimization, section 2",
)

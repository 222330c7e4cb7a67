"""AgentSquare's search (arXiv 2410.06153, section 3): recombine, evolve, predict, keep the best.

From the best design so far two phases take turns: recombination (a module replaced by one that is
known from other measured designs) and evolution (a module replaced by any). Each proposes up to
`candidates` designs; a performance predictor names the one to measure. The published predictor
asks a language model that is shown measured designs; here it is the same idea without one: the
mean score of the `neighbours` nearest measured designs, by shared features. By score alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from paragent.design import Design
from paragent.outcome import CostName, Evaluation
from paragent.registry import SearcherPlugin
from paragent.searcher import Proposal, Space
from paragent.unasked import random_unasked


def distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Jaccard distance of the features that are not zero, in [0, 1]; 0 for equal sets."""
    a, b = ({k for k, v in row.items() if v} for row in (one, other))
    return 1 - len(a & b) / len(a | b) if a | b else 0.0


class AgentSquare:
    """See the module. `startup` random designs come first, as the initial experience pool."""

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        startup: int = 5,
        candidates: int = 8,
        neighbours: int = 3,
    ) -> None:
        self._space, self._rng = space, random.Random(seed)
        self._startup, self._candidates, self._k = startup, candidates, neighbours
        self._measured: list[tuple[float, Design, Mapping[str, float]]] = []
        self._asked: set[str] = set()
        self._turn = 0

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` designs that were not asked for or told before."""
        found: list[Proposal] = []
        while len(found) < n:
            design = None
            if len(self._measured) >= self._startup:
                design = self._phase() or self._phase()  # one phase may have nothing new
            design = design or random_unasked(self._space, self._rng, self._asked)
            if design is None:
                break
            self._asked.add(design.hash)
            found.append(Proposal(design, by="agentsquare"))
        return found

    def _phase(self) -> Design | None:
        _, best, _ = max(self._measured, key=lambda row: row[0])
        self._turn += 1
        if self._turn % 2:
            others = [design for _, design, _ in self._measured if design != best]
            drawn = [self._rng.choice(others) for _ in range(self._candidates) if others]
            pool = [self._space.recombine(best, other, self._rng) for other in drawn]
        else:
            pool = list(self._space.edits(best))
        new = list({d.hash: d for d in pool if d.hash not in self._asked}.values())
        self._rng.shuffle(new)
        return max(new[: self._candidates], key=self._predict, default=None)

    def _predict(self, design: Design) -> float:
        row = self._space.features(design)
        near = sorted((distance(row, known), -score) for score, _, known in self._measured)
        scores = [-negative for _, negative in near[: self._k]]
        return sum(scores) / len(scores)

    def tell(self, evaluation: Evaluation) -> None:
        """A measured design enters the experience pool."""
        design = evaluation.design
        self._asked.add(design.hash)
        if evaluation.score is not None:
            self._measured.append((evaluation.score, design, self._space.features(design)))


AGENTSQUARE = SearcherPlugin(
    name="agentsquare",
    summary="AgentSquare's rule: recombination and evolution with a predictor, by score alone",
    make=AgentSquare,
    options={"startup": 5, "candidates": 8, "neighbours": 3},
    paper="AgentSquare, arXiv 2410.06153, section 3",
)

"""AFlow's rule of selection (arXiv 2410.10762, section 3.2), with edits of the space as expansion.

Of the `top` best designs and the first one, a parent is drawn with chance

    lambda / n + (1 - lambda) softmax(alpha (s - s_max)),   s in percent, alpha 0.2, lambda 0.3

(the constants of its released code), and one edit of it is measured next. Published AFlow lets a
language model write the edit; here it is drawn from the space's own, so that the rule of selection
is what is compared. It climbs the score alone.
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

#: Parents without a new edit before a random design is taken.
TRIES = 50


def chances(scores: Sequence[float], lam: float, alpha: float) -> list[float]:
    """The mixed distribution over designs of these scores, each in [0, 1]; sums to 1."""
    best = max(scores)
    weights = [math.exp(alpha * 100 * (s - best)) for s in scores]
    total = sum(weights)
    return [lam / len(scores) + (1 - lam) * w / total for w in weights]


class AFlow:
    """See the module."""

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        top: int = 3,
        lam: float = 0.3,
        alpha: float = 0.2,
    ) -> None:
        self._space, self._rng = space, random.Random(seed)
        self._top, self._lam, self._alpha = top, lam, alpha
        self._measured: list[tuple[float, Design]] = []
        self._asked: set[str] = set()

    def ask(self, n: int) -> Sequence[Proposal]:
        """A random design first, then edits of parents drawn by the rule."""
        found: list[Proposal] = []
        while len(found) < n:
            design = self._edit() or random_unasked(self._space, self._rng, self._asked)
            if design is None:
                break
            self._asked.add(design.hash)
            found.append(Proposal(design, by="aflow"))
        return found

    def _edit(self) -> Design | None:
        if not self._measured:
            return None
        first, rest = self._measured[0], self._measured[1:]
        parents = [first, *sorted(rest, key=lambda pair: -pair[0])[: self._top]]
        drawn = chances([score for score, _ in parents], self._lam, self._alpha)
        for _ in range(TRIES):
            _, parent = self._rng.choices(parents, drawn)[0]
            new = [d for d in self._space.edits(parent) if d.hash not in self._asked]
            if new:
                return self._rng.choice(new)
        return None

    def tell(self, evaluation: Evaluation) -> None:
        """A measured design can become a parent."""
        self._asked.add(evaluation.design.hash)
        if evaluation.score is not None:
            self._measured.append((evaluation.score, evaluation.design))


AFLOW = SearcherPlugin(
    name="aflow",
    summary="AFlow's rule: edits of designs drawn by score, by score alone",
    make=AFlow,
    options={"top": 3, "lam": 0.3, "alpha": 0.2},
    paper="AFlow, arXiv 2410.10762, section 3.2; constants of its released code",
)

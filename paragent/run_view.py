"""What a finished or running search shows to those who present it: report, tables, exports.

A `RunView` is read-only. Nothing here knows of stores or engines, so a view can as well be built
by hand (from a file of another tool, or in a test).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from paragent.design import Design
from paragent.outcome import CostName, Evaluation
from paragent.pareto import knee
from paragent.runtime.ledger import Spent
from paragent.stats import Paired, paired_difference

__all__ = ["Point", "RunView", "Spent"]


@dataclass(frozen=True, slots=True)
class Point:
    """A design measured on `dev`, which the search saw, and on the untouched `test`."""

    design: Design
    dev: Evaluation
    test: Evaluation | None = None

    @property
    def best_known(self) -> Evaluation:
        """The test evaluation where any of its tasks was measured, else dev."""
        return self.test if self.test is not None and self.test.n else self.dev


class RunView(Protocol):
    """One run, as it is shown.

    `config` is what was asked (benchmark, searcher, seed, cost, caps, ...), `meta` how it was run
    (version, command, started, finished, python, platform). `evaluations` are those on dev, in the
    order of proposal; `finals` those on test. `notes` are warnings to show.
    """

    @property
    def path(self) -> Path: ...
    @property
    def name(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...
    @property
    def evaluations(self) -> Sequence[Evaluation]: ...
    @property
    def finals(self) -> Sequence[Evaluation]: ...
    @property
    def baseline(self) -> Point | None: ...
    @property
    def spent(self) -> Spent: ...
    @property
    def stopped_by(self) -> str: ...
    @property
    def notes(self) -> Sequence[str]: ...

    def front(self) -> Sequence[Point]:
        """The front, cheapest first."""


def picks(points: Sequence[Point], cost: CostName = "usd") -> dict[str, int]:
    """Index of the `cheapest`, the `knee` and the `best` of a front that is ordered by cost.

    Dev scores decide, so that the test score of a pick stays an honest one. Empty for no points.
    """
    if not points:
        return {}
    pairs = [(p.dev.score, p.dev.cost(cost)) for p in points]
    best = max(range(len(points)), key=lambda i: (pairs[i][0] or 0.0, -i))
    return {"cheapest": 0, "knee": knee(pairs) or 0, "best": best}


def against(point: Point, baseline: Point | None) -> Paired | None:
    """The design minus the baseline on their common test tasks; None where there are none."""
    if baseline is None or point.test is None or baseline.test is None:
        return None
    ours, theirs = point.test.scores, baseline.test.scores
    if point.design == baseline.design or not ours.keys() & theirs.keys():
        return None
    return paired_difference(ours, theirs)

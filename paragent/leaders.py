"""Which designs lead, kept up to date evaluation by evaluation.

`engine.front_of(engine.comparable(told))` works the same out of all evaluations at once. A search
asks after each of them, perhaps a million times, so here only those are kept that are on a front:
one front for each number of measured tasks, since later evaluations decide which of them count.
"""

from __future__ import annotations

from paragent.config import RunConfig
from paragent.engine import measurable, simplicity
from paragent.outcome import Evaluation
from paragent.pareto import RunningFront


def _simpler(later: Evaluation, earlier: Evaluation) -> bool:
    return simplicity(later.design) < simplicity(earlier.design)


class Leaders:
    """The non-dominated comparable evaluations among all that were added."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._most = 0
        self._by_tasks: dict[int, RunningFront[Evaluation]] = {}
        self._front: RunningFront[Evaluation] = RunningFront(_simpler)

    @property
    def front(self) -> list[Evaluation]:
        """Those on the front, cheapest first; the last has the best score."""
        return self._front.items

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """(score, cost per task) of each, cheapest first."""
        return tuple((score, cost) for score, cost, _ in self._front.points())

    def add(self, evaluation: Evaluation) -> None:
        """Take one more into account."""
        n, score, cost = evaluation.n, evaluation.score, evaluation.cost(self._config.cost)
        grown = n > self._most
        self._most = max(self._most, n)
        if score is not None and cost is not None and measurable(evaluation, self._config):
            mine = self._by_tasks.get(n)
            if mine is None:
                mine = self._by_tasks[n] = RunningFront(_simpler)
            if mine.add(score, cost, evaluation) and not grown and 2 * n >= self._most:
                self._front.add(score, cost, evaluation)
        if grown:
            self._merge()

    def _merge(self) -> None:
        """Anew, from those on enough tasks."""
        self._front = RunningFront(_simpler)
        for n, each in self._by_tasks.items():
            if 2 * n >= self._most:
                for score, cost, evaluation in each.points():
                    self._front.add(score, cost, evaluation)

"""Optuna's samplers as searchers: one adapter, define-by-run over the space's decisions.

A decision's name is the parameter's name, its options the categories; so conditional parts of the
hierarchy are conditional parameters. The study lives in memory: the run's store is the record.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from paragent.outcome import CostName, Evaluation
from paragent.searcher import Decision, Partial, Proposal, Space
from paragent.selection import climbs_alone

if TYPE_CHECKING:
    import optuna

#: Suggestions in a row that are illegal or known before a random new design is tried instead.
#: A sampler that has converged would suggest the same design for ever.
PATIENCE = 8
#: Random designs in a row that are known before the space counts as exhausted.
RANDOM_TRIES = 300


class OptunaSearcher:
    """Maximises score and minimises log10 cost with the given sampler (fresh, seeded); with
    `objectives` "score", the score alone."""

    def __init__(
        self,
        space: Space,
        sampler: optuna.samplers.BaseSampler,
        cost: CostName,
        name: str,
        seed: int,
        objectives: str = "both",
    ) -> None:
        import optuna

        self._alone = climbs_alone(objectives)
        directions: list[Literal["maximize", "minimize"]] = ["maximize"]
        directions += [] if self._alone else ["minimize"]

        self._space, self._cost, self._name = space, cost, name
        self._rng = random.Random(seed)
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self._study = optuna.create_study(directions=directions, sampler=sampler)
        finally:
            optuna.logging.set_verbosity(before)
        self._open: dict[str, optuna.trial.Trial] = {}
        self._known: set[str] = set()
        self._cheapest = 0.0  # lowest log10 cost told; a free design stands one decade below it

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` legal designs that are new."""
        from optuna.trial import TrialState

        found: list[Proposal] = []
        misses = 0
        while len(found) < n:
            if misses >= PATIENCE and not self._enqueue_random():
                break
            trial = self._study.ask()
            partial: Partial = ()
            while (decision := self._space.next(partial)) is not None:
                name = _name(decision)
                partial = (*partial, str(trial.suggest_categorical(name, decision.options)))
            design = self._space.build(partial)
            if design.hash in self._known or self._space.check(design):
                self._study.tell(trial, state=TrialState.FAIL)
                misses += 1
                continue
            misses = 0
            self._known.add(design.hash)
            self._open[design.hash] = trial
            found.append(Proposal(design, by=self._name))
        return found

    def _enqueue_random(self) -> bool:
        """Make the next trial a random design that is legal and new; False where none is found."""
        for _ in range(RANDOM_TRIES):
            partial: Partial = ()
            fixed = {}
            while (decision := self._space.next(partial)) is not None:
                option = self._rng.choice(decision.options)
                fixed[_name(decision)] = option
                partial = (*partial, option)
            design = self._space.build(partial)
            if design.hash not in self._known and not self._space.check(design):
                self._study.enqueue_trial(fixed)
                return True
        return False

    def tell(self, evaluation: Evaluation) -> None:
        """A score and a cost complete the trial; anything less fails it."""
        from optuna.trial import TrialState

        self._known.add(evaluation.design.hash)
        trial = self._open.pop(evaluation.design.hash, None)
        if trial is None:
            return
        score, cost = evaluation.score, 1.0 if self._alone else evaluation.cost(self._cost)
        if score is None or cost is None:
            self._study.tell(trial, state=TrialState.FAIL)
        elif self._alone:
            self._study.tell(trial, score)
        else:
            if cost > 0:
                self._cheapest = min(self._cheapest, math.log10(cost))
            log_cost = math.log10(cost) if cost > 0 else self._cheapest - 1
            self._study.tell(trial, [score, log_cost])


def _name(decision: Decision) -> str:
    """The parameter's name; Optuna wants one fixed set of categories per name."""
    return f"{decision.name}: {'|'.join(decision.options)}"

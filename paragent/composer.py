"""The online composer as a state: parts come along, are tried, and are bought or left.

Zhou, Chakrabarty and Lukose's threshold with trials, after the knapsack composer of agents (arXiv
2510.16499, section 3.3). Decisions are taken in the order in which parts come along, whatever the
order in which trials end, so that trials may run side by side. A trial has three verdicts: helpful,
not helpful, broken; an outage is none of them, and the part waits for another trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from paragent.knapsack import Threshold
from paragent.outcome import Evaluation, Failed
from paragent.skills import Skill
from paragent.stats import wilson

Verdict = Literal["helpful", "not", "broken", "unsure"]
#: Failures that are the part's own. All others are the world's, and say nothing about the part.
OWN_FAULTS = frozenset({"component", "call-bound"})
#: Share of a trial's tasks that must fail by the part's own fault to call it broken.
BROKEN_SHARE = 0.5
#: Confidence of the interval that a verdict must clear; between, the part is tried once more.
CONFIDENCE = 0.8


@dataclass
class Trials:
    """What trials showed of one part: per skill, solved and measured probes; own faults, tasks."""

    solved: dict[int, float] = field(default_factory=dict)
    measured: dict[int, int] = field(default_factory=dict)
    faults: int = 0
    ran: int = 0

    def add(self, evaluation: Evaluation, skill_of: Mapping[str, int]) -> None:
        """The outcomes of one trial; tasks of no skill count for all parts alike: not at all."""
        for task, score in evaluation.scores.items():
            if (j := skill_of.get(task)) is not None:
                self.solved[j] = self.solved.get(j, 0.0) + score
                self.measured[j] = self.measured.get(j, 0) + 1
        own = sum(
            isinstance(o, Failed) and o.kind in OWN_FAULTS for o in evaluation.outcomes.values()
        )
        self.faults += own
        self.ran += own + evaluation.n

    @property
    def broken(self) -> bool:
        """Whether it fails by its own fault too often to be used."""
        return self.ran > 0 and self.faults / self.ran >= BROKEN_SHARE

    def chance(self, skill: int) -> float:
        """Posterior mean of solving a task of the skill: (solved + 1) / (measured + 2)."""
        return (self.solved.get(skill, 0.0) + 1) / (self.measured.get(skill, 0) + 2)

    def verdict(self, skill: int, bar: float) -> Verdict:
        """Helpful where it solves surely more than `bar` of the skill's tasks, not where surely
        less, broken, or unsure."""
        if self.broken:
            return "broken"
        n = self.measured.get(skill, 0)
        if n == 0:
            return "unsure"
        interval = wilson(self.solved.get(skill, 0.0), n, CONFIDENCE)
        if interval.low > bar:
            return "helpful"
        return "not" if interval.high < bar else "unsure"


@dataclass
class Composer:
    """Buys parts under a budget. `order` lists parts as they come along, `prices` by part."""

    skills: Sequence[Skill]
    order: Sequence[int]
    prices: Sequence[float]
    gate: Threshold
    bar: float
    trials: dict[int, Trials] = field(default_factory=dict)
    open: set[int] = field(init=False)
    taken: list[int] = field(default_factory=list)
    decided: int = 0
    final: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.open = set(range(len(self.skills)))

    @property
    def done(self) -> bool:
        """Whether every part that came along was decided on, or nothing is left to cover."""
        return self.decided >= len(self.order) or not self.open

    def worth_trying(self, part: int) -> bool:
        """Whether it fits what is left of the budget and skills are left to cover."""
        fits = self.prices[part] <= self.gate.budget - self.gate.spent + 1e-9
        broken = part in self.trials and self.trials[part].broken
        return bool(self.open) and fits and not broken

    def skill_of(self) -> dict[str, int]:
        """Probe task to skill."""
        return {task: j for j, skill in enumerate(self.skills) for task in skill.probes}

    def told(self, part: int, evaluation: Evaluation, *, last: bool) -> bool:
        """One trial has ended; `last`: no other will come, so unsure verdicts fall by the mean.

        Returns whether the part needs another trial. Then decides on all parts whose turn it is.
        """
        trials = self.trials.setdefault(part, Trials())
        trials.add(evaluation, self.skill_of())
        unsure = any(trials.verdict(j, self.bar) == "unsure" for j in self.open)
        if unsure and not last:
            return True
        self.final.add(part)
        self._decide()
        return False

    def skip(self, part: int) -> None:
        """A part that was not worth trying when its turn came."""
        self.final.add(part)
        self._decide()

    def _decide(self) -> None:
        while self.decided < len(self.order) and self.order[self.decided] in self.final:
            part = self.order[self.decided]
            self.decided += 1
            trials = self.trials.get(part)
            if trials is None or trials.broken:
                continue
            covers = [j for j in sorted(self.open) if self._helps(trials, j)]
            value = sum(self.skills[j].weight for j in covers)
            if self.gate.takes(value, self.prices[part]):
                self.taken.append(part)
                self.open -= set(covers)

    def _helps(self, trials: Trials, skill: int) -> bool:
        verdict = trials.verdict(skill, self.bar)
        if verdict == "unsure" and trials.measured.get(skill, 0):
            return trials.chance(skill) > self.bar
        return verdict == "helpful"

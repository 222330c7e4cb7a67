"""Which members of a team helped, judged in hindsight: by a rule, or by a language model.

Both say for each task and member: True, it helped; False, it was asked and did not; None, it was
not asked. The rule: its answer was the team's, and right. What either says becomes the same credit,
and where both have judged, `Agreement` says how far they agree (Cohen 1960, A Coefficient of
Agreement for Nominal Scales).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paragent.outcome import Evaluation, Measured

#: Task to a verdict on every member.
Verdicts = Mapping[str, Sequence[bool | None]]


def by_rule(evaluation: Evaluation, members: int) -> dict[str, tuple[bool | None, ...]]:
    """The rule's verdicts on every measured task that knows of its members."""
    return {
        task: tuple(None if agreed is None else agreed and o.score >= 0.5 for agreed in said)
        for task, o in evaluation.outcomes.items()
        if isinstance(o, Measured) and (said := o.members[:members])
    }


def shares(verdicts: Verdicts, members: int) -> list[float | None]:
    """For each member the share of the tasks on which it was asked where it helped; None for one
    that was never asked."""
    found: list[float | None] = []
    for i in range(members):
        said = [v[i] for v in verdicts.values() if i < len(v) and v[i] is not None]
        found.append(sum(map(bool, said)) / len(said) if said else None)
    return found


@dataclass
class Agreement:
    """Counts of verdicts by (rule, model), where both judged."""

    both: int = 0
    rule_only: int = 0
    model_only: int = 0
    neither: int = 0

    def add(self, rule: Verdicts, model: Verdicts) -> None:
        """Count one team's verdicts."""
        for task, said in model.items():
            for a, b in zip(rule.get(task, ()), said, strict=False):
                if a is None or b is None:
                    continue
                self.both += a and b
                self.rule_only += a and not b
                self.model_only += b and not a
                self.neither += not a and not b

    @property
    def n(self) -> int:
        """Verdicts that both gave."""
        return self.both + self.rule_only + self.model_only + self.neither

    @property
    def share(self) -> float | None:
        """Of the verdicts, how many are the same; None where there are none."""
        return (self.both + self.neither) / self.n if self.n else None

    @property
    def kappa(self) -> float | None:
        """Agreement beyond chance, (p - e) / (1 - e); None where chance explains all or nothing
        was judged."""
        if not self.n:
            return None
        rule, model = (self.both + self.rule_only) / self.n, (self.both + self.model_only) / self.n
        chance = rule * model + (1 - rule) * (1 - model)
        share = (self.both + self.neither) / self.n
        return (share - chance) / (1 - chance) if chance < 1 else None

    def to_data(self) -> dict[str, float | int | None]:
        """As it is stored and shown."""
        return {"verdicts": self.n, "share": self.share, "kappa": self.kappa}

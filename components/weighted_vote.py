"""All members answer; each vote weighs what its confidence says (Nitzan and Paroush 1982, Optimal
Decision Rules in Uncertain Dichotomous Choice Situations: weights log(p / (1 - p))).

p is the member's own confidence (mean token probability, or share of votes), kept within
[0.51, 0.9999]; a member that gives none counts as 0.51, so that a team of such members votes by
plurality. `by` "confidence" weighs with p itself. Model calls: the members' own together. The order
of the members matters only for exact ties ("symmetric").
"""

from __future__ import annotations

import math

from paragent.ballot import weighted_plurality
from paragent.component import Answer, Component, TeamView, together

LEAST, MOST = 0.51, 0.9999


def weight(confidence: float | None, by: str) -> float:
    """The weight of one vote, above 0."""
    p = min(max(confidence or 0.0, LEAST), MOST)
    return math.log(p / (1 - p)) if by == "log-odds" else p


def build(by: str) -> object:
    """A team whose votes weigh by "log-odds" or by plain "confidence"."""

    async def solve(team: TeamView, question: str) -> Answer:
        answers = await together([member.solve(question) for member in team.members])
        return weighted_plurality(answers, [weight(a.confidence, by) for a in answers])

    return solve


WEIGHTED_VOTE = Component(
    name="weighted_vote",
    kind="topology",
    summary="all members answer; votes weigh by how sure their models are",
    build=build,
    params={"by": ("log-odds", "confidence")},
    calls=lambda params, inner: sum(inner),
    provides=("symmetric",),
    members=(2, 5),
    paper="Nitzan and Paroush 1982, Optimal Decision Rules, International Economic Review 23(2)",
)

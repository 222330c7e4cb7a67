"""Cheap member first; the next one only where the answer is not confident enough (Chen et al. 2023,
FrugalGPT, section 3; coordination only where needed: Mguni et al. 2023, MANSA).

Confidence is the member's own (mean token probability, or share of votes). A member that gives none
always passes on. The last member's answer stands, unless an earlier one was more confident and
`keep` is "best". Model calls: at most the members' own together.
"""

from __future__ import annotations

from paragent.ballot import most_confident
from paragent.component import Answer, Component, TeamView


def build(threshold: float, keep: str) -> object:
    """A cascade that stops at the first answer with confidence of at least `threshold`."""

    async def solve(team: TeamView, question: str) -> Answer:
        answers: list[Answer] = []
        for member in team.members:
            answer = await member.solve(question)
            answers.append(answer)
            if answer.confidence is not None and answer.confidence >= threshold:
                return answer
        return most_confident(answers) if keep == "best" else answers[-1]

    return solve


CASCADE = Component(
    name="cascade",
    kind="topology",
    summary="a cheap member first, the next one only where it is not confident",
    build=build,
    params={"threshold": (0.97, 0.9, 0.99, 0.8), "keep": ("best", "last")},
    calls=lambda params, inner: sum(inner),
    members=(2, 3),
    paper="Chen et al. 2023, FrugalGPT, section 3",
)

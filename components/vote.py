"""All members answer, the most frequent answer wins; ties go to the more confident side.

With members of different models this is the heterogeneous majority vote (Wang et al. 2023 for one
model; Chen et al. 2024, More Agents Is All You Need, section 3). Model calls: the members' own.
The order of the members matters only for exact ties, so it is canonical ("symmetric").
"""

from __future__ import annotations

from paragent.ballot import most_confident, plurality
from paragent.component import Answer, Component, TeamView, together


def build(rule: str) -> object:
    """A team that decides by "plurality", or by the single most "confident" member."""

    async def solve(team: TeamView, question: str) -> Answer:
        answers = await together([member.solve(question) for member in team.members])
        return most_confident(answers) if rule == "confident" else plurality(answers)

    return solve


VOTE = Component(
    name="vote",
    kind="topology",
    summary="all members answer; plurality, or the most confident one, wins",
    build=build,
    params={"rule": ("plurality", "confident")},
    calls=lambda params, inner: sum(inner),
    provides=("symmetric",),
    members=(2, 5),
    paper="Chen et al. 2024, More Agents Is All You Need, section 3",
)

"""Ask members in turn until enough of them agree (agreement-based cascading: Yue et al. 2024, Large
Language Model Cascades with Mixture of Thought, section 3; the team only where needed: MANSA,
Mguni et al. 2023).

The first `quorum` members are asked side by side; then one after the other, until `quorum` answers
are the same. Where no answer reaches the quorum, plurality over all decides, ties to the more
confident. Needs no log-probabilities. Model calls: at most the members' own together.
"""

from __future__ import annotations

from paragent.ballot import normalised, plurality
from paragent.component import Answer, Component, TeamView, together


def build(quorum: int) -> object:
    """A cascade that stops once `quorum` answers agree."""

    async def solve(team: TeamView, question: str) -> Answer:
        first = await together([member.solve(question) for member in team.members[:quorum]])
        answers = list(first)
        for member in team.members[quorum:]:
            if _reached(answers, quorum):
                break
            answers.append(await member.solve(question))
        return plurality(answers)

    return solve


def _reached(answers: list[Answer], quorum: int) -> bool:
    texts = [normalised(a.text) for a in answers]
    return any(text and texts.count(text) >= quorum for text in texts)


AGREEMENT_CASCADE = Component(
    name="agreement_cascade",
    kind="topology",
    summary="asks two members first, further ones only where those disagree",
    build=build,
    params={"quorum": (2, 3)},
    calls=lambda params, inner: sum(inner),
    members=(3, 5),
    paper="Yue et al. 2024, LLM Cascades with Mixture of Thought, section 3",
)

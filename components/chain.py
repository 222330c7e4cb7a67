"""Members work one after the other, each on the question and what the one before it handed on; the
last one's answer stands (chat chain: Qian et al. 2024, ChatDev, section 3.1).

Model calls: the members' own together. Requires "instruct" of every member's model: continuing
another's work is an instruction.
"""

from __future__ import annotations

from paragent.component import Answer, Component, TeamView
from paragent.teamwork import brief
from paragent.template import Prompt

STEP = Prompt(
    "chain.step",
    "{question}\n\nThe {before} agent before you handed on:\n{work}\n\n"
    "Go on from there: keep what is right, mend what is wrong, and answer the question.",
)


async def solve(team: TeamView, question: str) -> Answer:
    """Every member once, in order."""
    answer = await team.members[0].solve(question)
    for before, member in zip(team.members, team.members[1:], strict=False):
        work = brief(answer.full or answer.text)
        following = await member.solve(STEP(question=question, before=before.name, work=work))
        answer = following if following.text else answer
    return answer


CHAIN = Component(
    name="chain",
    kind="topology",
    summary="members work one after the other, each on what the one before handed on",
    build=lambda: solve,
    calls=lambda params, inner: sum(inner),
    requires=("instruct",),
    members=(2, 5),
    prompts=(STEP,),
    paper="Qian et al. 2024, ChatDev, section 3.1",
)

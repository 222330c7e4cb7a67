"""Members answer, read each other's answers, and answer again; plurality decides (Du et al. 2023,
Improving Factuality and Reasoning through Multiagent Debate, section 2; sparse: Li et al. 2024,
Improving Multi-Agent Debate with Sparse Communication Topology, section 3).

`neighbours` "all": everybody reads everybody; "ring": each reads its two neighbours only, so that a
round's tokens grow with the members, not with their square. It ends early once all agree. The
matched-budget control is self-consistency with as many calls.
Model calls: at most (1 + rounds) times the members' own together. Requires "instruct" of every
member's model: reading others' answers is an instruction.
"""

from __future__ import annotations

from collections.abc import Sequence

from paragent.ballot import plurality
from paragent.component import Answer, Component, TeamView, together
from paragent.teamwork import agreed, distinct, report
from paragent.template import Prompt

ROUND = Prompt(
    "debate.round",
    "{question}\n\nOther agents answered the same question:\n\n{others}\n\n"
    "Check their reasoning, mend your own where they are right, and answer again.",
)


def hears(i: int, n: int, neighbours: str) -> list[int]:
    """Whom member i of n reads, in order."""
    if neighbours == "ring":
        return sorted({(i - 1) % n, (i + 1) % n} - {i})
    return [j for j in range(n) if j != i]


def build(rounds: int, neighbours: str) -> object:
    """A debate of at most `rounds` rounds after the first answers."""

    async def solve(team: TeamView, question: str) -> Answer:
        names = distinct([member.name for member in team.members])
        answers: Sequence[Answer] = await together([m.solve(question) for m in team.members])
        for _ in range(rounds):
            if agreed(answers):
                break
            asks = []
            for i, member in enumerate(team.members):
                heard = hears(i, len(names), neighbours)
                others = report([names[j] for j in heard], [answers[j] for j in heard])
                asks.append(member.solve(ROUND(question=question, others=others)))
            answers = await together(asks)
        return plurality(answers)

    return solve


DEBATE = Component(
    name="debate",
    kind="topology",
    summary="members read each other's answers and answer again, some rounds; plurality decides",
    build=build,
    params={"rounds": (1, 2), "neighbours": ("all", "ring")},
    calls=lambda params, inner: (1 + int(params["rounds"])) * sum(inner),
    requires=("instruct",),
    members=(2, 5),
    prompts=(ROUND,),
    paper="Du et al. 2023, Multiagent Debate, section 2; sparse: Li et al. 2024, section 3",
)

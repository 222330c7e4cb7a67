"""Generator, verifier, refiner (Motwani et al. 2024, MALT: Multi-Agent LLM Training, section 3):
the first member answers, the second criticises that answer, the last mends it.

The roles alone, without MALT's training. A team of two lets the first member mend its own answer.
With `votes` 3, as in the paper, the whole pass is drawn three times (the first greedily) and the
most frequent refined answer stands. Model calls: votes * (generator + verifier + refiner). Requires
"instruct" of every member's model; `generate_verify` is the variant whose verifier solves anew and
needs no instructions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paragent.ballot import plurality
from paragent.component import Answer, Component, TeamView, together
from paragent.design import Param
from paragent.teamwork import brief
from paragent.template import Prompt

TEMPERATURE = 0.7

CRITIQUE = Prompt(
    "critique_refine.critique",
    "{question}\n\nProposed solution:\n{draft}\n\n"
    "Do not solve it anew. Say step by step what is right and what is wrong in this solution.",
)
REFINE = Prompt(
    "critique_refine.refine",
    "{question}\n\nProposed solution:\n{draft}\n\nCritique:\n{critique}\n\n"
    "Mend the solution where the critique is right, and answer.",
)


def build(votes: int) -> object:
    """A pass of three roles, drawn `votes` times."""

    async def one_pass(team: TeamView, question: str, sample: int) -> Answer:
        generator, verifier, refiner = team.members[0], team.members[1], team.members[-1]
        if len(team.members) == 2:
            refiner = generator
        warm = TEMPERATURE if sample else 0.0
        draft = await generator.solve(question, temperature=warm, sample=sample)
        said = brief(draft.full or draft.text)
        critique = await verifier.solve(
            CRITIQUE(question=question, draft=said), temperature=warm, sample=sample
        )
        refined = await refiner.solve(
            REFINE(question=question, draft=said, critique=brief(critique.full or critique.text)),
            temperature=warm,
            sample=sample,
        )
        return refined if refined.text else draft

    async def solve(team: TeamView, question: str) -> Answer:
        passes = await together([one_pass(team, question, i) for i in range(votes)])
        return passes[0] if votes == 1 else plurality(passes)

    return solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    refiner = inner[2] if len(inner) > 2 else inner[0]
    return int(params["votes"]) * (inner[0] + inner[1] + refiner)


CRITIQUE_REFINE = Component(
    name="critique_refine",
    kind="topology",
    summary="one member solves, a second criticises the solution, a third mends it",
    build=build,
    params={"votes": (1, 3)},
    calls=_calls,
    requires=("instruct",),
    members=(2, 3),
    prompts=(CRITIQUE, REFINE),
    paper="Motwani et al. 2024, MALT, section 3",
)

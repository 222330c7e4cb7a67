"""Sample several chains of thought and take the most frequent answer (Wang et al. 2023, section 2).

Model calls: n. Provides "steps".
"""

from __future__ import annotations

from paragent.ballot import plurality
from paragent.component import Answer, Chat, Component, together
from paragent.prompts import STEP_BY_STEP, as_answer
from paragent.template import Prompt

THINK = Prompt("self_consistency.think", STEP_BY_STEP)


def build(n: int, temperature: float) -> object:
    """A solver that draws `n` chains at `temperature`."""

    async def solve(chat: Chat, question: str) -> Answer:
        replies = await together(
            [chat.ask(THINK(), question, temperature=temperature, sample=i) for i in range(n)]
        )
        return plurality([as_answer(r) for r in replies])

    return solve


SELF_CONSISTENCY = Component(
    name="self_consistency",
    kind="reasoning",
    summary="samples several chains of thought and votes",
    build=build,
    params={"n": (3, 5), "temperature": (0.7, 0.4)},
    calls=lambda params, inner: int(params["n"]),
    provides=("steps",),
    prompts=(THINK,),
    paper="Wang et al. 2023, Self-Consistency Improves Chain of Thought Reasoning, section 2",
)

"""Draft, then check and mend one's own draft, a bounded number of rounds (Madaan et al. 2023,
section 2).

Stops early when a round leaves the answer unchanged. Model calls: 1 + rounds. Provides "steps".
"""

from __future__ import annotations

from paragent.ballot import normalised
from paragent.component import Answer, Chat, Component
from paragent.prompts import DRAFT_BELOW, FIX, STEP_BY_STEP, as_answer
from paragent.template import Prompt

DRAFT = Prompt("self_refine.draft", STEP_BY_STEP)
MEND = Prompt("self_refine.mend", FIX)
MEND_QUESTION = Prompt("self_refine.mend_question", DRAFT_BELOW)


def build(rounds: int) -> object:
    """A solver with at most `rounds` rounds of repair."""

    async def solve(chat: Chat, question: str) -> Answer:
        reply = await chat.ask(DRAFT(), question)
        answer = as_answer(reply)
        for _ in range(rounds):
            shown = MEND_QUESTION(question=question, draft=answer.full)
            reply = await chat.ask(MEND(), shown, tools=False)
            fixed = as_answer(reply)
            if normalised(fixed.text) == normalised(answer.text):
                break
            answer = fixed
        return answer

    return solve


SELF_REFINE = Component(
    name="self_refine",
    kind="reasoning",
    summary="drafts, then checks and mends its own draft",
    build=build,
    params={"rounds": (1, 2)},
    calls=lambda params, inner: 1 + int(params["rounds"]),
    provides=("steps",),
    prompts=(DRAFT, MEND, MEND_QUESTION),
    paper="Madaan et al. 2023, Self-Refine, section 2",
)

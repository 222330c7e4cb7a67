"""Answer at once. The control every other reasoning is compared with.

Model calls: 1.
"""

from __future__ import annotations

from paragent.component import Answer, Chat, Component
from paragent.prompts import as_answer
from paragent.template import Prompt

ASK = Prompt("direct.ask", "Answer with the final answer only.")


async def solve(chat: Chat, question: str) -> Answer:
    """One call, no thinking."""
    reply = await chat.ask(ASK(), question)
    return as_answer(reply)


DIRECT = Component(
    name="direct",
    kind="reasoning",
    summary="answers at once, without thinking aloud",
    build=lambda: solve,
    calls=lambda params, inner: 1,
    prompts=(ASK,),
    paper="Brown et al. 2020, Language Models are Few-Shot Learners, section 2",
)

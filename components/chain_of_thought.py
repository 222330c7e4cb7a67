"""Think step by step before the answer (Wei et al. 2022, section 2; zero-shot: Kojima et al. 2022,
section 3).

Model calls: 1. Provides "steps": room in which tools can be used.
"""

from __future__ import annotations

from paragent.component import Answer, Chat, Component
from paragent.prompts import STEP_BY_STEP, as_answer
from paragent.template import Prompt

THINK = Prompt("chain_of_thought.think", STEP_BY_STEP)


async def solve(chat: Chat, question: str) -> Answer:
    """One call with visible steps."""
    reply = await chat.ask(THINK(), question)
    return as_answer(reply)


CHAIN_OF_THOUGHT = Component(
    name="chain_of_thought",
    kind="reasoning",
    summary="thinks step by step, then answers",
    build=lambda: solve,
    calls=lambda params, inner: 1,
    provides=("steps",),
    prompts=(THINK,),
    paper="Wei et al. 2022, Chain-of-Thought Prompting, section 2; Kojima et al. 2022, section 3",
)

"""Ask first what general principle the question stands on, then reason from it (Zheng et al. 2024,
Take a Step Back, section 2: abstraction, then reasoning).

Model calls: 2. Requires "instruct"; provides "steps".
"""

from __future__ import annotations

from paragent.component import Answer, Chat, Component
from paragent.prompts import MARKED, as_answer
from paragent.teamwork import brief
from paragent.template import Prompt

ABSTRACT = Prompt(
    "step_back.abstract",
    "Step back from the question. Name the general principles, facts or rules that it stands on, "
    "in a few sentences. Do not answer the question itself.",
)
REASON = Prompt(
    "step_back.reason",
    f"Answer the question step by step, starting from the given principles{{tools}}. {MARKED}",
)
QUESTION = Prompt("step_back.question", "Principles:\n{principles}\n\nQuestion: {question}")


async def solve(chat: Chat, question: str) -> Answer:
    """The principles, then the answer from them."""
    principles = await chat.ask(ABSTRACT(), question, tools=False)
    if not principles.text.strip():
        return as_answer(await chat.ask(REASON(), question))
    shown = QUESTION(principles=brief(principles.text), question=question)
    return as_answer(await chat.ask(REASON(), shown))


STEP_BACK = Component(
    name="step_back",
    kind="reasoning",
    summary="names the general principles first, then reasons from them",
    build=lambda: solve,
    calls=lambda params, inner: 2,
    requires=("instruct",),
    provides=("steps",),
    prompts=(ABSTRACT, REASON, QUESTION),
    paper="Zheng et al. 2024, Take a Step Back, section 2",
)

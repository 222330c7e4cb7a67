"""Recall solved problems like this one, then solve it (Yasunaga et al. 2024, Large Language Models
as Analogical Reasoners, section 4: the model writes its own exemplars, in one prompt).

Model calls: 1. Requires "instruct"; provides "steps".
"""

from __future__ import annotations

from paragent.component import Answer, Chat, Component
from paragent.prompts import MARKED, as_answer
from paragent.template import Prompt

RECALL = Prompt(
    "analogical.recall",
    "First recall {problems} problems that are like the one below but different from one another, "
    "and solve each in a few lines. Then solve the problem below step by step, using what they "
    f"have taught{{tools}}. {MARKED}",
)


def build(problems: int) -> object:
    """A solver that recalls `problems` of its own first."""

    async def solve(chat: Chat, question: str) -> Answer:
        return as_answer(await chat.ask(RECALL(problems=problems), question, max_tokens=1024))

    return solve


ANALOGICAL = Component(
    name="analogical",
    kind="reasoning",
    summary="recalls problems like this one, then solves it",
    build=build,
    params={"problems": (3, 1)},
    calls=lambda params, inner: 1,
    requires=("instruct",),
    provides=("steps",),
    prompts=(RECALL,),
    paper="Yasunaga et al. 2024, Large Language Models as Analogical Reasoners, section 4",
)

"""Understand the problem and write a plan, then carry it out (Wang et al. 2023, Plan-and-Solve
Prompting, section 2; here the plan is a call of its own, and the agent's reasoning carries it out).

Model calls: 1 for the plan, and the reasoning's own. Requires "instruct".
"""

from __future__ import annotations

from paragent.component import Answer, Chat, Component, Solve
from paragent.teamwork import brief
from paragent.template import Prompt

PLAN = Prompt(
    "plan_and_solve.plan",
    "First understand the problem: note what is given and what is asked for. Then write a short "
    "numbered plan that solves it. Do not carry the plan out.",
)
QUESTION = Prompt("plan_and_solve.question", "{question}\n\nPlan to carry out:\n{plan}")


async def plan_first(chat: Chat, question: str, solve: Solve) -> Answer:
    """The plan, then the agent's reasoning on question and plan."""
    plan = brief((await chat.ask(PLAN(), question, tools=False)).text)
    found = await solve(QUESTION(question=question, plan=plan) if plan else question)
    return Answer(found.text, f"{plan}\n\n{found.full}".strip(), found.confidence)


PLAN_AND_SOLVE = Component(
    name="plan_and_solve",
    kind="planning",
    summary="writes a plan first, then carries it out in one go",
    build=lambda: plan_first,
    calls=lambda params, inner: 1 + sum(inner),
    requires=("instruct",),
    prompts=(PLAN, QUESTION),
    paper="Wang et al. 2023, Plan-and-Solve Prompting, section 2",
)

"""Split the problem into steps, solve them one by one, put earlier results into later steps
(Khot et al. 2023, Decomposed Prompting, section 3; least-to-most: Zhou et al. 2023, section 2).

A plan is a list of lines `1: …`, `2: …`, where `#k` stands for the result of line k. A line that is
plain arithmetic goes to the calculator when `by` is "calculator", every other line to the model. A
plan that cannot be read, or that refers forward, falls back to the agent's own reasoning.

Model calls: 1 for the plan, at most `steps` for its lines, and the reasoning's own where the plan
cannot be used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paragent.arithmetic import ArithmeticFault, evaluate
from paragent.component import Answer, Chat, Component, Solve
from paragent.design import Param
from paragent.prompts import as_answer

PLAN_INSTRUCTION = "Split the problem into simple steps. Write one step per line."
STEP_INSTRUCTION = "Solve this step."
MAX_STEPS = 8

_LINE = re.compile(r"^\s*(?:step\s*)?(\d+)\s*[:.)]\s*(.+?)\s*$", re.IGNORECASE)
_REFERENCE = re.compile(r"#(\d+)")


def read_plan(text: str) -> list[str] | None:
    """The plan's steps in order, or None where it is no usable plan.

    Usable: between 1 and MAX_STEPS lines, numbered from 1 without gaps, referring backwards only.
    Lines without a number are ignored, so a model may talk around its plan.
    """
    steps: list[str] = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        if int(match[1]) != len(steps) + 1:
            return None
        if any(not 1 <= int(ref) <= len(steps) for ref in _REFERENCE.findall(match[2])):
            return None
        steps.append(match[2])
    return steps if 1 <= len(steps) <= MAX_STEPS else None


def fill(step: str, results: Sequence[str]) -> str:
    """The step with `#k` replaced by the k-th result."""
    return _REFERENCE.sub(lambda m: results[int(m[1]) - 1], step)


def build(by: str) -> object:
    """A planner whose arithmetic steps are solved by the "model" or by the "calculator"."""

    async def solve_step(chat: Chat, question: str, step: str) -> Answer:
        if by == "calculator":
            try:
                return Answer(evaluate(step), step)
            except ArithmeticFault:
                pass  # not plain arithmetic: the model's turn
        reply = await chat.ask(STEP_INSTRUCTION, f"{question}\nStep: {step}", tools=False)
        return as_answer(reply)

    async def plan_and_solve(chat: Chat, question: str, solve: Solve) -> Answer:
        plan = await chat.ask(PLAN_INSTRUCTION, question, tools=False)
        steps = read_plan(plan.text)
        if steps is None:
            return await solve(question)
        results: list[str] = []
        said = [plan.text]
        confidence = plan.confidence
        for step in steps:
            answer = await solve_step(chat, question, fill(step, results))
            results.append(answer.text)
            said.append(f"{step} -> {answer.text}")
            if confidence is not None and answer.confidence is not None:
                confidence = min(confidence, answer.confidence)  # a chain is as sure as its weakest
        return Answer(results[-1], "\n".join(said), confidence)

    return plan_and_solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return 1 + max(MAX_STEPS, sum(inner))


DECOMPOSE = Component(
    name="decompose",
    kind="planning",
    summary="splits the problem into steps and solves them one by one",
    build=build,
    params={"by": ("model", "calculator")},
    calls=_calls,
    paper="Khot et al. 2023, Decomposed Prompting, section 3; Zhou et al. 2023, section 2",
)

"""Split the problem into steps, put earlier results into later steps, and solve side by side what
does not wait for one another (Khot et al. 2023, Decomposed Prompting, section 3).

A plan is a list of lines `1: …`, `2: …`, where `#k` stands for the result of line k. A line that is
plain arithmetic goes to the calculator when `by` is "calculator", every other line to the model. A
plan that cannot be read, or that refers forward, falls back to the agent's own reasoning. What a
line refers to is all that it waits for, so the plan is a directed acyclic graph.

Model calls: 1 for the plan, at most `steps` for its lines, and the reasoning's own where the plan
cannot be used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paragent.arithmetic import ArithmeticFault, evaluate
from paragent.component import Answer, Chat, Component, Solve, together
from paragent.design import Param
from paragent.prompts import as_answer
from paragent.template import Prompt

PLAN = Prompt("decompose.plan", "Split the problem into simple steps. Write one step per line.")
STEP = Prompt("decompose.step", "Solve this step.")
STEP_QUESTION = Prompt("decompose.step_question", "{question}\nStep: {step}")
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


def waves(steps: Sequence[str]) -> list[list[int]]:
    """Indices of the steps by rounds: each round needs only results of rounds before it."""
    depth: list[int] = []
    for step in steps:
        needed = [int(ref) - 1 for ref in _REFERENCE.findall(step)]
        depth.append(1 + max((depth[i] for i in needed), default=-1))
    return [[i for i, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]


def build(by: str) -> object:
    """A planner whose arithmetic steps are solved by the "model" or by the "calculator"."""

    async def solve_step(chat: Chat, question: str, step: str) -> Answer:
        if by == "calculator":
            try:
                return Answer(evaluate(step), step)
            except ArithmeticFault:
                pass  # not plain arithmetic: the model's turn
        shown = STEP_QUESTION(question=question, step=step)
        reply = await chat.ask(STEP(), shown, tools=False)
        return as_answer(reply)

    async def plan_and_solve(chat: Chat, question: str, solve: Solve) -> Answer:
        plan = await chat.ask(PLAN(), question, tools=False)
        steps = read_plan(plan.text)
        if steps is None:
            return await solve(question)
        results = [""] * len(steps)
        said = [plan.text]
        confidence = plan.confidence
        for wave in waves(steps):
            answers = await together(
                [solve_step(chat, question, fill(steps[i], results)) for i in wave]
            )
            for i, answer in zip(wave, answers, strict=True):
                results[i] = answer.text
                if confidence is not None and answer.confidence is not None:
                    confidence = min(confidence, answer.confidence)  # as sure as the weakest
        said += [f"{step} -> {result}" for step, result in zip(steps, results, strict=True)]
        return Answer(results[-1], "\n".join(said), confidence)

    return plan_and_solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return 1 + max(MAX_STEPS, sum(inner))


DECOMPOSE = Component(
    name="decompose",
    kind="planning",
    summary="splits the problem into steps and solves them in the order they need one another",
    build=build,
    params={"by": ("model", "calculator")},
    calls=_calls,
    prompts=(PLAN, STEP, STEP_QUESTION),
    paper="Khot et al. 2023, Decomposed Prompting, section 3",
)

"""Plan, carry out step by step, and where a step fails describe the situation, explain the failure
and plan anew (Wang et al. 2023, Describe, Explain, Plan and Select, section 3).

Select: the plan's steps are tried in order of how near each is, which the planner is asked to put
first. A step fails where it gives no answer, reports an error of a tool, or says that it failed
(`FAILED:`); no score of the task is seen. Results of steps that worked are kept when the plan
changes. What is left when the replans are used up is done without a plan.
Model calls: 1 + replans * 2 for plans and explanations; the reasoning's own for each of at most
`steps` steps of every plan, and once more for the answer. Requires "instruct".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paragent.component import Answer, Chat, Component, Solve
from paragent.design import Param
from paragent.teamwork import brief
from paragent.template import Prompt
from paragent.verdicts import numbered

PLAN = Prompt(
    "deps.plan",
    "Write a plan that solves the problem in at most {most} steps, one per line, numbered 1:, 2:, "
    "and so on, the step that can be done soonest first. Steps done already are not repeated. Do "
    "not carry it out.",
)
EXPLAIN = Prompt(
    "deps.explain",
    "A step of the plan failed. Describe the situation in a sentence, then explain in one or two "
    "sentences why the step failed and what a new plan must do differently.",
)
STEP = Prompt(
    "deps.step",
    "Problem: {question}\n\nDone so far:\n{done}\n\nCarry out only this step and give its result: "
    '{step}\nIf it cannot be done, answer "FAILED:" and the reason.',
)
SITUATION = Prompt(
    "deps.situation", "Problem: {question}\n\nDone so far:\n{done}\n\nWhat happened:\n{event}"
)
FINISH = Prompt("deps.finish", "{question}\n\nDone so far:\n{done}")

_FAILED = re.compile(r"\bfailed\b\s*[:.]|(?:^|[=:]\s?)error: ", re.IGNORECASE | re.MULTILINE)


def failed(answer: Answer) -> bool:
    """Whether a step gave nothing, said that it failed, or ended on an error of a tool."""
    last = "\n".join(answer.full.strip().splitlines()[-2:])
    return not answer.text or bool(_FAILED.search(answer.text) or _FAILED.search(last))


def build(steps: int, replans: int) -> object:
    """A planner of at most `steps` steps a plan and `replans` new plans."""

    async def plan(chat: Chat, question: str, solve: Solve) -> Answer:
        done: list[str] = []

        def known() -> str:
            return "\n".join(done) or "(nothing)"

        asked = question
        for attempt in range(1 + replans):
            said = await chat.ask(PLAN(most=steps), asked, tools=False)
            event = ""
            for step in numbered(said.text, steps):
                answer = await solve(STEP(question=question, done=known(), step=step))
                if failed(answer):
                    event = f"{step} -> {brief(answer.text or '(no answer)', 500)}"
                    break
                done.append(f"{step} -> {brief(answer.text, 500)}")
            if not event or attempt == replans:
                break
            shown = SITUATION(question=question, done=known(), event=event)
            why = brief((await chat.ask(EXPLAIN(), shown, tools=False)).text, 1000)
            asked = SITUATION(question=question, done=known(), event=f"{event}\n{why}".strip())
        found = await solve(FINISH(question=question, done=known()) if done else question)
        return Answer(found.text, f"{known()}\n{found.full}", found.confidence)

    return plan


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    steps, replans = int(params["steps"]), int(params["replans"])
    return 1 + 2 * replans + (steps * (1 + replans) + 1) * sum(inner)


DEPS = Component(
    name="deps",
    kind="planning",
    summary="plans, and plans anew from an explanation where a step fails",
    build=build,
    params={"steps": (3, 5), "replans": (1, 2)},
    calls=_calls,
    requires=("instruct",),
    prompts=(PLAN, EXPLAIN, STEP, SITUATION, FINISH),
    paper="Wang et al. 2023, Describe, Explain, Plan and Select, section 3",
)

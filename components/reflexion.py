"""Try, look whether it failed, put into words why, try again with that in view (Shinn et al. 2023,
Reflexion, section 3: actor, evaluator, self-reflection).

No score of the task is seen. The failure signal is the agent's own: an empty answer, a tool that
reported an error, and with `signal` "verify" the model's verdict on its solution; "cheap" stops at
the first two. Reflections of all earlier tries are shown. A try without a failure signal ends it;
after the last try its answer stands.
Model calls: tries + (tries - 1) * (verdict + reflection). Requires "instruct" and "judge";
provides "steps" and "folds" (reflections pass the memory's `fold`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paragent.component import Answer, Chat, Component
from paragent.design import Param
from paragent.prompts import MARKED, as_answer
from paragent.teamwork import brief
from paragent.template import Prompt
from paragent.verdicts import verdict

TRY = Prompt("reflexion.try", f"Think step by step{{tools}}. {MARKED}")
AGAIN = Prompt(
    "reflexion.again",
    "{question}\n\nEarlier tries failed. What was learned from them:\n{reflections}",
)
VERIFY = Prompt(
    "reflexion.verify",
    "Check the solution to the question step by step: does each step follow, are all conditions "
    'used, is what was asked for answered? End with a line "Verdict: right" or "Verdict: wrong".',
)
REFLECT = Prompt(
    "reflexion.reflect",
    "The solution below failed. Say in two or three sentences what went wrong and what to do "
    "differently in the next try. Do not solve the question.",
)
SOLUTION = Prompt(
    "reflexion.solution", "Question: {question}\n\nSolution:\n{solution}\n\n{failure}"
)

_TOOL_ERROR = re.compile(r"(?:^|[=:]\s?)error: .*", re.MULTILINE)


def failure_of(answer: Answer) -> str:
    """What failed without anybody judging: no answer, or the last thing a tool said is an error."""
    if not answer.text:
        return "No answer was given."
    errors: list[str] = _TOOL_ERROR.findall(answer.full)
    return f"A tool reported: {errors[-1].lstrip('=: ')[:300]}" if errors else ""


def build(tries: int, signal: str) -> object:
    """An agent of at most `tries` tries; `signal` is "verify" or "cheap"."""

    async def solve(chat: Chat, question: str) -> Answer:
        reflections: Sequence[str] = []
        asked = question
        for number in range(1, tries + 1):
            answer = as_answer(await chat.ask(TRY(), asked))
            if number == tries:
                break
            failure = failure_of(answer)
            if not failure and signal == "verify":
                shown = SOLUTION(question=question, solution=brief(answer.full), failure="")
                said = await chat.ask(VERIFY(), shown.strip(), tools=False)
                if verdict(said.text) is False:
                    failure = f"A check found:\n{brief(said.text)}"
            if not failure:
                break
            shown = SOLUTION(question=question, solution=brief(answer.full), failure=failure)
            thought = await chat.ask(REFLECT(), shown, tools=False)
            learned = f"{number}. {brief(thought.text, 1000) or failure}"
            reflections = await chat.fold([*reflections, learned])
            asked = AGAIN(question=question, reflections="\n".join(reflections))
        return answer

    return solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    tries = int(params["tries"])
    return tries + (tries - 1) * (2 if params["signal"] == "verify" else 1)


REFLEXION = Component(
    name="reflexion",
    kind="reasoning",
    summary="tries again after a failure it noticed itself, with what it learned in view",
    build=build,
    params={"tries": (2, 3), "signal": ("verify", "cheap")},
    calls=_calls,
    requires=("instruct", "judge"),
    provides=("steps", "folds"),
    prompts=(TRY, AGAIN, VERIFY, REFLECT, SOLUTION),
    paper="Shinn et al. 2023, Reflexion, section 3",
)

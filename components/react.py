"""Thought, action, observation, again and again (Yao et al. 2023, ReAct, section 2).

The model writes `Action: tool[argument]`, or `Answer: …` to end; what it makes up after an action
is cut off. Actions are read from the text, so any model that follows instructions can act. The last
step has no action left: it is asked to answer. Steps so far pass the memory's `fold`.
Model calls: at most `steps`. Requires "instruct"; provides "steps" and "folds".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from paragent.component import ANSWER_MARK, Answer, Chat, Component, Tool
from paragent.prompts import as_answer
from paragent.teamwork import brief
from paragent.template import Prompt

ACT = Prompt(
    "react.act",
    'Solve the task in turns. In each turn write a line "Thought:" with what to do next, and then '
    'either one line "Action: tool[argument]" to use a tool, or, once the answer is known, a line '
    '"Answer:" with the final answer alone. An observation follows each action.\nTools:\n{known}',
)
LAST = Prompt(
    "react.last",
    'No action is left. Write a line "Answer:" with the final answer to the task alone.',
)
TASK = Prompt("react.task", "{question}\n\n{steps}")

#: Characters of an observation that are kept.
OBSERVATION_LIMIT = 3000

_ACTION = re.compile(r"^\W{0,4}Action\s*\d*\s*\W?:\W{0,3}\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_CALL = re.compile(r"^`*([\w.-]+)`*\s*[\[(:]\s*(.*)$", re.DOTALL)


def read_action(text: str) -> tuple[str, str, str] | None:
    """(the text up to its first action, the tool, the argument), or None where it has none.

    `Action: tool[argument]`, `tool(argument)` and `tool: argument` are all read; a tool's name
    alone has an empty argument.
    """
    match = _ACTION.search(text)
    if match is None:
        return None
    upto, call = text[: match.end()], match[1].strip().strip("`")
    parts = _CALL.match(call)
    if parts is None:
        return upto, call.strip("[]() "), ""
    argument = parts[2].strip()
    if call[len(parts[1]) :].lstrip()[:1] in "[(" and argument[-1:] in ("]", ")"):
        argument = argument[:-1]
    return upto, parts[1], argument.strip()


def _known(tools: Sequence[Tool]) -> str:
    return "\n".join(f"{t.name}: {t.description}" for t in tools) or "(none: think, then answer)"


def build(steps: int) -> object:
    """An agent of at most `steps` turns."""

    async def solve(chat: Chat, question: str) -> Answer:
        done: Sequence[str] = []
        for turn in range(1, steps + 1):
            instruction = LAST() if turn == steps else ACT(known=_known(chat.tools))
            asked = TASK(question=question, steps="\n".join(done)) if done else question
            reply = await chat.ask(instruction, asked, tools=False)
            action = read_action(reply.text) if turn < steps else None
            answer_at = reply.text.find(ANSWER_MARK)
            if action is None or 0 <= answer_at < len(action[0]):
                full = "\n".join([*done, reply.text])
                return Answer(as_answer(reply).text, full, reply.confidence)
            upto, tool, argument = action
            seen = brief(await chat.use(tool, argument), OBSERVATION_LIMIT)
            done = await chat.fold([*done, f"{brief(upto)}\nObservation: {seen}"])
        raise AssertionError("the last turn answers")

    return solve


REACT = Component(
    name="react",
    kind="reasoning",
    summary="thinks, acts with its tools, and observes, in turns",
    build=build,
    params={"steps": (6, 10)},
    calls=lambda params, inner: int(params["steps"]),
    requires=("instruct",),
    provides=("steps", "folds"),
    prompts=(ACT, LAST, TASK),
    paper="Yao et al. 2023, ReAct, section 2",
)

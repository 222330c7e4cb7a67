"""The model writes a program, a cage runs it, and what it prints last is the answer (Chen et al.
2023, Program of Thoughts Prompting, section 2; Gao et al. 2023, PAL, section 3).

A program that fails is sent back with its error, `repairs` times; after that the model answers
without a program. Model calls: 1 + repairs programs, and 1 without. Requires "instruct", "code" and
"cage": a machine on which model-written code can be run.
"""

from __future__ import annotations

import re

from paragent.component import Answer, Chat, Component
from paragent.prompts import MARKED, as_answer
from paragent.runtime.cages import sandbox
from paragent.teamwork import brief
from paragent.template import Prompt

WRITE = Prompt(
    "program_of_thought.write",
    "Write a Python 3 program (standard library only, no input) that computes the answer and "
    "prints the final answer alone in its last line. Reply with one code block and nothing else.",
)
MEND = Prompt(
    "program_of_thought.mend",
    "{question}\n\nThis program failed:\n```python\n{code}\n```\nwith:\n{error}\n\nWrite it anew.",
)
ANSWER = Prompt("program_of_thought.answer", f"Think step by step. {MARKED}")

_BLOCK = re.compile(r"```[a-zA-Z0-9]*[ \t]*\r?\n(.*?)```", re.DOTALL)


def code_of(text: str) -> str:
    """The last closed code block; else what follows an opened one; else the text itself."""
    blocks: list[str] = _BLOCK.findall(text)
    if blocks:
        return blocks[-1].strip()
    _, mark, tail = text.rpartition("```")
    return (tail.partition("\n")[2] if mark else text).strip()


def build(repairs: int) -> object:
    """A solver whose program is mended at most `repairs` times."""

    async def solve(chat: Chat, question: str) -> Answer:
        asked = question
        for _ in range(1 + repairs):
            reply = await chat.ask(WRITE(), asked, tools=False, max_tokens=1024)
            code = code_of(reply.text)
            error = "there was no program" if not code else ""
            if code:
                ran = await sandbox().run(code)
                lines = ran.stdout.strip().splitlines()
                if ran.status == "ok" and lines:
                    said = f"{reply.text}\n\nIt printed:\n{brief(ran.stdout)}"
                    return Answer(lines[-1].strip(), said, reply.confidence)
                error = ran.stderr.strip() or f"it printed nothing (status: {ran.status})"
            asked = MEND(question=question, code=brief(code), error=brief(error, 1000))
        return as_answer(await chat.ask(ANSWER(), question, tools=False))

    return solve


PROGRAM_OF_THOUGHT = Component(
    name="program_of_thought",
    kind="reasoning",
    summary="writes a program whose output is the answer",
    build=build,
    params={"repairs": (1, 0)},
    calls=lambda params, inner: 2 + int(params["repairs"]),
    requires=("instruct", "code", "cage"),
    prompts=(WRITE, MEND, ANSWER),
    paper="Chen et al. 2023, Program of Thoughts Prompting, section 2",
)

"""An answer of the wrong form is brought into form, by rule where that is safe, else by one call
(re-asking on a failed validator: Guardrails and Instructor practice; Singhvi et al. 2023, DSPy
Assertions, section 3).

`form` "short" wants one line of at most `SHORT_WORDS` words, "number" exactly one number. By rule:
marks of Markdown, LaTeX boxes, "the answer is", and, for a number, thousands commas, currency and
unit around a single number go. What has the form already is not touched. The repair may only say
what the solution says: where it has no form either, the first answer stands.
Model calls: the agent's own, and 1. Requires "instruct".
"""

from __future__ import annotations

import re

from paragent.component import Answer, Chat, Component, Solve, final_answer
from paragent.teamwork import brief
from paragent.template import Prompt

REPAIR = Prompt(
    "answer_repair.repair",
    "Below are a question and a solution. Do not solve the question again: copy the solution's "
    "final answer as {form}. Reply with it alone.",
)
SHOWN = Prompt("answer_repair.shown", "Question: {question}\n\nSolution:\n{solution}")

SHORT_WORDS = 12
FORMS = {"short": "a short text in one line", "number": "a plain number in digits"}

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?")
_PREFIX = re.compile(
    r"^(?:so|thus|therefore|hence)?,?\s*(?:the\s+)?(?:final\s+)?answer\s*(?:is|=|:)\s*:?\s*",
    re.IGNORECASE,
)
_BOX = re.compile(r"^\$*\\(?:boxed|text|mathrm)\{(.*)\}\$*$", re.DOTALL)


def plain(text: str) -> str:
    """The answer without marks around it."""
    before = None
    while before != text:
        before = text
        text = text.replace("**", "").replace("`", "").strip("*_ \t\r\n")
        text = _PREFIX.sub("", text.removesuffix("."))
        box = _BOX.match(text)
        text = box[1] if box else text
    return text


def shaped(text: str, form: str) -> str | None:
    """The answer in its form, or None where no rule gives it."""
    text = plain(text)
    if form == "number":
        found = _NUMBER.findall(text)
        return found[0].replace(",", "").lstrip("+") if len(found) == 1 else None
    return text if text and "\n" not in text and len(text.split()) <= SHORT_WORDS else None


def build(form: str) -> object:
    """A guard for answers that are "short" or a "number"."""
    wanted = FORMS[form]

    async def guard(chat: Chat, question: str, solve: Solve) -> Answer:
        answer = await solve(question)
        found = shaped(answer.text, form)
        if found is None and (answer.full or answer.text).strip():
            solution = brief(answer.full or answer.text, 4000)
            shown = SHOWN(question=question, solution=solution)
            said = await chat.ask(REPAIR(form=wanted), shown, tools=False, memory=False)
            found = shaped(final_answer(said.text), form)
        return answer if found is None else Answer(found, answer.full, answer.confidence)

    return guard


ANSWER_REPAIR = Component(
    name="answer_repair",
    kind="guard",
    summary="brings an answer of the wrong form into form",
    build=build,
    params={"form": ("short", "number")},
    calls=lambda params, inner: 1 + sum(inner),
    requires=("instruct",),
    prompts=(REPAIR, SHOWN),
    paper="Singhvi et al. 2023, DSPy Assertions, section 3",
)

"""Candidates are drawn conditioned on the best one so far and the verifier's feedback on it; the
best is kept (iterative agent decoding: Chakraborty et al. 2025, Review, Refine, Repeat, arXiv
2504.01931). Beside it its control with as many calls: best of n.

`iterative_decoding` has a model as verifier: a score from 0 to 10 and what to change. It stops at a
full score. `judged_best_of_n` draws n candidates independently and keeps the one the same verifier
scores highest: rounds * width = n makes the budgets equal. `confident_decoding` has the model's own
log-probability as verifier, which gives no feedback beyond the draft itself; its control is
`best_of_n`. On 300 dev tasks of the embedded models (2 rounds, no tools) it turned 4 to right and 4
to wrong on pocket-s, 1 and 3 on pocket-m: it is not offered to them unasked.

A score that cannot be read loses to every score that can; ties keep the earlier.

Model calls: 2 * rounds * width; 2 * n; rounds. Require "instruct" and "judge", or "logprobs";
provide "steps".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paragent.component import Answer, Chat, Component, together
from paragent.design import Param
from paragent.prompts import DRAFT_BELOW, FIX, MARKED, STEP_BY_STEP, as_answer
from paragent.teamwork import brief
from paragent.template import Prompt
from paragent.verdicts import score

_SOLVE = f"Think step by step{{tools}}. {MARKED}"
_VERIFY = (
    "Check the solution to the question step by step. Say what is wrong or missing and how to mend "
    'it. End with a line "Score:" and a whole number from 0 (surely wrong) to 10 (surely right).'
)
_SHOWN = "Question: {question}\n\nSolution:\n{solution}"

SOLVE = Prompt("iterative_decoding.solve", _SOLVE)
REFINE = Prompt(
    "iterative_decoding.refine",
    "{question}\n\nBest solution so far:\n{solution}\n\nFeedback on it:\n{feedback}\n\n"
    "Write a better solution.",
)
VERIFY = Prompt("iterative_decoding.verify", _VERIFY)
SHOWN = Prompt("iterative_decoding.shown", _SHOWN)

ALONE = Prompt("judged_best_of_n.solve", _SOLVE)
JUDGE = Prompt("judged_best_of_n.verify", _VERIFY)
JUDGED = Prompt("judged_best_of_n.shown", _SHOWN)

THINK = Prompt("confident_decoding.think", STEP_BY_STEP)
MEND = Prompt("confident_decoding.mend", FIX)
MEND_QUESTION = Prompt("confident_decoding.mend_question", DRAFT_BELOW)

#: A candidate, its score in [-1, 1] (-1 could not be read), and what the verifier said.
Checked = tuple[Answer, float, str]


def best(candidates: Sequence[Checked]) -> Checked:
    """The highest score; the first of equals."""
    return max(candidates, key=lambda c: c[1])


async def _checked(
    chat: Chat, instruction: str, shown: Prompt, question: str, answer: Answer
) -> Checked:
    """The candidate with its score; one without an answer needs no verifier."""
    if not answer.text:
        return answer, -1.0, "It gives no answer."
    asked = shown(question=question, solution=brief(answer.full))
    said = (await chat.ask(instruction, asked, tools=False)).text
    found = score(said)
    return answer, -1.0 if found is None else found, brief(said)


def build(rounds: int, width: int, temperature: float) -> object:
    """`rounds` rounds of `width` candidates each; the very first is greedy."""

    async def solve(chat: Chat, question: str) -> Answer:
        async def candidate(asked: str, number: int) -> Checked:
            warmth = temperature if number else 0.0
            reply = await chat.ask(SOLVE(), asked, temperature=warmth, sample=number)
            return await _checked(chat, VERIFY(), SHOWN, question, as_answer(reply))

        kept: list[Checked] = []
        asked = question
        for turn in range(rounds):
            numbers = range(turn * width, (turn + 1) * width)
            drawn = await together([candidate(asked, n) for n in numbers])
            top = best([*kept, *drawn])
            kept = [top]
            if top[1] >= 1.0:
                break
            asked = REFINE(question=question, solution=brief(top[0].full), feedback=top[2])
        return kept[0][0]

    return solve


def build_control(n: int, temperature: float) -> object:
    """`n` candidates that know nothing of one another; the first is greedy."""

    async def solve(chat: Chat, question: str) -> Answer:
        async def candidate(number: int) -> Checked:
            warmth = temperature if number else 0.0
            reply = await chat.ask(ALONE(), question, temperature=warmth, sample=number)
            return await _checked(chat, JUDGE(), JUDGED, question, as_answer(reply))

        return best(await together([candidate(i) for i in range(n)]))[0]

    return solve


def build_confident(rounds: int) -> object:
    """`rounds` greedy repairs of the most probable reply so far; a repeated answer ends it."""

    async def solve(chat: Chat, question: str) -> Answer:
        top = as_answer(await chat.ask(THINK(), question))
        for _ in range(rounds - 1):
            shown = MEND_QUESTION(question=question, draft=brief(top.full))
            found = as_answer(await chat.ask(MEND(), shown, tools=False))
            if (found.confidence or 0.0) <= (top.confidence or 0.0):
                break  # greedy: the same draft would be mended in the same way
            top = found
        return top

    return solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return 2 * int(params["rounds"]) * int(params["width"])


_PAPER = (
    "Chakraborty et al. 2025, Review, Refine, Repeat, arXiv 2504.01931, iterative agent decoding"
)

ITERATIVE_DECODING = Component(
    name="iterative_decoding",
    kind="reasoning",
    summary="draws better candidates from the best so far and a verifier's feedback on it",
    build=build,
    params={"rounds": (2, 3), "width": (1, 2), "temperature": (0.7,)},
    calls=_calls,
    requires=("instruct", "judge"),
    provides=("steps",),
    prompts=(SOLVE, REFINE, VERIFY, SHOWN),
    paper=_PAPER,
)

JUDGED_BEST_OF_N = Component(
    name="judged_best_of_n",
    kind="reasoning",
    summary="draws n candidates and keeps the one its own verifier scores highest",
    build=build_control,
    params={"n": (2, 3, 4, 6), "temperature": (0.7,)},
    calls=lambda params, inner: 2 * int(params["n"]),
    requires=("instruct", "judge"),
    provides=("steps",),
    prompts=(ALONE, JUDGE, JUDGED),
    paper=f"{_PAPER} (its control); Cobbe et al. 2021, section 2",
)

CONFIDENT_DECODING = Component(
    name="confident_decoding",
    kind="reasoning",
    summary="mends its draft as long as that makes the model surer of it",
    build=build_confident,
    params={"rounds": (2, 3)},
    calls=lambda params, inner: int(params["rounds"]),
    requires=("logprobs",),
    suits=("instruct",),
    provides=("steps",),
    prompts=(THINK, MEND, MEND_QUESTION),
    paper=f"{_PAPER}, with the log-probability as verifier",
)

"""A judge writes down by which principles an answer to this question is good, judges by them,
reflects on its own judgement, and what it does not accept is revised (principle-guided judge with
reflection: Igniting Creative Writing in Small Language Models, arXiv 2508.21476; revision by
principles: Bai et al. 2022, Constitutional AI, section 3.1).

A judgement that gives no verdict accepts. Without `reflect` the first judgement stands.
Model calls: the agent's own twice, and 2 of the judge, 3 with reflection. Requires "instruct" and
"judge".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paragent.component import Answer, Chat, Component, Solve
from paragent.design import Param
from paragent.teamwork import brief
from paragent.template import Prompt
from paragent.verdicts import verdict

PRINCIPLES = Prompt(
    "principled_judge.principles",
    "You will judge answers to the question below. Write the three to five principles by which a "
    "good answer to it is told from a bad one, one per line. Do not answer it.",
)
JUDGE = Prompt(
    "principled_judge.judge",
    "Judge the answer by each principle in turn, with the words of the answer as evidence. Say "
    'what would have to change. End with a line "Verdict: good" or "Verdict: bad".',
)
REFLECT = Prompt(
    "principled_judge.reflect",
    "Reflect on the judgement below: is each point true of the answer, is it too strict or too "
    'lenient, was anything missed? Correct it. End with a line "Verdict: good" or "Verdict: bad" '
    "on the answer.",
)
SHOWN = Prompt(
    "principled_judge.shown",
    "Question: {question}\n\nPrinciples:\n{principles}\n\nAnswer:\n{answer}",
)
JUDGED = Prompt("principled_judge.judged", "{shown}\n\nJudgement:\n{judgement}")
REVISE = Prompt(
    "principled_judge.revise",
    "{question}\n\nEarlier answer:\n{answer}\n\nA judge found:\n{judgement}\nAnswer the question "
    "anew and better.",
)


def build(reflect: bool) -> object:
    """A guard with a judge that reflects on its judgement, or not."""

    async def guard(chat: Chat, question: str, solve: Solve) -> Answer:
        answer = await solve(question)
        said = brief(answer.full or answer.text)
        principles = brief((await chat.ask(PRINCIPLES(), question, tools=False)).text)
        shown = SHOWN(question=question, principles=principles, answer=said)
        judgement = (await chat.ask(JUDGE(), shown, tools=False)).text
        accepted = verdict(judgement)
        if reflect:
            again = JUDGED(shown=shown, judgement=brief(judgement))
            second = (await chat.ask(REFLECT(), again, tools=False)).text
            if verdict(second) is not None:
                judgement, accepted = second, verdict(second)
        if answer.text and accepted is not False:
            return answer
        revise = REVISE(question=question, answer=said, judgement=brief(judgement))
        revised = await solve(revise)
        return revised if revised.text else answer

    return guard


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return 2 * sum(inner) + (3 if params["reflect"] else 2)


PRINCIPLED_JUDGE = Component(
    name="principled_judge",
    kind="guard",
    summary="judges the answer by principles of its own, reflects on that, and has it revised",
    build=build,
    params={"reflect": (True, False)},
    calls=_calls,
    requires=("instruct", "judge"),
    prompts=(PRINCIPLES, JUDGE, REFLECT, SHOWN, JUDGED, REVISE),
    paper="arXiv 2508.21476, principle-guided judge with reflection; Bai et al. 2022, section 3.1",
)

"""Break the question into simpler ones and answer them in turn, each with all before it in view
(Zhou et al. 2023, Least-to-Most Prompting, section 2).

Where no list of simpler questions can be read, the question is answered by itself.
Model calls: 1 for the list, at most `questions` for its items, 1 for the question itself.
Requires "instruct"; provides "steps" and "folds" (solved questions pass the memory's `fold`).
"""

from __future__ import annotations

from collections.abc import Sequence

from paragent.component import Answer, Chat, Component
from paragent.prompts import MARKED, as_answer
from paragent.teamwork import brief
from paragent.template import Prompt
from paragent.verdicts import numbered

REDUCE = Prompt(
    "least_to_most.reduce",
    "Which simpler questions must be answered first, so that the question becomes easy? List at "
    "most {most}, from the simplest on, one per line, numbered 1:, 2:, and so on. Do not answer "
    "them.",
)
ANSWER = Prompt("least_to_most.answer", f"Answer the question step by step{{tools}}. {MARKED}")
QUESTION = Prompt(
    "least_to_most.question", "{problem}\n\nAnswered so far:\n{solved}\n\nQuestion: {question}"
)


def build(questions: int) -> object:
    """A solver that answers at most `questions` simpler questions first."""

    async def solve(chat: Chat, question: str) -> Answer:
        said = await chat.ask(REDUCE(most=questions), question, tools=False)
        solved: Sequence[str] = []

        def shown(asked: str) -> str:
            return QUESTION(
                problem=question, solved="\n".join(solved) or "(nothing)", question=asked
            )

        for item in numbered(said.text, questions):
            found = as_answer(await chat.ask(ANSWER(), shown(item)))
            solved = await chat.fold([*solved, f"Q: {item}\nA: {brief(found.text, 500)}"])
        last = shown("Answer the problem itself.") if solved else question
        return as_answer(await chat.ask(ANSWER(), last))

    return solve


LEAST_TO_MOST = Component(
    name="least_to_most",
    kind="reasoning",
    summary="answers simpler questions first, each with all before it in view",
    build=build,
    params={"questions": (3, 5)},
    calls=lambda params, inner: int(params["questions"]) + 2,
    requires=("instruct",),
    provides=("steps", "folds"),
    prompts=(REDUCE, ANSWER, QUESTION),
    paper="Zhou et al. 2023, Least-to-Most Prompting, section 2",
)

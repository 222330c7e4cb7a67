"""Think, let a critic reflect on the thinking, improve the thinking by it, again, then answer from
the thoughts (PRefLexOR, Buehler 2024, arXiv 2410.12375: its recursive reasoning at inference, where
a reasoner and a critic take turns over the thinking section; without its training).

`final` "last" answers from the last thoughts, "all" from those of every round.
Model calls: 1 for the first thoughts, 2 a round, 1 for the answer. Requires "instruct" and "judge";
provides "steps" and "folds" (thoughts of earlier rounds pass the memory's `fold`).
"""

from __future__ import annotations

from collections.abc import Sequence

from paragent.component import Answer, Chat, Component
from paragent.prompts import MARKED, as_answer
from paragent.teamwork import brief
from paragent.template import Prompt

THINK = Prompt(
    "recursive_reflection.think",
    "Think about the question step by step{tools}. Write down your thinking only; the answer is "
    "asked for later.",
)
REFLECT = Prompt(
    "recursive_reflection.reflect",
    "Reflect on the thinking below. Say what is wrong, what is missing and what does not follow, "
    "each with what to change. If nothing is, say so.",
)
IMPROVE = Prompt(
    "recursive_reflection.improve",
    "Rewrite the thinking below so that it takes every point of the reflection into account"
    "{tools}. Write down the improved thinking only.",
)
CONCLUDE = Prompt(
    "recursive_reflection.conclude", f"Answer the question from the thinking. {MARKED}"
)
SHOWN = Prompt("recursive_reflection.shown", "Question: {question}\n\nThinking:\n{thinking}")
CRITIC = Prompt("recursive_reflection.critic", "{shown}\n\nReflection:\n{reflection}")


def build(rounds: int, final: str) -> object:
    """A solver that improves its thoughts `rounds` times and answers from the "last" or "all"."""

    async def solve(chat: Chat, question: str) -> Answer:
        thinking = brief((await chat.ask(THINK(), question)).text, 4000)
        thoughts: Sequence[str] = [thinking]
        for _ in range(rounds):
            shown = SHOWN(question=question, thinking=thinking)
            reflection = (await chat.ask(REFLECT(), shown, tools=False)).text
            reply = await chat.ask(IMPROVE(), CRITIC(shown=shown, reflection=brief(reflection)))
            thinking = brief(reply.text, 4000) or thinking
            thoughts = await chat.fold([*thoughts, thinking])
        used = "\n\n".join(thoughts) if final == "all" else thinking
        shown = SHOWN(question=question, thinking=used)
        reply = await chat.ask(CONCLUDE(), shown, tools=False)
        found = as_answer(reply)
        return Answer(found.text, f"{thinking}\n\n{reply.text}", reply.confidence)

    return solve


RECURSIVE_REFLECTION = Component(
    name="recursive_reflection",
    kind="reasoning",
    summary="improves its thoughts by its own reflection, round by round, before it answers",
    build=build,
    params={"rounds": (1, 2), "final": ("last", "all")},
    calls=lambda params, inner: 2 + 2 * int(params["rounds"]),
    requires=("instruct", "judge"),
    provides=("steps", "folds"),
    prompts=(THINK, REFLECT, IMPROVE, CONCLUDE, SHOWN, CRITIC),
    paper="Buehler 2024, PRefLexOR, arXiv 2410.12375, recursive reasoning at inference",
)

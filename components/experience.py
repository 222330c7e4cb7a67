"""The agent's own attempts at solved examples, with the steps that turned out useful (Exploring
Expert Failures, arXiv 2504.13145: useful actions of failed trajectories are kept, harmful ones left
out; ExpeL, Zhao et al. 2024, section 4.1: experience is gathered on training tasks).

For each of the `k` examples nearest to the question the agent thinks step by step. A right answer
keeps its steps. A wrong one is cut: the agent goes on from the first half of its steps (then from
the first quarter), and where that leads to the right answer, those steps were useful: they are kept
with what followed. What leads nowhere is left out. So nothing but work that ended right is shown.

Examples are never tasks that are measured, and a question's own twin is skipped. The same attempts
serve every question near them, so a run's cache pays for them once (a design is charged for them
each time, as if it ran alone). Model calls: at most k * (1 + CUTS), beside the agent's own.
Requires "examples".
"""

from __future__ import annotations

from dataclasses import dataclass

from paragent.ballot import normalised
from paragent.component import Chat, Component, Context, Example, Memory, final_answer
from paragent.prompts import STEP_BY_STEP
from paragent.retrieval import similar
from paragent.template import Prompt

THINK = Prompt("experience.think", STEP_BY_STEP)
GO_ON = Prompt("experience.go_on", "{question}\nSteps so far:\n{steps}")

CUTS = 2
#: An attempt longer than this teaches little and costs much: its end is what is shown.
MOST_CHARACTERS = 1500


def beginning(text: str, cut: int) -> str:
    """The first half (cut 1), quarter (cut 2), … of the steps, which are lines or sentences; ""
    where nothing is left to cut."""
    lines = [line for line in text.splitlines() if line.strip()]
    joint = "\n"
    if len(lines) < 2:
        lines, joint = [s for s in text.replace(". ", ".\n").splitlines() if s.strip()], " "
    return joint.join(lines[: len(lines) >> cut])


def is_right(text: str, example: Example) -> bool:
    """Whether the attempt's final answer is the example's."""
    return normalised(final_answer(text)) == normalised(example.answer)


@dataclass(frozen=True)
class Experience(Memory):
    """A memory of attempts at the `k` nearest examples."""

    k: int

    async def recall(self, chat: Chat, context: Context, question: str) -> str:
        """What worked on examples like this question, the nearest last."""
        examples = tuple(e for e in context.examples if e.question.strip() != question.strip())
        near = similar(tuple(e.question for e in examples), question, self.k)
        kept = []
        for i in reversed(near):
            steps = await useful_steps(chat, examples[i])
            if steps:
                shown = steps[-MOST_CHARACTERS:]
                kept.append(f"Q: {examples[i].question}\n{shown}")
        return "What worked on similar tasks:\n" + "\n\n".join(kept) if kept else ""


async def useful_steps(chat: Chat, example: Example) -> str:
    """Steps that lead to the example's answer, or "" where none were found."""
    attempt = (await chat.ask(THINK(), example.question, tools=False, memory=False)).text
    if is_right(attempt, example):
        return attempt.strip()
    for cut in range(1, CUTS + 1):
        begun = beginning(attempt, cut)
        if not begun:
            break
        again = GO_ON(question=example.question, steps=begun)
        rest = (await chat.ask(THINK(), again, tools=False, memory=False)).text
        if is_right(rest, example):
            return f"{begun}\n{rest.strip()}"
    return ""


EXPERIENCE = Component(
    name="experience",
    kind="memory",
    summary="recalls the useful steps of the agent's own attempts at solved examples",
    build=Experience,
    params={"k": (1, 2)},
    calls=lambda params, inner: int(params["k"]) * (1 + CUTS),
    prompts=(THINK, GO_ON),
    requires=("examples", "instruct"),
    paper="Exploring Expert Failures, arXiv 2504.13145; Zhao et al. 2024, ExpeL, section 4.1",
)

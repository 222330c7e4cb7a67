"""A rule on the question chooses the one member that answers: short questions go to the first,
longer ones to the next (length as a measure of difficulty: Ding et al. 2024, Hybrid LLM:
Cost-Efficient and Quality-Aware Query Routing, section 2, name routers of such kind as control).

`step` is how much of a question each member takes: with "20 words" the first member gets questions
below 20 words, the second those below 40, the last all that are longer; "4 numbers" counts numbers
instead. Model calls: the chosen member's own.
"""

from __future__ import annotations

import re

from paragent.component import Answer, Component, TeamView

_UNITS = {"words": re.compile(r"\S+"), "numbers": re.compile(r"\d+(?:[.,]\d+)*")}


def place(question: str, step: str, members: int) -> int:
    """The member for a question. Raises ValueError for a step that is no count of a unit."""
    count, _, unit = step.partition(" ")
    if unit not in _UNITS or not count.isdigit() or int(count) < 1:
        raise ValueError(f"step is {step!r}; wanted a count and words or numbers, as '20 words'")
    return min(members - 1, len(_UNITS[unit].findall(question)) // int(count))


def build(step: str) -> object:
    """A router that gives each member a `step` of the questions' lengths."""
    place("", step, 1)  # a step that cannot be read is told when the design is built

    async def solve(team: TeamView, question: str) -> Answer:
        return await team.members[place(question, step, len(team.members))].solve(question)

    return solve


RULE_ROUTER = Component(
    name="rule_router",
    kind="topology",
    provides=("routes",),
    summary="a rule on the question's length chooses which member answers",
    build=build,
    params={"step": ("30 words", "20 words", "45 words", "4 numbers", "8 numbers")},
    calls=lambda params, inner: max(inner),
    members=(2, 3),
    paper="Ding et al. 2024, Hybrid LLM, section 2",
)

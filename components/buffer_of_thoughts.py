"""Distil the problem, fetch the thought template that fits it from a buffer, and fill it in (Yang
et al. 2024, Buffer of Thoughts, section 3).

The buffer holds `TEMPLATES`, ways of solving that were written for it; the nearest to the distilled
problem (TF-IDF) is fetched. It is not added to while a design runs: what an agent does on one task
must not depend on the tasks before it. Model calls: 2. Requires "instruct"; provides "steps".
"""

from __future__ import annotations

from paragent.component import Answer, Chat, Component
from paragent.prompts import MARKED, as_answer
from paragent.retrieval import similar
from paragent.teamwork import brief
from paragent.template import Prompt

DISTIL = Prompt(
    "buffer_of_thoughts.distil",
    "Distil the problem: its kind in a few words, what is given, what is asked for, and every "
    "condition. Do not solve it.",
)
SOLVE = Prompt(
    "buffer_of_thoughts.solve",
    "Solve the problem by the given way of solving, filled in with its own values, step by step"
    f"{{tools}}. {MARKED}",
)
QUESTION = Prompt(
    "buffer_of_thoughts.question",
    "{question}\n\nDistilled:\n{distilled}\n\nWay of solving:\n{template}",
)

#: Kind of problem, with words by which it is found, and the way of solving it.
TEMPLATES: tuple[tuple[str, str], ...] = (
    (
        "arithmetic word problem: numbers, quantities, prices, cost, money, how many, how much, "
        "total, difference, rate, speed, percent, amounts that change",
        "1. Name every quantity with its unit. 2. Write one equation for each sentence that "
        "changes or compares quantities. 3. Work them out in order, checking the unit each time. "
        "4. Answer what is asked for, in the unit that is asked for.",
    ),
    (
        "algebra, equation, unknown, variable, function, polynomial, inequality, geometry, angle, "
        "area, triangle, circle, number theory, divisible, remainder, prime",
        "1. Name the unknowns. 2. Translate every condition into an equation or inequality. "
        "3. Simplify until one unknown is alone. 4. Put the solution back into every condition, "
        "and drop what does not hold.",
    ),
    (
        "counting, probability, combinations, arrangements, dice, cards, choose, chance, expected",
        "1. Say what one outcome is, and whether order and repetition matter. 2. Count all "
        "outcomes and the wanted ones by cases that do not overlap. 3. Check the count on a "
        "smaller case. "
        "4. Combine the cases.",
    ),
    (
        "logic puzzle, constraints, who, which, order, ranking, truth, liar, deduction, relation, "
        "family, facts, boss, parent, chain of statements",
        "1. List every statement as a relation of two things. 2. Start from what is asked for and "
        "follow relations backwards, or try the case with fewest possibilities. 3. Strike out "
        "what contradicts a statement. 4. Check the result against every statement.",
    ),
    (
        "list, sequence, string, letters, sort, reverse, rotate, operations one after the other, "
        "state, instructions, simulate, pattern, next",
        "1. Write down the state at the start. 2. Apply one operation at a time, and write down "
        "the whole state after each. 3. Give the part of the last state that is asked for.",
    ),
    (
        "schedule, time, date, calendar, duration, before, after, start, end, jobs, plan, graph, "
        "route, shortest, dependencies",
        "1. List every item with what must come before it. 2. Work forward from what has nothing "
        "before it: each starts when the last of its predecessors has ended. 3. Read off the item "
        "that is asked for.",
    ),
    (
        "knowledge, science, history, definition, explain, why, which of the following, multiple "
        "choice, options, true or false, reading, passage, text, evidence",
        "1. Say in one sentence what exactly is asked. 2. Collect the facts that bear on it, from "
        "the text where there is one. 3. Test every option or claim against the facts, and say "
        "why each fails. 4. Choose the one that is left.",
    ),
    (
        "write code, program, function, algorithm, query, database, table, data, select, join",
        "1. Say what goes in, what comes out, and the edge cases. 2. Choose the simplest procedure "
        "that handles them. 3. Write it. 4. Trace it on one usual and one edge case, and mend it.",
    ),
)


def fetch(distilled: str) -> str:
    """The way of solving whose kind of problem is nearest to the text; the first for no match."""
    kinds = tuple(kind for kind, _ in TEMPLATES)
    (best,) = similar(kinds, distilled, 1) or (0,)
    return TEMPLATES[best][1]


async def solve(chat: Chat, question: str) -> Answer:
    """Distil, fetch, fill in."""
    distilled = brief((await chat.ask(DISTIL(), question, tools=False)).text)
    template = fetch(f"{distilled}\n{question}")
    shown = QUESTION(question=question, distilled=distilled, template=template)
    return as_answer(await chat.ask(SOLVE(), shown))


BUFFER_OF_THOUGHTS = Component(
    name="buffer_of_thoughts",
    kind="reasoning",
    summary="distils the problem and fills in the nearest known way of solving",
    build=lambda: solve,
    calls=lambda params, inner: 2,
    requires=("instruct",),
    provides=("steps",),
    prompts=(DISTIL, SOLVE, QUESTION),
    paper="Yang et al. 2024, Buffer of Thoughts, section 3",
)

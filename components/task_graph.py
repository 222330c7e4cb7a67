"""Split the problem into tasks that say which others they need, do at the same time what waits for
nothing, and put the results together (Shen et al. 2023, HuggingGPT, sections 3.1 and 3.3: tasks
with dependencies; here every task is solved by the agent's own reasoning).

A task is a line `2: … (needs 1)`. Lines that need themselves, a later or a missing task make the
graph unusable, and the agent answers as it would without it; so does a graph of one task.
Model calls: 1 for the graph, the reasoning's own for each of at most `tasks` tasks, 1 to put them
together. Requires "instruct".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paragent.component import Answer, Chat, Component, Solve, together
from paragent.design import Param
from paragent.prompts import MARKED, as_answer
from paragent.teamwork import brief
from paragent.template import Prompt
from paragent.verdicts import numbered

SPLIT = Prompt(
    "task_graph.split",
    "Split the problem into at most {most} smaller tasks, one per line, numbered 1:, 2:, and so "
    "on. End each line with the numbers of the earlier tasks whose results it needs, as "
    '"(needs 1, 2)", or with "(needs nothing)". Do not solve them.',
)
TASK = Prompt(
    "task_graph.task",
    "Problem: {question}\n\nResults of earlier tasks:\n{results}\n\nSolve only this task: {task}",
)
JOIN = Prompt("task_graph.join", f"Answer the question from the results of its tasks. {MARKED}")
JOINED = Prompt("task_graph.joined", "{question}\n\nResults of its tasks:\n{results}")

_NEEDS = re.compile(r"[\[(]\s*needs?\b[^\d\])]*([\d,;\sand&#]*)[^\])]*[\])]\W*$", re.IGNORECASE)


def read_graph(text: str, most: int) -> list[tuple[str, tuple[int, ...]]] | None:
    """(task, indices of the tasks it needs) in order, or None where it is no usable graph."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for line in numbered(text, most):
        match = _NEEDS.search(line)
        needs = (
            tuple(sorted({int(n) - 1 for n in re.findall(r"\d{1,4}", match[1])})) if match else ()
        )
        if any(not 0 <= n < len(found) for n in needs):
            return None
        task = line[: match.start()].strip() if match else line
        if not task:
            return None
        found.append((task, needs))
    return found if len(found) > 1 else None


def rounds(graph: Sequence[tuple[str, tuple[int, ...]]]) -> list[list[int]]:
    """Indices by rounds: each task stands one round after the last of those it needs."""
    level: list[int] = []
    for _, needs in graph:
        level.append(1 + max((level[n] for n in needs), default=-1))
    return [[i for i, at in enumerate(level) if at == r] for r in range(max(level) + 1)]


def build(tasks: int) -> object:
    """A planner of at most `tasks` tasks."""

    async def plan(chat: Chat, question: str, solve: Solve) -> Answer:
        said = await chat.ask(SPLIT(most=tasks), question, tools=False)
        graph = read_graph(said.text, tasks)
        if graph is None:
            return await solve(question)
        results: dict[int, str] = {}

        def told(which: Sequence[int]) -> str:
            lines = [f"{i + 1}: {graph[i][0]} -> {results[i]}" for i in which]
            return "\n".join(lines) or "(none are needed)"

        def asked(i: int) -> str:
            task, needs = graph[i]
            return TASK(question=question, results=told(needs), task=task)

        for wave in rounds(graph):
            answers = await together([solve(asked(i)) for i in wave])
            for i, answer in zip(wave, answers, strict=True):
                results[i] = brief(answer.text, 500)
        everything = told(range(len(graph)))
        reply = await chat.ask(JOIN(), JOINED(question=question, results=everything), tools=False)
        found = as_answer(reply)
        return Answer(found.text, f"{everything}\n{reply.text}", reply.confidence)

    return plan


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return 2 + int(params["tasks"]) * sum(inner)


TASK_GRAPH = Component(
    name="task_graph",
    kind="planning",
    summary="splits the problem into tasks with dependencies and solves them side by side",
    build=build,
    params={"tasks": (3, 5)},
    calls=_calls,
    requires=("instruct",),
    prompts=(SPLIT, TASK, JOIN, JOINED),
    paper="Shen et al. 2023, HuggingGPT, sections 3.1 and 3.3",
)

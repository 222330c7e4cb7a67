"""`paragent lab own-tables`: makes the design tables that are shipped, by measuring.

Every agent (model x style) answers every task; then all teams of two are put together from those
answers by the topologies' own code, as a live run would: what a member says does not depend on the
others, so no answer has to be computed twice. What was answered is kept in `answers.jsonl`, so that
a making that was cut short goes on. docs/tables.md describes the result.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Any

from paragent.ask import DirectCaller
from paragent.benchmark import Benchmark, Task
from paragent.chat import TaskRun
from paragent.compile import compile_design
from paragent.component import Answer, Member, TeamView, together
from paragent.design import Agent, Design, Node, Part, Team
from paragent.errors import CallFailure, UsageError
from paragent.lab.table_files import Cells, Column, write_table
from paragent.outcome import Usage
from paragent.registry import component_of
from paragent.runtime.pocket import close_pool

MODELS = ("pocket-s", "pocket-s-math", "pocket-s-text", "pocket-m")
NONE = "none"
SINGLE = "single"
#: Tasks of a family that are answered; runs of a style that draws.
TASKS, RUNS = 200, 3

_CALCULATOR = (Part("calculator"),)
#: Style to an agent's reasoning and tools.
STYLES: Mapping[str, tuple[Part, tuple[Part, ...]]] = {
    "direct": (Part("direct"), ()),
    "steps": (Part("chain_of_thought"), ()),
    "calculator": (Part("chain_of_thought"), _CALCULATOR),
    "3 votes": (Part.of("self_consistency", n=3, temperature=0.7), _CALCULATOR),
    "best of 3": (Part.of("best_of_n", n=3, temperature=0.5), _CALCULATOR),
}
#: Styles that draw: their answers depend on the run, and on the member's place in the team.
DRAWN = ("3 votes", "best of 3")
TOPOLOGIES: Mapping[str, Part] = {
    "most confident": Part.of("vote", rule="confident"),
    "cascade 0.8": Part.of("cascade", threshold=0.8, keep="best"),
    "cascade 0.9": Part.of("cascade", threshold=0.9, keep="best"),
    "cascade 0.97": Part.of("cascade", threshold=0.97, keep="best"),
    "cascade 0.99": Part.of("cascade", threshold=0.99, keep="best"),
    "cascade 0.97, last": Part.of("cascade", threshold=0.97, keep="last"),
}
#: Order means nothing in it, so each pair is listed once.
SYMMETRIC = "most confident"
FACTORS: Mapping[str, tuple[str, ...]] = {
    "topology": (SINGLE, *TOPOLOGIES),
    "model_1": MODELS,
    "style_1": tuple(STYLES),
    "model_2": (NONE, *MODELS),
    "style_2": (NONE, *STYLES),
}
#: Table to the families of its tasks; the last one has the benchmark's own mix.
TABLES: Mapping[str, tuple[str, ...]] = {
    "pocket-arithmetic": ("arithmetic",),
    "pocket-facts": ("facts",),
    "pocket-lists": ("lists",),
    "pocket-mixed": ("arithmetic", "facts", "lists"),
}

Cell = tuple[str, str]  # model, style
Levels = tuple[str, str, str, str, str]


def all_levels() -> Iterator[Levels]:
    """The levels of every design: 20 single agents, 210 votes, and 400 pairs in each cascade."""
    cells = list(product(MODELS, STYLES))
    for one in cells:
        yield (SINGLE, *one, NONE, NONE)
    for topology in TOPOLOGIES:
        symmetric = topology == SYMMETRIC
        pairs = combinations_with_replacement(cells, 2) if symmetric else product(cells, repeat=2)
        for one, other in pairs:
            yield (topology, *one, *other)


def agent(cell: Cell) -> Agent:
    """The agent of a model and a style."""
    reasoning, tools = STYLES[cell[1]]
    return Agent(Part(cell[0]), reasoning, tools=tools)


def design_of(levels: Levels) -> Design:
    """The design that runs live, and that `paragent ask` takes."""
    topology, model, style, other, its = levels
    node: Node = agent((model, style))
    if topology != SINGLE:
        node = Team(TOPOLOGIES[topology], (node, agent((other, its))))
    return Design(node)


@dataclass(frozen=True, slots=True)
class Said:
    """What an agent said to a task, and what it used; `failed` is the kind of a failure."""

    text: str
    confidence: float | None
    usage: Usage
    failed: str = ""

    def answer(self) -> Answer:
        """As a member of a team gives it. Raises CallFailure where it failed."""
        if self.failed:
            raise CallFailure(self.failed, self.failed)
        return Answer(self.text, confidence=self.confidence)


#: (model, style, path, run) to what was said to every task, in their order.
Answers = Mapping[tuple[str, str, str, int], Sequence[Said]]


def key_of(cell: Cell, path: str, run: int) -> tuple[str, str, str, int]:
    """What the answers of an agent at a place in a run depend on."""
    return (*cell, path, run) if cell[1] in DRAWN else (*cell, "", 0)


def all_keys(runs: int) -> list[tuple[str, str, str, int]]:
    """Everything that has to be answered."""
    places = product(product(MODELS, STYLES), ("", "0", "1"), range(runs))
    return list(dict.fromkeys(key_of(*place) for place in places))


async def answer_all(
    benchmark: Benchmark, tasks: Sequence[Task], key: tuple[str, str, str, int]
) -> list[Said]:
    """One agent on all tasks, by the same code as a live run."""
    model, style, path, run = key
    system = compile_design(Design(agent((model, style))), path)

    async def one(task: Task) -> Said:
        session = TaskRun(DirectCaller(), "final-eval", run, benchmark.context)
        try:
            answer = await system.answer(session, task.question)
        except CallFailure as failure:
            return Said("", None, session.usage, failure.kind)
        return Said(answer.text, answer.confidence, session.usage)

    return await together([one(task) for task in tasks])


class Recombination:
    """Designs on tasks, put together from what their agents said.

    `outcome(levels, task, run)` is what a live run under the seed `run` would measure: (score,
    dollars), or None where it would fail.
    """

    def __init__(self, benchmark: Benchmark, tasks: Sequence[Task], answers: Answers) -> None:
        self._benchmark, self._tasks, self._answers = benchmark, tasks, answers
        self._score = cache(self._scored)
        self._topologies = {
            name: component_of("topology", part.name).build(**dict(part.params))
            for name, part in TOPOLOGIES.items()
        }

    def _scored(self, task: int, text: str) -> float:
        score: Any = self._benchmark.score(self._tasks[task], text)
        return float(score)

    async def outcome(self, levels: Levels, task: int, run: int) -> tuple[float, float] | None:
        """See the class."""
        topology, model, style, other, its = levels
        used: list[Said] = []

        def member(cell: Cell, path: str) -> Member:
            async def solve(question: str, *, temperature: float = 0.0, sample: int = 0) -> Answer:
                said = self._answers[key_of(cell, path, run)][task]
                used.append(said)
                return said.answer()

            return Member(cell[0], solve)

        question = self._tasks[task].question
        try:
            if topology == SINGLE:
                answer = await member((model, style), "").solve(question)
            else:
                members = member((model, style), "0"), member((other, its), "1")
                view = TeamView(members, None, self._benchmark.context)
                answer = await self._topologies[topology](view, question)
        except CallFailure:
            return None
        dollars = sum(said.usage.usd or 0.0 for said in used)
        return self._score(task, answer.text), dollars


async def record(
    benchmark: Benchmark, tasks: Sequence[Task], file: Path, runs: int, until: float
) -> dict[tuple[str, str, str, int], list[Said]]:
    """All answers; those in `file` are not asked again. Raises UsageError when the time is up."""
    found: dict[tuple[str, str, str, int], list[Said]] = {}
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            key, rows = json.loads(line)
            said = [Said(text, sure, Usage(*used), bad) for text, sure, used, bad in rows]
            if len(said) != len(tasks):
                raise UsageError(f"{file}: answers to {len(said)} tasks; wanted {len(tasks)}")
            found[tuple(key)] = said
    keys = all_keys(runs)
    try:
        for i, key in enumerate(keys):
            if key in found:
                continue
            if time.monotonic() > until:
                raise UsageError(f"{len(found)} of {len(keys)} recorded; run it again to go on")
            found[key] = await answer_all(benchmark, tasks, key)
            rows = [[s.text, s.confidence, astuple(s.usage), s.failed] for s in found[key]]
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps([key, rows]) + "\n")
            print(f"{i + 1}/{len(keys)} {key}", file=sys.stderr, flush=True)
    finally:
        await close_pool()
    return found


async def measure_all(made: Recombination, tasks: int, runs: int) -> dict[str, Column]:
    """Every design on every task and run: scores and billionths of a dollar, by design id."""
    found: dict[str, Column] = {}
    for number, levels in enumerate(all_levels()):
        drawn = levels[2] in DRAWN or levels[4] in DRAWN
        scores: Cells = []
        costs: Cells = []
        for run in range(runs):
            if run and not drawn:  # nothing is drawn: the same again
                scores.append(scores[0])
                costs.append(costs[0])
                continue
            got = [await made.outcome(levels, task, run) for task in range(tasks)]
            scores.append([None if g is None else g[0] for g in got])
            costs.append([None if g is None else round(g[1] * 1e9) for g in got])
        found[f"d{number:04d}"] = Column(levels, scores, costs)
    return found


def chosen_tasks(benchmark: Benchmark, per_family: int) -> list[Task]:
    """The first dev tasks of every family, in the benchmark's order."""
    count: dict[str, int] = {}
    found = []
    for task in benchmark.tasks("dev"):
        family = task.tags["family"]
        count[family] = count.get(family, 0) + 1
        if count[family] <= per_family:
            found.append(task)
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="a folder per table")
    parser.add_argument("--tasks", type=int, default=TASKS, help="tasks of each family")
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of what is drawn")
    parser.add_argument("--minutes", type=float, default=20.0, help="stop then, to go on later")


def main(args: argparse.Namespace) -> int:
    """Answer, put together, write."""
    from paragent.benchmarks.pocket_hard import PocketHard

    for name in ("tasks", "runs"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} is {getattr(args, name)}; wanted 1 or more")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    benchmark = PocketHard()
    tasks = chosen_tasks(benchmark, args.tasks)
    until = time.monotonic() + 60 * args.minutes
    answers = asyncio.run(record(benchmark, tasks, out / "answers.jsonl", args.runs, until))
    made = Recombination(benchmark, tasks, answers)
    whole = asyncio.run(measure_all(made, len(tasks), args.runs))
    for name, families in TABLES.items():
        places = [i for i, task in enumerate(tasks) if task.tags["family"] in families]
        places = places[: args.tasks]
        rows = {key: column.only(places) for key, column in whole.items()}
        write_table(out / name, name, FACTORS, rows, [tasks[i].id for i in places])
        print(f"wrote {out / name}", file=sys.stderr)
    return 0

"""The voting topologies on recorded answers of real models (an answer matrix), exact and free.

Half of the tasks, drawn by the seed, choose the teams; the other half measures them. Every model of
the matrix is a language model that repeats its recorded answer, so that the very components run. No
confidence is recorded: topologies that weigh or gate by it cannot be replayed. Token numbers are
not kept by the matrix either, only the price of each call.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from paragent.benchmark import Task
from paragent.component import Component, Context, Price
from paragent.design import Agent, Design, Part, Team
from paragent.errors import UsageError
from paragent.lab.effects import compare, judge
from paragent.lab.measure import measure
from paragent.outcome import Split
from paragent.recorded import AnswerMatrix, load_matrix
from paragent.registry import components
from paragent.runtime.model import Completion, Request

#: A call's dollars are carried as whole nano-dollars in its completion tokens.
_NANO = Price(0.0, 1e-3)


@dataclass(frozen=True)
class Recorded:
    """A model of the matrix: asked a task's id, it repeats its answer's number."""

    matrix: AnswerMatrix
    column: int
    name: str
    price: Price = _NANO
    endpoint: str = "recorded"
    tool_protocol: Literal["inline", "native", "text"] = "inline"

    async def complete(self, request: Request) -> Completion:
        """The recorded answer, at its recorded price; nothing where none was recorded."""
        row = self.matrix.task_ids.index(request.messages[-1].content)
        code = int(self.matrix.answer[row, self.column])
        usd = float(self.matrix.usd[row, self.column])
        nano = 0 if math.isnan(usd) else round(usd * 1e9)
        return Completion(f"Answer: {code}" if code >= 0 else "", 0, nano, 0.0)

    def worst_case(self, request: Request) -> tuple[int, int]:
        """The dearest recorded call."""
        usd = float(self.matrix.usd[:, self.column].max())
        return 0, 0 if math.isnan(usd) else round(usd * 1e9)

    async def aclose(self) -> None:
        """Nothing to close."""


class MatrixTasks:
    """The tasks of a matrix as a benchmark: all are `dev`."""

    def __init__(self, matrix: AnswerMatrix) -> None:
        self.name, self.version, self.context, self._matrix = matrix.name, "1", Context(), matrix
        self._row = {task: i for i, task in enumerate(matrix.task_ids)}

    def tasks(self, split: Split) -> Sequence[Task]:
        """All of them, asked by their ids."""
        return [Task(i, i, "") for i in self._matrix.task_ids] if split == "dev" else []

    def score(self, task: Task, answer: str) -> float:
        """1.0 where the answer is one that the record calls right."""
        row = self._row[task.id]
        right = {
            str(c)
            for c, ok in zip(self._matrix.answer[row], self._matrix.right[row], strict=True)
            if ok
        }
        return float(answer in right)


@contextmanager
def registered(matrix: AnswerMatrix, models: Sequence[str]) -> Iterator[None]:
    """The models under `recorded:NAME` in the registry, for the time of a measurement."""
    made = []
    for name in models:
        column = matrix.models.index(name)
        known = not any(math.isnan(usd) for usd in matrix.usd[:, column])
        model = Recorded(matrix, column, f"recorded:{name}", _NANO if known else Price())
        made.append(model.name)
        components.register(
            Component(
                model.name,
                "model",
                "repeats its recorded answers",
                lambda m=model: m,
                price=model.price,
                paper=matrix.name,
            )
        )
    try:
        yield
    finally:
        for name in made:
            components.unregister(name)


def teams(matrix: AnswerMatrix, rows: Sequence[int]) -> list[tuple[str, str, list[str], list[str]]]:
    """(topology, words, members, controls) chosen on these rows: votes of the five best, of five in
    the middle and of the five weakest, votes of one model's repeated draws where there are some,
    and two cheap models before the best one."""
    whole = [m for m in matrix.models if m not in matrix.partial]
    column = {m: matrix.models.index(m) for m in whole}
    score = {m: float(matrix.right[list(rows), column[m]].mean()) for m in whole}
    usd = {m: float(matrix.usd[list(rows), column[m]].mean()) for m in whole}
    ranked = sorted(whole, key=lambda m: (-score[m], m))
    middle = max(0, len(ranked) // 2 - 2)
    found = [
        ("vote", "the five best", ranked[:5], ranked[:5]),
        ("vote", "five in the middle", ranked[middle : middle + 5], ranked[middle : middle + 5]),
        ("vote", "the five weakest", ranked[-5:], ranked[-5:]),
    ]
    draws: dict[str, list[str]] = {}
    for model in whole:
        draws.setdefault(same_model(model), []).append(model)
    for group in draws.values():
        if len(group) >= 3:
            found.append(("vote", f"one model drawn {len(group)} times", group, group))
    priced = [m for m in ranked if usd[m] == usd[m]]  # NaN where a price is unknown
    near = [m for m in priced if score[m] >= score[ranked[0]] - 0.05]
    if len(near) >= 3:
        first, *others = sorted(near[1:], key=lambda m: (usd[m], m))
        strange = [m for m in others if maker(m) != maker(first)] or others
        cheap = [first, strange[0]]  # two of one maker agree in their mistakes too
        found.append(
            (
                "agreement_cascade",
                f"{cheap[0]} and {cheap[1]}, then {near[0]}",
                [*cheap, near[0]],
                [near[0]],
            )
        )
    return found


def maker(name: str) -> str:
    """The first word of a model's name, which is its maker's or its family's."""
    return name.casefold().partition("-")[0]


def same_model(name: str) -> str:
    """The name without host, speed tag and maker, so that draws of one model fall together."""
    plain = re.sub(r"@.*$", "", name.casefold())
    return re.sub(r"^meta-|-turbo$|-inst(ruct)?(?=-|$)", "", re.sub(r"-turbo$", "", plain))


def replay(folder: Path | str, *, seed: int = 0) -> dict[str, Any]:
    """Measure: {"name", "about", "rows"}, plain data. Raises ConfigError for a folder that cannot
    be read, UsageError for answers that cannot vote."""
    matrix = load_matrix(folder)
    if not matrix.votes or len(matrix.models) < 5:
        raise UsageError(f"{matrix.name}: its answers cannot vote (no texts, or under five models)")
    order = list(range(len(matrix.task_ids)))
    random.Random(seed).shuffle(order)
    choose, measured = order[: len(order) // 2], sorted(order[len(order) // 2 :])
    ids = [matrix.task_ids[i] for i in measured]
    rows = []
    with registered(matrix, matrix.models):
        for topology, words, names, controls in teams(matrix, choose):
            members = tuple(Agent(Part(f"recorded:{n}")) for n in names)
            team = Design(Team(Part(topology), members))
            single = [Design(Agent(Part(f"recorded:{n}"))) for n in controls]
            one, *others = measure(MatrixTasks(matrix), [team, *single], "dev", 0, ids=ids)
            other = max(others, key=lambda e: e.score or 0.0)
            row = {
                "component": topology,
                "kind": "topology",
                "setting": words,
                "against": "its best member alone" if len(controls) > 1 else "the last alone",
                "family": "",
                "design": ", ".join(names),
                "control": other.design.label,
            } | compare(one, other)
            rows.append(row | {"extra_tokens": None, "extra_latency_ms": None})
    judge(rows)
    about = (
        f"`{matrix.name}`: {len(ids)} of {len(matrix.task_ids)} tasks measure, the others chose "
        f"the teams out of {len(matrix.models) - len(matrix.partial)} models (seed {seed}). The "
        "control is the member that scores best alone on the measured tasks. One answer per model "
        "is recorded and no confidence: self-consistency is seen only where one model was recorded "
        "several times, and what weighs or gates by confidence cannot be replayed."
    )
    return {"name": matrix.name, "about": about, "rows": rows}

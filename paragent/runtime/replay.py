"""Recorded answers of real models, one `LanguageModel` each: exact, free, and without a network.

A folder with `matrix.yaml` (models and their prices), `tasks.csv.gz` (task_id, gold, prompt_chars,
question), `answers.csv.gz` and `output_tokens.csv.gz` (task_id, one column per model). A call is
answered by the recorded answer to the question that it contains, at the recorded number of tokens.
One answer per model and task was recorded, so further samples are the same; what was not recorded
(an empty cell, another question) is a failed call, never an empty answer. Latency was not recorded
and is 0.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from paragent.component import Component, Price
from paragent.errors import CallFailure, ConfigError
from paragent.runtime.model import Completion, Request
from paragent.yaml_file import parse

MATRIX = "matrix.yaml"
#: Before a recorded model's name: its live namesake may stand in models.yaml.
PREFIX = "recorded:"


@dataclass(frozen=True, slots=True)
class RecordedTask:
    """One question: its right answer, and the tokens of its whole prompt (characters / 4)."""

    id: str
    question: str
    gold: str
    prompt_tokens: int


@dataclass(frozen=True)
class Recorded:
    """A folder of recorded answers. `answers` and `tokens` map model -> task id -> value."""

    name: str
    normaliser: str
    tasks: tuple[RecordedTask, ...]
    prices: Mapping[str, Price] = field(hash=False)
    answers: Mapping[str, Mapping[str, str]] = field(hash=False)
    tokens: Mapping[str, Mapping[str, int]] = field(hash=False)

    def task_in(self, text: str) -> RecordedTask | None:
        """The task whose question stands in a text: the last one, where there are several."""
        best, place = None, (-1, 0)
        for task in self.tasks:
            found = text.rfind(task.question)
            if found >= 0 and (found, len(task.question)) > place:
                best, place = task, (found, len(task.question))
        return best

    def components(self) -> tuple[Component, ...]:
        """Its models as components of kind "model", sorted by name."""
        return tuple(self._component(model) for model in sorted(self.answers))

    def _component(self, model: str) -> Component:
        price = self.prices.get(model, Price())
        right = sum(self.answers[model].get(t.id) == t.gold for t in self.tasks)
        share = right / max(len(self.answers[model]), 1)
        return Component(
            name=PREFIX + model,
            kind="model",
            summary=f"recorded answers to {self.name} ({share:.1%} right of those it gave)",
            build=lambda: ReplayModel(self, model, price, PREFIX + model),
            price=price,
            calls=lambda params, inner: 1,
            paper=f"recorded: {self.name}",
            version=self.name,
        )


@dataclass
class ReplayModel:
    """Answers from the record; see the module."""

    recorded: Recorded
    model: str
    price: Price
    name: str
    tool_protocol: Literal["inline", "native", "text"] = "text"

    @property
    def endpoint(self) -> str:
        """Where answers come from; enters the cache key."""
        return f"recorded:{self.recorded.name}"

    async def complete(self, request: Request) -> Completion:
        """The recorded answer. Raises CallFailure where none was recorded."""
        asked = "\n".join(m.content for m in request.messages if m.role == "user")
        task = self.recorded.task_in(asked)
        if task is None:
            raise CallFailure("bad-request", f"{self.name}: no recorded question is in this call")
        answer = self.recorded.answers[self.model].get(task.id, "")
        if not answer:
            raise CallFailure("empty", f"{self.name} has no recorded answer to {task.id}")
        tokens = self.recorded.tokens[self.model].get(task.id, 1)
        return Completion(f"Answer: {answer}", task.prompt_tokens, tokens, 0.0)

    def worst_case(self, request: Request) -> tuple[int, int]:
        """What the recorded call took; nothing for a call that will fail."""
        task = self.recorded.task_in("\n".join(m.content for m in request.messages))
        if task is None:
            return 0, 0
        return task.prompt_tokens, self.recorded.tokens[self.model].get(task.id, 1)

    async def aclose(self) -> None:
        """Nothing to close."""


def read_recorded(folder: Path) -> Recorded:
    """Read a folder of recorded answers. Raises ConfigError with file and line."""
    try:
        text = (folder / MATRIX).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder / MATRIX}: {error.strerror or error}") from None
    document = parse(text, str(folder / MATRIX))
    about = document.data if isinstance(document.data, Mapping) else {}
    models = about.get("models")
    if not isinstance(models, Mapping) or not models:
        document.fail(("models",), "wanted a mapping of models to their prices")
    rows = _table(folder / "tasks.csv.gz", ("task_id", "gold", "prompt_chars", "question"))
    tasks = tuple(
        RecordedTask(i, row["question"], row["gold"], -(-int(row["prompt_chars"]) // 4))
        for i, row in rows.items()
    )
    said = _table(folder / "answers.csv.gz", tuple(models))
    drawn = _table(folder / "output_tokens.csv.gz", tuple(models))
    return Recorded(
        name=str(about.get("name", folder.name)),
        normaliser=str(about.get("answer_normaliser", "exact")),
        tasks=tasks,
        prices={
            name: Price(p.get("usd_per_mtok_in"), p.get("usd_per_mtok_out"))
            for name, p in models.items()
        },
        answers={m: {i: row[m] for i, row in said.items() if row[m]} for m in models},
        tokens={m: {i: round(float(row[m])) for i, row in drawn.items() if row[m]} for m in models},
    )


def _table(path: Path, columns: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """task_id -> row. Raises ConfigError for a file or a column that is not there."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = {row["task_id"]: row for row in reader if row.get("task_id")}
            header = reader.fieldnames or []
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: {error}") from None
    lacking = [name for name in columns if name not in header]
    if lacking:
        raise ConfigError(f"{path}:1: the column {lacking[0]!r} is missing")
    return rows

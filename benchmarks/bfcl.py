"""BFCL, one turn: which function to call, with which arguments, or none at all.

Source: Patil et al. 2025, The Berkeley Function Calling Leaderboard, sections 3 and 4;
github.com/ShishirPatil/gorilla at 6ea5797, berkeley-function-call-leaderboard/bfcl_eval/data
(v4). Licence: Apache-2.0. 400 simple, 200 multiple (one of several functions), 200 parallel
(several calls), 200 parallel_multiple, 258 live_simple, 240 irrelevance (no function fits). Version
1. One raw example (`simple_python.jsonl`):

    {"id": "simple_python_0", "question": [[{"role": "user", "content": "Find the area of a triangle
    with a base of 10 units and height of 5 units."}]], "function": [{"name":
    "calculate_triangle_area", "parameters": {"type": "dict", "properties": {"base": {"type":
    "integer"}, ...}, "required": ["base", "height"]}}], "ground_truth":
    [{"calculate_triangle_area": {"base": [10], "height": [5], "unit": ["units", ""]}}]}

The functions stand in the question and the answer is the calls as text, which is how BFCL asks
models without native tools; so answers can be voted on like any other. Scored by comparing the
calls as trees: the same functions, and each argument one of the allowed values (as the official
`ast_checker`; see `paragent.worlds.calls`). Irrelevance: 1 where nothing is called.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from paragent.benchmark import Task
from paragent.component import Context
from paragent.errors import UnknownName
from paragent.hub import Part, Row, Source
from paragent.outcome import Split
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import share_of
from paragent.worlds.calls import matches, read_calls

VERSION = "1"

SOURCE = Source(
    "bfcl",
    (
        Part("simple_python", 400),
        Part("multiple", 200),
        Part("parallel", 200),
        Part("parallel_multiple", 200),
        Part("live_simple", 258),
        Part("irrelevance", 240),
    ),
    ("question", "function"),
    where="simple_python.jsonl and so on, with answers, from github.com/ShishirPatil/gorilla",
)
PARTS = tuple(part.name for part in SOURCE.parts)


@dataclass
class Bfcl:
    """The tasks of some parts, halved by hash of their ids."""

    parts: tuple[str, ...]
    data: str | Path | None = None
    name: str = "bfcl"
    version: str = VERSION
    #: The scorer reads the calls in all that was said.
    reads_all: bool = True

    @property
    def context(self) -> Context:
        """Nothing to look up."""
        return Context()

    @cached_property
    def _rows(self) -> dict[str, Row]:
        every = ((p, i, r) for p in self.parts for i, r in enumerate(SOURCE.rows(p, self.data)))
        return {str(r.get("id", f"{p}_{i}")): {**r, "part": p} for p, i, r in every}

    @cached_property
    def _tasks(self) -> list[Task]:
        made = [_task(name, row) for name, row in self._rows.items()]
        tasks = {t.question: t for t in reversed(made)}
        return sorted(tasks.values(), key=lambda t: (share_of(t.id, "order:"), t.id))

    def tasks(self, split: Split) -> Sequence[Task]:
        """Half of the tasks; any prefix is a mixture of the parts."""
        return [t for t in self._tasks if (share_of(t.id) < 0.5) == (split == "test")]

    def score(self, task: Task, answer: str) -> float:
        """1.0 where the calls are the right ones."""
        calls = read_calls(answer)
        row = self._rows[task.id]
        allowed = row.get("ground_truth") or []
        if not allowed:
            return float(not calls)
        schemas = {f["name"]: f["parameters"] for f in row["function"]}
        return float(bool(calls) and matches(calls or [], allowed, schemas))


def _task(name: str, row: Row) -> Task:
    said = "\n".join(str(m["content"]) for turn in row["question"] for m in turn)
    functions = json.dumps(row["function"], ensure_ascii=False)
    allowed = row.get("ground_truth") or []
    question = (
        f"Functions:\n{functions}\n\n{said}\n\nWhich calls are to be made? Answer with one list of "
        "calls as in Python, for example [name(argument=1, other='text')], or [] where no function "
        "fits or something needed is not told."
    )
    required = {f["name"]: f["parameters"].get("required", ()) for f in row["function"]}
    gold = f"[{', '.join(gold_call(call, required) for call in allowed)}]"
    return Task(name, question, gold, {"part": row["part"]})


def gold_call(
    allowed: Mapping[str, Mapping[str, Sequence[Any]]], required: Mapping[str, Sequence[str]]
) -> str:
    """A call that is allowed, written as Python: the first value of each argument; what may be left
    out is left out where that is the first choice."""
    ((name, values),) = allowed.items()
    needed = required.get(name, ())
    given = {}
    for key, choices in values.items():
        told = [c for c in choices if c != ""]
        if told and (key in needed or choices[0] != ""):
            given[key] = _plain(told[0])
    return f"{name}({', '.join(f'{k}={v!r}' for k, v in given.items())})"


def _plain(value: Any) -> Any:
    """A value with the first choice of each key of its objects."""
    if isinstance(value, Mapping):
        chosen = {k: v if isinstance(v, list) else [v] for k, v in value.items()}
        return {k: _plain(v[0]) for k, v in chosen.items() if v and v[0] != ""}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def load(part: str = "", data: str | Path | None = None) -> Bfcl:
    """All parts, or one. Raises UnknownName for another."""
    if part and part not in PARTS:
        raise UnknownName("part of bfcl", part, PARTS)
    return Bfcl((part,) if part else PARTS, data)


BFCL = BenchmarkPlugin(
    "bfcl",
    "which functions to call with which arguments, or none",
    load,
    source="github.com/ShishirPatil/gorilla",
    licence="Apache-2.0",
    version=VERSION,
    sizes={"dev": 758, "test": 740},
    scorer="calls compared as trees",
    missing=SOURCE.missing,
    data=SOURCE,
)

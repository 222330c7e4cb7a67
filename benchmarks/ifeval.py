"""IFEval: write something, and follow instructions that can be checked (length, layout, words).

Source: Zhou et al. 2023, github.com/google-research/google-research (instruction_following_eval);
hub: google/IFEval. Licence: Apache-2.0. 541 tasks, divided by hash of their ids. Version 1.
One raw example:

    {"key": 1001, "prompt": "I am planning a trip to Japan, and I would like thee to write an
    itinerary for my journey in a Shakespearean style. You are not allowed to use any commas in your
    response.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}

Scored over all that was said: 1 where every instruction is followed, else 0 (prompt-level, strict).
The 25 checkers are written anew (`paragent.grading.instructions`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paragent.benchmark import Task
from paragent.grading.instructions import all_followed
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"

SOURCE = Source(
    "ifeval",
    (Part("ifeval", 541, "train"),),
    ("prompt", "instruction_id_list", "kwargs"),
    hub="google/IFEval",
    convert=lambda row: {**row, "id": f"ifeval-{row['key']}"},
)


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark."""
    checks: dict[str, tuple[list[str], list[dict[str, Any]]]] = {}

    def task(part: str, row: Row, place: int) -> Task:
        name = str(row.get("id", f"ifeval-{place}"))
        kinds = [str(kind) for kind in row["instruction_id_list"]]
        checks[name] = (kinds, [dict(options) for options in row["kwargs"]])
        return Task(name, str(row["prompt"]), "", {"first": kinds[0] if kinds else ""})

    return RowsBenchmark(
        SOURCE,
        VERSION,
        task,
        lambda task, answer: all_followed(*checks[task.id], answer),
        test="ifeval",
        data=data,
        reads_all=True,
    )


IFEVAL = BenchmarkPlugin(
    "ifeval",
    "texts under instructions that can be checked",
    load,
    source="github.com/google-research/google-research/tree/master/instruction_following_eval",
    licence="Apache-2.0",
    version=VERSION,
    sizes={"dev": 264, "test": 277},
    scorer="all instructions followed",
    missing=SOURCE.missing,
    data=SOURCE,
)

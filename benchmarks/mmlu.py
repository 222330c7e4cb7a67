"""MMLU: 57 subjects from school to profession, four options each; the answer is a letter.

Source: Hendrycks et al. 2021, github.com/hendrycks/test at 4450500; hub: cais/mmlu (all).
Licence: MIT. 1,531 validation tasks (dev), 14,042 test tasks; the 285 tasks of its own five-shot
pool are worked examples. Version 1. One raw example:

    {"question": "Statement 1 | A factor group of a non-Abelian group is non-Abelian. Statement 2 |
    If K is a normal subgroup of H and H is a normal subgroup of G, then K is a normal subgroup of
    G.", "subject": "abstract_algebra", "choices": ["True, True", "False, False", "True, False",
    "False, True"], "answer": 1}

Scored by the letter.
"""

from __future__ import annotations

from pathlib import Path

from paragent.benchmark import Task
from paragent.grading.choices import choice_of, with_options
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"

SOURCE = Source(
    "mmlu",
    (Part("validation", 1531), Part("test", 14042), Part("dev", 285)),
    ("question", "choices", "answer"),
    hub="cais/mmlu",
    configs=("all",),
)


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark."""
    options: dict[str, dict[str, str]] = {}

    def task(part: str, row: Row, place: int) -> Task:
        subject = str(row.get("subject", ""))
        name = str(row.get("id", f"mmlu-{part}-{place}"))
        options[name] = dict(zip("ABCD", map(str, row["choices"]), strict=True))
        answer = row["answer"]
        letter = "ABCD"[answer] if isinstance(answer, int) else str(answer)
        return Task(
            name, with_options(str(row["question"]), options[name]), letter, {"subject": subject}
        )

    return RowsBenchmark(
        SOURCE,
        VERSION,
        task,
        lambda task, answer: choice_of(options[task.id], task.answer, answer),
        dev="validation",
        test="test",
        examples="dev",
        data=data,
    )


MMLU = BenchmarkPlugin(
    "mmlu",
    "57 subjects from school to profession, four options",
    load,
    source="github.com/hendrycks/test",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 1531, "test": 14042},
    scorer="letter",
    missing=SOURCE.missing,
    data=SOURCE,
)

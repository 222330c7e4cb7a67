"""MMLU-Pro: harder questions of 14 fields with up to ten options; the answer is a letter.

Source: Wang et al. 2024, github.com/TIGER-AI-Lab/MMLU-Pro at f418b11; hub: TIGER-Lab/MMLU-Pro.
Licence: MIT (data card), Apache-2.0 (repository). Its 70 validation tasks are worked examples; its
12,032 test tasks are divided by hash of their ids, a tenth of them for dev: there is no other
labelled part. Version 1. One raw example:

    {"question_id": 2809, "question": "Which of the following statements is NOT correct about
    apoptosis?", "options": ["Apoptosis, a special type of cell division, requires multiple cell
    signaling pathways.", ...], "answer": "A", "category": "biology",
    "src": "ori_mmlu-high_school_biology"}

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
LETTERS = "ABCDEFGHIJ"

SOURCE = Source(
    "mmlu_pro",
    (Part("test", 12032), Part("validation", 70)),
    ("question", "options", "answer"),
    hub="TIGER-Lab/MMLU-Pro",
    convert=lambda row: {**row, "id": f"mmlu-pro-{row['question_id']}"},
)


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark."""
    options: dict[str, dict[str, str]] = {}

    def task(part: str, row: Row, place: int) -> Task:
        name = str(row.get("id", f"mmlu-pro-{part}-{place}"))
        options[name] = dict(zip(LETTERS, map(str, row["options"]), strict=False))
        question = with_options(str(row["question"]), options[name])
        return Task(name, question, str(row["answer"]), {"field": str(row.get("category", ""))})

    return RowsBenchmark(
        SOURCE,
        VERSION,
        task,
        lambda task, answer: choice_of(options[task.id], task.answer, answer),
        test="test",
        test_share=0.9,
        examples="validation",
        data=data,
    )


MMLU_PRO = BenchmarkPlugin(
    "mmlu_pro",
    "hard questions of 14 fields, up to ten options",
    load,
    source="github.com/TIGER-AI-Lab/MMLU-Pro",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 1200, "test": 10800},
    scorer="letter",
    missing=SOURCE.missing,
    data=SOURCE,
)

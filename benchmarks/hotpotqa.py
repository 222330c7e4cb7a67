"""HotpotQA (distractor setting): questions over ten paragraphs, two of which are needed.

Source: Yang et al. 2018, github.com/hotpotqa/hotpot at 3635853; hub: hotpotqa/hotpot_qa
(distractor). Licence: CC BY-SA 4.0. The 7,405 questions of its development part, divided by hash of
their ids (the official test labels are hidden). Version 1. One raw example:

    {"_id": "5ab4435b5542990594ba9bdf", "question": "What is the genre of the film for which Danilo
    Donati fist won the Academy Award for Costume Design?", "answer": "romance", "type": "bridge",
    "supporting_facts": [["Danilo Donati", 1], ["Romeo and Juliet (1968 film)", 0]],
    "context": [["Corinne Jorry", ["Corinne Jorry (born 23 April 1943) is a ...", ...]], ...]}

Scored by the F1 of words of the official grader (hotpot_evaluate_v1.py); `measure="em"` by exact
match. `closed=True` asks without the paragraphs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from paragent.benchmark import Task
from paragent.errors import UsageError
from paragent.grading.texts import exact, f1
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"


def _convert(row: Row) -> Row:
    context = row["context"]
    pairs = zip(context["title"], context["sentences"], strict=True)
    return {**row, "context": [[title, sentences] for title, sentences in pairs]}


SOURCE = Source(
    "hotpotqa",
    (Part("distractor", 7405, "validation"),),
    ("question", "answer", "context"),
    hub="hotpotqa/hotpot_qa",
    configs=("distractor",),
    convert=_convert,
)


def load(
    data: str | Path | None = None, *, measure: Literal["f1", "em"] = "f1", closed: bool = False
) -> RowsBenchmark:
    """The benchmark; 4 dev tasks are worked examples instead."""
    if measure not in ("f1", "em"):
        raise UsageError(f"measure is {measure!r}; wanted f1 or em")
    grade = f1 if measure == "f1" else exact

    def task(part: str, row: Row, place: int) -> Task:
        question = f"Question: {row['question']}\nAnswer with a few words, or yes or no."
        if not closed:
            texts = [f"{title}: {''.join(sentences)}" for title, sentences in row["context"]]
            question = "\n".join([*texts, question])
        name = str(row.get("id", row.get("_id", f"hotpotqa-{place}")))
        return Task(name, question, str(row["answer"]), {"type": str(row.get("type", ""))})

    return RowsBenchmark(
        SOURCE,
        f"{VERSION}-{measure}" + ("-closed" if closed else ""),
        task,
        lambda task, answer: grade(task.answer, answer),
        test="distractor",
        shown=4,
        data=data,
    )


HOTPOTQA = BenchmarkPlugin(
    "hotpotqa",
    "questions over ten paragraphs, two of them needed",
    load,
    source="github.com/hotpotqa/hotpot",
    licence="CC BY-SA 4.0",
    version=VERSION,
    sizes={"dev": 3700, "test": 3700},
    scorer="F1 of words (or exact match)",
    missing=SOURCE.missing,
    data=SOURCE,
)

"""BIG-Bench Hard: 27 kinds of puzzles that language models found hard.

Source: Suzgun et al. 2022, github.com/suzgunmirac/BIG-Bench-Hard at 9ee07bd; hub: lukaemon/bbh.
Licence: MIT. 6,511 tasks, divided by hash of their ids; any prefix is a mix of the kinds.
Version 1. One raw example (of `boolean_expressions`):

    {"input": "not ( True ) and ( True ) is", "target": "False"}

Scored by what the target is: a letter in brackets, a number, one of a pair of words, brackets in
order, or a text without case and punctuation (official: exact match after "the answer is").
"""

from __future__ import annotations

import re
from pathlib import Path

from paragent.benchmark import Task
from paragent.grading.choices import choice, last_of
from paragent.grading.numbers import number
from paragent.grading.texts import exact
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"

KINDS = (
    "boolean_expressions", "causal_judgement", "date_understanding", "disambiguation_qa",
    "dyck_languages", "formal_fallacies", "geometric_shapes", "hyperbaton",
    "logical_deduction_five_objects", "logical_deduction_seven_objects",
    "logical_deduction_three_objects", "movie_recommendation", "multistep_arithmetic_two",
    "navigate", "object_counting", "penguins_in_a_table", "reasoning_about_colored_objects",
    "ruin_names", "salient_translation_error_detection", "snarks", "sports_understanding",
    "temporal_sequences", "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects", "tracking_shuffled_objects_three_objects",
    "web_of_lies", "word_sorting",
)  # fmt: skip

PAIRS = (("true", "false"), ("yes", "no"), ("valid", "invalid"))

SOURCE = Source(
    "bbh",
    (Part("bbh", 6511, "test"),),
    ("input", "target", "task"),
    hub="lukaemon/bbh",
    configs=KINDS,
    convert=lambda row: {"task": row["config"], "input": row["input"], "target": row["target"]},
)


def grade(expected: str, given: str) -> float:
    """1.0 where `given` says the target, in the target's own kind."""
    if re.fullmatch(r"\([A-Z]\)", expected):
        return choice(expected, given)
    for pair in PAIRS:
        if expected.lower() in pair:
            return float(last_of(pair, given) == expected.lower())
    if re.fullmatch(r"-?[0-9]+", expected):
        return number(expected, given)
    if not re.search(r"\w", expected):  # closing brackets
        return float(_brackets(given).endswith(_brackets(expected)))
    return exact(expected.replace(",", " "), _after_mark(given).replace(",", " "))


def _brackets(text: str) -> str:
    return re.sub(r"[^()\[\]{}<>]", "", text[-4_000:])


def _after_mark(text: str) -> str:
    marks = list(re.finditer(r"(?i)\banswer\s*(?:is|:)", text[-4_000:]))
    return text[-4_000:][marks[-1].end() :] if marks else text


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark; 27 dev tasks are worked examples instead."""
    counts: dict[str, int] = {}

    def task(part: str, row: Row, place: int) -> Task:
        kind = str(row["task"])
        counts[kind] = counts.get(kind, -1) + 1
        name = str(row.get("id", f"bbh-{kind}-{counts[kind]}"))
        return Task(name, str(row["input"]), str(row["target"]).strip(), {"kind": kind})

    return RowsBenchmark(
        SOURCE,
        VERSION,
        task,
        lambda task, answer: grade(task.answer, answer),
        test="bbh",
        shown=27,
        data=data,
    )


BBH = BenchmarkPlugin(
    "bbh",
    "27 kinds of puzzles that models found hard",
    load,
    source="github.com/suzgunmirac/BIG-Bench-Hard",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 3193, "test": 3288},
    scorer="letter, number, word or text, as the target is",
    missing=SOURCE.missing,
    data=SOURCE,
)

"""The pocket benchmark: 2,000 ``dev`` and 2,000 ``test`` tasks with exact answers.

A problem belongs to a split by a hash of its question's text (8 % test, 6 % dev, the rest is for
training), so no question can be in two of them, whatever the seed.
"""

from __future__ import annotations

import functools
import random
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from paragent.pocket import problems

FAMILIES: tuple[str, ...] = problems.FAMILIES
Split = Literal["dev", "test", "train"]

_PER_SPLIT = 2000
_SEEDS = {"dev": 101, "test": 202}
_TEST_SHARE, _DEV_SHARE = 8, 6
_WORLD_SEED = 24
_LABELLED, _LABELLED_SEED = 40, 303


@dataclass(frozen=True, slots=True)
class PocketTask:
    """One benchmark task; ``level`` runs from 1 (easy) to 6."""

    id: str
    family: str
    level: int
    question: str
    answer: str


def split_of(question: str) -> Split:
    """Return the only split that may contain ``question``."""
    bucket = zlib.crc32(question.encode()) % 100
    if bucket < _TEST_SHARE:
        return "test"
    return "dev" if bucket < _TEST_SHARE + _DEV_SHARE else "train"


@functools.cache
def world() -> Mapping[str, int]:
    """Return the value, in coins, of each invented unit in the dev and test tasks."""
    return problems.random_world(random.Random(_WORLD_SEED))


@functools.cache
def notes() -> tuple[str, ...]:
    """Return the knowledge that the ``units`` tasks need, one sentence per unit."""
    return tuple(problems.note(word, value) for word, value in world().items())


@functools.cache
def benchmark_problems(split: Literal["dev", "test"]) -> tuple[problems.Problem, ...]:
    """Return the problems behind ``tasks(split)``, in the same order, with their solutions."""
    if split not in _SEEDS:
        raise ValueError(f"split must be 'dev' or 'test', not {split!r}")
    rng = random.Random(_SEEDS[split])
    found: list[problems.Problem] = []
    seen: set[str] = set()
    per_family = _PER_SPLIT // len(FAMILIES)
    # Family round robin, and each family walks through shuffled rounds of the six levels: every
    # prefix is balanced.
    rounds: list[int] = []
    for _ in range(per_family):
        if not rounds:
            rounds = list(problems.LEVELS)
            rng.shuffle(rounds)
        level = rounds.pop()
        for family in FAMILIES:
            while True:
                made = problems.make(family, level, rng, world())
                if split_of(made.question) == split and made.question not in seen:
                    break
            seen.add(made.question)
            found.append(made)
    return tuple(found)


@functools.cache
def tasks(split: Literal["dev", "test"]) -> tuple[PocketTask, ...]:
    """Return the 2,000 tasks of a split, families in turn and levels uniform in every prefix."""
    return tuple(
        PocketTask(f"{split}-{i:04d}-{p.family}", p.family, p.level, p.question, p.answer)
        for i, p in enumerate(benchmark_problems(split))
    )


@functools.cache
def labelled() -> tuple[tuple[str, str], ...]:
    """Return 40 training questions of every family with its name, families in turn."""
    rng = random.Random(_LABELLED_SEED)
    found: list[tuple[str, str]] = []
    for i in range(_LABELLED * len(FAMILIES)):
        family = FAMILIES[i % len(FAMILIES)]
        level = problems.LEVELS[i // len(FAMILIES) % len(problems.LEVELS)]
        while True:
            made = problems.make(family, level, rng, world())
            if split_of(made.question) == "train":
                break
        found.append((made.question, family))
    return tuple(found)


_MARK = re.compile(r"answer\s*:", re.IGNORECASE)
_NUMBER_WITH_UNIT = re.compile(r"(-?\d+)(?: (?!\d)[a-z]+)+")


def _normalise(text: str) -> str:
    text = text.replace("*", " ").replace("$", " ").replace("`", " ").replace('"', " ")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"[,\[\]()]", " ", text)
    return " ".join(text.split()).rstrip(".!;: ").casefold()


def extract_answer(text: str) -> str:
    """Return what follows the last ``Answer:`` on its line, normalised; else the last line.

    Normalised means: one space between words, lower case, no list punctuation and no final dot.
    """
    marks = list(_MARK.finditer(text))
    tail = text[marks[-1].end() :] if marks else text
    lines = [line for line in tail.splitlines() if line.strip()]
    if not lines:
        return ""
    return _normalise(lines[0] if marks else lines[-1])


def is_correct(expected: str, text: str) -> bool:
    """Return whether the answer in ``text`` is exactly ``expected`` (a unit may follow)."""
    given, wanted = extract_answer(text), _normalise(expected)
    if given == wanted:
        return True
    with_unit = _NUMBER_WITH_UNIT.fullmatch(given)
    return with_unit is not None and with_unit[1] == wanted

"""Scorers by name, for a user's own tasks: `number`, `exact`, `choice`, `f1`, `yes_no`, `judge`, or
`python:FILE:FUNCTION`, a function of (expected, given) that returns a score in [0, 1]."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paragent.benchmark import Scorer
from paragent.errors import UnknownName, UsageError
from paragent.grading.choices import choice, letter_in, yes_no
from paragent.grading.numbers import final_number, number
from paragent.grading.texts import exact, f1

SCORERS: Mapping[str, Scorer] = {
    "number": number,
    "exact": exact,
    "choice": choice,
    "f1": f1,
    "yes_no": yes_no,
}
JUDGE = "judge"
PYTHON = "python:"
NAMES = (*SCORERS, JUDGE, "python:FILE:FUNCTION")


@dataclass(frozen=True)
class NamedScorer:
    """`score` is None for the judge; `version` changes whenever scores may change."""

    name: str
    score: Scorer | None
    version: str = "1"


def scorer_of(name: str) -> NamedScorer:
    """The scorer of that name. Raises UsageError, also where its file cannot be used."""
    if name.startswith(PYTHON):
        return _of_file(name)
    if name == JUDGE:
        return NamedScorer(JUDGE, None)
    if name not in SCORERS:
        raise UnknownName("scorer", name, NAMES)
    return NamedScorer(name, SCORERS[name])


def suits(name: str, answer: str) -> str:
    """Why an expected answer does not suit the scorer, or "" where it does."""
    if name == "number" and final_number(answer) is None:
        return "holds no number"
    if name == "choice" and letter_in(answer.strip().upper()) is None:
        return "is no option's letter"
    return ""


def _of_file(name: str) -> NamedScorer:
    import importlib.util

    path, _, function = name.removeprefix(PYTHON).rpartition(":")
    if not path or not function:
        raise UsageError(f"scorer {name!r}: wanted python:FILE:FUNCTION")
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"scorer {name!r}: there is no file {path}")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"paragent_scorer_{digest}", file)
    if spec is None or spec.loader is None:
        raise UsageError(f"scorer {name!r}: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}") from None
    found = getattr(module, function, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        raise UnknownName("function", function, known, path)
    score: Scorer = found
    return NamedScorer(name, score, digest)

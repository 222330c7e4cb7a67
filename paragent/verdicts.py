"""Reading what a model that checks or plans has written: verdicts, scores, numbered lines.

Everything is read leniently and nothing is guessed: what cannot be read is None or empty, and the
component decides what that means.
"""

from __future__ import annotations

import math
import re

_MARKS = "*_`\"' "
_VERDICT = re.compile(r"verdict\s*\W{0,4}\s*(\w+)", re.IGNORECASE)
_SCORE = re.compile(r"score\s*\W{0,4}\s*(\d+(?:\.\d+)?)", re.IGNORECASE)
_LINE = re.compile(r"^\W{0,3}(?:step|task|question)?\s*(\d+)\s*[:.)]\s*(.+?)\s*$", re.IGNORECASE)
_GOOD = ("right", "correct", "yes", "pass", "ok", "good", "clean")
_BAD = ("wrong", "incorrect", "no", "fail", "failed", "bad", "flawed")


def verdict(text: str) -> bool | None:
    """True for a good and False for a bad verdict: the word after the last "Verdict:", else the
    last line where it is such a word alone. None where there is neither."""
    marked: list[str] = _VERDICT.findall(text)
    lines = [line.strip(_MARKS + ".!") for line in text.splitlines() if line.strip()]
    word = (marked[-1] if marked else lines[-1] if lines else "").casefold()
    return True if word in _GOOD else False if word in _BAD else None


def score(text: str, top: float = 10.0) -> float | None:
    """The number after the last "Score:", or a last line that is a number alone, as a share of
    `top` in [0, 1]; None where there is none or it lies outside."""
    marked: list[str] = _SCORE.findall(text)
    lines = [line.strip(_MARKS + ".") for line in text.splitlines() if line.strip()]
    said = marked[-1] if marked else lines[-1] if lines else ""
    try:
        number = float(said.partition("/")[0])
    except ValueError:
        return None
    return number / top if math.isfinite(number) and 0 <= number <= top else None


def numbered(text: str, most: int) -> list[str]:
    """The texts of the lines "1: …", "2) …" in order, at most `most`; lines without number are
    passed over, and a number out of turn ends the list."""
    found: list[str] = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and len(found) < most:
            if int(match[1]) != len(found) + 1:
                break
            found.append(match[2].strip(_MARKS))
    return found

r"""The final number of a text, and whether two are the same number.

The rules are those of GSM8K's own grader (openai/grade-school-math, `extract_answer`: the number
after `####`, without commas) widened to free text: what a text marks as its answer comes first
(`####`, `\boxed{…}`, "answer is", "Answer:"), else its last number counts.
"""

from __future__ import annotations

import math
import re
import unicodedata

#: A text longer than this is judged by its end: answers stand at the end.
MOST_CHARACTERS = 20_000

_SPACES = "\u00a0\u2007\u2009\u202f"
_NUMBER = re.compile(
    r"(?:(?<![\w.)])[-+])?"  # a sign, unless it stands between two numbers
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+|(?=\.[0-9]))"
    r"(?:\.[0-9]+)?"
    r"(?:[eE][-+]?[0-9]{1,3}(?![0-9]))?"
    r"(?:/[0-9]+(?:\.[0-9]+)?(?![0-9/]))?"  # a/b is divided out
)
_MARKS = (
    re.compile(r"\\boxed\s*\{"),
    re.compile(r"####"),
    re.compile(r"(?i)\banswer\s*(?:is|:|=)"),
)


def plain(text: str) -> str:
    """The end of a text with one kind of digits, minus signs and blanks, without $ and £ and €."""
    text = unicodedata.normalize("NFKC", text[-MOST_CHARACTERS:])
    text = text.replace("−", "-").replace("–", "-")
    for space in _SPACES:
        text = text.replace(space, " ")
    text = re.sub(r"[$£€]", "", text.replace("\\$", "").replace("\\,", ""))
    text = re.sub(r"\\[dt]?frac\s*\{(-?[0-9.]{1,40})\}\s*\{([0-9.]{1,40})\}", r"\1/\2", text)
    return text.replace("{,}", ",")


def numbers_in(text: str) -> list[float]:
    """All numbers of a text, in order; one too large for a float is infinite."""
    found = []
    for match in _NUMBER.finditer(plain(text)):
        value = _value(match[0])
        if value is not None:
            found.append(value)
    return found


def final_number(text: str) -> float | None:
    """The number that a text gives as its answer, or None where it has none."""
    text = plain(text)
    for mark in _MARKS:
        marks = [m.end() for m in mark.finditer(text)]
        match = _NUMBER.search(text, marks[-1]) if marks else None
        if match is not None:
            return _value(match[0])
    found = numbers_in(text)
    return found[-1] if found else None


def same_number(expected: float, given: float, tolerance: float = 1e-6) -> bool:
    """Whether two numbers differ by at most `tolerance`, relative to the larger (or absolute).

    Whole numbers are the same or not, however large.
    """
    if expected.is_integer() and given.is_integer():
        return expected == given
    return math.isclose(expected, given, rel_tol=tolerance, abs_tol=tolerance)


def number(expected: str, given: str) -> float:
    """1.0 where the final number of `given` is that of `expected`.

    Percent signs and units are passed over: "60%" is 60, as most data sets write it. Where
    `expected` has no number, the texts are compared without case and surrounding blanks.
    """
    wanted = final_number(expected)
    if wanted is None:
        return float(expected.strip().casefold() == given.strip().casefold())
    found = final_number(given)
    return float(found is not None and same_number(wanted, found))


def _value(text: str) -> float | None:
    top, _, bottom = text.replace(",", "").partition("/")
    try:
        value = float(top)
        return value / float(bottom) if bottom else value
    except ZeroDivisionError:
        return None
    except ValueError:  # a sign alone
        return None

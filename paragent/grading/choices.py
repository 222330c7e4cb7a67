r"""Multiple choice: which option a text names, and yes/no answers.

Read in this order: a marked answer ("answer is (C)", `\boxed{C}`), a lone letter at the start
("C", "(C)", "C) 12", "C. because"), the last letter in brackets, the last lone capital letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from paragent.grading.texts import normalised

MOST_CHARACTERS = 20_000

_MARKED = re.compile(
    r"(?i:\banswer\s*(?:is|:|=)?\s*(?:option|choice)?|\boption|\bchoice|\\boxed\s*\{|"
    r"\\text\s*\{)\s*[\s:*_(\[\"'{]*([A-Z])(?![A-Za-z'’])"
)
_FIRST = re.compile(r"^[\s*_(\[\"'`]*([A-Za-z])(?:[\s)\].,:;*_\"'`]|$)")
_BRACKETS = re.compile(r"[(\[]([A-Z])[)\]]")
_LONE = re.compile(r"(?<![\w'’])([A-Z])(?![\w'’])")


def letter_in(text: str, letters: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ") -> str | None:
    """The option's letter that a text names, or None."""
    text = text[-MOST_CHARACTERS:].strip()
    if len(text) == 1:
        return text.upper() if text.upper() in letters else None
    marked = [m for m in _MARKED.findall(text) if m in letters]
    if marked:
        return str(marked[-1])
    first = _FIRST.match(text)
    if first and first[1].upper() in letters:
        # "A man …" and "I think …" are words, "A) …" and "c" are letters.
        after = text[first.end(1) : first.end(1) + 1]
        if after != " " or len(text.split()) == 1:
            return first[1].upper()
    for pattern in (_BRACKETS, _LONE):
        named = [m for m in pattern.findall(text) if m in letters]
        if pattern is _LONE:
            named = [m for m in named if m not in "AI" or len(text.split()) <= 3]
        if named:
            return str(named[-1])
    return None


def choice(expected: str, given: str) -> float:
    """1.0 where `given` names the option `expected` ("B" or "(B)", any case)."""
    wanted = letter_in(expected.strip().upper()) or expected.strip().upper()
    return float(letter_in(given) == wanted)


def choice_of(options: Mapping[str, str], expected: str, given: str) -> float:
    """As `choice` over the letters of `options`; an option's own text counts as its letter."""
    named = letter_in(given, "".join(options))
    if named is None or len(normalised(given)) > 3:
        whole = normalised(given)
        spelled = [key for key, text in options.items() if whole and normalised(text) == whole]
        if len(spelled) == 1:
            named = spelled[0]
    return float(named == expected)


_YES = re.compile(r"(?i)\b(yes|true|correct)\b")
_NO = re.compile(r"(?i)\b(no|false|incorrect)\b")


def yes_no(expected: str, given: str) -> float:
    """1.0 where the last of yes/true and no/false in `given` is the one of `expected`."""
    wanted, found = _said(expected), _said(given)
    return float(found is not None and found == wanted)


def _said(text: str) -> bool | None:
    text = text[-MOST_CHARACTERS:]
    yes = [m.start() for m in _YES.finditer(text)]
    no = [m.start() for m in _NO.finditer(text)]
    if not yes and not no:
        return None
    marked = re.search(r"(?i)\banswer\s*(?:is|:|=)\W*(yes|no|true|false)\b", text)
    if marked:
        return marked[1].lower() in ("yes", "true")
    return (yes[-1] if yes else -1) > (no[-1] if no else -1)

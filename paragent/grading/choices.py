r"""Multiple choice: which option a text names, and yes/no answers.

Read in this order: a marked answer ("answer is (C)", `\boxed{C}`), a lone letter at the start
("C", "(C)", "C) 12", "C. because"), the last letter in brackets, the last lone capital letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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


def with_options(question: str, options: Mapping[str, str]) -> str:
    """The question with its options below it, one a line, and how to answer."""
    listed = "\n".join(f"{letter}) {text}" for letter, text in options.items())
    return f"{question.strip()}\n{listed}\nAnswer with the letter of the right option."


def last_of(words: Sequence[str], text: str) -> str | None:
    """The word of `words` (lower case) that a text says last, marked answers first, or None."""
    text = text[-MOST_CHARACTERS:].lower()
    either = "|".join(re.escape(word) for word in words)
    marked = re.findall(rf"\banswer\s*(?:is|:|=)\W{{0,10}}({either})\b", text)
    found = marked or re.findall(rf"\b({either})\b", text)
    return str(found[-1]) if found else None


def yes_no(expected: str, given: str) -> float:
    """1.0 where the last of yes/true and no/false in `given` is the one of `expected`."""
    words = ("yes", "true", "no", "false")
    wanted, found = last_of(words, expected), last_of(words, given)
    same = found is not None and (found in words[:2]) == (wanted in words[:2])
    return float(same)

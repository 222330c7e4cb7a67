"""Why a task went wrong, as far as a rule can tell from what was said: the signs of a failure.

    empty    there is no answer
    format   the answer has not the form of the right one (a number, a few words), or holds more
    length   a model was cut off at its limit of tokens
    tool     a tool answered with an error
    lookup   the question has rare words of the benchmark's notes or passages, and for most of them
             no such passage was in any prompt
    slip     an equation was written down that is wrong
    number   a wrong number, and none of the above
    other    anything else

Signs are logged with the outcome where the score is below 1/2, so that a search can choose its next
edits by them (`paragent.refine`). They are guesses by rule: nothing is scored by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from paragent.arithmetic import ArithmeticFault, evaluate
from paragent.benchmark import Task
from paragent.chat import TraceStep
from paragent.component import Context

SIGNS = ("empty", "format", "length", "tool", "lookup", "slip", "number", "other")
#: Below this score a task counts as failed.
FAILED_BELOW = 0.5
#: Characters of one reply that are read (its end), and replies of one task (the last ones).
MOST_TEXT, MOST_STEPS = 4000, 24
#: A word is rare where at most this share of the passages hold it (or three of them).
RARE = 0.05
#: Words of a right answer that counts as short, and of a given one that counts as long.
SHORT, LONG = 6, 12

_NUMBER = re.compile(r"[-+]?\$?\d[\d,]*(?:\.\d+)?%?")
_EQUATION = re.compile(r"([\d(][\d\s.,+\-*/×÷()]{2,80}?)=\s*(-?\d[\d,]*(?:\.\d+)?)")
_ERROR = re.compile(r"(?:^|=)\s*error:", re.IGNORECASE)
_WORD = re.compile(r"\w+")


def signs_of(
    task: Task, answer: str, steps: Sequence[TraceStep], context: Context
) -> tuple[str, ...]:
    """The signs of one failed task, in the order of SIGNS; at least one."""
    if not answer.strip():
        return ("empty", "length") if _cut(steps) else ("empty",)
    steps = steps[-MOST_STEPS:]
    said = [step.completion.text[-MOST_TEXT:] for step in steps]
    found = {
        "format": _misshapen(task.answer, answer),
        "length": _cut(steps),
        "tool": _tool_failed(steps),
        "lookup": _not_looked_up(task.question, steps, context),
        "slip": any(map(wrong_equation, said)),
    }
    signs = tuple(name for name, there in found.items() if there)
    if signs:
        return signs
    wanted = _NUMBER.fullmatch(task.answer.strip())
    return ("number",) if wanted else ("other",)


def wrong_equation(text: str) -> bool:
    """Whether the text states a sum that is wrong: `17 * 3 = 41` (division to two places)."""
    for left, right in _EQUATION.findall(text):
        if not any(sign in left.strip("-( ") for sign in "+-*/×÷"):
            continue
        try:
            value = float(evaluate(left.strip()))
            given = float(right.replace(",", ""))
        except (ArithmeticFault, ValueError):
            continue
        if abs(value - given) > 0.005 + 1e-9 * abs(value):
            return True
    return False


def _misshapen(wanted: str, given: str) -> bool:
    wanted, given = wanted.strip(), given.strip()
    if not wanted or wanted.casefold() == given.casefold():
        return False
    if _NUMBER.fullmatch(wanted):
        return _NUMBER.fullmatch(given.rstrip(".")) is None
    few, many = len(wanted.split()), len(given.split())
    return few <= SHORT and (many > max(LONG, 2 * few) or "\n" in given)


def _cut(steps: Iterable[TraceStep]) -> bool:
    return any(step.completion.finish == "length" for step in steps)


def _tool_failed(steps: Sequence[TraceStep]) -> bool:
    for step in steps:
        results = [m.content for m in step.messages[2:] if m.role in ("tool", "user")]
        inline = step.completion.text.rpartition("<<")[2] if "<<" in step.completion.text else ""
        if any(_ERROR.match(text) for text in results) or ">>=error:" in inline:
            return True
    return False


def _not_looked_up(question: str, steps: Sequence[TraceStep], context: Context) -> bool:
    passages = (*context.notes, *context.corpus)
    if not passages:
        return False
    rare = _rare_words(passages)
    wanted = {w for w in _words(question) if w in rare}
    if not wanted:
        return False
    # The question stands in the prompts too: a word is known where a whole passage with it is.
    shown = " ".join(m.content for step in steps for m in step.messages).casefold()
    missing = [w for w in wanted if not any(passages[i].casefold() in shown for i in rare[w])]
    return 2 * len(missing) > len(wanted)


def _words(text: str) -> set[str]:
    return {w for w in _WORD.findall(text.casefold()) if len(w) > 2 and not w.isdigit()}


@lru_cache(maxsize=8)
def _rare_words(passages: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Word to the passages that hold it, for words that few passages hold."""
    where: dict[str, list[int]] = {}
    for i, passage in enumerate(passages):
        for word in _words(passage):
            where.setdefault(word, []).append(i)
    most = max(3, int(RARE * len(passages)))
    return {word: tuple(at) for word, at in where.items() if len(at) <= most}

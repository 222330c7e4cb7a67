"""Short answers as text: exact match and token F1 of SQuAD, and the variant of DROP.

SQuAD: Rajpurkar et al. 2016, section 6.1 (lower case, without punctuation and articles); HotpotQA
uses the same. DROP: Dua et al. 2019, section 5, and the rules of allenai/allennlp-models
`drop/drop_em_and_f1.py`: numbers are compared as numbers, several spans are aligned one to one, and
an answer whose numbers are none of the expected ones scores 0.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

#: A short answer is read up to here: an F1 of more is 0 in any case.
MOST_CHARACTERS = 4_000
#: Spans of one answer that are aligned.
MOST_SPANS = 40

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Lower case, without punctuation, articles and double blanks."""
    text = text[:MOST_CHARACTERS].lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact(expected: str, given: str) -> float:
    """1.0 where the two are the same text but for case, punctuation, articles and blanks."""
    if len(given) > MOST_CHARACTERS or not normalised(expected):
        # Nothing but punctuation or articles is compared as it stands.
        return float(expected.strip().casefold() == given.strip().casefold())
    return float(normalised(expected) == normalised(given))


def f1(expected: str, given: str) -> float:
    """Harmonic mean of precision and recall of words, after `normalised`; in [0, 1].

    "yes", "no" and "noanswer" must be met exactly, as in HotpotQA's grader.
    """
    wanted, found = normalised(expected), normalised(given)
    if not wanted or {wanted, found} & {"yes", "no", "noanswer"}:
        return exact(expected, given)
    return _overlap(wanted.split(), found.split())


def _overlap(wanted: Sequence[str], found: Sequence[str]) -> float:
    common = sum((Counter(wanted) & Counter(found)).values())
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


# -- DROP -----------------------------------------------------------------------------------------


def drop_tokens(text: str) -> frozenset[str]:
    """The words of a span: split at blanks and hyphens, numbers as numbers, no articles."""
    words = []
    for word in re.split(r"[ \-]+", text[:MOST_CHARACTERS].lower()):
        number = _as_number(word)
        plain = str(number) if number is not None else word.translate(_PUNCTUATION)
        words += _ARTICLES.sub(" ", plain).split()
    return frozenset(words)


def drop_score(expected: Sequence[Sequence[str]], given: Sequence[str]) -> float:
    """F1 of DROP in [0, 1], of the best of several expected answers, each a list of spans."""
    found = [drop_tokens(span) for span in given[:MOST_SPANS]]
    return max(
        (_aligned([drop_tokens(s) for s in spans], found) for spans in expected), default=0.0
    )


def drop(answers: Sequence[str], given: str) -> float:
    """`drop_score` of one text against several right ones.

    Several spans stand in a text divided by commas, semicolons or "and"; both are read whole and
    divided, and the better reading counts.
    """
    given = given[:MOST_CHARACTERS]
    best = drop_score([[answer] for answer in answers], [given])
    divided = _divided(given)
    if len(divided) > 1:
        best = max(best, drop_score([_divided(answer) for answer in answers], divided))
    return best


def _divided(text: str) -> list[str]:
    return [part for part in re.split(r"[,;]\s+|\s+and\s+", text) if part.strip()]


def _as_number(word: str) -> float | None:
    bare = word.strip(string.punctuation.replace("-", "").replace(".", ""))
    try:
        return (
            float(bare.replace(",", "")) if re.fullmatch(r"-?[0-9][0-9,]*\.?[0-9]*", bare) else None
        )
    except ValueError:
        return None


def _aligned(wanted: list[frozenset[str]], found: list[frozenset[str]]) -> float:
    """Mean F1 of the best one-to-one alignment of spans."""
    if not wanted or not found:
        return 0.0
    table = [[_bag(w, f) for f in found] for w in wanted]
    if len(wanted) == 1 or len(found) == 1:
        return max(max(row) for row in table) / max(len(wanted), len(found))
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table, maximize=True)
    total = sum(table[r][c] for r, c in zip(rows, columns, strict=True))
    return float(total / max(len(wanted), len(found)))


def _bag(wanted: frozenset[str], found: frozenset[str]) -> float:
    numbers = {word for word in wanted if _as_number(word) is not None}
    if numbers and not numbers & {word for word in found if _as_number(word) is not None}:
        return 0.0
    common = len(wanted & found)
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall)

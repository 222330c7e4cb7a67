"""Finding texts that bear on a question, with no model and no download.

`similar` ranks by the cosine of TF-IDF vectors (scikit-learn; Salton and Buckley 1988, section 4),
`Bm25` by Okapi BM25 (Robertson and Zaragoza 2009, The Probabilistic Relevance Framework, equation
3.15). Ties go to the earlier text, so the order is the same everywhere.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from typing import Any, Literal

#: "words": whole words, single characters too (texts may be sums). "pieces": character 4- to
#: 6-grams inside words, so that a plural finds its singular.
Unit = Literal["words", "pieces"]

_WORD = re.compile(r"\w+")


@lru_cache(maxsize=16)
def _index(texts: tuple[str, ...], unit: Unit) -> tuple[Any, Any] | None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    if unit == "words":
        vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+")
    else:
        # What most texts say ("is worth … coins") tells none of them apart.
        common = 0.5 if len(texts) > 3 else 1.0
        vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(4, 6), sublinear_tf=True, max_df=common
        )
    try:
        return vectorizer, vectorizer.fit_transform(texts)
    except ValueError:  # no words at all, or nothing but what all have
        return None


@lru_cache(maxsize=20_000)
def similar(
    texts: tuple[str, ...], question: str, k: int, unit: Unit = "words", above: float = -1.0
) -> tuple[int, ...]:
    """Indices of the at most `k` texts most similar to the question, the most similar first.

    Only texts whose cosine in [0, 1] is greater than `above` are given; none where the texts hold
    nothing to compare.
    """
    index = _index(texts, unit) if texts else None
    if index is None:
        return ()
    vectorizer, matrix = index
    cosine = (matrix @ vectorizer.transform([question]).T).toarray().ravel()
    order = sorted(range(len(texts)), key=lambda i: (-cosine[i], i))
    return tuple(i for i in order[:k] if cosine[i] > above)


class Bm25:
    """Okapi BM25 over passages, with k1 = 1.2 and b = 0.75; words without case."""

    K1, B = 1.2, 0.75

    def __init__(self, passages: tuple[str, ...]) -> None:
        self._lengths: list[int] = []
        self._where: dict[str, list[tuple[int, int]]] = {}
        for i, passage in enumerate(passages):
            words = Counter(_words(passage))
            self._lengths.append(sum(words.values()))
            for word, count in words.items():
                self._where.setdefault(word, []).append((i, count))
        self._mean = sum(self._lengths) / len(passages) if passages else 0.0

    def scores(self, query: str) -> dict[int, float]:
        """Scores above 0 by passage number.

        A word's weight is ln(1 + (N - n + 1/2) / (n + 1/2)), which is never negative.
        """
        found: dict[int, float] = {}
        total = len(self._lengths)
        for word in dict.fromkeys(_words(query)):
            places = self._where.get(word, ())
            weight = math.log(1 + (total - len(places) + 0.5) / (len(places) + 0.5))
            for i, count in places:
                long = 1 - self.B + self.B * self._lengths[i] / self._mean
                gain = weight * count * (self.K1 + 1) / (count + self.K1 * long)
                found[i] = found.get(i, 0.0) + gain
        return found

    def best(self, query: str, k: int) -> tuple[int, ...]:
        """Numbers of the at most `k` passages that share a word with the query, best first."""
        scores = self.scores(query)
        return tuple(sorted(scores, key=lambda i: (-scores[i], i))[:k])


@lru_cache(maxsize=8)
def bm25(passages: tuple[str, ...]) -> Bm25:
    """The index over these passages; made once."""
    return Bm25(passages)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]

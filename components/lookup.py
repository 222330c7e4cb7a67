"""Notes that bear on the question are put before it (retrieval by TF-IDF, scikit-learn).

Similarity is over character 4- to 6-grams inside words, so that a plural finds its singular. A note
enters only if its similarity is above `MIN_SIMILARITY`, so a question that needs none stays short.
No model calls. Requires "notes": a benchmark that has some.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from paragent.component import Chat, Component, Context, Memory

MIN_SIMILARITY = 0.15


@lru_cache(maxsize=8)
def _index(notes: tuple[str, ...]) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    # What most notes say ("is worth … coins") tells none of them apart.
    common = 0.5 if len(notes) > 3 else 1.0
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(4, 6), sublinear_tf=True, max_df=common
    )
    return vectorizer, vectorizer.fit_transform(notes)


@lru_cache(maxsize=20_000)
def nearest_notes(notes: tuple[str, ...], question: str, k: int) -> tuple[str, ...]:
    """At most `k` notes that are similar to the question, most similar first."""
    if not notes:
        return ()
    vectorizer, matrix = _index(notes)
    similarity = (matrix @ vectorizer.transform([question]).T).toarray().ravel()
    order = sorted(range(len(notes)), key=lambda i: (-similarity[i], i))
    return tuple(notes[i] for i in order[:k] if similarity[i] > MIN_SIMILARITY)


@dataclass(frozen=True)
class Lookup(Memory):
    """A memory that recalls at most `k` notes."""

    k: int

    async def recall(self, chat: Chat, context: Context, question: str) -> str:
        """The notes that bear on the question."""
        found = nearest_notes(context.notes, question, self.k)
        return "Notes:\n" + "\n".join(found) if found else ""


LOOKUP = Component(
    name="lookup",
    kind="memory",
    summary="puts the notes that bear on the question before it",
    build=Lookup,
    params={"k": (4, 8)},
    calls=lambda params, inner: 0,
    requires=("notes",),
    paper="Lewis et al. 2020, Retrieval-Augmented Generation, section 2 (with TF-IDF retrieval)",
)

"""Solved examples near the question are put before it (Liu et al. 2022, What Makes Good In-Context
Examples for GPT-3, section 3; TF-IDF over words instead of embeddings).

Examples are dev tasks that the search does not measure on. No model calls. Requires "examples".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from paragent.component import Chat, Component, Context, Example, Memory


@lru_cache(maxsize=8)
def _index(examples: tuple[Example, ...]) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    # Single characters count as words too: examples may be sums.
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+")
    return vectorizer, vectorizer.fit_transform([e.question for e in examples])


@lru_cache(maxsize=20_000)
def nearest_examples(examples: tuple[Example, ...], question: str, k: int) -> tuple[Example, ...]:
    """The `k` examples most similar to the question, the most similar last (next to it)."""
    if not examples:
        return ()
    vectorizer, matrix = _index(examples)
    similarity = (matrix @ vectorizer.transform([question]).T).toarray().ravel()
    order = sorted(range(len(examples)), key=lambda i: (-similarity[i], i))
    return tuple(examples[i] for i in reversed(order[:k]))


@dataclass(frozen=True)
class FewShot(Memory):
    """A memory that shows `k` solved examples."""

    k: int

    async def recall(self, chat: Chat, context: Context, question: str) -> str:
        """The examples nearest to the question, the nearest last."""
        found = nearest_examples(context.examples, question, self.k)
        if not found:
            return ""
        return "Examples:\n" + "\n".join(f"Q: {e.question}\nA: {e.answer}" for e in found)


FEW_SHOT = Component(
    name="few_shot",
    kind="memory",
    summary="puts solved examples near the question before it",
    build=FewShot,
    params={"k": (1, 3)},
    calls=lambda params, inner: 0,
    requires=("examples",),
    paper="Liu et al. 2022, What Makes Good In-Context Examples for GPT-3, section 3",
)

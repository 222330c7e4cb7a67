"""Solved examples near the question are put before it (Liu et al. 2022, What Makes Good In-Context
Examples for GPT-3, section 3; TF-IDF over words instead of embeddings).

Examples are dev tasks that the search does not measure on. No model calls. Requires "examples".
"""

from __future__ import annotations

from dataclasses import dataclass

from paragent.component import Chat, Component, Context, Memory
from paragent.retrieval import similar


@dataclass(frozen=True)
class FewShot(Memory):
    """A memory that shows `k` solved examples."""

    k: int

    async def recall(self, chat: Chat, context: Context, question: str) -> str:
        """The examples nearest to the question, the nearest last (next to it)."""
        near = similar(tuple(e.question for e in context.examples), question, self.k)
        found = [context.examples[i] for i in reversed(near)]
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

"""Notes that bear on the question are put before it (retrieval by TF-IDF, scikit-learn).

Similarity is over character 4- to 6-grams inside words, so that a plural finds its singular. A note
enters only if its similarity is above `MIN_SIMILARITY`, so a question that needs none stays short.
No model calls. Requires "notes": a benchmark that has some.
"""

from __future__ import annotations

from dataclasses import dataclass

from paragent.component import Chat, Component, Context, Memory
from paragent.retrieval import similar

MIN_SIMILARITY = 0.15


@dataclass(frozen=True)
class Lookup(Memory):
    """A memory that recalls at most `k` notes."""

    k: int

    async def recall(self, chat: Chat, context: Context, question: str) -> str:
        """The notes that bear on the question, the most similar first."""
        found = similar(context.notes, question, self.k, "pieces", MIN_SIMILARITY)
        return "Notes:\n" + "\n".join(context.notes[i] for i in found) if found else ""


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

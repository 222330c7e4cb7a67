"""Wordings that several components share. A wording of one component alone stands in its own file.

They are ordinary instructions: large instruction-tuned models follow them, and the pocket models
were trained on them and on paraphrases.
"""

from __future__ import annotations

from paragent.component import Answer, Reply, final_answer

STEP_BY_STEP = "Think step by step{tools}, then give the final answer."


def draft_question(question: str, draft: str) -> str:
    """The question with a draft solution below it."""
    return f"{question}\nDraft: {draft}"


def as_answer(reply: Reply) -> Answer:
    """The final answer of a reply, with all that was said and the model's confidence."""
    return Answer(final_answer(reply.text), reply.text, reply.confidence)

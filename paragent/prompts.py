"""Wordings that several components share. A wording of one component alone stands in its own file.

They are ordinary instructions: large instruction-tuned models follow them, and the pocket models
were trained on them and on paraphrases. A component makes `paragent.template.Prompt` objects of
them, under its own name, so that a user can give another text for that component alone.
"""

from __future__ import annotations

from paragent.component import Answer, Reply, final_answer

STEP_BY_STEP = "Think step by step{tools}, then give the final answer."
FIX = "Check the draft solution, fix any mistake, then give the final answer."
#: The question with a draft solution below it.
DRAFT_BELOW = "{question}\nDraft: {draft}"
#: How components that ask for more than one thing want the answer marked.
MARKED = 'End with a line "Answer:" and the final answer alone.'


def draft_question(question: str, draft: str) -> str:
    """The question with a draft solution below it."""
    return f"{question}\nDraft: {draft}"


def as_answer(reply: Reply) -> Answer:
    """The final answer of a reply, with all that was said and the model's confidence."""
    return Answer(final_answer(reply.text), reply.text, reply.confidence)

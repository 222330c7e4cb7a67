"""Use a design: one question, one answer, outside any search."""

from __future__ import annotations

from collections.abc import Sequence

from paragent.chat import TaskRun, TraceStep
from paragent.compile import compile_design
from paragent.component import Answer, Context, together
from paragent.design import Design
from paragent.runtime.model import Completion, LanguageModel, Request
from paragent.runtime.pocket import close_pool


class DirectCaller:
    """Calls the model, with no cache, budget or limit between: a person is asking."""

    async def call(self, model: LanguageModel, request: Request, purpose: object) -> Completion:
        """One call."""
        return await model.complete(request)


async def ask_design(
    design: Design,
    question: str,
    context: Context | None = None,
    *,
    seed: int = 0,
    trace: list[TraceStep] | None = None,
) -> Answer:
    """The design's answer. Raises CallFailure, or InvalidDesign for a design that cannot run."""
    (answer,) = await ask_all(design, [question], context, seed=seed, trace=trace)
    return answer


async def ask_all(
    design: Design,
    questions: Sequence[str],
    context: Context | None = None,
    *,
    seed: int = 0,
    trace: list[TraceStep] | None = None,
) -> list[Answer]:
    """The design's answers to many questions, asked at the same time; raises as `ask_design`."""
    system, given = compile_design(design), context or Context()

    async def one(question: str) -> Answer:
        run = TaskRun(DirectCaller(), "trial", seed, given, trace=trace)
        return await system.answer(run, question)

    try:
        return await together([one(question) for question in questions])
    finally:
        for model in system.models.values():
            await model.aclose()
        await close_pool()

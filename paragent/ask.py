"""Use a design: one question, one answer, outside any search."""

from __future__ import annotations

from paragent.compile import TaskRun, TraceStep, compile_design
from paragent.component import Answer, Context
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
    system = compile_design(design)
    run = TaskRun(DirectCaller(), "trial", seed, context or Context(), trace=trace)
    try:
        return await system.answer(run, question)
    finally:
        for model in system.models.values():
            await model.aclose()
        await close_pool()

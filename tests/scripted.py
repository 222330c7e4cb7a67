"""A model that answers from a script: the outermost boundary is replaced, nothing inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from paragent.chat import TaskRun, TraceStep
from paragent.component import Component, Context, Price
from paragent.outcome import Purpose
from paragent.runtime.model import Completion, LanguageModel, Request

Script = Callable[[Request], str | Completion]


@dataclass
class ScriptedModel:
    """Answers with `script(request)`; one token a word, one second a call."""

    script: Script
    name: str = "scripted"
    price: Price = field(default_factory=lambda: Price(1.0, 2.0))
    endpoint: str = "scripted"
    tool_protocol: Literal["inline", "native", "text"] = "inline"
    seen: list[Request] = field(default_factory=list)

    async def complete(self, request: Request) -> Completion:
        """The scripted reply."""
        self.seen.append(request)
        said = self.script(request)
        if isinstance(said, Completion):
            return said
        prompt = sum(len(m.content.split()) for m in request.messages)
        return Completion(said, prompt, len(said.split()), 1.0, confidence=0.5)

    def worst_case(self, request: Request) -> tuple[int, int]:
        """Words of the prompt, and the limit."""
        return sum(len(m.content.split()) for m in request.messages), request.max_tokens

    async def aclose(self) -> None:
        """Nothing to close."""


class Straight:
    """Calls the model with nothing between."""

    async def call(self, model: LanguageModel, request: Request, purpose: Purpose) -> Completion:
        """One call."""
        return await model.complete(request)


def task_run(context: Context | None = None, trace: list[TraceStep] | None = None) -> TaskRun:
    """A task with no cache, budget or limit."""
    return TaskRun(Straight(), "search-eval", 0, context or Context(), trace=trace)


def model_component(model: ScriptedModel) -> Component:
    """The scripted model as a component of kind "model"."""
    return Component(model.name, "model", "answers from a script", lambda: model, price=model.price)

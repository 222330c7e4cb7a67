"""Short ways to put one scripted agent together and to ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from scripted import task_run

from paragent.compile import compile_design
from paragent.component import Answer, Context
from paragent.design import Agent, Design, Node, Part
from paragent.runtime.cages import close_sandbox
from paragent.runtime.model import Completion, Request


def answer(
    node: Node,
    question: str = "Q?",
    context: Context | None = None,
    prompts: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """The design's answer to one question; its calls never exceed the declared bound."""

    async def ask() -> Answer:
        try:
            system = compile_design(Design(node, prompts))
            return await system.answer(task_run(context), question)
        finally:
            await close_sandbox()

    return asyncio.run(ask())


def thinking(name: str, **params: object) -> Agent:
    """The scripted model with one reasoning."""
    return Agent(Part("scripted"), Part.of(name, **params))  # type: ignore[arg-type]


def planning(name: str, **params: object) -> Agent:
    """The scripted model, chain of thought, and one planning."""
    plan = Part.of(name, **params)  # type: ignore[arg-type]
    return Agent(Part("scripted"), Part("chain_of_thought"), planning=plan)


def guarded(name: str, **params: object) -> Agent:
    """The scripted model, chain of thought, and one guard."""
    guard = Part.of(name, **params)  # type: ignore[arg-type]
    return Agent(Part("scripted"), Part("chain_of_thought"), guard=guard)


def lines(*texts: str | Completion) -> Callable[[Request], str | Completion]:
    """A script that says one text after the other, and breaks where it is asked for more."""
    left: Iterator[str | Completion] = iter(texts)
    return lambda request: next(left)


def by_order(*rules: tuple[str, str]) -> Callable[[Request], str]:
    """A script by what is asked: the first rule whose word stands in the request gives the text."""

    def say(request: Request) -> str:
        sent = "\n".join(m.content for m in request.messages)
        return next(text for word, text in rules if word in sent)

    return say


def sure(text: str, confidence: float | None) -> Completion:
    """A reply with a confidence."""
    return Completion(text, 1, 1, 0.0, confidence=confidence)


def user(request: Request) -> str:
    """What stood in the user's turn."""
    return request.messages[1].content

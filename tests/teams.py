"""Teams of scripted models: made and run in one line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from scripted import ScriptedModel, task_run

from paragent.compile import compile_design
from paragent.component import Answer, Context
from paragent.design import Agent, Design, Node, Part, Team
from paragent.outcome import Usage
from paragent.runtime.model import Completion

Make = Callable[..., ScriptedModel]


def run(node: Node, question: str = "Q?", context: Context | None = None) -> tuple[Answer, Usage]:
    """The design's answer to one question, and what it used."""
    task = task_run(context)
    return asyncio.run(compile_design(Design(node)).answer(task, question)), task.usage


def agent(model: str, role: str = "") -> Agent:
    """An agent that answers at once."""
    return Agent(Part(model), role=role)


def team(topology: str, *members: Node, lead: str = "", **params: str | int | float) -> Team:
    """A team; `lead` names the lead's model."""
    return Team(Part.of(topology, **params), members, agent(lead) if lead else None)


def sure(text: str, confidence: float | None) -> Completion:
    """A reply with a confidence."""
    return Completion(f"Answer: {text}", 1, 1, 1.0, confidence=confidence)


def asked(model: ScriptedModel) -> list[str]:
    """The questions a model was asked, in order."""
    return [request.messages[-1].content for request in model.seen]

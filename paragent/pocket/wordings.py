"""The instructions that pocket models were trained to follow, word for word.

Components send the first wording of each mode (the canonical one) to pocket models and to real
models alike.  The others are paraphrases seen in training, so that a design search over wordings
stays inside what the models know.  The engine never reads this file: a pocket model finds out
what to do by reading its prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

SYSTEM: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "direct": (
            "Answer with the final answer only.",
            "Give only the final answer.",
            "Reply with the answer and nothing else.",
            "Answer directly, without any steps.",
        ),
        "cot": (
            "Think step by step, then give the final answer.",
            "Work through the problem step by step, then answer.",
            "Show your steps, then give the final answer.",
            "Reason step by step before you answer.",
        ),
        "calc": (
            "Think step by step. Use the calculator by writing <<expression>>, "
            "then give the final answer.",
            "Work step by step and write <<expression>> to use the calculator, then answer.",
            "Show your steps. Write <<expression>> for the calculator, then give the final answer.",
            "Reason step by step. The calculator computes <<expression>>.",
        ),
        "fix": (
            "Check the draft solution, fix any mistake, then give the final answer.",
            "Correct the draft solution and give the final answer.",
            "Find and fix mistakes in the draft, then answer.",
            "Improve the draft solution, then give the final answer.",
        ),
        "plan": (
            "Split the problem into simple steps. Write one step per line.",
            "Write a plan with one simple step per line.",
            "Break the problem into simple steps, one per line.",
            "List the simple steps that solve the problem, one per line.",
        ),
        "step": (
            "Solve this step.",
            "Do only this step.",
            "Give the result of this step.",
            "Solve the given step and nothing else.",
        ),
        "route": (
            "Choose the best agent for the question. Answer with its name.",
            "Which agent should solve the question? Answer with its name.",
            "Pick the agent that fits the question best and give its name.",
            "Name the agent that should answer the question.",
        ),
    }
)
"""Mode -> wordings; the first of each tuple is the canonical one."""

ROLES: tuple[str, ...] = (
    "solver", "arithmetic", "units", "facts", "lists", "schedule", "planner", "checker", "critic",
    "calculator", "generalist", "worker", "expert", "math", "text", "router", "fixer", "helper",
)  # fmt: skip
"""Role names seen in training inside ``ROLE_PREFIX``."""

ROLE_PREFIX = "You are the {role} agent. "
"""Optional sentence in front of any system text."""


def system(mode: str, role: str | None = None) -> str:
    """Return the canonical system text of ``mode``, optionally for a named role."""
    prefix = "" if role is None else ROLE_PREFIX.format(role=role)
    return prefix + SYSTEM[mode][0]


def with_notes(question: str, notes: Sequence[str]) -> str:
    """Return the user turn with knowledge ``notes`` in front of ``question``."""
    if not notes:
        return question
    return "Notes:\n" + "\n".join(notes) + "\n\n" + question


def with_examples(question: str, examples: Sequence[tuple[str, str]]) -> str:
    """Return the user turn with worked ``(question, solution)`` examples in front."""
    if not examples:
        return question
    lines = "\n".join(f"Q: {asked}\nA: {solution}" for asked, solution in examples)
    return f"Examples:\n{lines}\n\n{question}"


def fix_user(question: str, draft: str) -> str:
    """Return the user turn of the ``fix`` mode."""
    return f"{question}\nDraft: {draft}"


def step_user(question: str, step: str) -> str:
    """Return the user turn of the ``step`` mode; ``step`` has its ``#k`` filled in."""
    return f"{question}\nStep: {step}"


def route_user(question: str, agents: Sequence[str]) -> str:
    """Return the user turn of the ``route`` mode."""
    return f"Agents: {', '.join(agents)}\nQuestion: {question}"

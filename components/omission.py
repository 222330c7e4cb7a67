"""Old thoughts and observations are left out of what the model reads again (Agent-Omit, 2026:
agents that omit redundant thoughts and observations; here by rule, without its training).

The newest `keep` steps stay whole. In older ones, a line that begins with "Thought:" or
"Observation:" (and what follows it up to the next label) goes where `omit` names it; actions stay,
so the model still sees what it has tried. A step without labels counts as a thought.
No model calls. Requires "folds": reasoning that goes by steps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from paragent.component import Chat, Component, Memory

OMITTED = {"thought": "", "observation": "Observation: (omitted)"}

_LABEL = re.compile(r"^\s*(thought|action(?: input)?|observation)\b[^:\n]*:", re.I | re.M)


def blocks(step: str) -> list[tuple[str, str]]:
    """(kind, text) of the parts of a step, in order; kinds are thought, action, observation."""
    marks = list(_LABEL.finditer(step))
    found = [("thought", step[: marks[0].start()] if marks else step)]
    ends = [*(mark.start() for mark in marks[1:]), len(step)]
    for mark, end in zip(marks, ends[: len(marks)], strict=True):
        found.append((mark[1].lower().split()[0], step[mark.start() : end]))
    return [(kind, text.strip()) for kind, text in found if text.strip()]


@dataclass(frozen=True)
class Omission(Memory):
    """A memory that leaves old thoughts, observations or both out."""

    omit: str
    keep: int

    async def fold(self, chat: Chat, steps: Sequence[str]) -> Sequence[str]:
        """The steps, the old ones shortened; a step of which nothing is left goes."""
        old = len(steps) - self.keep
        gone = ("thought", "observation") if self.omit == "both" else (self.omit,)
        kept = []
        for i, step in enumerate(steps):
            if i < old:
                parts = [OMITTED[k] if k in gone else text for k, text in blocks(step)]
                step = "\n".join(part for part in parts if part)
            if step or i >= old:
                kept.append(step)
        return kept


OMISSION = Component(
    name="omission",
    kind="memory",
    summary="leaves old thoughts and observations out of what the model reads again",
    build=Omission,
    params={"omit": ("observation", "thought", "both"), "keep": (2, 4)},
    calls=lambda params, inner: 0,
    requires=("folds",),
    paper="Agent-Omit 2026, adaptive omission of thoughts and observations (by rule, no training)",
)

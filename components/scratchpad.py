"""Old steps are summed up by the model, so that a long piece of work stays short to read
(Generative Agents' reflections, Park et al. 2023, section 4.2; MemGPT, Packer et al. 2023,
section 2.1: what no longer fits is replaced by a recursive summary).

When more than `keep + ROOM` steps stand, all but the newest `keep` become one, the summary; the
next summary takes the last one in. A summary is cut at `SUMMARY_CHARACTERS`; where the model says
nothing, the steps stay as they are. Model calls: at most one for every call of the agent's own
(reasoning folds once after each). Requires "folds" and "instruct".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paragent.component import Chat, Component, Memory
from paragent.template import Prompt

SUM_UP = Prompt(
    "scratchpad.sum_up",
    "Sum up the work so far in a few sentences: what is known, what was tried, what is left to do. "
    "Keep every name and number that may still be needed.",
)
TITLE = "Summary of earlier steps: "
ROOM = 3
SUMMARY_CHARACTERS = 2000


@dataclass(frozen=True)
class Scratchpad(Memory):
    """A memory that keeps the newest `keep` steps and a summary of those before."""

    keep: int

    async def fold(self, chat: Chat, steps: Sequence[str]) -> Sequence[str]:
        """The steps, or a summary and the newest of them."""
        if len(steps) <= self.keep + ROOM:
            return steps
        old, new = steps[: -self.keep], steps[-self.keep :]
        reply = await chat.ask(SUM_UP(), "\n".join(old), tools=False, memory=False)
        summary = " ".join(reply.text.split())[:SUMMARY_CHARACTERS]
        return [f"{TITLE}{summary}", *new] if summary else steps


SCRATCHPAD = Component(
    name="scratchpad",
    kind="memory",
    summary="sums up old steps, so that a long piece of work stays short to read",
    build=Scratchpad,
    params={"keep": (2, 4)},
    calls=lambda params, inner: sum(inner),
    prompts=(SUM_UP,),
    requires=("folds", "instruct"),
    paper="Park et al. 2023, Generative Agents, section 4.2; Packer et al. 2023, MemGPT, 2.1",
)

"""What one design said on one task of a run, rebuilt from the run's journal.

Nothing extra is stored for it: a design is a pure function of its calls, so running it again on the
recorded completions gives its whole conversation, and pays nothing. A call that is not in the
journal (the run was stopped before it) ends the trace there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from paragent.benchmark import Benchmark, Closes, Task
from paragent.chat import TraceStep
from paragent.compile import compile_design
from paragent.design import Design
from paragent.errors import CallFailure, UnknownName
from paragent.evaluate import evaluate_task
from paragent.outcome import Measured, Outcome, Purpose, Split
from paragent.runtime.journal import Journal, call_key
from paragent.runtime.model import Completion, LanguageModel, Message, Request

SPLITS: tuple[Split, ...] = ("dev", "test")


@dataclass(frozen=True)
class Trace:
    """One task: its calls in the order they were made, and the outcome they lead to."""

    design: Design
    task: Task
    steps: list[TraceStep]
    outcome: Outcome


@dataclass(frozen=True)
class FromJournal:
    """Answers calls from a journal alone."""

    journal: Journal

    async def call(self, model: LanguageModel, request: Request, purpose: Purpose) -> Completion:
        """The recorded completion; CallFailure where there is none."""
        known = self.journal.get(call_key(model, request))
        if known is None:
            raise CallFailure("connection", "this call is not in the run's journal")
        return known


def find_task(benchmark: Benchmark, task_id: str) -> Task:
    """The task of that id in either split. Raises UnknownName."""
    tasks = {t.id: t for split in SPLITS for t in benchmark.tasks(split)}
    if task_id not in tasks:
        raise UnknownName("task", task_id, tasks)
    return tasks[task_id]


def trace(design: Design, benchmark: Benchmark, task: Task, journal: Journal, seed: int) -> Trace:
    """Run the design on the task with the journal's completions."""
    steps: list[TraceStep] = []

    async def again() -> Outcome:
        try:
            return await evaluate_task(
                compile_design(design),
                benchmark,
                task,
                FromJournal(journal),
                purpose="search-eval",
                seed=seed,
                trace=steps,
            )
        finally:
            if isinstance(benchmark, Closes):
                await benchmark.aclose()

    outcome = asyncio.run(again())
    return Trace(design, task, steps, outcome)


def lines(found: Trace) -> list[str]:
    """The trace as an indented text tree: node, what it was told, what it said, what it cost."""
    shown = [f"design {found.design.hash}  {found.design.label}", f"task   {found.task.id}"]
    before: dict[str, tuple[Message, ...]] = {}
    for step in found.steps:
        depth = step.path.count(".") + bool(step.path)
        pad = "  " * depth
        c = step.completion
        sure = "" if c.confidence is None else f", confidence {c.confidence:.3f}"
        shown.append(
            f"{pad}[{step.path or 'root'}] {step.model}: "
            f"{c.prompt_tokens} + {c.completion_tokens} tokens{sure}"
        )
        known = before.get(step.path, ())
        before[step.path] = step.messages
        # A conversation that goes on is told once: its last words were shown as said.
        goes_on = 0 < len(known) < len(step.messages) and step.messages[: len(known)] == known
        for message in step.messages[len(known) + 1 if goes_on else 0 :]:
            shown += _indented(pad, message.role, message.content)
        if c.text or not c.tool_calls:
            shown += _indented(pad, "said", c.text)
        for call in c.tool_calls:
            shown += _indented(pad, "called", f"{call.name} {call.arguments}")
    if isinstance(found.outcome, Measured):
        wanted = f", wanted {found.task.answer!r}" if found.task.answer else ""
        shown.append(f"answer {found.outcome.answer!r}{wanted}: {found.outcome.score:g}")
    else:
        shown.append(f"no score: {getattr(found.outcome, 'why', '')}")
    return shown


def _indented(pad: str, who: str, text: str) -> list[str]:
    # A model's words may hold codes that move a terminal's cursor or colour it.
    plain = ["".join(c if c.isprintable() else " " for c in one) for one in text.splitlines()]
    first, *rest = plain or [""]
    return [f"{pad}  {who:<9} {first}", *(f"{pad}  {'':<9} {line}" for line in rest)]

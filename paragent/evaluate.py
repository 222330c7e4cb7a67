"""One design on one task: one outcome. Nothing that goes wrong here becomes a score."""

from __future__ import annotations

from paragent.benchmark import Benchmark, Task, valid_score
from paragent.chat import Caller, TaskRun, TraceStep
from paragent.compile import System
from paragent.errors import CallFailure, CapReached
from paragent.outcome import Failed, Measured, Outcome, Purpose


async def evaluate_task(
    system: System,
    benchmark: Benchmark,
    task: Task,
    caller: Caller,
    *,
    purpose: Purpose,
    seed: int,
    trace: list[TraceStep] | None = None,
) -> Outcome:
    """Answer and score one task.

    A failed call, a component that raises and a scorer that raises or leaves [0, 1] are `Failed`
    of their kinds, with what was used until then. Raises CapReached only: then the task has no
    outcome, and will be run again when there is budget.
    """
    run = TaskRun(caller, purpose, seed, benchmark.context, trace=trace)
    try:
        answer = await system.answer(run, task.question)
    except CapReached:
        raise
    except CallFailure as failure:
        return Failed(failure.kind, failure.why, run.usage)
    except Exception as error:  # a component is a plug-in: its error is this design's failure
        return Failed("component", f"{type(error).__name__}: {error}", run.usage)
    try:
        score = valid_score(benchmark.score(task, answer.text))
    except Exception as error:  # a scorer is the user's own code
        return Failed("scorer", f"{type(error).__name__}: {error}", run.usage)
    return Measured(score, run.usage, answer.text)

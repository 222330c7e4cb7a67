"""One design on one task: one outcome. Nothing that goes wrong here becomes a score."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from paragent.ballot import normalised
from paragent.benchmark import Benchmark, Judged, ReadsAll, Task, valid_score
from paragent.chat import Caller, TaskRun, TraceStep, stable_seed
from paragent.compile import System
from paragent.component import Reply
from paragent.design import Design, Team
from paragent.environment import Interactive, ScoreFault, World
from paragent.errors import CallFailure, CapReached
from paragent.outcome import Failed, Measured, Outcome, Purpose
from paragent.registry import component_of
from paragent.runtime.model import LanguageModel, Message, Request
from paragent.signs import FAILED_BELOW, signs_of


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
    trace = [] if trace is None else trace
    run = TaskRun(caller, purpose, seed, benchmark.context, trace=trace)
    if isinstance(benchmark, Interactive):
        return await _in_environment(system, benchmark, task, run)
    try:
        answer = await system.answer(run, task.question)
    except CapReached:
        raise
    except CallFailure as failure:
        return Failed(failure.kind, failure.why, run.usage)
    except Exception as error:  # a component is a plug-in: its error is this design's failure
        return Failed("component", f"{type(error).__name__}: {error}", run.usage)
    whole = isinstance(benchmark, ReadsAll) and benchmark.reads_all
    text = (answer.full or answer.text) if whole else answer.text
    try:
        score = await score_of(benchmark, task, text, ModelReferee(caller, seed, task.id))
    except CapReached:
        raise
    except CallFailure as failure:
        return Failed("scorer", f"the judge's call failed: {failure}", run.usage)
    except Exception as error:  # a scorer is the user's own code
        return Failed("scorer", f"{type(error).__name__}: {error}", run.usage)
    return _measured(score, text, answer.text, system, task, run)


async def _in_environment(
    system: System, benchmark: Interactive, task: Task, run: TaskRun
) -> Outcome:
    """The task in a world of its own, scored by the state it ends in."""
    try:
        environment = benchmark.environment(task, ModelReferee(run.caller, run.seed, task.id))
    except Exception as error:  # an environment is a plug-in, or a package of others
        return Failed("environment", f"{type(error).__name__}: {error}", run.usage)
    world = World(environment, benchmark.steps)
    try:
        answer = await system.play(run, world, task.question, benchmark.plays)
        score = await world.score(answer)
    except CapReached:
        raise
    except CallFailure as failure:
        return Failed(failure.kind, failure.why, run.usage)
    except ScoreFault as fault:
        return Failed("scorer", str(fault), run.usage)
    except Exception as error:  # a component is a plug-in: its error is this design's failure
        return Failed("component", f"{type(error).__name__}: {error}", run.usage)
    finally:
        await environment.aclose()
    return _measured(score, answer.text, answer.text, system, task, run)


def _measured(
    score: float, text: str, final: str, system: System, task: Task, run: TaskRun
) -> Measured:
    """The outcome; where it is a failure, with the signs of what went wrong."""
    signs: tuple[str, ...] = ()
    if score < FAILED_BELOW:
        signs = signs_of(task, final, run.trace or (), run.context)
    return Measured(score, run.usage, text, _members(system.design, run, final), signs)


def _members(design: Design, run: TaskRun, final: str) -> tuple[bool | None, ...]:
    """See `Measured.members`."""
    if not isinstance(design.root, Team):
        return ()
    said = (run.said.get(i) for i in range(len(design.root.members)))
    return tuple(None if s is None else normalised(s) == normalised(final) for s in said)


async def score_of(
    benchmark: Benchmark, task: Task, text: str, referee: ModelReferee | None = None
) -> float:
    """The score in [0, 1], whichever way the benchmark has of scoring. Raises what it raises."""
    if referee is not None and isinstance(benchmark, Judged):
        return valid_score(await benchmark.judge(task, text, referee))
    found = benchmark.score(task, text)
    return valid_score(await found if inspect.isawaitable(found) else found)


@dataclass(frozen=True)
class ModelReferee:
    """`paragent.benchmark.Referee` over a run's calls; `task` keeps the draws of tasks apart."""

    caller: Caller
    seed: int
    task: str = ""

    async def ask(
        self,
        model: str,
        instruction: str,
        question: str,
        *,
        temperature: float = 0.0,
        sample: int = 0,
        max_tokens: int = 512,
    ) -> Reply:
        """See `paragent.benchmark.Referee.ask`."""
        component = component_of("model", model, "judge")
        built: LanguageModel = component.build(**component.defaults)
        label = f"judge/{sample}" if temperature > 0 else ""
        request = Request(
            (Message("system", instruction), Message("user", question)),
            max_tokens=max_tokens,
            temperature=temperature,
            seed=stable_seed(self.seed, label, self.task, question) if label else 0,
            sample=label,
        )
        completion = await self.caller.call(built, request, "judge")
        return Reply(completion.text, completion.confidence)

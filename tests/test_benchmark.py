"""A user's own tasks as a benchmark."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedModel, model_component

from paragent.benchmark import ListBenchmark, Referee, Task, tasks_digest, valid_score
from paragent.compile import compile_design
from paragent.component import Answer, Chat, Component, Context
from paragent.design import Agent, Design, Part
from paragent.errors import CallFailure, CapReached, UsageError
from paragent.evaluate import evaluate_task, score_of
from paragent.outcome import Failed, Measured, Outcome, Purpose
from paragent.registry import components
from paragent.runtime.model import Completion, LanguageModel, Request

PAIRS = [(f"question {i}", f"answer {i}") for i in range(40)]


def test_splits_are_disjoint_complete_and_stable() -> None:
    """Every task is in one split, and adding tasks moves none."""
    small, large = ListBenchmark.of("b", PAIRS[:30]), ListBenchmark.of("b", PAIRS)
    dev, test = (
        {t.id for t in small.tasks("dev")},
        {t.id for t in small.tasks("test")},
    )
    assert not dev & test
    assert len(dev | test) == 30
    assert dev <= {t.id for t in large.tasks("dev")}


def test_the_default_scorer_ignores_case_and_blanks() -> None:
    """Blanks around it and another case still make the right answer."""
    benchmark = ListBenchmark.of("b", PAIRS)
    task = Task("x", "q", "Answer 3")
    assert benchmark.score(task, " answer 3 ") == 1.0
    assert benchmark.score(task, "answer 4") == 0.0


def test_no_tasks_one_split_or_doubles_are_refused() -> None:
    """Each with its reason."""
    with pytest.raises(UsageError, match="has no tasks"):
        ListBenchmark.of("b", [])
    with pytest.raises(UsageError, match="1 task ids occur twice"):
        ListBenchmark.of("b", [*PAIRS, PAIRS[0]])
    with pytest.raises(UsageError, match=r"leave the (dev|test) split empty"):
        ListBenchmark.of("b", PAIRS[:1])


@given(st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans()))
def test_valid_score_lets_only_the_unit_interval_pass(value: object) -> None:
    """NaN, infinities, 7, texts and None raise; everything that passes is in [0, 1]."""
    try:
        assert 0 <= valid_score(value) <= 1
    except ValueError:
        assert not (isinstance(value, int | float) and 0 <= value <= 1)


def test_valid_score_takes_the_scalars_of_numpy() -> None:
    """A scorer written with numpy returns numpy's numbers and truth values."""
    assert valid_score(np.float32(0.5)) == 0.5
    assert valid_score(np.bool_(True)) == 1.0
    assert valid_score(np.int64(1)) == 1.0
    for wrong in (np.float64("nan"), np.array([1.0, 0.0]), np.str_("1"), 1 + 0j):
        with pytest.raises(ValueError, match="wanted a number"):
            valid_score(wrong)


def test_the_digest_tells_changed_tasks() -> None:
    """Another answer, question, id or order of splits gives another digest; the same does not."""
    one = ListBenchmark.of("b", PAIRS)
    assert tasks_digest(one) == tasks_digest(ListBenchmark.of("other name", PAIRS))
    assert tasks_digest(one) != tasks_digest(ListBenchmark.of("b", PAIRS[:-1]))
    changed = [*PAIRS[:-1], (PAIRS[-1][0], "another answer")]
    assert tasks_digest(one) != tasks_digest(ListBenchmark.of("b", changed))


class Jury:
    """A judged benchmark: the judge model's words are the score."""

    name, version, context = "jury", "1", Context()
    models = ("judge-model",)
    reads_all = True

    def tasks(self, split: str) -> list[Task]:
        return [Task("t", "What is it?", "")]

    def score(self, task: Task, answer: str) -> float:
        raise AssertionError("a judged benchmark is judged")

    async def judge(self, task: Task, answer: str, referee: Referee) -> float:
        said = await referee.ask("judge-model", "Give a score.", answer, max_tokens=5)
        return float(said.text)


class Recording:
    """A caller that notes for what each model was called, and may fail for a purpose."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.calls: list[tuple[str, str]] = []
        self.fails = fails

    async def call(self, model: LanguageModel, request: Request, purpose: Purpose) -> Completion:
        self.calls.append((model.name, purpose))
        if purpose == "judge" and self.fails is not None:
            raise self.fails
        return await model.complete(request)


@pytest.fixture
def jury() -> Iterator[Design]:
    """An agent that answers in two lines, and the model that judges it."""

    def judge(request: Request) -> str:
        return "0.75" if "two\nlines" in request.messages[-1].content else "0"

    parts = [
        model_component(ScriptedModel(lambda request: "two\nlines", name="talker")),
        model_component(ScriptedModel(judge, name="judge-model")),
        Component("talks", "reasoning", "says it all", lambda: _talk),
    ]
    for part in parts:
        components.register(part)
    yield Design(Agent(Part("talker"), Part("talks")))
    for part in parts:
        components.unregister(part.name)


async def _talk(chat: Chat, question: str) -> Answer:
    reply = await chat.ask("Talk.", question)
    return Answer(reply.text.splitlines()[-1], reply.text)


def _judged(design: Design, caller: Recording) -> Outcome:
    task = Jury().tasks("dev")[0]
    job = evaluate_task(compile_design(design), Jury(), task, caller, purpose="search-eval", seed=0)
    return asyncio.run(job)


def test_a_judge_is_called_for_the_run_not_for_the_design(jury: Design) -> None:
    """Its call has the purpose "judge", the design's usage is its own call alone, and a benchmark
    that reads everything is given both lines."""
    caller = Recording()
    outcome = _judged(jury, caller)
    assert caller.calls == [("talker", "search-eval"), ("judge-model", "judge")]
    assert isinstance(outcome, Measured)
    assert (outcome.score, outcome.answer, outcome.usage.calls) == (0.75, "two\nlines", 1)


def test_a_judge_that_fails_is_no_zero_and_a_cap_passes(jury: Design) -> None:
    """A failed call of the judge fails the task as its scorer; CapReached ends the job."""
    outcome = _judged(jury, Recording(CallFailure("timeout", "too slow")))
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.usage.calls) == ("scorer", 1)
    with pytest.raises(CapReached):
        _judged(jury, Recording(CapReached("usd")))


def test_a_scorer_may_be_awaited() -> None:
    """An async scorer of a user's own is awaited."""

    async def later(expected: str, given: str) -> float:
        await asyncio.sleep(0)
        return float(expected == given)

    benchmark = ListBenchmark.of("b", PAIRS, later)
    assert asyncio.run(score_of(benchmark, Task("x", "q", "a"), "a")) == 1.0

"""Conformance suites: what every searcher, component and benchmark must pass.

A suite is a class of tests with one attribute to set:

    class TestMySearcher(SearcherConformance):
        plugin = MY_SEARCHER

Paragent's own tests run the suites over everything that is registered, so a new plug-in file is
tested by existing. They need pytest only to be run.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from paragent.benchmark import Benchmark, Closes, Judged, Task
from paragent.chat import stable_seed
from paragent.component import (
    Answer,
    Component,
    Context,
    Example,
    Member,
    Memory,
    Reply,
    TeamView,
    Tool,
    final_answer,
    run_tool,
)
from paragent.design import Design
from paragent.environment import Interactive, World, replay
from paragent.evaluate import score_of
from paragent.hostile import answer_hostilely, hostile
from paragent.outcome import Evaluation, Failed, Measured, Outcome, Usage
from paragent.registry import BenchmarkPlugin, SearcherPlugin, searchers
from paragent.runtime.cages import cage_tags, close_sandbox
from paragent.searcher import Searcher, Space
from paragent.space import DesignSpace, Limits

T = TypeVar("T")


def toy_space(models: Sequence[str] = ("pocket-s", "pocket-m")) -> DesignSpace:
    """A small space over the shipped components."""
    return DesignSpace(models, limits=Limits(max_members=2), available=frozenset({"notes"}))


def toy_evaluation(design: Design, tasks: int = 20) -> Evaluation:
    """A made-up but fixed landscape: each task's score and the cost follow from the hash."""
    cost = 1e-6 * (1 + stable_seed(design.hash, "cost") % 1000)
    outcomes: dict[str, Outcome] = {
        f"t{i}": Measured(float(stable_seed(design.hash, i) % 3 == 0), Usage(1, 10, 10, cost, 0.1))
        for i in range(tasks)
    }
    return Evaluation(design, "dev", "search-eval", outcomes)


def drive(searcher: Searcher, rounds: int) -> list[str]:
    """Ask one, tell one, `rounds` times; the hashes asked for."""
    asked = []
    for _ in range(rounds):
        for proposal in searcher.ask(1):
            asked.append(proposal.design.hash)
            searcher.tell(toy_evaluation(proposal.design))
    return asked


def drive_named(name: str, seed: int, rounds: int) -> None:
    """Print what a registered searcher asks for, as JSON (run in another process)."""
    print(json.dumps(drive(searchers[name].make(toy_space(), seed=seed, cost="usd"), rounds)))


class SearcherConformance:
    """What every searcher must do."""

    plugin: SearcherPlugin

    def make(self, seed: int = 0, space: Space | None = None) -> Searcher:
        """A fresh searcher."""
        return self.plugin.make(space or toy_space(), seed=seed, cost="usd")

    def test_proposals_are_legal_new_and_not_too_many(self) -> None:
        """40 rounds: every design passes the space's check, none comes twice."""
        space = toy_space()
        searcher = self.make(space=space)
        seen: set[str] = set()
        for _ in range(40):
            proposals = searcher.ask(1)
            assert len(proposals) <= 1
            for proposal in proposals:
                assert space.check(proposal.design) == []
                assert proposal.design.hash not in seen
                seen.add(proposal.design.hash)
                searcher.tell(toy_evaluation(proposal.design))
        assert len(seen) == 40

    def test_asking_for_none_or_for_many(self) -> None:
        """ask(0) is empty; ask(8) before any tell gives eight different designs."""
        searcher = self.make()
        assert list(searcher.ask(0)) == []
        assert len({p.design.hash for p in searcher.ask(8)}) == 8

    def test_one_seed_is_one_search(self) -> None:
        """The same seed asks the same in another process with another hash seed; another seed
        does not."""
        mine = drive(self.make(seed=3), 15)
        assert drive(self.make(seed=4), 15) != mine
        if self.plugin.name not in searchers:
            return
        code = f"from paragent.testing import drive_named; drive_named({self.plugin.name!r}, 3, 15)"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": "99", "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == mine

    def test_failures_and_unknown_costs_are_survived(self) -> None:
        """All tasks failed, no cost known, nothing run at all: the search goes on."""
        searcher = self.make()
        tells: list[dict[str, Outcome]] = [
            {"t0": Failed("timeout", "slow")},
            {"t0": Measured(1.0, Usage(usd=None))},
            {},
        ]
        for outcomes in tells * 3:
            (proposal,) = searcher.ask(1)
            searcher.tell(Evaluation(proposal.design, "dev", "search-eval", outcomes))
        assert searcher.ask(1)

    def test_designs_of_others_are_learned_not_repeated(self) -> None:
        """A design told without having been asked for is never proposed."""
        import random

        space = toy_space()
        foreign = [space.sample(random.Random(i)) for i in range(10)]
        searcher = self.make(space=space)
        for design in foreign:
            searcher.tell(toy_evaluation(design))
        assert not {d.hash for d in foreign} & set(drive(searcher, 20))

    def test_a_small_space_is_exhausted_not_repeated(self) -> None:
        """Two models answering directly are two designs; then there is nothing to ask."""
        space = DesignSpace(
            ("pocket-s", "pocket-m"), include=("direct",), limits=Limits(max_depth=1)
        )
        searcher = self.make(space=space)
        assert len(drive(searcher, 10)) == 2
        assert list(searcher.ask(1)) == []


#: What a model may say: an answer, nothing, garbage, far too much, an endless plan.
REPLIES = (
    "Answer: 7",
    "",
    "\x00\ufffd \u202e}{]] <<",
    "word " * 50_000,
    "1: 2+2\n2: #1*3\n3: then add #2",
    "1: #1",
)


#: Two kinds of tasks, as a benchmark would show them to a router.
LABELLED = Context(skills=("sums", "facts"), labelled=(("2+2?", "sums"), ("Who is it?", "facts")))


class ScriptedChat:
    """A chat that says the same to everything and counts.

    `asked` are the asks made, `open` those that have begun and not ended, `texts` what they sent.
    With `waits` an ask never ends by itself.
    """

    def __init__(self, text: str, *, waits: bool = False) -> None:
        self.text, self.waits = text, waits
        self.asked = self.open = 0
        self.texts: list[str] = []
        self.tools: tuple[Tool, ...] = ()

    async def use(self, tool: str, argument: str) -> str:
        """No tools."""
        return "error: there are no tools"

    async def fold(self, steps: Sequence[str]) -> Sequence[str]:
        """Everything is kept."""
        return steps

    async def ask(
        self,
        instruction: str,
        question: str,
        *,
        temperature: float = 0.0,
        sample: int = 0,
        max_tokens: int | None = None,
        tools: bool = True,
        memory: bool = True,
    ) -> Reply:
        """The text, with confidence 0.5."""
        self.asked += 1
        self.texts.append(f"{instruction}\n{question}")
        self.open += 1
        try:
            await asyncio.sleep(3600 if self.waits else 0)
        finally:
            self.open -= 1
        return Reply(self.text, 0.5)


async def _closing(work: Awaitable[T]) -> T:
    """The result, with the loop's cages ended."""
    try:
        return await work
    finally:
        await close_sandbox()


class ComponentConformance:
    """What every component must do, whatever a model says."""

    component: Component

    def test_it_is_described(self) -> None:
        """A summary, a source, legal defaults, and a bound on its calls."""
        c = self.component
        assert c.summary and c.version
        assert c.paper, "every component names its source"
        assert all(len(set(values)) == len(values) for values in c.params.values())
        inner = {"planning": [2], "guard": [2], "topology": [1, 2, 2]}.get(c.kind, [])
        assert c.calls(c.defaults, inner) >= 0

    def variants(self) -> list[dict[str, object]]:
        """Every parameter at each of its values, the others at their defaults."""
        c = self.component
        found: list[dict[str, object]] = [dict(c.defaults)]
        for key, values in c.params.items():
            found += [{**c.defaults, key: value} for value in values[1:]]
        return found

    def test_calls_stay_within_the_bound_whatever_the_model_says(self) -> None:
        """Empty, garbage and over-long replies included; twice the same is twice the same."""
        c = self.component
        if c.kind in ("model", "subagent"):  # a sub-agent is made of parts that are tested
            return
        if "cage" in c.requires and not cage_tags():
            return  # this machine runs no code of models
        for params in self.variants():
            for text in REPLIES:
                one, two = self.run(params, text), self.run(params, text)
                assert one == two
                answer, calls, bound = one
                assert isinstance(answer, str)
                assert calls <= bound, (params, text[:20])

    def asks_models(self) -> bool:
        """Whether it works with models, and can run on this machine."""
        c = self.component
        able = "cage" not in c.requires or bool(cage_tags())
        return able and c.kind in ("reasoning", "planning", "guard", "topology")

    def test_what_it_says_comes_from_calls_that_were_counted(self) -> None:
        """Honest usage: a model that always answers 7 gives 7, or nothing where it was refused."""
        c = self.component
        if not self.asks_models():
            return
        answer, calls, bound = self.run(dict(c.defaults), "Answer: 7")
        assert 0 < calls <= bound
        assert answer in ("", "7"), "an answer that no call has given"

    def test_it_is_cancelled_cleanly(self) -> None:
        """Cancelled while the model is working, it ends at once and leaves no call behind."""
        c = self.component
        if not self.asks_models():
            return

        async def cancelled() -> int:
            chat = ScriptedChat("Answer: 7", waits=True)
            job = asyncio.ensure_future(self._work(c, c.build(**c.defaults), chat))
            while not chat.asked:
                await asyncio.sleep(0)
            job.cancel()
            done, _ = await asyncio.wait([job], timeout=5)
            assert job in done and job.cancelled()
            return chat.open

        assert asyncio.run(cancelled()) == 0

    def test_no_place_of_a_template_is_left_open(self) -> None:
        """Whatever it sends to the model, no `{place}` of its templates stands in it unfilled."""
        c = self.component
        if not self.asks_models():
            return
        places = {f"{{{p}}}" for prompt in c.prompts for p in prompt.places} - {"{tools}"}
        for params in self.variants():
            for text in REPLIES:
                chat = ScriptedChat(text)
                asyncio.run(_closing(self._work(c, c.build(**params), chat)))
                sent = "\n".join(chat.texts)
                assert not [place for place in places if place in sent]

    def run(self, params: dict[str, object], text: str) -> tuple[str, int, int]:
        """(answer, calls made, declared bound) with a model that always says `text`."""
        c, chat = self.component, ScriptedChat(text)
        part = c.build(**params)
        if c.kind == "tool":
            assert isinstance(part, Tool)
            return asyncio.run(_closing(run_tool(part, text))), 0, 0
        if c.kind == "memory":
            context = Context(notes=("one note", "two notes"), examples=(Example("q", "a"),))
            bound = 8 + c.calls(params, [8])  # type: ignore[arg-type]
            block = asyncio.run(self.remember(part, chat, context, text))
            return block, chat.asked, bound
        inner = {"reasoning": [], "topology": [1] * (c.members[0] + c.lead)}.get(c.kind, [1])
        bound = c.calls(params, inner)  # type: ignore[arg-type]
        answer = asyncio.run(_closing(self._work(c, part, chat)))
        assert isinstance(answer, Answer)
        assert answer.confidence is None or 0 <= answer.confidence <= 1
        return answer.text, chat.asked, bound

    async def _work(self, c: Component, part: Any, chat: ScriptedChat) -> Answer:
        """One question to the part, in the way of its kind."""

        async def inner(question: str, *, temperature: float = 0.0, sample: int = 0) -> Answer:
            reply = await chat.ask("x", question, temperature=temperature, sample=sample)
            return Answer(final_answer(reply.text), reply.text, reply.confidence)

        if c.kind == "topology":
            members = tuple(Member(f"m{i}", inner) for i in range(c.members[0]))
            lead = chat if c.lead else None
            answer: Answer = await part(TeamView(members, lead, LABELLED), "question")
        elif c.kind == "reasoning":
            answer = await part(chat, "question")
        else:
            answer = await part(chat, "question", inner)
        return answer

    async def remember(
        self, memory: Memory, chat: ScriptedChat, context: Context, text: str
    ) -> str:
        """An agent's work of eight asks: one recall, and a fold of the steps after each."""
        block = await memory.recall(chat, context, text)
        steps: list[str] = []
        for _ in range(8):
            steps.append((await chat.ask("x", "question")).text)
            steps = list(await memory.fold(chat, steps))
        return "\n".join([block, *steps])


#: What a model may put where a tool expects something else.
HOSTILE: tuple[object, ...] = (
    "", "\x00\ud800", "../" * 50, "9" * 5000, -1, 0, 10**30, 0.5, 1e299, True, None, [], {},
    ["x"] * 100, {"a": {"b": []}}, [[]], "'; DROP TABLE users; --",
)  # fmt: skip


def hostile_arguments(tool: Tool) -> list[str]:
    """Texts that are no arguments, wrong ones, and each hostile value at each place."""
    names = list(tool.schema.get("properties", {}))
    texts = ["", "{", "[]", "null", "[" * 10_000, '{"no such": 1}', "\x00", "{}"]
    texts += [json.dumps(dict.fromkeys(names, value)) for value in HOSTILE]
    plain = {"string": "a", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    right = {n: plain.get(tool.schema["properties"][n].get("type"), "a") for n in names}
    return texts + [json.dumps({**right, n: value}) for n in names for value in HOSTILE]


class BenchmarkConformance:
    """What every benchmark must do."""

    plugin: BenchmarkPlugin
    #: How many of `paragent.hostile`'s answers it must bear.
    answers = 30

    def load(self) -> Benchmark:
        """The benchmark with its defaults; skips where something it needs is not there."""
        if command := self.plugin.missing():
            import pytest

            pytest.skip(f"{self.plugin.name} is not ready: {command}")
        return self.plugin.load()

    def test_splits_are_disjoint_and_stable(self) -> None:
        """Unique ids, no question in both splits, the same order on every load."""
        one, two = self.load(), self.load()
        dev, test = one.tasks("dev"), one.tasks("test")
        assert dev and test
        ids = [t.id for t in (*dev, *test)]
        assert len(set(ids)) == len(ids)
        assert not {t.question for t in dev} & {t.question for t in test}
        assert [t.id for t in two.tasks("dev")] == [t.id for t in dev]

    def test_the_reference_is_right_and_nonsense_is_scored_or_refused(self) -> None:
        """The reference answer, where there is one, scores 1; hostile ones score in [0, 1]."""
        benchmark = self.load()
        if isinstance(benchmark, Judged):
            return  # its score is a model's

        async def check() -> None:
            for task in benchmark.tasks("dev")[:50]:
                if task.answer:
                    assert await score_of(benchmark, task, task.answer) == 1.0
                for text in ("", "\x00", "nan", "Answer:", "9" * 10_000, "\u202e}{"):
                    assert 0.0 <= await score_of(benchmark, task, text) <= 1.0
            if isinstance(benchmark, Closes):
                await benchmark.aclose()

        asyncio.run(check())

    def test_an_environment_begins_afresh_and_its_oracle_reaches_the_full_score(self) -> None:
        """Where tasks are environments: known solutions score 1, twice, within the steps."""
        benchmark = self.load()
        if not isinstance(benchmark, Interactive):
            return
        few = 1 if self.plugin.needs else 25  # other software may take seconds to start
        for task in benchmark.tasks("dev")[:few]:
            oracle = benchmark.oracle(task)
            if oracle is not None:
                assert callable(oracle) or len(oracle) <= benchmark.steps
                assert [asyncio.run(replay(benchmark, task)) for _ in range(2)] == [1.0, 1.0]

    def test_no_argument_of_a_tool_breaks_an_environment(self) -> None:
        """Hostile arguments are refused or obeyed; the world stays one that can be scored."""
        benchmark = self.load()
        if not isinstance(benchmark, Interactive):
            return

        async def check(task: Task) -> None:
            environment = benchmark.environment(task)
            world = World(environment, 10_000)
            for tool in environment.tools:
                for argument in hostile_arguments(tool):
                    assert isinstance(await world.act(tool, argument), str)
            assert 0.0 <= await world.score(Answer("")) <= 1.0
            await environment.aclose()

        for task in benchmark.tasks("dev")[: 1 if self.plugin.needs else 3]:
            asyncio.run(check(task))

    def test_hostile_answers_are_scored_or_refused_in_time(self) -> None:
        """Empty, huge, nested texts and numbers without end: a score in [0, 1], and no hang."""
        benchmark = self.load()
        if isinstance(benchmark, Judged):
            return  # its score is a model's
        few = 3 if self.plugin.needs else self.answers
        texts, tasks = list(hostile(few, seed=2)), benchmark.tasks("dev")[:20]
        slowest, text = asyncio.run(answer_hostilely(benchmark, texts, tasks))
        assert slowest < 5, f"{slowest:.1f} s for {text!r}"

    def test_the_context_holds_nothing_of_the_tasks(self) -> None:
        """No note and no example is a question of either split."""
        benchmark = self.load()
        context = benchmark.context
        shown = {*context.notes, *(e.question for e in context.examples)}
        shown |= {question for question, _ in context.labelled}
        for split in ("dev", "test"):
            assert not shown & {t.question for t in benchmark.tasks(split)}

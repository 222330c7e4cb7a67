"""Environments: any design acts in a world of its own, step by step; what breaks is a failure."""

from __future__ import annotations

import asyncio
import json
import textwrap
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedModel, Straight

import paragent
from paragent.benchmark import Referee, Task
from paragent.benchmarks.blocks_world import BlocksWorld, places_of, read, solve
from paragent.benchmarks.blocks_world import load as blocks_world
from paragent.compile import compile_design
from paragent.component import Answer, Tool
from paragent.design import Agent, Design, Node, Part, Team
from paragent.dev.fake_server import FakeConfig, FakeReply, FakeServer
from paragent.environment import (
    Action,
    Ask,
    Environment,
    EnvironmentFailure,
    Refused,
    World,
    action,
    replay,
)
from paragent.evaluate import evaluate_task
from paragent.outcome import Failed, Measured, Outcome
from paragent.registry import components
from paragent.runtime.model import Completion, Request, ToolCall
from paragent.space import DesignSpace
from paragent.world_benchmark import WorldBenchmark

Make = Callable[..., ScriptedModel]
DIRECT = Agent(Part("scripted"), Part("direct"))


@dataclass
class Counter(Environment):
    """A number that is to become three; a user who says a word; ways to break."""

    said: list[str] = field(default_factory=list)
    count: int = 0
    broken: str = ""

    def __post_init__(self) -> None:
        self.has_user = True
        self.tools: tuple[Tool, ...] = (
            action("add", "Adds to the count.", self.add, {"amount": {"type": "integer"}}),
            action("boom", "Breaks.", self.boom),
        )

    def add(self, amount: int) -> str:
        """Not below zero."""
        if self.count + amount < 0:
            raise Refused("the count would be negative")
        self.count += amount
        return str(self.count)

    def boom(self) -> str:
        """A bug."""
        raise KeyError("a bug of the world")

    async def reply(self, said: str) -> str | None:
        """Asks on, once."""
        self.said.append(said)
        return "go on" if len(self.said) == 1 else None

    def score(self, answer: Answer) -> float:
        """1.0 at three."""
        return 2.0 if self.broken else float(self.count == 3)

    async def aclose(self) -> None:
        """Told."""
        self.said.append("closed")


@dataclass
class Counters:
    """Keeps the worlds that were opened."""

    opened: list[Counter] = field(default_factory=list)
    broken: str = ""

    def benchmark(self, steps: int = 5) -> WorldBenchmark:
        """One task."""
        return WorldBenchmark(
            "count",
            "1",
            lambda split: (Task(f"{split}-0", "Make it three.", ""),),
            self.open,
            lambda task: [Action.of("add", amount=3)],
            steps=steps,
        )

    def open(self, task: Task, referee: Referee | None) -> Environment:
        """A fresh count."""
        if self.broken == "open":
            raise OSError("no world today")
        self.opened.append(Counter(broken=self.broken))
        return self.opened[-1]


def calls(*wishes: tuple[str, str], text: str = "") -> Completion:
    """A completion that wants tools called."""
    wanted = tuple(ToolCall(f"c{i}", name, args) for i, (name, args) in enumerate(wishes))
    return Completion(text, 10, 5, 1.0, tool_calls=wanted)


def run_one(root: Node, benchmark: WorldBenchmark, task: int = 0) -> Outcome:
    """One design on one dev task."""
    return asyncio.run(
        evaluate_task(
            compile_design(Design(root)),
            benchmark,
            benchmark.tasks("dev")[task],
            Straight(),
            purpose="search-eval",
            seed=0,
        )
    )


def by_turn(*said: str | Completion) -> Callable[[Request], str | Completion]:
    """Says these in order, whoever asks; the last one again and again."""
    left = list(said)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


# -- acting ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["native", "text", "inline"])
def test_an_agent_acts_until_the_state_is_right(scripted: Make, protocol: str) -> None:
    """Tool, user, tool: the state is scored, in every way in which models call tools."""
    if protocol == "native":
        script = by_turn(
            calls(("add", '{"amount": 1}')), "One done.", calls(("add", '{"amount": 2}')), "done"
        )
    else:
        script = by_turn(
            'I add. <<add: {"amount": 1}', "One done.", '<<add: {"amount": 2}', "Answer: done"
        )
    model = scripted(script, tool_protocol=protocol)
    worlds = Counters()
    outcome = run_one(DIRECT, worlds.benchmark())
    assert isinstance(outcome, Measured)
    assert outcome.score == 1.0 and outcome.usage.calls == 4
    world = worlds.opened[0]
    assert world.said == ["One done.", "Answer: done" if protocol != "native" else "done", "closed"]
    last = model.seen[-1].messages
    assert [m.role for m in last][:2] == ["system", "user"]
    assert any("go on" in m.content for m in last)
    assert "Act through the tools" in last[0].content or "<<name: arguments>>" in last[0].content


@pytest.mark.parametrize(
    "endless",
    [
        calls(("add", '{"amount": 0}')),
        calls(("no such tool", "{}")),
        calls(("add", "{")),
        calls(("add", '{"amount": "x"}'), ("add", "[]")),
    ],
)
def test_steps_bound_the_calls_whatever_a_model_says(scripted: Make, endless: Completion) -> None:
    """A model that acts for ever is stopped after its one ask and the steps, also where its calls
    are nonsense; two calls in one reply are two steps."""
    scripted(by_turn(endless), tool_protocol="native")
    outcome = run_one(DIRECT, Counters().benchmark(steps=4))
    assert isinstance(outcome, Measured) and outcome.score == 0.0
    assert outcome.usage.calls == (3 if len(endless.tool_calls) == 2 else 5)


def test_a_refusal_is_read_and_a_crash_is_a_failure(scripted: Make) -> None:
    """What cannot be done is said to the model; a bug of the world scores nothing."""
    model = scripted(by_turn(calls(("add", '{"amount": -1}')), "ok"), tool_protocol="native")
    assert isinstance(run_one(DIRECT, Counters().benchmark()), Measured)
    assert "error: the count would be negative" in [m.content for m in model.seen[1].messages]


@pytest.mark.parametrize(
    ("broken", "reply", "kind", "why"),
    [
        ("", calls(("boom", "{}")), "environment", "a bug of the world"),
        ("open", "ok", "environment", "no world today"),
        ("score", "ok", "scorer", "wanted a number in"),
    ],
)
def test_a_broken_world_is_a_typed_failure(
    scripted: Make, broken: str, reply: str | Completion, kind: str, why: str
) -> None:
    """A tool, the opening or the scorer that breaks: Failed, and the world is closed."""
    scripted(by_turn(reply), tool_protocol="native")
    worlds = Counters(broken=broken)
    outcome = run_one(DIRECT, worlds.benchmark())
    assert isinstance(outcome, Failed)
    assert outcome.kind == kind and why in outcome.why
    assert all(world.said[-1] == "closed" for world in worlds.opened)


def test_a_team_acts_on_one_world_in_the_order_of_its_members(scripted: Make) -> None:
    """A vote of three: each member adds one when its turn comes, and none before; three it is."""
    seen: list[str] = []

    def script(request: Request) -> str | Completion:
        role = request.messages[0].content.split(" agent")[0]
        seen.append(role)
        if any(m.role == "tool" for m in request.messages):
            return "done"
        return calls(("add", '{"amount": 1}'))

    scripted(script, tool_protocol="native")
    members = tuple(
        Agent(Part("scripted"), Part("direct"), role=name) for name in ("first", "second", "third")
    )
    worlds = Counters()
    benchmark = worlds.benchmark(steps=20)
    outcome = run_one(Team(Part("vote"), members), benchmark)
    assert isinstance(outcome, Measured) and outcome.score == 1.0
    assert [role.split()[-1] for role in seen] == ["first"] * 2 + ["first"] + ["second"] * 2 + [
        "third"
    ] * 2
    assert outcome.usage.latency_s == outcome.usage.calls  # one after another: times add up


def test_worlds_are_not_shared_between_tasks_and_runs(scripted: Make) -> None:
    """The same design twice, side by side: two worlds, one outcome."""
    scripted(by_turn(calls(("add", '{"amount": 3}'))), tool_protocol="native")
    worlds = Counters()
    benchmark = worlds.benchmark(steps=1)
    outcomes = [run_one(DIRECT, benchmark) for _ in range(2)]
    assert outcomes[0] == outcomes[1]
    assert len(worlds.opened) == 2 and worlds.opened[0].count == worlds.opened[1].count == 3


def test_an_agent_that_may_not_use_tools_does_not_act(scripted: Make) -> None:
    """The lead of an orchestrator only names a member."""
    model = scripted(by_turn("done"), tool_protocol="native")
    lead = Agent(Part("scripted"), Part("direct"))
    run_one(Team(Part("orchestrator"), (DIRECT, DIRECT), lead), Counters().benchmark())
    assert not model.seen[0].tools and model.seen[1].tools


# -- playing ---------------------------------------------------------------------------------------


@dataclass
class Chorus(Environment):
    """Asks the design three times side by side; wants three different answers."""

    orderly: bool = False
    times: int = 3

    async def play(self, ask: Ask, question: str) -> Answer:
        """Three questions."""
        from paragent.component import together

        answers = await together([ask(f"{question} {i}") for i in range(self.times)])
        return Answer(" ".join(a.text for a in answers))

    def score(self, answer: Answer) -> float:
        """1.0 for 0 1 2."""
        return float(answer.text == "0 1 2")


def chorus(times: int = 3, plays: int = 3) -> WorldBenchmark:
    """One task."""
    return WorldBenchmark(
        "chorus",
        "1",
        lambda split: (Task(f"{split}-0", "Which?", ""),),
        lambda task, referee: Chorus(times=times),
        lambda task: lambda question: question.split()[-1],
        plays=plays,
    )


def test_an_environment_may_ask_a_design_as_often_as_it_says(scripted: Make) -> None:
    """Three plays side by side take the time of one; a fourth is the environment's fault."""
    scripted(lambda request: f"Answer: {request.messages[-1].content.split()[-1]}")
    outcome = run_one(DIRECT, chorus())
    assert isinstance(outcome, Measured) and outcome.score == 1.0
    assert (outcome.usage.calls, outcome.usage.latency_s) == (3, 1.0)
    failed = run_one(DIRECT, chorus(times=4))
    assert isinstance(failed, Failed) and failed.kind == "environment"
    assert asyncio.run(replay(chorus(), Task("dev-0", "Which?", ""))) == 1.0


def test_a_component_that_breaks_inside_a_play_is_not_the_environments_fault(
    scripted: Make,
) -> None:
    """The kind of failure says whom to look at."""

    def broken(request: Request) -> str:
        raise ValueError("a bug of the model")

    scripted(broken)
    failed = run_one(DIRECT, chorus())
    assert isinstance(failed, Failed) and failed.kind == "component"


# -- bounds ----------------------------------------------------------------------------------------


def test_bounds_count_steps_and_plays(scripted: Make) -> None:
    """The worst case of a task is plays x declared calls + steps; the limit on declared calls is
    about the design alone."""
    scripted(lambda request: "x")
    design = Design(Agent(Part("scripted"), Part.of("self_refine", rounds=2)))
    plain = DesignSpace(["scripted"])
    acting = DesignSpace(["scripted"], steps=30, plays=4)
    one, many = plain.bounds(design), acting.bounds(design)
    assert (one.calls, many.calls) == (3, 3 * 4 + 30)
    assert one.usd is not None and many.usd is not None
    assert many.usd == pytest.approx(one.usd * 14)
    assert acting.check(acting.normalise(design)) == []


# -- arguments -------------------------------------------------------------------------------------

SCHEMA: Mapping[str, Mapping[str, Any]] = {
    "n": {"type": "integer"},
    "kind": {"type": "string", "enum": ["a", "b"]},
}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "no JSON object"),
        ("{", "no JSON object"),
        ('{"n": 1.5}', "n is no integer"),
        ('{"n": true}', "n is no integer"),
        ('{"n": NaN}', "n is no integer"),
        ('{"n": 1, "kind": "c"}', "kind must be one of a, b"),
        ('{"n": 1, "x": 2}', "no argument 'x'; arguments: n, kind"),
        ('{"kind": "a"}', "missing n"),
    ],
)
def test_wrong_arguments_are_refused_before_the_tool_sees_them(text: str, why: str) -> None:
    """Each in one line that says what was wanted."""
    tool = action("t", "", lambda n, kind="a": f"{n}{kind}", SCHEMA, ["n"])
    with pytest.raises(Refused, match=why):
        tool.call(text)
    assert tool.call('{"n": 1, "kind": "b"}') == "1b"


def test_a_plain_text_stands_for_the_only_argument() -> None:
    """`<<take: lamp>>` is `take {"what": "lamp"}`; a number in quotes' place stays a text."""
    tool = action("take", "", lambda what: f"took {what}", {"what": {"type": "string"}})
    assert tool.call("lamp") == tool.call('{"what": "lamp"}') == "took lamp"
    assert tool.call("7") == "took 7"


@given(st.text(max_size=60))
def test_any_text_as_arguments_is_obeyed_or_refused(text: str) -> None:
    """Nothing else is raised."""
    tool = action("t", "", lambda n, kind="a": f"{n}{kind}", SCHEMA, ["n"])
    try:
        assert isinstance(tool.call(text), str)
    except Refused as why:
        assert str(why)


def test_a_world_that_is_over_takes_no_more_steps() -> None:
    """And a crash inside it is an EnvironmentFailure for whoever called."""
    world = World(Counter(), 1)
    add, boom = world.environment.tools

    async def check() -> None:
        assert await world.act(add, '{"amount": 1}') == "1"
        assert await world.act(add, '{"amount": 1}') == "error: no steps are left"
        assert await world.hear("hello") is None
        with pytest.raises(EnvironmentFailure, match="a bug"):
            await World(Counter(), 1).act(boom, "{}")

    asyncio.run(check())


# -- the blocks world ------------------------------------------------------------------------------


def test_blocks_obey_their_rules() -> None:
    """Worked by hand: c on b, a and b on the table; the goal is a on b."""
    world = BlocksWorld(read("a on the table; b on the table; c on b"), {"a": "b"})
    with pytest.raises(Refused, match="something stands on b"):
        world.pick_up("b")
    with pytest.raises(Refused, match="unstack it"):
        world.pick_up("c")
    assert world.unstack("c") == "in hand: c"
    with pytest.raises(Refused, match="the hand holds c"):
        world.pick_up("a")
    with pytest.raises(Refused, match="no block 'c' stands"):
        world.stack("c")
    world.put_down()
    world.pick_up("a")
    assert world.stack("b") == "the goal is reached"
    assert world.over and world.score(Answer("")) == 1.0


def test_every_problem_of_the_blocks_world_is_solved_in_its_steps() -> None:
    """All 200 by the plan that puts everything on the table first; none is solved at the start."""
    benchmark = blocks_world()
    for split in ("dev", "test"):
        tasks = benchmark.tasks(split)
        assert len(tasks) == 100
        for task in tasks:
            plan = solve(*places_of(task))
            assert 0 < len(plan) <= benchmark.steps
            assert asyncio.run(replay(benchmark, task)) == 1.0
            assert asyncio.run(_untouched(benchmark, task)) == 0.0


async def _untouched(benchmark: WorldBenchmark, task: Task) -> float:
    found = benchmark.score(task, "done")
    return await found if isinstance(found, Awaitable) else found


# -- end to end ------------------------------------------------------------------------------------


def solves_blocks(body: Mapping[str, Any]) -> FakeReply:
    """Plays the known plan, one action a turn; agents told to answer at once give up early."""
    messages: Sequence[Mapping[str, Any]] = body["messages"]
    question = next(m["content"] for m in messages if m["role"] == "user")
    now = question.split("Now: ")[1].split(".")[0]
    goal = question.split("Goal: ")[1].split(".")[0]
    plan = solve(read(now), read(goal))
    done = sum(m["role"] == "tool" for m in messages)
    if "tools" not in body or done >= len(plan) or "final answer only" in messages[0]["content"]:
        return FakeReply("Answer: done")
    return FakeReply(tool=(plan[done].tool, plan[done].arguments))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A model on a local endpoint that can move blocks where it is let think."""
    ready, stop = threading.Event(), threading.Event()
    found: list[FakeServer] = []

    async def serve() -> None:
        async with FakeServer(FakeConfig(answer=solves_blocks)) as one:
            found.append(one)
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait(10)
    models = tmp_path / "models.yaml"
    models.write_text(
        textwrap.dedent(
            f"""
            models:
              mover:
                base_url: {found[0].url}
                model: fake-small
                usd_per_mtok: {{in: 1.0, out: 2.0}}
            """
        )
    )
    monkeypatch.setenv("PARAGENT_MODELS", str(models))
    yield
    stop.set()
    thread.join()
    components.unregister("mover")


@pytest.mark.usefixtures("served")
def test_a_search_over_designs_that_act(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three designs through an endpoint: those that think solve every problem, the one that
    answers at once none; the trace shows what was done."""
    from paragent.cli import main

    run = paragent.optimize(
        "blocks_world",
        searcher="random",
        models=("mover",),
        include=("direct", "chain_of_thought", "self_refine"),
        max_depth=1,
        evals=3,
        tasks=3,
        confirm=2,
        test_tasks=3,
        out=tmp_path / "run",
    )
    scores = {e.design.root.reasoning.name: e.score for e in run.evaluations}
    assert set(scores) - {"direct"}
    assert all(score == (name != "direct") for name, score in scores.items())
    best = run.best()
    assert best.point.test is not None and best.point.test.score == 1.0
    task = next(iter(best.point.dev.outcomes))
    assert main(["trace", str(run.path), task, "--pick", best.design.hash]) == 0
    shown = capsys.readouterr().out
    assert 'called    stack {"on"' in shown and "answer '': 1" in shown
    assert main(["trace", str(run.path), task, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert any(call["tool_calls"] for call in told["calls"])

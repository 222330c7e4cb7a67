"""Ready sub-agents: they stand where an agent stands, and are the agent that they bring."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedModel, task_run

from paragent.compile import compile_design
from paragent.component import Answer, Component, Context
from paragent.components.subagents import DISTRACTORS, READY
from paragent.design import OWN_MODEL, Agent, Design, Node, Part, Team
from paragent.errors import InvalidDesign, UnknownName, UsageError
from paragent.parts import call_bound, expand, subagent_of
from paragent.registry import components
from paragent.space import DesignSpace, Limits
from paragent.subagent import sub_agent
from paragent.testing import REPLIES

Make = Callable[..., ScriptedModel]

EVERYTHING = frozenset({"notes", "examples", "corpus", "table", "database", "cage"})


def answer(node: Node, context: Context | None = None) -> Answer:
    """The design's answer to one question."""
    return asyncio.run(compile_design(Design(node)).answer(task_run(context), "Q?"))


@pytest.fixture
def mine() -> Iterator[Component]:
    """A sub-agent with a model and a prompt of its own."""
    component = sub_agent(
        "mine",
        "does my work",
        prompt="You do my work.",
        model="scripted",
        reasoning=Part("chain_of_thought"),
        tools=(Part("calculator"),),
        price=0.002,
        paper="a test",
    )
    components.register(component)
    yield component
    components.unregister("mine")


def instructed(scripted: Make, name: str = "scripted") -> ScriptedModel:
    """A scripted model that follows free instructions and calls tools."""
    from dataclasses import replace

    model = scripted(lambda request: "Answer: 7", name, tool_protocol="text")
    components.register(
        replace(components[name], provides=("instruct", "tools")), replace=True
    )  # fmt: skip
    return model


def test_a_sub_agent_is_the_agent_that_it_brings(scripted: Make, mine: Component) -> None:
    """Its model, its reasoning, its tool; its prompt comes before the instruction."""
    model = instructed(scripted)
    design = Design.from_yaml("agent: {subagent: mine}")
    assert asyncio.run(compile_design(design).answer(task_run(), "Q?")).text == "7"
    assert model.seen[0].messages[0].content == (
        "You do my work. Think step by step. Use the calculator by writing <<expression>>, then "
        "give the final answer."
    )


def test_a_model_that_follows_no_free_instructions_plays_the_slots_alone(
    scripted: Make, mine: Component
) -> None:
    """Without the tag "instruct" the role prompt is not told."""
    model = scripted(lambda request: "Answer: 7")
    answer(Agent(Part("scripted"), subagent=Part("mine")))
    assert model.seen[0].messages[0].content.startswith("Think step by step. Use the calculator")


def test_a_prompt_can_be_replaced_by_the_design(scripted: Make, mine: Component) -> None:
    """The role prompt is a template like every other."""
    model = instructed(scripted)
    design = Design(Agent(Part("scripted"), subagent=Part("mine")), (("mine.role", "Be brief."),))
    asyncio.run(compile_design(design).answer(task_run(), "Q?"))
    assert model.seen[0].messages[0].content.startswith("Be brief. Think step by step")


def test_sub_agents_are_named_to_the_lead(scripted: Make, mine: Component) -> None:
    """An orchestrator chooses among names: a sub-agent's is its own."""
    lead = scripted(lambda request: "Answer: mine", "lead")
    scripted(lambda request: "Answer: other", "other")
    scripted(lambda request: "Answer: 7")
    team = Team(
        Part("orchestrator"),
        (Agent(Part("other")), Agent(Part(OWN_MODEL), subagent=Part("mine"))),
        lead=Agent(Part("lead")),
    )
    assert answer(team).text == "7"
    assert lead.seen[0].messages[1].content.startswith("Agents: other, mine\n")


def test_designs_with_sub_agents_are_plain_data_and_others_keep_their_hash(
    mine: Component,
) -> None:
    """There and back; a design without one has the hash that it always had."""
    space = DesignSpace(("pocket-s",))
    short = Design.from_yaml("agent: {model: pocket-s, subagent: solver}")
    full = space.normalise(short)
    assert Design.from_data(full.to_data()) == full
    assert space.normalise(full) == full
    assert full.to_data()["agent"]["subagent"] == "solver"
    assert full.to_data()["agent"]["reasoning"] == "chain_of_thought"
    assert "solver:pocket-s" in full.label
    assert Design(Agent(Part("pocket-s"), Part("direct"))).hash == "2386fd4856e6e79e"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("agent: {subagent: mien}", r"root\.subagent: no subagent .* 'mien'. Did you mean 'mine'"),
        ("agent: {subagent: solver}", "root: solver has no model of its own: name one"),
        (
            "agent: {subagent: mine, model: pocket-s}",
            r"root\.model: mine runs on its own model scripted, not on pocket-s",
        ),
        (
            "agent: {subagent: mine, memory: lookup}",
            r"root\.memory: mine brings its own memory",
        ),
        ("agent: {role: x}", "an agent needs a model, or a sub-agent that has one"),
    ],
)
def test_what_cannot_be_is_told_with_its_path(
    scripted: Make, mine: Component, text: str, why: str
) -> None:
    """Unknown names, no model, two models, two memories: one line each, from compiler and space."""
    scripted(lambda request: "Answer: 7")
    with pytest.raises((InvalidDesign, UnknownName), match=why):
        compile_design(Design.from_yaml(text))
    if "role" not in text:
        (reason,) = DesignSpace(("scripted",)).check(Design.from_yaml(text))[:1]
        assert reason.startswith("root")


# -- in the space ---------------------------------------------------------------------------------


def space_of(*subagents: str, models: tuple[str, ...] = ("pocket-s", "pocket-m")) -> DesignSpace:
    """A space over pocket models with these sub-agents."""
    return DesignSpace(
        models,
        include=("direct", "vote", "orchestrator"),
        limits=Limits(max_members=3),
        available=frozenset({"notes"}),
        subagents=subagents,
    )


def test_a_space_without_sub_agents_is_what_it_was() -> None:
    """No new decision, no sub-agent in any sample, the same draws."""
    space = DesignSpace(("pocket-s",), available=frozenset({"notes"}))
    assert space.by_kind["subagent"] == ()
    for seed in range(30):
        design = space.sample(random.Random(seed))
        assert all(agent.subagent is None for _, agent in design.agents())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_samples_with_sub_agents_are_legal_and_move_legally(seed: int) -> None:
    """Their parts need not be among the chosen components; edits reach other sub-agents."""
    space = space_of("solver", "calculator_specialist", "fact_finder")
    rng = random.Random(seed)
    design, other = space.sample(rng), space.sample(rng)
    for found in (design, *space.edits(design)[:20], space.recombine(design, other, rng)):
        assert space.check(found) == []
        assert space.normalise(found) == found
        assert Design.from_data(found.to_data()) == found


def test_one_agent_counted_by_hand() -> None:
    """One level: 2 models answering directly, and 2 models for each of 3 sub-agents: 8 designs."""
    space = DesignSpace(
        ("pocket-s", "pocket-m"),
        include=("direct",),
        limits=Limits(max_depth=1),
        subagents=("solver", "critic", "quick_answerer"),
    )
    designs = space.all(100)
    assert designs is not None
    assert len(designs) == 8
    assert {space.normalise(e).hash for d in designs for e in space.edits(d)} == {
        d.hash for d in designs
    }
    first = space.agents(100)
    assert [d.root.subagent is not None for d in first if isinstance(d.root, Agent)] == (
        [True] * 6 + [False] * 2
    )


def test_a_composer_reads_the_promise_not_the_parts() -> None:
    """A distractor's description does not give it away."""
    space = space_of("all")
    told = space.describe(Design(Agent(Part("pocket-s"), subagent=Part("encyclopedist"))))
    assert "looks up every unit" in told
    assert "direct" not in told


def test_all_means_those_that_some_model_can_play() -> None:
    """Pocket models call no tools, and the pocket benchmark has no corpus, examples or database."""
    names = {c.name for c in space_of("all").by_kind["subagent"]}
    assert {"solver", "bookkeeper", "planner", "critic", "precise_mathematician"} <= names
    assert not names & {"programmer", "researcher", "database_analyst", "converter", "imitator"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("converter", r"converter\.tools\[0\]: date_calculation requires tools, which model"),
        ("imitator", r"imitator\.memory: few_shot requires examples"),
        ("critik", r"subagents: no subagent is called 'critik'. Did you mean 'critic'"),
    ],
)
def test_a_named_sub_agent_that_cannot_run_is_refused(name: str, why: str) -> None:
    """With the reason, before anything is spent."""
    with pytest.raises(UsageError, match=why):
        space_of(name)


def test_a_sub_agent_with_a_model_of_its_own_needs_it_in_the_space(
    scripted: Make, mine: Component
) -> None:
    """Its model is one of the run's models, so its price and its key are checked like theirs."""
    scripted(lambda request: "Answer: 7")
    with pytest.raises(UsageError, match="mine runs on its own model scripted"):
        space_of("mine", models=("pocket-s",))
    space = space_of("mine", models=("pocket-s", "scripted"))
    played = {
        agent.model.name
        for seed in range(60)
        for _, agent in space.sample(random.Random(seed)).agents()
        if agent.subagent is not None
    }
    assert played == {"scripted"}


# -- the inventory --------------------------------------------------------------------------------


def test_the_inventory_is_large_enough_and_priced() -> None:
    """At least twelve that are what they say, at least three that are not, all with a price."""
    assert len(READY) >= 12
    assert len(DISTRACTORS) >= 3
    for component in (*READY, *DISTRACTORS):
        assert component.price is not None
        assert component.price.usd_per_call > 0
        assert component.prompts, "a role prompt"


@pytest.mark.parametrize("component", [*READY, *DISTRACTORS], ids=lambda c: c.name)
@pytest.mark.parametrize("said", REPLIES, ids=lambda text: repr(text[:8]))
def test_every_ready_agent_stays_within_its_bound_whatever_the_model_says(
    scripted: Make, component: Component, said: str
) -> None:
    """All its parts exist; empty, garbage and over-long replies never break the declared bound."""
    if said.startswith("word") and component.name not in ("planner", "veteran"):
        said = said[:2000]  # the long text is slow to copy, and only some parts keep it
    scripted(lambda request: said, tool_protocol="native")
    run = task_run(Context(notes=("A wug is 2.",), examples=(), corpus=("a wug",)))
    agent = Agent(Part("scripted"), subagent=Part(component.name))
    system = compile_design(Design(agent))
    asyncio.run(system.answer(run, "How much is a wug?"))
    assert run.usage.calls <= system.max_calls == call_bound(agent)
    assert component.calls({}, []) == system.max_calls


@pytest.mark.parametrize("component", READY, ids=lambda c: c.name)
def test_every_ready_agent_is_legal_where_everything_is_given(
    scripted: Make, component: Component
) -> None:
    """A model with tools and instructions, a benchmark with every kind of data."""
    instructed(scripted)
    space = DesignSpace(("scripted",), available=EVERYTHING, subagents=(component.name,))
    assert space.check(Design(Agent(Part("scripted"), subagent=Part(component.name)))) == []


def test_a_distractor_has_none_of_what_it_promises() -> None:
    """Each is a plain direct agent, whatever its description says."""
    for component in DISTRACTORS:
        agent = subagent_of(Part(component.name)).agent
        assert agent == Agent(Part(OWN_MODEL), Part("direct"))
    assert expand(Agent(Part("pocket-s"), subagent=Part("encyclopedist"))).memory is None

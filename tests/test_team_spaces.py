"""Teams in spaces: nested, mixed, led, bounded, cancelled; and what all topologies share."""

from __future__ import annotations

import asyncio
import random

import pytest
from scripted import ScriptedModel, task_run
from teams import Make, agent, run, sure, team

from paragent.compile import compile_design
from paragent.component import Answer, Component, Context, Example
from paragent.design import Agent, Design, Team
from paragent.errors import CallFailure
from paragent.parts import call_bound
from paragent.registry import components
from paragent.runtime.model import Completion, Request
from paragent.space import DesignSpace, Limits
from paragent.teamwork import agreed, bag, brief, cosine, distinct, owners

# -- what they share ------------------------------------------------------------------------------


def test_names_reports_and_likeness() -> None:
    """Doubles are numbered, long texts lose their middle, equal words are alike."""
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a-2", "a-3"]
    assert brief("x" * 30, 25) == "x" * 10 + " ... " + "x" * 10
    assert agreed([Answer("4"), Answer("4.")]) and not agreed([Answer(""), Answer("")])
    assert cosine(bag("a a b"), bag("A A B")) == pytest.approx(1.0)
    assert cosine(bag(""), bag("a")) == 0.0
    assert owners(["x", "facts+lists"], ["sums", "lists", "more"]) == {
        "sums": 0,
        "lists": 1,
        "more": 0,
    }


def test_no_router_holds_an_agent_without_a_role() -> None:
    """An agent that owns no kind of task would never be asked: however a team of agents came about
    (top down, by edits, from two parents), each of its agents owns one of the five kinds."""
    space = DesignSpace(
        ("pocket-s", "pocket-m"),
        available=frozenset({"labelled"}),
        include=("direct", "classifier_router"),
        limits=Limits(max_depth=2, max_members=4),
        skills=("a", "b", "c", "d", "e"),
    )
    rng, seen = random.Random(0), 0
    for _ in range(40):
        one, other = space.sample(rng), space.sample(rng)
        for design in (one, other, space.recombine(one, other, rng), *space.edits(one)):
            if isinstance(design.root, Team):
                roles = [m.role for m in design.root.members if isinstance(m, Agent)]
                assert all(roles), design.label
                seen += 1
    assert seen > 100
    alone = space.with_roles([agent("pocket-s"), agent("pocket-m")], [1, 1, 1, 1, 1])
    assert [m.role for m in alone if isinstance(m, Agent)] == ["e", "a+b+c+d"]


# -- nesting, spaces, bounds ----------------------------------------------------------------------


def instructed(make: Make, name: str) -> None:
    """A scripted model that follows instructions."""
    make(lambda r: "Answer: 1", name=name)
    plain = components[name]
    able = Component(name, "model", "follows instructions", plain.build, provides=("instruct",),
                     price=plain.price)  # fmt: skip
    components.register(able, replace=True)


def test_teams_of_teams_of_mixed_models_run(scripted: Make) -> None:
    """A debate of a retried agent and a vote of two others under a chain: three levels deep."""
    for name, text in (("a", "1"), ("b", "2"), ("c", "2")):
        scripted(lambda r, t=text: sure(t, 0.99), name=name)
    inner = team("debate", team("retry", agent("a")), team("vote", agent("b"), agent("c")))
    node = team("chain", inner, agent("b"))
    found, usage = run(node)
    assert found.text == "2"
    assert Design(node).depth == 4
    assert usage.calls <= call_bound(node)
    assert Design.from_data(Design(node).to_data()) == Design(node)


def test_a_pocket_space_holds_no_topology_that_needs_instructions() -> None:
    """Pocket models follow no free instructions: such teams are no option, and the reason is told
    in words with the path of the model that lacks it."""
    space = DesignSpace(("pocket-s", "pocket-m"), available=frozenset({"notes"}))
    names = {c.name for c in space.by_kind["topology"]}
    assert {"vote", "cascade", "weighted_vote", "agreement_cascade", "rule_router"} <= names
    assert not names & {"debate", "retry", "supervisor", "chain", "messenger", "layered_dag"}
    pair = (agent("pocket-s"), agent("pocket-m"))
    assert space.check(Design(team("debate", *pair))) == [
        "root.topology: debate requires instruct, which model pocket-s (root.members[0]) does not "
        "give"
    ]
    (reason,) = space.check(Design(team("supervisor", *pair, lead="pocket-m")))
    assert reason.endswith("which model pocket-m (root.lead) does not give")
    assert "labelled" in space.check(Design(team("classifier_router", *pair)))[0]


def test_where_one_model_can_only_it_leads(scripted: Make) -> None:
    """One model with instructions, one without: samples put the able one at the head, and into
    every place of a team without a lead; a retry of one member is drawn and reached by edits."""
    import random

    instructed(scripted, "able")
    scripted(lambda r: "x", name="plain")
    space = DesignSpace(
        ("able", "plain"),
        include=("direct", "debate", "supervisor", "retry"),
        limits=Limits(max_members=2, max_calls_per_task=40),
    )
    seen = set()
    for seed in range(200):
        design = space.sample(random.Random(seed))
        assert space.check(design) == []
        root = design.root
        if isinstance(root, Team):
            seen.add(root.topology.name)
            assert root.lead is None or root.lead.model.name == "able"
            if root.topology.name == "debate":
                assert {a.model.name for _, a in design.agents()} == {"able"}
    assert seen == {"debate", "supervisor", "retry"}
    edits = [d.root for d in space.edits(Design(agent("able")))]
    assert any(isinstance(r, Team) and r.topology.name == "retry" for r in edits)
    retried = Design(team("retry", agent("able"), attempts=3, threshold=0.9, top=0.8))
    assert space.check(retried) == []
    assert all(space.check(d) == [] for d in space.edits(retried))


def test_roles_are_shared_out_where_a_router_has_learned_the_kinds() -> None:
    """With labelled questions the classifier is a choice, and its members get roles."""
    space = DesignSpace(
        ("pocket-s", "pocket-m"),
        include=("direct", "classifier_router"),
        available=frozenset({"labelled"}),
        skills=("sums", "facts"),
        limits=Limits(max_members=2),
    )
    everything = space.all(10_000)
    assert everything is not None
    teams = [d.root for d in everything if isinstance(d.root, Team)]
    roles = {tuple(m.role for m in t.members if isinstance(m, Agent)) for t in teams}
    assert ("sums", "facts") in roles and ("facts", "sums") in roles


def test_a_component_that_loops_is_stopped_by_its_bound(scripted: Make) -> None:
    """A topology that declares one call and makes more fails at the second, and nothing else."""

    async def loop(view: object, question: str) -> Answer:
        while True:
            await view.members[0].solve(question)  # type: ignore[attr-defined]

    components.register(
        Component("endless", "topology", "loops", lambda: loop, calls=lambda p, i: 1, paper="none")
    )
    try:
        model = scripted(lambda r: "x")
        with pytest.raises(CallFailure, match="more calls than declared"):
            run(team("endless", agent("scripted"), agent("scripted")))
        assert len(model.seen) == 1
    finally:
        components.unregister("endless")


def test_cancelling_a_team_leaves_nothing_behind(scripted: Make) -> None:
    """A debate cancelled in its first round: every member's call is cancelled with it."""
    ended: list[str] = []

    class Slow(ScriptedModel):
        async def complete(self, request: Request) -> Completion:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(request.messages[-1].content)
            raise AssertionError("not reached")

    scripted(lambda r: "x")
    slow = Slow(lambda r: "x")
    plain = components["scripted"]
    components.register(
        Component("scripted", "model", "slow", lambda: slow, price=plain.price), replace=True
    )

    async def main() -> None:
        node = team("debate", agent("scripted"), agent("scripted"))
        task = asyncio.ensure_future(compile_design(Design(node)).answer(task_run(), "Q?"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended == ["Q?", "Q?"]


def test_examples_are_no_labelled_questions() -> None:
    """Tags say what a benchmark has; worked examples alone train no router."""
    assert Context(examples=(Example("q", "a"),)).tags == {"examples"}
    assert Context(labelled=(("2+2", "sums"),)).tags == {"labelled"}

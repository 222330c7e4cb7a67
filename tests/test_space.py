"""The space: one grammar, one judge, and moves that never leave it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paragent.design import Agent, Design, Part, Team
from paragent.errors import UnknownName, UsageError
from paragent.parts import call_bound
from paragent.searcher import Partial
from paragent.space import DesignSpace, Limits
from paragent.testing import toy_space

SPACE = DesignSpace(
    ("pocket-s", "pocket-m"), available=frozenset({"notes"}), skills=("sums", "facts")
)
seeds = st.integers(0, 10_000)


def agent(reasoning: str = "direct", **slots: object) -> Agent:
    """An agent on pocket-s."""
    return Agent(Part("pocket-s"), Part(reasoning), **slots)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_samples_are_legal_and_normal(seed: int) -> None:
    """What is drawn passes the judge and is its own normal form."""
    design = SPACE.sample(random.Random(seed))
    assert SPACE.check(design) == []
    assert SPACE.normalise(design) == design
    assert Design.from_data(design.to_data()) == design


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_walking_the_decisions_builds_a_design(seed: int) -> None:
    """`next` ends, and `build` of its choices is a normal design; a wrong option is refused."""
    rng = random.Random(seed)
    partial: Partial = ()
    names = set()
    while (decision := SPACE.next(partial)) is not None:
        assert decision.name not in names, "a decision is put once"
        names.add(decision.name)
        partial = (*partial, rng.choice(decision.options))
    design = SPACE.build(partial)
    assert SPACE.normalise(design) == design
    with pytest.raises(ValueError, match="no option"):
        SPACE.build(("nonsense",))
    with pytest.raises(ValueError, match="still open"):
        SPACE.build(())


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_edits_are_legal_new_distinct_and_mutual(seed: int) -> None:
    """No edit is the design itself, none comes twice, all are legal, in a fixed order."""
    design = SPACE.sample(random.Random(seed))
    edits = SPACE.edits(design)
    hashes = [e.hash for e in edits]
    assert len(set(hashes)) == len(hashes)
    assert design.hash not in hashes
    assert all(SPACE.check(e) == [] for e in edits)
    assert [e.hash for e in SPACE.edits(design)] == hashes


@settings(max_examples=30, deadline=None)
@given(seeds, seeds)
def test_recombination_is_legal(one: int, other: int) -> None:
    """A child of two legal designs is legal and normal."""
    a, b = SPACE.sample(random.Random(one)), SPACE.sample(random.Random(other))
    child = SPACE.recombine(a, b, random.Random(0))
    assert SPACE.check(child) == []
    assert SPACE.normalise(child) == child


def test_edits_reach_the_whole_of_a_small_space() -> None:
    """From any design, edits alone lead to every legal design (brute force)."""
    space = DesignSpace(
        ("pocket-s", "pocket-m"),
        include=("direct", "chain_of_thought", "calculator", "vote"),
        limits=Limits(max_members=2),
    )
    everything = space.all(100_000)
    assert everything is not None
    reached = {everything[0].hash}
    pending = [everything[0]]
    while pending:
        for edit in space.edits(pending.pop()):
            if edit.hash not in reached:
                reached.add(edit.hash)
                pending.append(edit)
    assert reached == {d.hash for d in everything}


def test_counting_a_small_space_by_hand() -> None:
    """2 models x (direct, chain with or without calculator) = 6 agents; unordered pairs with
    repetition 21, under 2 voting rules 42; 48 in all."""
    space = DesignSpace(
        ("pocket-s", "pocket-m"),
        include=("direct", "chain_of_thought", "calculator", "vote"),
        limits=Limits(max_members=2),
    )
    everything = space.all(100_000)
    assert everything is not None
    assert len(everything) == 48
    assert space.all(10) is None


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (agent("direct", tools=(Part("calculator"),)), "calculator requires steps"),
        (agent("chain_of_though"), "Did you mean 'chain_of_thought'?"),
        (agent("self_consistency", guard=Part("nothing")), "no guard is called 'nothing'"),
        (
            Agent(Part("pocket-s"), Part.of("self_consistency", n=4)),
            "root.reasoning.self_consistency.n: 4 is not one of 3, 5",
        ),
        (
            Agent(Part("pocket-s"), Part.of("direct", n=4)),
            "root.reasoning.direct: no parameter 'n'; known: none",
        ),
        (Team(Part("vote"), (agent(),)), "root.members: 1 members; vote takes 2 to 3"),
        (Team(Part("orchestrator"), (agent(), agent())), "root.lead: orchestrator needs a lead"),
        (Team(Part("vote"), (agent(), agent()), lead=agent()), "root.lead: vote has no lead"),
        (
            Team(Part("vote"), (agent(), Team(Part("vote"), (agent(), agent())))),
            "root: 3 levels; at most 2",
        ),
        (
            Team(
                Part("vote"),
                tuple(agent("direct", planning=Part("decompose")) for _ in range(3)),
            ),
            "root: up to 27 calls per task; at most 20",
        ),
    ],
)
def test_illegal_designs_are_told_why_with_the_path(node: Agent | Team, words: str) -> None:
    """Each reason names the place and what would be right."""
    reasons = SPACE.check(Design(node))
    assert any(words in reason for reason in reasons), reasons


def test_memory_needs_what_the_benchmark_gives() -> None:
    """Without notes in the benchmark, lookup is illegal and never drawn."""
    bare = DesignSpace(("pocket-s",))
    assert bare.check(Design(agent(memory=Part("lookup")))) == [
        "root.memory: lookup requires notes"
    ]
    drawn = [bare.sample(random.Random(i)) for i in range(50)]
    assert not any(a.memory for d in drawn for _, a in d.agents())


def test_equal_systems_have_equal_hashes() -> None:
    """Defaults written out or left out, and the order of voters, do not matter; that of a
    cascade does."""
    one, two = agent("self_consistency"), agent("direct")
    full = Part.of("self_consistency", n=3, temperature=0.7)
    assert SPACE.normalise(Design(one)).hash == Design(Agent(Part("pocket-s"), full)).hash

    def team(topology: str, *members: Agent) -> str:
        return SPACE.normalise(Design(Team(Part(topology), members))).hash

    assert team("vote", one, two) == team("vote", two, one)
    assert team("cascade", one, two) != team("cascade", two, one)


def test_call_bounds_on_hand_worked_trees() -> None:
    """Self-consistency of 5 is 5; decompose is 1 + 8; a vote sums; an orchestrator takes its
    dearest member and one call of the lead."""
    five = Agent(Part("pocket-s"), Part.of("self_consistency", n=5))
    assert call_bound(five) == 5
    assert call_bound(agent(planning=Part("decompose"))) == 9
    assert call_bound(Team(Part("vote"), (five, agent()))) == 6
    assert call_bound(Team(Part("orchestrator"), (five, agent()), lead=agent())) == 6


def test_skills_are_shared_out_under_a_lead() -> None:
    """Every skill belongs to exactly one member of an orchestrator's team."""
    rng = random.Random(1)
    teams = [
        d.root
        for d in (SPACE.sample(rng) for _ in range(200))
        if isinstance(d.root, Team) and d.root.lead
    ]
    assert teams
    for team in teams:
        roles = [m.role for m in team.members if isinstance(m, Agent)]
        assert sorted("+".join(r for r in roles if r).split("+")) == ["facts", "sums"]


def test_features_of_a_team() -> None:
    """Counts, pairs inside an agent, and measures of the tree."""
    design = Design(
        Team(Part("vote"), (agent("chain_of_thought", tools=(Part("calculator"),)), agent()))
    )
    found = SPACE.features(design)
    assert found["has:vote"] == 1
    assert found["has:pocket-s"] == 2
    assert found["pair:calculator&chain_of_thought"] == 1
    assert (found["tree:agents"], found["tree:depth"], found["tree:models"]) == (2, 2, 1)


def test_impossible_requests_are_refused() -> None:
    """No model, an unknown component, no reasoning, limits that nothing meets."""
    with pytest.raises(UsageError, match="at least one model"):
        DesignSpace(())
    with pytest.raises(UnknownName, match="Did you mean 'pocket-m'"):
        DesignSpace(("poket-m",))
    with pytest.raises(UnknownName, match="no component is called 'votes'"):
        DesignSpace(("pocket-s",), exclude=("votes",))
    with pytest.raises(UsageError, match="no reasoning"):
        DesignSpace(("pocket-s",), include=("vote",))
    tight = DesignSpace(
        ("pocket-s",), include=("self_consistency",), limits=Limits(max_calls_per_task=1)
    )
    with pytest.raises(UsageError, match="calls per task; at most 1"):
        tight.sample(random.Random(0))


def test_a_router_needs_members_that_differ() -> None:
    """Equal members behind a router are one agent with idle company; a vote of them samples."""
    space = toy_space()
    one, two = (Agent(Part(m), Part("chain_of_thought")) for m in ("pocket-s", "pocket-m"))
    for topology in ("rule_router", "vote"):
        assert space.check(space.normalise(Design(Team(Part(topology), (one, two))))) == []
    (reason,) = space.check(space.normalise(Design(Team(Part("rule_router"), (one, one)))))
    assert "must differ" in reason and "root.members" in reason
    assert space.check(space.normalise(Design(Team(Part("vote"), (one, one))))) == []

"""Skills read from questions, and agents that can be composed into teams."""

from __future__ import annotations

from paragent.design import Agent, Design, Part, Team
from paragent.searcher import TeamSpace
from paragent.skills import similarity, skills_of
from paragent.testing import toy_space

QUESTIONS = {
    **{f"a{i}": f"How many dollars are {i} apples and {i + 2} pears worth" for i in range(20)},
    **{f"b{i}": f"Which doctor is the teacher of cousin number {i}" for i in range(10)},
}


def test_groups_of_questions_are_skills_with_their_share_as_weight() -> None:
    """Two groups, 20 and 10 questions: weights 2/3 and 1/3, probes from their own group."""
    shops, people = skills_of(QUESTIONS)
    assert (shops.weight, people.weight) == (20 / 30, 10 / 30)
    assert {p[0] for p in shops.probes} == {"a"} and {p[0] for p in people.probes} == {"b"}
    assert "dollars" in shops.terms and "doctor" in people.terms


def test_questions_without_groups_or_words_are_one_skill() -> None:
    """Equal questions, numbers only, one question, none."""
    assert len(skills_of({str(i): "same words here" for i in range(9)})) == 1
    (only,) = skills_of({str(i): f"{i} + {i}" for i in range(9)})
    assert only.weight == 1.0 and only.probes[0] == "0"
    assert len(skills_of({"x": "one question"})) == 1
    assert skills_of({}) == ()


def test_one_seed_gives_the_same_skills() -> None:
    """Twice the same."""
    assert skills_of(QUESTIONS, seed=3) == skills_of(QUESTIONS, seed=3)


def test_a_description_is_similar_to_the_skill_it_talks_of() -> None:
    """Texts about doctors and dollars; nothing at all is similar to nothing."""
    skills = skills_of(QUESTIONS)
    rows = similarity(["counts dollars worth of apples", "finds the doctor of a cousin"], skills)
    assert rows[0][0] > rows[0][1] and rows[1][1] > rows[1][0]
    assert similarity([""], ()) == [[]]


def test_agents_are_legal_different_and_the_plainest_come_first() -> None:
    """More than a hundred agents of the shipped parts; a shorter list is their beginning."""
    space = toy_space()
    assert isinstance(space, TeamSpace)
    agents = space.agents(150)
    assert len({a.hash for a in agents}) == len(agents) > 90
    assert all(isinstance(a.root, Agent) and not space.check(a) for a in agents)
    assert list(space.agents(5)) == list(agents[:5])
    assert all(a.root.memory is None and not a.root.tools for a in agents[:8])  # type: ignore[union-attr]


def test_teams_hold_exactly_the_given_members() -> None:
    """One design for each topology and lead; one agent is its own team; too many have none."""
    space = toy_space()
    one, two = (Design(Agent(Part(m), Part("chain_of_thought"))) for m in ("pocket-s", "pocket-m"))
    teams = space.teams([one, two])
    assert len(teams) >= 4 and all(not space.check(t) for t in teams)
    for team in teams:
        assert isinstance(team.root, Team)
        models = {m.model.name for m in team.root.members if isinstance(m, Agent)}
        assert models == {"pocket-s", "pocket-m"}
    assert list(space.teams([one])) == [one]
    assert space.teams([one, two, one]) == []  # this space allows two members


def test_a_description_names_what_the_agent_can_do() -> None:
    """Summaries of all parts."""
    agent = Design(Agent(Part("pocket-m"), Part("chain_of_thought"), tools=(Part("calculator"),)))
    said = toy_space().describe(agent)
    assert "step by step" in said and "arithmetic" in said

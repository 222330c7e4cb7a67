"""Designs: one canonical form, one hash, clear words for mistakes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.design import Agent, Design, Node, Part, Team, canonical_json
from paragent.errors import ConfigError, InvalidDesign

names = st.sampled_from(["alpha", "beta", "gamma"])
values = st.one_of(st.integers(-5, 5), st.sampled_from(["x", "y"]), st.booleans())
parts = st.builds(
    lambda name, params: Part(name, tuple(sorted(params.items()))),
    names,
    st.dictionaries(st.sampled_from(["p", "q"]), values, max_size=2),
)
agents = st.builds(
    Agent,
    model=parts,
    reasoning=parts,
    planning=st.none() | parts,
    memory=st.none() | parts,
    tools=st.lists(parts, max_size=2, unique_by=lambda p: p.name).map(
        lambda found: tuple(sorted(found, key=lambda p: p.name))
    ),
    guard=st.none() | parts,
    role=st.sampled_from(["", "solver"]),
)
nodes: st.SearchStrategy[Node] = st.recursive(
    agents,
    lambda inner: st.builds(
        Team,
        topology=parts,
        members=st.lists(inner, min_size=1, max_size=3).map(tuple),
        lead=st.none() | agents,
    ),
    max_leaves=5,
)
designs = st.builds(Design, nodes)


@given(designs)
def test_data_and_yaml_round_trip(design: Design) -> None:
    """from_data(to_data(d)) and from_yaml(to_yaml(d)) are d."""
    assert Design.from_data(design.to_data()) == design
    assert Design.from_yaml(design.to_yaml()) == design


@given(designs, designs)
def test_equal_designs_and_only_they_share_a_hash(one: Design, other: Design) -> None:
    """The hash follows the canonical text."""
    assert (one.hash == other.hash) == (canonical_json(one) == canonical_json(other))


def test_hash_is_pinned_and_the_same_in_another_process() -> None:
    """Another hash seed gives the same hash; a change of the canonical form would show here."""
    design = Design(Agent(Part("pocket-s"), Part.of("self_consistency", n=5, temperature=0.7)))
    code = (
        "from paragent.design import *;"
        "print(Design(Agent(Part('pocket-s'),"
        "Part.of('self_consistency', temperature=0.7, n=5))).hash)"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "77", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == design.hash
    assert canonical_json(design) == (
        '{"agent":{"model":"pocket-s","reasoning":{"self_consistency":{"n":5,"temperature":0.7}}}}'
    )


TEAM = Design(
    Team(
        Part("orchestrator"),
        (Agent(Part("a")), Team(Part("vote"), (Agent(Part("b")), Agent(Part("c"))))),
        lead=Agent(Part("l")),
    )
)


def test_paths_depth_and_graph() -> None:
    """Pre-order paths; a team of a team is three deep; the graph is a tree."""
    assert [path for path, _ in TEAM.nodes()] == ["", "lead", "0", "1", "1.0", "1.1"]
    assert TEAM.depth == 3
    graph = TEAM.to_networkx()
    assert graph.number_of_edges() == graph.number_of_nodes() - 1
    assert set(graph.successors("1")) == {"1.0", "1.1"}


def test_replace_at() -> None:
    """Only the node at the path changes."""
    changed = TEAM.replace_at("1.0", Agent(Part("z")))
    assert dict(changed.nodes())["1.0"] == Agent(Part("z"))
    assert dict(changed.nodes())["1.1"] == dict(TEAM.nodes())["1.1"]
    with pytest.raises(KeyError):
        TEAM.replace_at("7", Agent(Part("z")))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"agnt": {}}, "agent or team"),
        ({"agent": {"modle": "x"}}, "Did you mean 'model'?"),
        ({"agent": {}}, "agent: an agent needs a model"),
        ({"team": {"topology": "vote", "members": []}}, "team.members"),
        (
            {"team": {"topology": "vote", "members": [{"agent": {"model": 3}}]}},
            "team.members[0].agent.model: got 3",
        ),
        ({"agent": {"model": {"a": {"k": [1]}}}}, "agent.model.a: parameter 'k' is [1]"),
        ({"agent": {"model": "a", "tools": "calculator"}}, "agent.tools"),
        ([], "agent or team"),
    ],
)
def test_mistakes_are_told_with_their_path(data: object, words: str) -> None:
    """One clear line: where, what was given, what was wanted."""
    with pytest.raises(InvalidDesign) as caught:
        Design.from_data(data)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_malformed_yaml_is_told_with_line_and_column() -> None:
    """The parser's own traceback never shows."""
    with pytest.raises(ConfigError, match=r"my\.yaml: line 2, column"):
        Design.from_yaml("agent:\n  model: [a", "my.yaml")

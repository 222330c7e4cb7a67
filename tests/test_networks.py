"""AgentsNet and GovSim: many copies of a design; scores by hand, oracles, hostile answers."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedModel, Straight

from paragent.benchmarks import agentsnet, govsim
from paragent.benchmarks.agentsnet import Graph, Network, read_messages
from paragent.benchmarks.govsim import Commons, read_amount, share_out
from paragent.compile import compile_design
from paragent.component import Answer
from paragent.design import Agent, Design, Part
from paragent.environment import Ask, replay
from paragent.errors import UsageError
from paragent.evaluate import evaluate_task
from paragent.outcome import Measured
from paragent.runtime.model import Request

Make = Callable[..., ScriptedModel]

#: a - b - c - d in a row.
ROW: Graph = {"a": ("b",), "b": ("a", "c"), "c": ("b", "d"), "d": ("c",)}


def score(problem: str, *said: str, groups: int = 3) -> float:
    """The score of a, b, c and d saying these."""
    network = Network(problem, ROW, groups, 1)
    network.chosen = dict(zip("abcd", said, strict=True))
    return network.score(Answer(""))


@pytest.mark.parametrize(
    ("problem", "said", "wanted"),
    [
        ("consensus", ("1", "1.", " 1", "1"), 1.0),
        ("consensus", ("1", "1", "1", "0"), 0.0),
        ("consensus", ("2", "2", "2", "2"), 0.0),
        ("leader", ("No", "YES", "no", "no."), 1.0),
        ("leader", ("Yes", "Yes", "No", "No"), 0.0),
        ("leader", ("No", "No", "No", "No"), 0.0),
        ("coloring", ("1", "2", "1", "Group 2"), 1.0),
        ("coloring", ("1", "2", "2", "1"), 2 / 3),
        ("coloring", ("1", "9", "1", "2"), 1 / 3),  # 9 is no group: two edges are lost
        ("matching", ("b", "a", "d", "c"), 1.0),
        ("matching", ("None", "c", "b", "None"), 1.0),
        ("matching", ("None", "None", "d", "c"), 0.5),  # a and b could have paired
        ("matching", ("c", "a", "d", "c"), 0.5),  # c is no neighbour of a
        ("vertex_cover", ("No", "Yes", "Yes", "No"), 1.0),
        ("vertex_cover", ("Yes", "Yes", "Yes", "No"), 1 / 3),  # neither a nor b is needed
        ("vertex_cover", ("No", "Yes", "No", "No"), 2 / 3),  # c - d is open
        ("vertex_cover", ("No", "No", "No", "No"), 0.0),
    ],
)
def test_scores_of_the_five_problems(problem: str, said: tuple[str, ...], wanted: float) -> None:
    """Worked by hand on four nodes in a row."""
    assert score(problem, *said) == pytest.approx(wanted)


@pytest.mark.parametrize(("nodes", "tasks"), [(4, 120), (8, 30)])
def test_a_local_algorithm_solves_every_network(nodes: int, tasks: int) -> None:
    """Nodes that flood what they know reach the full score, from what they are told alone; so the
    rounds suffice."""
    benchmark = agentsnet.load(nodes)
    every = [*benchmark.tasks("dev"), *benchmark.tasks("test")]
    assert len(every) == 120
    assert all(asyncio.run(replay(benchmark, task)) == 1.0 for task in every[:tasks])


def test_networks_are_what_they_are_called() -> None:
    """Connected, of the right size; a prefix of 15 has every problem on every kind."""
    import networkx as nx

    tasks = agentsnet.load(8).tasks("dev")
    assert len({(t.tags["problem"], t.tags["network"]) for t in tasks[:15]}) == 15
    for task in tasks:
        edges = [e.split(" - ") for e in task.question.partition("; ")[2].split(", ")]
        graph: nx.Graph[str] = nx.Graph([(a, b) for a, b in edges])
        assert len(graph) == 8 and nx.is_connected(graph)
        assert agentsnet.network_of(task)[1] == max(d for _, d in graph.degree) + 1
    with pytest.raises(UsageError, match="wanted a whole number from 4 to 100"):
        agentsnet.load(3)


def test_messages_go_to_neighbours_only_and_arrive_in_the_next_round() -> None:
    """A writes to b and to d: d, who is no neighbour, hears nothing; nobody hears in the round."""
    network = Network("consensus", ROW, 3, 2)
    asked: dict[tuple[str, int], str] = {}

    async def ask(question: str) -> Answer:
        name = question[8]
        asked[name, len([k for k in asked if k[0] == name])] = question
        return Answer(
            "hi " + json.dumps({"b": f"from {name}", "d": "secret"}) if name == "a" else ""
        )

    play: Ask = ask
    asyncio.run(network.play(play, ""))
    assert "from a" not in asked["b", 0]
    assert "round 1, a: from a" in asked["b", 1]
    assert not any("secret" in q for (name, _), q in asked.items() if name == "d")
    assert "you to b: from a" in asked["a", 1]


@given(st.text(max_size=200) | st.text(alphabet='{}[]":,ab\\1', max_size=60))
def test_any_text_is_messages_or_none(text: str) -> None:
    """Nothing is raised; what is no object is nothing."""
    assert isinstance(read_messages(Answer(text, text)), dict)


def test_a_design_plays_every_node(scripted: Make) -> None:
    """One agent, four copies in three rounds and a choice: the calls are the plays; times are those
    of the longest chain, since nodes of a round act side by side."""

    def script(request: Request) -> str:
        return f"Answer: {agentsnet.flood(request.messages[-1].content)}"

    scripted(script)
    benchmark = agentsnet.load()
    task = next(t for t in benchmark.tasks("dev") if t.tags["problem"] == "leader")
    outcome = asyncio.run(
        evaluate_task(
            compile_design(Design(Agent(Part("scripted"), Part("direct")))),
            benchmark,
            task,
            Straight(),
            purpose="search-eval",
            seed=0,
        )
    )
    rounds = agentsnet.network_of(task)[2]
    assert isinstance(outcome, Measured) and outcome.score == 1.0
    assert outcome.usage.calls == 4 * (rounds + 1) <= benchmark.plays
    assert outcome.usage.latency_s == rounds + 1


# -- GovSim ----------------------------------------------------------------------------------------


def play(says: Callable[[str], str], kind: str = "plain", talk: bool = False) -> Commons:
    """A game of twelve months in which all say the same."""
    game = Commons("fishery", kind, ["A", "B", "C", "D", "E"], "0", 12, talk)

    async def ask(question: str) -> Answer:
        return Answer(says(question))

    asyncio.run(game.play(ask, ""))
    return game


def test_greed_ends_the_game_and_half_lasts_for_ever() -> None:
    """Worked by hand: 100 at once of the 600 of twelve months; 50 a month; nothing at all."""
    greedy = play(lambda q: "100")
    assert (greedy.lived, sum(greedy.taken.values()), greedy.score(Answer(""))) == (0, 100, 1 / 6)
    assert sorted(greedy.taken.values()) == [20] * 5
    wise = play(lambda q: "Answer: 10 tons")
    assert (wise.lived, wise.score(Answer(""))) == (12, 1.0)
    saint = play(lambda q: "none")
    assert (saint.lived, saint.score(Answer(""))) == (12, 0.0)


def test_a_newcomer_takes_and_is_not_counted() -> None:
    """20 a month from month 4 on: whoever still takes half loses the pool."""
    game = play(lambda q: "10", kind="newcomer")
    assert game.lived < 12 and game.taken[govsim.NEWCOMER] >= 20
    lasting = play(lambda q: "6", kind="newcomer")
    assert lasting.lived == 12
    assert lasting.score(Answer("")) == pytest.approx(12 * 30 / 600)


def test_what_is_said_is_heard_by_all_next_month() -> None:
    """With talk, the diary holds everybody's words."""
    asked: list[str] = []

    def says(question: str) -> str:
        asked.append(question)
        return "I take little." if "everybody meets" in question else "2"

    play(says, talk=True)
    assert "B: I take little." in asked[10] and "Month 1: A 2, B 2" in asked[10]
    assert len(asked) == 12 * 5 + 11 * 5


def test_oracles_of_govsim_reach_the_full_score() -> None:
    """Every game without a newcomer."""
    benchmark = govsim.load()
    tasks = [*benchmark.tasks("dev"), *benchmark.tasks("test")]
    solved = [asyncio.run(replay(benchmark, t)) for t in tasks if benchmark.oracle(t)]
    assert solved == [1.0] * 24
    with pytest.raises(UsageError, match="months is 0"):
        govsim.load(months=0)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 100), min_size=1), st.integers(0, 9)
)
def test_no_more_is_given_than_there_is(wanted: dict[str, int], seed: int) -> None:
    """And no more to anybody than it wants; all of the pool where too much is wanted."""
    got = share_out(60, wanted, random.Random(seed))
    assert sum(got.values()) == min(60, sum(wanted.values()))
    assert all(0 <= got[name] <= wanted[name] for name in wanted)


@given(st.text(max_size=300))
def test_any_text_is_an_amount_that_can_be_taken(text: str) -> None:
    """Also digits beyond measure."""
    assert 0 <= read_amount(text + "9" * 400, 100) <= 100
    assert 0 <= read_amount(text, 100) <= 100

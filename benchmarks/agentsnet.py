"""AgentsNet: a network of agents that see only their neighbours solves a problem by messages.

Source: Grötschla et al. 2025, AgentsNet: Coordination and Collaborative Reasoning in Multi-Agent
LLMs, sections 3 and 4 (github.com/floriangroetschla/AgentsNet at 269f576, MIT; its networks are on
a hub, these are generated anew by the same rules). Licence: MIT. Version 1. One raw example:

    problem coloring, network scale_free, 4 nodes, 3 groups, 4 rounds; Bruno - Clara, Bruno - Emil,
    Bruno - Tessa, Clara - Tessa

A copy of the design is asked for every node in every round. It is told its name, its neighbours and
all messages so far, and answers with one message for each neighbour; in the end, with its part of
the solution. Messages arrive in the next round. Networks: small world (Watts and Strogatz 1998,
k 4, p 0.4), scale free (Barabasi and Albert 1999, m 2) and Delaunay triangulations of random
points; 60 dev and 60 test tasks, 4 for each problem and kind of network, `nodes` nodes each.

Problems and scores (section 3.1), all in [0, 1]:

    consensus       1 where all nodes say the same of 0 and 1
    leader          1 where one node says Yes and all others No
    coloring        share of edges between different groups (as many groups as the most neighbours
                    of a node, and one)
    matching        share of nodes that are right: partners name each other, and of two neighbours
                    at least one has a partner
    vertex_cover    share of edges with an end in the cover x share of the cover's nodes that are
                    needed (some neighbour is outside)

Rounds: 2 x diameter + 1 for consensus and leader; else 4, 5 and 6 for up to 4, 8 and 16 nodes and
2 x diameter + 1 above.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from paragent.benchmark import Referee, Task
from paragent.component import Answer, together
from paragent.environment import Ask, Environment, Oracle
from paragent.errors import UsageError
from paragent.outcome import Split
from paragent.registry import BenchmarkPlugin
from paragent.world_benchmark import WorldBenchmark

VERSION = "1"
PROBLEMS = ("consensus", "leader", "coloring", "matching", "vertex_cover")
NETWORKS = ("small_world", "scale_free", "delaunay")
#: Tasks of each problem and kind of network in each split.
EACH = 4
#: Longest message, in characters.
MAX_MESSAGE = 2000

NAMES = (
    *("Ada", "Bruno", "Clara", "Dario", "Emil", "Frieda", "Gustav", "Hanna", "Igor", "Jana"),
    *("Karl", "Lena", "Milan", "Nora", "Otto", "Petra", "Quinn", "Rosa", "Stefan", "Tessa"),
    *("Ulrich", "Vera", "Willem", "Xenia", "Yannis", "Zora", "Aron", "Bella", "Cyril", "Dunja"),
)

#: Each node's neighbours, by name, in alphabetical order.
Graph = Mapping[str, tuple[str, ...]]

_GOALS = {
    "consensus": "All nodes must agree on the same value, 0 or 1.",
    "leader": "The nodes must choose one leader: one node says Yes, all others say No.",
    "coloring": "Each node chooses one of {groups} groups; neighbours must be in different groups.",
    "matching": "Nodes form pairs of neighbours. Each names its partner, or None; a pair must name "
    "each other, and no two neighbours may both be without a partner.",
    "vertex_cover": "Choose a set of nodes such that every edge has an end in it and no node in "
    "it could be left out. Each node says Yes (in the set) or No.",
}
_ANSWERS = {
    "consensus": "0 or 1",
    "leader": "Yes or No",
    "coloring": "the number of your group, 1 to {groups}",
    "matching": "the name of your partner, or None",
    "vertex_cover": "Yes or No",
}


class Network(Environment):
    """One network and its problem. A node is a play of the design."""

    orderly = False  # nodes of one round do not see each other's messages

    def __init__(self, problem: str, graph: Graph, groups: int, rounds: int) -> None:
        self.problem, self.graph, self.groups, self.rounds = problem, graph, groups, rounds
        self.heard: dict[str, list[str]] = {name: [] for name in graph}
        self.chosen: dict[str, str] = {}

    async def play(self, ask: Ask, question: str) -> Answer:
        """All rounds, then everybody's choice; the answer is the choices as JSON."""
        names = list(self.graph)
        for number in range(1, self.rounds + 1):
            asked = [ask(self.letter_question(name, number)) for name in names]
            for name, answer in zip(names, await together(asked), strict=True):
                self._deliver(name, number, answer)
        chosen = await together([ask(self.choice_question(name)) for name in names])
        self.chosen = {n: a.text.strip() for n, a in zip(names, chosen, strict=True)}
        return Answer(json.dumps(self.chosen, ensure_ascii=False))

    def _deliver(self, sender: str, number: int, answer: Answer) -> None:
        sent = read_messages(answer)
        for name in self.graph[sender]:
            if text := sent.get(name):
                shown = text if isinstance(text, str) else json.dumps(text)
                self.heard[name].append(f"round {number}, {sender}: {shown[:MAX_MESSAGE]}")
                self.heard[sender].append(f"round {number}, you to {name}: {shown[:MAX_MESSAGE]}")

    def _situation(self, name: str) -> str:
        heard = "\n".join(self.heard[name]) or "none yet"
        goal = _GOALS[self.problem].format(groups=self.groups)
        return (
            f"You are {name}, a node of a network of {len(self.graph)} nodes. You can talk to your "
            f"neighbours only: {', '.join(self.graph[name])}.\n{goal}\nMessages so far:\n{heard}\n"
        )

    def letter_question(self, name: str, number: int) -> str:
        """What a node is asked in a round."""
        return (
            f"{self._situation(name)}Round {number} of {self.rounds}: write to your neighbours. "
            'Reply with one line of JSON after "Answer:", from neighbour to message, for example '
            f"Answer: {json.dumps({self.graph[name][0]: '…'}, ensure_ascii=False)}"
        )

    def choice_question(self, name: str) -> str:
        """What a node is asked in the end."""
        form = _ANSWERS[self.problem].format(groups=self.groups)
        return f"{self._situation(name)}The rounds are over. Answer with {form}."

    def score(self, answer: Answer) -> float:
        """See the module; a choice that cannot be read fulfils nothing."""
        chosen = {name: _plain(self.chosen.get(name, "")) for name in self.graph}
        return SCORES[self.problem](self.graph, chosen, self.groups)


def read_messages(answer: Answer) -> Mapping[str, Any]:
    """The JSON object of an answer, from neighbour to message; nothing where there is none."""
    for text in (answer.text, answer.full[answer.full.rfind("{") :]):
        try:
            found = json.loads(text[text.find("{") : text.rfind("}") + 1])
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def _plain(choice: str) -> str:
    return choice.strip(" \t\n.\"'*").casefold()


def _edges(graph: Graph) -> list[tuple[str, str]]:
    return [(a, b) for a in graph for b in graph[a] if a < b]


def consensus(graph: Graph, chosen: Mapping[str, str], groups: int) -> float:
    """All 0 or all 1."""
    said = set(chosen.values())
    return float(said in ({"0"}, {"1"}))


def leader(graph: Graph, chosen: Mapping[str, str], groups: int) -> float:
    """One yes, else no."""
    said = sorted(chosen.values())
    return float(said == ["no"] * (len(said) - 1) + ["yes"])


def coloring(graph: Graph, chosen: Mapping[str, str], groups: int) -> float:
    """Share of edges between different, legal groups; "group 2" counts as "2"."""
    legal = {str(i) for i in range(1, groups + 1)}
    group = {n: c.removeprefix("group").strip() for n, c in chosen.items()}
    edges = _edges(graph)
    return sum(group[a] != group[b] and {group[a], group[b]} <= legal for a, b in edges) / len(
        edges
    )


def matching(graph: Graph, chosen: Mapping[str, str], groups: int) -> float:
    """Share of nodes that are in a pair, or rightly alone."""
    right = 0
    for name, partner in chosen.items():
        if partner == "none":
            right += all(chosen[other] != "none" for other in graph[name])
        else:
            mine = [other for other in graph[name] if other.casefold() == partner]
            right += bool(mine) and chosen[mine[0]] == name.casefold()
    return right / len(graph)


def vertex_cover(graph: Graph, chosen: Mapping[str, str], groups: int) -> float:
    """Coverage of edges x share of needed nodes."""
    cover = {name for name, said in chosen.items() if said == "yes"}
    if not cover:
        return 0.0
    edges = _edges(graph)
    covered = sum(a in cover or b in cover for a, b in edges) / len(edges)
    needed = sum(any(other not in cover for other in graph[name]) for name in cover) / len(cover)
    return covered * needed


SCORES = {
    "consensus": consensus,
    "leader": leader,
    "coloring": coloring,
    "matching": matching,
    "vertex_cover": vertex_cover,
}


# -- tasks -----------------------------------------------------------------------------------------


@cache
def networks(nodes: int, split: Split) -> tuple[Task, ...]:
    """The tasks of a split; any prefix of 15 has every problem on every kind of network."""
    rng = random.Random(f"agentsnet-1-{nodes}-{split}")
    tasks = []
    for number in range(EACH):
        for problem in PROBLEMS:
            for kind in NETWORKS:
                graph = _network(kind, nodes, rng)
                rounds = _rounds(problem, graph)
                groups = max(len(n) for n in graph.values()) + 1
                edges = ", ".join(f"{a} - {b}" for a, b in _edges(graph))
                about = (
                    f"problem {problem}, network {kind}, {nodes} nodes, {groups} groups, "
                    f"{rounds} rounds; {edges}"
                )
                tags = {"problem": problem, "network": kind}
                tasks.append(Task(f"{split}-{problem}-{kind}-{nodes}-{number}", about, "", tags))
    return tuple(tasks)


def _network(kind: str, nodes: int, rng: random.Random) -> Graph:
    import networkx as nx

    seed = rng.randrange(2**31)
    if kind == "small_world":
        found = nx.connected_watts_strogatz_graph(nodes, 4, 0.4, seed=seed)
    elif kind == "scale_free":
        found = nx.barabasi_albert_graph(nodes, 2, seed=seed)
    else:
        import numpy as np
        from scipy.spatial import Delaunay

        corners = Delaunay(np.random.default_rng(seed).random((nodes, 2))).simplices
        found = nx.Graph()
        for a, b, c in corners.tolist():
            found.add_edges_from([(a, b), (b, c), (a, c)])
    names = rng.sample(NAMES, nodes) if nodes <= len(NAMES) else [f"N{i:03}" for i in range(nodes)]
    return {
        names[i]: tuple(sorted(names[j] for j in found[i]))
        for i in sorted(found, key=lambda i: names[i])
    }


def _rounds(problem: str, graph: Graph) -> int:
    if problem in ("consensus", "leader") or len(graph) > 16:
        return 2 * _diameter(graph) + 1
    return 4 if len(graph) <= 4 else 5 if len(graph) <= 8 else 6


def _diameter(graph: Graph) -> int:
    import networkx as nx

    return int(nx.diameter(nx.Graph(_edges(graph))))


def network_of(task: Task) -> tuple[Graph, int, int]:
    """The network of a task, its groups and its rounds, from its question."""
    about, _, edges = task.question.partition("; ")
    groups, rounds = (int(re.findall(rf"(\d+) {word}", about)[0]) for word in ("groups", "rounds"))
    found: dict[str, set[str]] = {}
    for edge in edges.split(", "):
        a, b = edge.split(" - ")
        found.setdefault(a, set()).add(b)
        found.setdefault(b, set()).add(a)
    return {name: tuple(sorted(found[name])) for name in sorted(found)}, groups, rounds


def _open(task: Task, referee: Referee | None) -> Environment:
    return Network(task.tags["problem"], *network_of(task))


# -- what solves it ------------------------------------------------------------------------------


def flood(question: str) -> str:
    """The answer of a node that tells everything it knows, and then works it out for itself.

    After as many rounds as the network is wide every node knows all of it; all of them then find
    the same solution: greedy, in the order of the names.
    """
    me = question.split("You are ")[1].split(",")[0]
    mine = question.split("neighbours only: ")[1].split(".\n")[0].split(", ")
    known: dict[str, list[str]] = {me: mine}
    for line in question.split("Messages so far:\n")[1].splitlines():
        if line.startswith("round ") and "you to " not in line:
            known.update(json.loads(line[line.index("{") :]))
    if "Reply with one line of JSON" in question:
        return json.dumps({name: json.dumps(known) for name in mine})
    order = sorted(known)
    if "same value" in question:
        return "1"
    if "one leader" in question:
        return "Yes" if me == order[0] else "No"
    if "different groups" in question:
        return str(_greedy_groups(known)[me])
    pairs = _greedy_pairs(known)
    if "form pairs" in question:
        return pairs.get(me, "None")
    return "Yes" if me in _small_cover(known, pairs) else "No"


def _greedy_groups(graph: Mapping[str, Sequence[str]]) -> dict[str, int]:
    groups: dict[str, int] = {}
    for name in sorted(graph):
        taken = {groups.get(other) for other in graph[name]}
        groups[name] = next(i for i in range(1, len(graph) + 1) if i not in taken)
    return groups


def _greedy_pairs(graph: Mapping[str, Sequence[str]]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for name in sorted(graph):
        free = [other for other in sorted(graph[name]) if other not in pairs]
        if name not in pairs and free:
            pairs[name], pairs[free[0]] = free[0], name
    return pairs


def _small_cover(graph: Mapping[str, Sequence[str]], pairs: Mapping[str, str]) -> set[str]:
    """Both ends of every pair, less what is not needed."""
    cover = set(pairs)
    for name in sorted(cover):
        if all(other in cover for other in graph[name]):
            cover.discard(name)
    return cover


def _known(task: Task) -> Oracle:
    return flood


def load(nodes: int = 4) -> WorldBenchmark:
    """Networks of `nodes` nodes (the paper has 4, 8 and 16, and up to 100). Raises UsageError for
    less than 4 or more than 100."""
    if not isinstance(nodes, int) or not 4 <= nodes <= 100:
        raise UsageError(f"agentsnet: nodes is {nodes!r}; wanted a whole number from 4 to 100")
    return WorldBenchmark(
        "agentsnet",
        VERSION if nodes == 4 else f"{VERSION}-{nodes}",
        lambda split: networks(nodes, split),
        _open,
        _known,
        plays=_most_plays(nodes),
    )


@cache
def _most_plays(nodes: int) -> int:
    splits: tuple[Split, ...] = ("dev", "test")
    rounds = [network_of(t)[2] for split in splits for t in networks(nodes, split)]
    return nodes * (max(rounds) + 1)


AGENTSNET = BenchmarkPlugin(
    "agentsnet",
    "networks of agents that see only their neighbours: agree, elect, divide, pair, cover",
    load,
    source="Grötschla et al. 2025, AgentsNet; networks generated anew",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 60, "test": 60},
    scorer="exact, per problem",
)

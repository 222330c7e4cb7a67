"""A lead draws, for each question, a layered graph of its agents; harder questions may have larger
ones, and dense ones are thinned (AgentConductor, arXiv 2602.17100, section 3, untrained).

The lead rates the question easy, medium or hard and writes one line per node, `LAYER NAME <- NAME,
NAME`. At most 4, 7 or 10 nodes by difficulty (the paper's caps), never more than `most`. Sparsity
is the paper's ln S = S_node + 2 S_edge + S_depth, S_node = exp(-|V| / N_max), S_edge = exp(-|E| /
E_max), S_depth = 1 - depth / |V| and E_max = |V| (|V| - 1) / 2: while it is below `sparsity`, the
node that reads most loses a source, never its last. Nodes of a layer run side by side; plurality
over the last layer decides. A reply without a graph runs every member once.
Model calls: the lead's one, and `most` times the dearest member's own (or all members' once).
Requires "instruct" of the lead's model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paragent.ballot import plurality
from paragent.component import Answer, Component, TeamView, together
from paragent.design import Param
from paragent.teamwork import distinct, report
from paragent.template import Prompt

#: Most nodes by difficulty (AgentConductor).
CAPS = {"easy": 4, "medium": 7, "hard": 10}

INSTRUCTION = Prompt(
    "layered_dag.instruction",
    "You plan the work of a team of agents on one question. First write `difficulty: easy`, "
    "`difficulty: medium` or `difficulty: hard`. Then write the graph, one agent per line, as "
    "`LAYER NAME <- NAMES`: layer 1 sees the question alone, later layers also read the agents "
    "named after the arrow. Use few agents and few arrows; the last layer answers.",
)
READ = Prompt(
    "layered_dag.read",
    "{question}\n\nOther agents of your team said:\n\n{others}\n\nUse their work with care.",
)

_LEVEL = re.compile(r"difficulty\s*:\s*(easy|medium|hard)", re.IGNORECASE)
_NODE = re.compile(
    r"^\s*(?:layer\s*)?(\d+)\s*[:.)]?\s+([^<]+?)\s*(?:<-+\s*(.*?))?\s*$", re.IGNORECASE
)


@dataclass(frozen=True)
class Graph:
    """Nodes as (layer, member), by layer; `sources[i]` are the earlier nodes that node i reads."""

    level: str
    nodes: tuple[tuple[int, int], ...]
    sources: tuple[tuple[int, ...], ...]


def log_sparsity(nodes: int, edges: int, depth: int, level: str) -> float:
    """The logarithm of S_complex of AgentConductor: larger is sparser and flatter."""
    most_edges = nodes * (nodes - 1) / 2
    s_edge = math.exp(-edges / most_edges) if most_edges else 1.0
    return math.exp(-nodes / CAPS[level]) + 2 * s_edge + 1 - depth / nodes


def read_graph(text: str, names: Sequence[str], most: int, sparsity: float) -> Graph | None:
    """The graph a lead wrote, capped and thinned, or None where no line is a node."""
    said = _LEVEL.search(text)
    level = said[1].casefold() if said else "medium"
    plain = {name.casefold(): i for i, name in enumerate(names)}
    rows: list[tuple[int, int, list[int]]] = []
    for line in text.splitlines():
        match = _NODE.match(line)
        if match and match[2].casefold() in plain:
            wished = [w.strip().casefold() for w in (match[3] or "").split(",")]
            known = [plain[w] for w in wished if w in plain]
            rows.append((int(match[1]), plain[match[2].casefold()], known))
    rows = sorted(rows[: min(CAPS[level], most)], key=lambda row: row[0])  # stable
    if not rows:
        return None
    layers = sorted({layer for layer, _, _ in rows})
    nodes = tuple((layers.index(layer), member) for layer, member, _ in rows)
    sources: list[list[int]] = []
    for (layer, _), (_, _, heard) in zip(nodes, rows, strict=True):
        earlier = [j for j, (other, _) in enumerate(nodes) if other < layer]
        named = [j for j in earlier if nodes[j][1] in heard]
        sources.append(named or [j for j in earlier if nodes[j][0] == layer - 1])
    depth = len(layers)
    while log_sparsity(len(nodes), sum(map(len, sources)), depth, level) < sparsity:
        widest = max(sources, key=len)
        if len(widest) < 2:
            break
        widest.pop(0)  # the earliest: later nodes have read it
    return Graph(level, nodes, tuple(map(tuple, sources)))


def build(most: int, sparsity: float) -> object:
    """A team whose lead draws a graph of at most `most` nodes."""

    async def solve(team: TeamView, question: str) -> Answer:
        assert team.lead is not None, "the space gives a layered team a lead"
        names = distinct([member.name for member in team.members])
        reply = await team.lead.ask(
            INSTRUCTION(), f"Agents: {', '.join(names)}\nQuestion: {question}", tools=False
        )
        graph = read_graph(reply.text, names, most, sparsity)
        if graph is None:
            everybody = tuple((0, i) for i in range(min(len(names), most)))
            graph = Graph("medium", everybody, ((),) * len(everybody))
        answers: dict[int, Answer] = {}
        for layer in range(graph.nodes[-1][0] + 1):
            here = [i for i, (at, _) in enumerate(graph.nodes) if at == layer]
            asks = []
            for i in here:
                asked = question
                if graph.sources[i]:
                    heard = [names[graph.nodes[j][1]] for j in graph.sources[i]]
                    others = report(heard, [answers[j] for j in graph.sources[i]])
                    asked = READ(question=question, others=others)
                asks.append(team.members[graph.nodes[i][1]].solve(asked))
            answers |= zip(here, await together(asks), strict=True)
        last = graph.nodes[-1][0]
        return plurality([a for i, a in sorted(answers.items()) if graph.nodes[i][0] == last])

    return solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return inner[0] + int(params["most"]) * max(inner[1:])


LAYERED_DAG = Component(
    name="layered_dag",
    kind="topology",
    summary="a lead draws a layered graph of agents for each question, small for easy ones",
    build=build,
    params={"most": (4, 7, 10), "sparsity": (2.0, 2.5)},
    calls=_calls,
    requires=("instruct",),
    lead=True,
    members=(2, 5),
    prompts=(INSTRUCTION, READ),
    paper="AgentConductor, arXiv 2602.17100, section 3",
)

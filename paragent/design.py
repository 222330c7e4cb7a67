"""What a design is: a tree of agents and teams, plain data, hashable, equal on every machine.

A node is an `Agent` (one model with its reasoning, planning, memory, tools and guard) or a `Team`
(a topology over member nodes, which are agents or teams again). A design is its root node. The
canonical form is plain JSON data; YAML is the same data for people:

    team:
      topology: {cascade: {threshold: 0.9}}
      members:
      - agent: {model: pocket-s, reasoning: direct}
      - agent:
          model: pocket-m
          reasoning: {self_consistency: {n: 5, temperature: 0.7}}
          memory: lookup
          tools: [calculator]

A part is a component's name, with its parameters where it has any. The content hash is the first
16 hex digits of the SHA-256 of the canonical JSON: no address, no hash seed, no order of insertion
enters it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from paragent.errors import InvalidDesign, nearest
from paragent.template import flat, misshapen, nested
from paragent.yaml_file import parse

if TYPE_CHECKING:
    import networkx as nx

Param = str | int | float | bool

#: Stands for the model that a sub-agent brings, where a design names none.
OWN_MODEL = "own"

#: Slots of an agent that hold one part (model and reasoning always, the others may be empty).
PART_SLOTS = ("reasoning", "planning", "memory", "guard")


@dataclass(frozen=True, order=True)
class Part:
    """A component chosen for a slot: its registered name and parameters, sorted by name."""

    name: str
    params: tuple[tuple[str, Param], ...] = ()

    @staticmethod
    def of(name: str, **params: Param) -> Part:
        """`Part.of("self_consistency", n=5)`."""
        return Part(name, tuple(sorted(params.items())))

    def get(self, name: str, default: Param) -> Param:
        """The parameter's value, or `default` where it is not given."""
        return dict(self.params).get(name, default)

    @cached_property
    def text(self) -> str:
        """Canonical JSON."""
        return _dumped(_part_to_data(self))

    def __str__(self) -> str:
        inner = ", ".join(f"{k}={v}" for k, v in self.params)
        return f"{self.name}({inner})" if inner else self.name


@dataclass(frozen=True)
class Agent:
    """One model with the parts around it. `role` is told to the model ("" tells nothing).

    A `subagent` is a ready agent of the inventory: all slots, and the model where it has one of its
    own, are then those that it brings; whoever runs or normalises a design writes them out.
    """

    model: Part
    reasoning: Part = Part("direct")
    planning: Part | None = None
    memory: Part | None = None
    tools: tuple[Part, ...] = ()
    guard: Part | None = None
    role: str = ""
    subagent: Part | None = None

    def parts(self) -> Iterator[tuple[str, Part]]:
        """(slot, part) for every filled slot, in canonical order."""
        yield "model", self.model
        if self.subagent is not None:
            yield "subagent", self.subagent
        for slot in PART_SLOTS:
            part = getattr(self, slot)
            if part is not None:
                yield slot, part
        for tool in self.tools:
            yield "tools", tool

    @cached_property
    def text(self) -> str:
        """Canonical JSON of the agent alone; what the same agent is known by wherever it stands."""
        texts = {slot: part.text for slot, part in self.parts() if slot != "tools"}
        if self.tools:
            texts["tools"] = "[" + ",".join(t.text for t in self.tools) + "]"
        if self.role:
            texts["role"] = _dumped(self.role)
        return '{"agent":{' + ",".join(f'"{k}":{texts[k]}' for k in sorted(texts)) + "}}"


@dataclass(frozen=True)
class Team:
    """A topology over at least one member; `lead` only where the topology has one."""

    topology: Part
    members: tuple[Node, ...]
    lead: Agent | None = None

    @cached_property
    def text(self) -> str:
        """Canonical JSON of the team, put together from that of its members."""
        lead = f'"lead":{self.lead.text},' if self.lead is not None else ""
        members = ",".join(member.text for member in self.members)
        return f'{{"team":{{{lead}"members":[{members}],"topology":{self.topology.text}}}}}'


Node = Agent | Team


@dataclass(frozen=True)
class Design:
    """A complete agent system. Frozen, hashable, and the same on every machine.

    `prompts` are texts that stand for templates of its components: sorted pairs of the template's
    full name (`component.part`) and the text.
    """

    root: Node
    prompts: tuple[tuple[str, str], ...] = ()

    @cached_property
    def hash(self) -> str:
        """Content hash, 16 hex digits."""
        return hashlib.sha256(canonical_json(self).encode()).hexdigest()[:16]

    def to_data(self) -> dict[str, Any]:
        """Canonical plain data; `Design.from_data` is its inverse."""
        data = _node_to_data(self.root)
        return {**data, "prompts": nested(self.prompts)} if self.prompts else data

    @staticmethod
    def from_data(data: object) -> Design:
        """Read canonical data. Raises `InvalidDesign` with the path of the first mistake."""
        prompts: tuple[tuple[str, str], ...] = ()
        if isinstance(data, Mapping) and data.get("prompts") is not None:
            wrong = misshapen(data["prompts"])
            if wrong:
                raise InvalidDesign(".".join(("prompts", *wrong[0])), wrong[1])
            prompts = flat(data["prompts"])
        if isinstance(data, Mapping):
            data = {key: value for key, value in data.items() if key != "prompts"}
        try:
            return Design(_node_from_data(data, ""), prompts)
        except RecursionError:
            why = "nested too deep, or a node contains itself; a design is a tree"
            raise InvalidDesign("", why) from None

    def to_yaml(self) -> str:
        """The canonical data as YAML."""
        import yaml

        return yaml.safe_dump(self.to_data(), sort_keys=False, default_flow_style=None, width=100)

    @staticmethod
    def from_yaml(text: str, source: str = "design") -> Design:
        """Read YAML or JSON. Raises `ConfigError` with line and column for malformed text."""
        return Design.from_data(parse(text, source).data)

    def nodes(self) -> Iterator[tuple[str, Node]]:
        """(path, node) in pre-order; the root's path is "", members are "0", "0.1", lead "lead"."""
        yield from _walk(self.root, "")

    def agents(self) -> Iterator[tuple[str, Agent]]:
        """(path, agent) in pre-order, leads included."""
        for path, node in self.nodes():
            if isinstance(node, Agent):
                yield path, node

    @property
    def depth(self) -> int:
        """1 for a single agent, 2 for a team of agents, and so on."""
        return _depth(self.root)

    @property
    def label(self) -> str:
        """A short human name, e.g. `vote[pocket-s·direct, pocket-m·chain_of_thought]`."""
        return _label(self.root)

    def replace_at(self, path: str, node: Node) -> Design:
        """A copy with the node at `path` replaced. Raises KeyError for a path that is not there."""
        return Design(_replace(self.root, path.split(".") if path else [], node), self.prompts)

    def to_networkx(self) -> nx.DiGraph[str]:
        """The tree as a directed graph, parent to child; node attributes: kind, label, data."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        for path, node in self.nodes():
            kind = "agent" if isinstance(node, Agent) else "team"
            graph.add_node(path, kind=kind, label=_short(node), data=_node_to_data(node))
            if path:
                graph.add_edge(path.rpartition(".")[0], path)
        return graph


def canonical_json(design: Design) -> str:
    """The one text form that is hashed and stored: sorted keys, no blanks, ASCII."""
    return _dumped(design.to_data()) if design.prompts else design.root.text


def _dumped(data: object) -> str:
    return _ENCODER.encode(data)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _walk(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    yield path, node
    if isinstance(node, Team):
        prefix = path + "." if path else ""
        if node.lead is not None:
            yield from _walk(node.lead, prefix + "lead")
        for i, member in enumerate(node.members):
            yield from _walk(member, f"{prefix}{i}")


def _depth(node: Node) -> int:
    return 1 if isinstance(node, Agent) else 1 + max(_depth(m) for m in node.members)


def _replace(node: Node, path: Sequence[str], new: Node) -> Node:
    if not path:
        return new
    if not isinstance(node, Team):
        raise KeyError(".".join(path))
    head, rest = path[0], path[1:]
    if head == "lead":
        if node.lead is None or rest or not isinstance(new, Agent):
            raise KeyError(head)
        return Team(node.topology, node.members, new)
    if not head.isdigit() or int(head) >= len(node.members):
        raise KeyError(head)
    members = list(node.members)
    members[int(head)] = _replace(members[int(head)], rest, new)
    return Team(node.topology, tuple(members), node.lead)


def _short(node: Node) -> str:
    if isinstance(node, Team):
        return str(node.topology)
    if node.subagent is not None:  # its name stands for all that it brings
        name = "/".join(filter(None, (node.role, str(node.subagent))))
        return f"{name}:{node.model.name}"
    text = f"{node.model.name}·{node.reasoning}"
    if node.planning:
        text += f"·{node.planning}"
    extras = [str(p) for p in (node.memory, *node.tools, node.guard) if p is not None]
    if extras:
        text += "+" + "+".join(extras)
    return f"{node.role}:{text}" if node.role else text


def _label(node: Node) -> str:
    if isinstance(node, Agent):
        return _short(node)
    inner = ", ".join(_label(m) for m in node.members)
    lead = f"lead {_label(node.lead)}; " if node.lead else ""
    return f"{node.topology}[{lead}{inner}]"


def _part_to_data(part: Part) -> object:
    return {part.name: dict(part.params)} if part.params else part.name


def _node_to_data(node: Node) -> dict[str, Any]:
    if isinstance(node, Agent):
        body: dict[str, Any] = {"model": _part_to_data(node.model)}
        if node.subagent is not None:
            body["subagent"] = _part_to_data(node.subagent)
        if node.role:
            body["role"] = node.role
        for slot in PART_SLOTS:
            part = getattr(node, slot)
            if part is not None:
                body[slot] = _part_to_data(part)
        if node.tools:
            body["tools"] = [_part_to_data(t) for t in node.tools]
        return {"agent": body}
    team: dict[str, Any] = {"topology": _part_to_data(node.topology)}
    if node.lead is not None:
        team["lead"] = _node_to_data(node.lead)
    team["members"] = [_node_to_data(m) for m in node.members]
    return {"team": team}


def _part_from_data(data: object, path: str) -> Part:
    if isinstance(data, str) and data:
        return Part(data)
    if isinstance(data, Mapping) and len(data) == 1:
        ((name, params),) = data.items()
        if isinstance(name, str) and (params is None or isinstance(params, Mapping)):
            items = sorted((params or {}).items())
            for key, value in items:
                if not isinstance(key, str) or not isinstance(value, str | int | float | bool):
                    raise InvalidDesign(
                        f"{path}.{name}",
                        f"parameter {key!r} is {value!r}; wanted a text, a number or true/false",
                    )
            return Part(name, tuple(items))
    raise InvalidDesign(
        path, f"got {data!r}; wanted a component's name or {{name: {{parameter: value}}}}"
    )


def _node_from_data(data: object, path: str) -> Node:
    if not isinstance(data, Mapping) or len(data) != 1 or next(iter(data)) not in ("agent", "team"):
        given = list(data) if isinstance(data, Mapping) else data
        first = str(given[0]) if isinstance(given, list) and given else ""
        near = nearest(first, ("agent", "team"))
        meant = f". Did you mean {near!r}?" if near and near != first else ""
        raise InvalidDesign(
            path, f"got {given!r}; a node is one mapping with the key agent or team{meant}"
        )
    kind = next(iter(data))
    body, path = data[kind], f"{path}.{kind}" if path else str(kind)
    if not isinstance(body, Mapping):
        raise InvalidDesign(path, f"got {body!r}; wanted a mapping")
    known = (
        ("model", "subagent", "role", "reasoning", "planning", "memory", "tools", "guard")
        if kind == "agent"
        else ("topology", "lead", "members")
    )
    for key in body:
        if key not in known:
            hint = nearest(str(key), known)
            raise InvalidDesign(
                path, f"unknown key {key!r}" + (f". Did you mean {hint!r}?" if hint else "")
            )
    if kind == "agent":
        return _agent_from_data(body, path)
    if "topology" not in body:
        raise InvalidDesign(path, "a team needs a topology")
    members = body.get("members")
    if not isinstance(members, Sequence) or isinstance(members, str) or not members:
        raise InvalidDesign(f"{path}.members", "a team needs a list of at least one member")
    lead: Agent | None = None
    if body.get("lead") is not None:
        node = _node_from_data(body["lead"], f"{path}.lead")
        if not isinstance(node, Agent):
            raise InvalidDesign(f"{path}.lead", "a lead is an agent, not a team")
        lead = node
    return Team(
        _part_from_data(body["topology"], f"{path}.topology"),
        tuple(_node_from_data(m, f"{path}.members[{i}]") for i, m in enumerate(members)),
        lead,
    )


def _agent_from_data(body: Mapping[str, Any], path: str) -> Agent:
    if "model" not in body and not body.get("subagent"):
        raise InvalidDesign(path, "an agent needs a model, or a sub-agent that has one")
    tools = body.get("tools") or []
    if not isinstance(tools, Sequence) or isinstance(tools, str):
        raise InvalidDesign(f"{path}.tools", f"got {tools!r}; wanted a list of tools")
    role = body.get("role") or ""
    if not isinstance(role, str):
        raise InvalidDesign(f"{path}.role", f"got {role!r}; wanted a text")

    def part(slot: str) -> Part | None:
        value = body.get(slot)
        return None if value in (None, "none") else _part_from_data(value, f"{path}.{slot}")

    return Agent(
        model=_part_from_data(body.get("model", OWN_MODEL), f"{path}.model"),
        reasoning=part("reasoning") or Part("direct"),
        planning=part("planning"),
        memory=part("memory"),
        tools=tuple(sorted(_part_from_data(t, f"{path}.tools[{i}]") for i, t in enumerate(tools))),
        guard=part("guard"),
        role=role,
        subagent=part("subagent"),
    )

"""Moves on finished designs: one edit away, recombined, agents and the teams they can form."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from paragent.component import Component, Kind
from paragent.design import PART_SLOTS, Agent, Design, Node, Part, Team
from paragent.parts import (
    default_part,
    find_part,
    on_model,
    shares_skills,
    with_role,
    written_out,
)
from paragent.registry import MOST_REMEMBERED
from paragent.registry import components as all_components


class Grammar(Protocol):
    """What the moves need of a space: its components, and its judge of what is legal."""

    skills: tuple[str, ...]
    models: tuple[Component, ...]
    by_kind: dict[Kind, tuple[Component, ...]]

    @property
    def plainest(self) -> Part: ...
    def fits(self, component: Component, *others: Component) -> bool: ...
    def able(
        self, topology: Component, models: Sequence[Component] | None = None
    ) -> tuple[Component, ...]: ...
    def with_roles(self, members: Sequence[Node], owners: Sequence[int]) -> list[Node]: ...
    def normalise(self, design: Design) -> Design: ...
    def check(self, design: Design) -> list[str]: ...


class Moves:
    """The moves of one space. Everything they give is legal and in its one form."""

    def __init__(self, space: Grammar) -> None:
        self.space = space
        self._others: dict[str, tuple[Agent, ...]] = {}
        self._at: tuple[int, int] = (-1, 0)

    # -- agents and teams of them ---------------------------------------------------------------

    def agents(self, most: int) -> Sequence[Design]:
        """See `paragent.searcher.TeamSpace.agents`."""

        def variants(kind: Kind, component: Component) -> list[Part]:
            default = default_part(component)
            return [default, *self._parameters(kind, default)]

        def kinds_of(m: Component, r: Component) -> list[Agent]:
            memories = [c for c in self.space.by_kind["memory"] if self.space.fits(c, m, r)]
            tools = [c for c in self.space.by_kind["tool"] if self.space.fits(c, m, r)]
            return [
                Agent(Part(m.name), thought, memory=memory, tools=kit)
                for thought in variants("reasoning", r)
                for memory in (None, *(v for c in memories for v in variants("memory", c)))
                for kit in ((), *((default_part(c),) for c in tools))
            ]

        ready = [
            Agent(Part(m.name), subagent=default_part(c))
            for c in self.space.by_kind["subagent"]
            for m in self.space.models
        ]
        kinds = [kinds_of(m, r) for r in self.space.by_kind["reasoning"] for m in self.space.models]
        found: dict[str, Design] = {}
        plain = itertools.zip_longest(*kinds)  # the plainest of every kind come first
        for row in ([(agent,) for agent in ready] + list(plain)) if ready else plain:
            for agent in row:
                if agent is not None and len(found) < most:
                    design = self.space.normalise(Design(agent))
                    if not self.space.check(design):
                        found.setdefault(design.hash, design)
        return list(found.values())

    def teams(self, members: Sequence[Design]) -> Sequence[Design]:
        """See `paragent.searcher.TeamSpace.teams`."""
        if len(members) == 1:
            return [] if self.space.check(members[0]) else [self.space.normalise(members[0])]
        nodes = [member.root for member in members]
        wanted = []
        for topology in self.space.by_kind["topology"]:
            team = self._team(topology, nodes) if self.space.able(topology) else None
            if team is not None and team.lead is None:
                wanted.append(Design(team))
            elif team is not None and team.lead is not None:
                for model in self.space.able(topology):
                    lead = replace(team.lead, model=Part(model.name))
                    wanted.append(Design(replace(team, lead=lead)))
        found = {d.hash: d for d in map(self.space.normalise, wanted) if not self.space.check(d)}
        return list(found.values())

    def describe(self, design: Design) -> str:
        """See `paragent.searcher.TeamSpace.describe`."""
        said = []
        for _, agent in design.agents():
            if agent.subagent is not None:  # what it promises, not what it is made of
                ready = find_part("subagent", agent.subagent)
                said.append(f"{agent.role} {agent.subagent.name} {ready.summary if ready else ''}")
                continue
            kinds: list[tuple[Kind, Part]] = [("model", agent.model)]
            kinds += [(slot, p) for slot in PART_SLOTS if (p := getattr(agent, slot)) is not None]  # type: ignore[misc]
            kinds += [("tool", tool) for tool in agent.tools]
            found = (find_part(kind, part) for kind, part in kinds)
            said.append(" ".join([agent.role, *(c.summary for c in found if c is not None)]))
        return "; ".join(text.strip() for text in said)

    # -- moves on finished designs --------------------------------------------------------------

    def edits(self, design: Design) -> Sequence[Design]:
        """All legal designs one edit away, without doubles, in a fixed order."""
        return list(self._legal(self._edited(design), design))

    def unfold(self, design: Design, rng: random.Random) -> Iterator[Design]:
        """The edits in random order, each made when it is asked for: a few of them cost a few."""
        edited = self._edited(design)
        rng.shuffle(edited)
        return self._legal(edited, design)

    def _edited(self, design: Design) -> list[Callable[[], Design]]:
        """A design one edit away for each; whether it is legal and new is not known yet."""
        return [
            lambda path=path, make=make: design.replace_at(path, make())  # type: ignore[misc]
            for path, node in design.nodes()
            for make in self._changes(node, path.endswith("lead"))
        ]

    def _legal(self, made: Iterable[Callable[[], Design]], but: Design) -> Iterator[Design]:
        known = {self.space.normalise(but).hash}
        for make in made:
            normal = self.space.normalise(make())
            if normal.hash not in known:
                known.add(normal.hash)
                if not self.space.check(normal):
                    yield normal

    def _changes(self, node: Node, lead: bool) -> Iterator[Callable[[], Node]]:
        """What may stand in the node's place; a lead stays an agent."""
        if isinstance(node, Agent):
            yield from (lambda c=c: c for c in self._other_agents(node))
            for topology in () if lead else self.space.by_kind["topology"]:
                if topology.members[1] == 1:
                    yield partial(self._team, topology, (node,))
                    continue
                for model in self.space.models:
                    if model.name != node.model.name or len(self.space.models) == 1:
                        yield partial(self._pair, topology, node, model.name)
            return
        current = find_part("topology", node.topology)
        for part in self._parameters("topology", node.topology):
            yield partial(Team, part, node.members, node.lead)
        for other in self.space.by_kind["topology"]:
            if other != current:
                yield partial(self._team, other, node.members[: other.members[1]])
        for i, member in enumerate(node.members):
            rest = node.members[:i] + node.members[i + 1 :]
            if rest:
                yield partial(Team, node.topology, rest, node.lead)
            yield partial(plain, member)
            if i:
                swapped = (*rest[: i - 1], member, *rest[i - 1 :])
                yield partial(Team, node.topology, swapped, node.lead)
        last = node.members[-1]
        for model in self.space.models:
            if isinstance(last, Agent):
                yield partial(self._joined, node, last, model.name)
        yield from self._moved_skills(node)

    def _other_agents(self, agent: Agent) -> Sequence[Agent]:
        """An agent's changes, written out and without doubles; the same few agents stand in most
        designs of a search, so they are kept."""
        now = all_components.version, len(self.space.by_kind["subagent"])
        if self._at != now or len(self._others) > MOST_REMEMBERED:
            self._others.clear()
            self._at = now
        if agent.text not in self._others:
            full = (written_out(other) for other in self._changed_agent(agent))
            self._others[agent.text] = tuple({other.text: other for other in full}.values())
        return self._others[agent.text]

    def _changed_agent(self, agent: Agent) -> Iterable[Agent]:
        for model in self.space.models:
            yield replace(agent, model=Part(model.name))
        for ready in self.space.by_kind["subagent"]:
            yield Agent(agent.model, role=agent.role, subagent=default_part(ready))
        if agent.subagent is not None:  # as a plain agent: its slots can change from there
            yield replace(agent, subagent=None)
            return
        slots: tuple[Kind, ...] = ("reasoning", "planning", "memory", "guard")
        for slot in slots:
            now: Part | None = getattr(agent, slot)
            options = [
                default_part(c) for c in self.space.by_kind[slot] if not now or c.name != now.name
            ]
            if now is not None:
                options += self._parameters(slot, now)
            for part in options:
                yield replace(agent, **{slot: part})  # type: ignore[arg-type]
            if now is not None and slot != "reasoning":
                yield replace(agent, **{slot: None})  # type: ignore[arg-type]
        for tool in self.space.by_kind["tool"]:
            held = {t.name for t in agent.tools}
            if tool.name in held:
                yield replace(agent, tools=tuple(t for t in agent.tools if t.name != tool.name))
            else:
                yield replace(agent, tools=(*agent.tools, default_part(tool)))
        # A tool and the reasoning that gives it room come together.
        for reasoning in self.space.by_kind["reasoning"]:
            for tool in self.space.by_kind["tool"]:
                if reasoning.name != agent.reasoning.name and not agent.tools:
                    yield replace(
                        agent, reasoning=default_part(reasoning), tools=(default_part(tool),)
                    )
            yield replace(agent, reasoning=default_part(reasoning), tools=())

    def _parameters(self, kind: Kind, part: Part) -> list[Part]:
        """The part with one parameter at another legal value."""
        component = find_part(kind, part)
        if component is None:
            return []
        now = {**component.defaults, **dict(part.params)}
        return [
            Part.of(part.name, **{**now, key: value})
            for key in sorted(component.params)
            for value in component.params[key]
            if value != now[key]
        ]

    def _team(self, topology: Component, members: Sequence[Node]) -> Team:
        """A team of these members; with a lead and the skills shared out where it has one."""
        ours = [plain(m) for m in members]
        lead = None
        if topology.lead:
            lead = Agent(Part(self.space.able(topology)[0].name), self.space.plainest)
        if shares_skills(topology):
            owners = [i % len(ours) for i in range(len(self.space.skills))]
            ours = self.space.with_roles(ours, owners)
        return Team(default_part(topology), tuple(ours), lead)

    def _joined(self, team: Team, like: Agent, model: str) -> Team:
        more = plain(on_model(like, model))
        grown = Team(team.topology, (*team.members, more), team.lead)
        topology = find_part("topology", team.topology)
        if topology is None or not shares_skills(topology) or not self.space.skills:
            return grown
        return self._owned(grown, self._owners(team))

    def _pair(self, topology: Component, agent: Agent, model: str) -> Team:
        return self._team(topology, (agent, on_model(agent, model)))

    def _moved_skills(self, team: Team) -> Iterator[Callable[[], Team]]:
        """One skill given to another member."""
        topology = find_part("topology", team.topology)
        if topology is None or not shares_skills(topology) or not self.space.skills:
            return
        owners = self._owners(team)
        for k, owner in enumerate(owners):
            for i in range(len(team.members)):
                if i != owner:
                    moved = [*owners[:k], i, *owners[k + 1 :]]
                    yield partial(self._owned, team, moved)

    def _owners(self, team: Team) -> list[int]:
        """The member that owns each skill; the first where none does."""
        roles = [m.role.split("+") if isinstance(m, Agent) else [] for m in team.members]
        return [next((i for i, r in enumerate(roles) if s in r), 0) for s in self.space.skills]

    def _owned(self, team: Team, owners: Sequence[int]) -> Team:
        members = self.space.with_roles(team.members, owners)
        return Team(team.topology, tuple(members), team.lead)

    def recombine(self, one: Design, other: Design, rng: random.Random) -> Design:
        """`one` with a slot or a subtree of `other`; where nothing legal and new comes of it, a
        random edit of `one`, or `one` itself where it has none."""
        trials: list[tuple[str, Node, str, Node]] = []  # path, node, its slot or "", what gives it
        theirs = [node for _, node in other.nodes()]
        for path, node in one.nodes():
            for given in theirs:
                if isinstance(node, Agent) and isinstance(given, Agent):
                    trials += [(path, node, s, given) for s in ("model", *PART_SLOTS, "tools")]
                if not path.endswith("lead"):
                    trials.append((path, node, "", given))
        rng.shuffle(trials)
        known = {self.space.normalise(one).hash, self.space.normalise(other).hash}
        for path, node, slot, given in trials[:50]:
            changed: Node = given
            if isinstance(node, Agent) and isinstance(given, Agent):
                # The place keeps its role: what it owns is its team's affair.
                changed = with_role(given, node.role)
                if slot:
                    changed = replace(node, **{slot: getattr(given, slot)})
            child = self.space.normalise(one.replace_at(path, changed))
            if child.hash not in known and not self.space.check(child):
                return child
        edits = self.edits(one)
        return rng.choice(edits) if edits else one


def plain(node: Node) -> Node:
    """An agent without its role; a team as it is."""
    return with_role(node, "") if isinstance(node, Agent) else node

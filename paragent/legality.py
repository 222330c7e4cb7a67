"""The one judge of what is a legal design, whoever made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paragent.component import Component, Kind
from paragent.design import Agent, Design, Node, Part, Team
from paragent.errors import InvalidDesign, UnknownName
from paragent.moves import plain
from paragent.parts import call_bound, expand, find_part, lacks, slots_of
from paragent.registry import MOST_REMEMBERED, component_of
from paragent.registry import components as all_components

if TYPE_CHECKING:
    from paragent.space import DesignSpace


class Legality:
    """What is legal in one space. Nodes found legal are remembered until plug-ins change."""

    def __init__(self, space: DesignSpace) -> None:
        self._space, self._limits = space, space.limits
        self._legal: set[str] = set()
        self._legal_at = -1

    def check(self, design: Design) -> list[str]:
        """Why the design is not legal, each reason with its path; empty where it is."""
        reasons: list[str] = []
        self._check_node(design.root, "root", reasons)
        if design.depth > self._limits.max_depth:
            reasons.append(f"root: {design.depth} levels; at most {self._limits.max_depth}")
        if not reasons:
            bounds, calls = self._space.bounds(design), call_bound(design.root)
            if calls > self._limits.max_calls_per_task:
                reasons.append(
                    f"root: up to {calls} calls per task; at most {self._limits.max_calls_per_task}"
                )
            dear = self._limits.max_usd_per_task
            if dear is not None and (bounds.usd is None or bounds.usd > dear):
                reasons.append(f"root: up to ${bounds.usd} per task; at most ${dear}")
        return reasons

    def _check_node(self, node: Node, at: str, reasons: list[str]) -> None:
        if self._known_legal(node):
            return
        known = len(reasons)
        if isinstance(node, Agent):
            self._check_agent(node, at, reasons)
        else:
            self._check_team(node, at, reasons)
        if len(reasons) == known:
            self._legal.add(node.text)

    def _check_team(self, node: Team, at: str, reasons: list[str]) -> None:
        topology = self._check_part("topology", node.topology, f"{at}.topology", reasons)
        if topology is not None:
            low, high = topology.members
            high = min(high, self._limits.max_members)
            if not low <= len(node.members) <= high:
                reasons.append(
                    f"{at}.members: {len(node.members)} members; {topology.name} takes "
                    f"{low} to {high}"
                )
            if "routes" in topology.provides and _alike(node.members):
                reasons.append(
                    f"{at}.members: {len(node.members)} equal members; {topology.name} hands a "
                    "task to one of them, so they must differ"
                )
            self._check_models(topology, node, at, reasons)
            if topology.lead and node.lead is None:
                reasons.append(f"{at}.lead: {topology.name} needs a lead")
            if not topology.lead and node.lead is not None:
                reasons.append(f"{at}.lead: {topology.name} has no lead")
        if node.lead is not None:
            self._check_node(node.lead, f"{at}.lead", reasons)
        for i, member in enumerate(node.members):
            self._check_node(member, f"{at}.members[{i}]", reasons)

    def _check_models(self, topology: Component, team: Team, at: str, reasons: list[str]) -> None:
        """What the topology requires must come from its lead's model or, without one, from all."""
        needed = set(topology.requires) - self._space.available
        if not needed:
            return
        where = f"{at}.topology: {topology.name} requires {', '.join(sorted(needed))}"
        whole = Design(team if team.lead is None else team.lead)
        for path, agent in whole.agents():
            model = find_part("model", agent.model)
            if model is not None and not needed <= set(model.provides):
                who = f"{at}.lead" if team.lead is not None else _yaml_path(at, path)
                reasons.append(f"{where}, which model {agent.model.name} ({who}) does not give")
                return

    def _known_legal(self, node: Node) -> bool:
        if self._legal_at != all_components.version or len(self._legal) > MOST_REMEMBERED:
            self._legal.clear()
            self._legal_at = all_components.version
        return node.text in self._legal

    def _check_agent(self, agent: Agent, at: str, reasons: list[str]) -> None:
        brought = agent.subagent is not None
        try:
            agent = expand(agent, at)
        except (UnknownName, InvalidDesign) as error:
            reasons.append(str(error))
            return
        for kind, where, part in slots_of(agent, at):
            free = brought and kind not in ("model", "subagent")  # a sub-agent brings the rest
            self._check_part(kind, part, where, reasons, free)
        reasons += lacks(agent, self._space.available, at)
        if len(agent.tools) > self._limits.max_tools and not brought:
            reasons.append(
                f"{at}.tools: {len(agent.tools)} tools; at most {self._limits.max_tools}"
            )

    def _check_part(
        self, kind: Kind, part: Part, at: str, reasons: list[str], brought: bool = False
    ) -> Component | None:
        try:
            component = component_of(kind, part.name, at)
        except UnknownName as unknown:
            reasons.append(str(unknown))
            return None
        told = (  # better, by `_check_agent` and `_check_models`
            component.name in self._space.unfit
            or (kind == "topology" and not self._space.able(component))
        )
        if not brought and not told and not self._offers(kind, component):
            reasons.append(f"{at}: {part.name} is not among the chosen components")
        for key, value in part.params:
            legal = component.params.get(key)
            if legal is None:
                known = ", ".join(sorted(component.params)) or "none"
                reasons.append(f"{at}.{part.name}: no parameter {key!r}; known: {known}")
            elif value not in legal:
                values = ", ".join(map(str, legal))
                reasons.append(f"{at}.{part.name}.{key}: {value!r} is not one of {values}")
        return component

    def _offers(self, kind: Kind, component: Component) -> bool:
        offered = self._space.by_kind[kind]
        return any(component is c for c in offered) or component in offered


def _alike(members: Sequence[Node]) -> bool:
    """Whether there are several, equal but for their roles."""
    return len({plain(m).text for m in members}) == 1 < len(members)


def _yaml_path(at: str, path: str) -> str:
    """A node's path below `at` as it reads in the YAML."""
    steps = path.split(".") if path else []
    return at + "".join(f".{s}" if s == "lead" else f".members[{s}]" for s in steps)

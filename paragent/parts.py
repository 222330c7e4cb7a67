"""What the parts of a design mean in the registry: the component, its defaults, its bounds."""

from __future__ import annotations

from paragent.component import Component
from paragent.design import Agent, Design, Node, Part, Team
from paragent.registry import component_of, components

#: Tokens of one call for worst-case dollars; longer prompts exist, so it is an estimate.
PROMPT_TOKENS, COMPLETION_TOKENS = 600, 256


def default_part(component: Component) -> Part:
    """The component with its defaults written out."""
    return Part.of(component.name, **component.defaults)


def shares_skills(topology: Component) -> bool:
    """Whether the members' roles are kinds of tasks that the topology hands out."""
    return topology.lead or "labelled" in topology.requires


def usd_bound(node: Node) -> float | None:
    """Dollars of one task in the worst case: every call at the dearest model's price and
    600 + 256 tokens; None where a price is unknown."""
    usd = 0.0
    for _, agent in Design(node).agents():
        price = component_of("model", agent.model.name).price
        one = price.usd(PROMPT_TOKENS, COMPLETION_TOKENS) if price else None
        if one is None:
            return None
        usd = max(usd, one)
    return usd * call_bound(node)


def call_bound(node: Node) -> int:
    """Declared worst-case model calls of one task (without turns of tool use)."""
    if isinstance(node, Team):
        topology = component_of("topology", node.topology.name)
        inner = [_with_memory(node.lead, 1)] if node.lead is not None else []
        inner += [call_bound(m) for m in node.members]
        return topology.calls({**topology.defaults, **dict(node.topology.params)}, inner)
    bound = 0
    for slot in ("reasoning", "planning", "guard"):
        part = getattr(node, slot)
        if part is not None:
            component = component_of(slot, part.name)
            inner = [bound] if slot != "reasoning" else []
            bound = component.calls({**component.defaults, **dict(part.params)}, inner)
    return _with_memory(node, bound)


def _with_memory(agent: Agent, bound: int) -> int:
    if agent.memory is None:
        return bound
    memory = component_of("memory", agent.memory.name)
    return bound + memory.calls({**memory.defaults, **dict(agent.memory.params)}, [bound])


def find_part(kind: str, part: Part) -> Component | None:
    """The part's component, or None where none of that kind and name is registered."""
    if part.name in components and components[part.name].kind == kind:
        return components[part.name]
    return None


def full_part(kind: str, part: Part) -> Part:
    """The part with its defaults written out."""
    component = find_part(kind, part)
    return Part.of(part.name, **{**component.defaults, **dict(part.params)}) if component else part

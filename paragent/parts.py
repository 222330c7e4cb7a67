"""What the parts of a design mean in the registry: the component, its defaults, its bounds."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from paragent.component import Component
from paragent.design import Agent, Design, Node, Part, Team
from paragent.registry import component_of, components
from paragent.searcher import Bounds
from paragent.template import Prompt

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


def parts_of(node: Node) -> list[Part]:
    """Every part that stands at the node itself: a team's topology, or all slots of an agent."""
    return [node.topology] if isinstance(node, Team) else [part for _, part in node.parts()]


def templates() -> dict[str, tuple[Prompt, ...]]:
    """The templates of every component that has some, by its name."""
    return {c.name: c.prompts for c in components if c.prompts}


def texts_of(design: Design, given: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The design's own texts overlaid by those given, as far as its parts have templates."""
    if not (design.prompts or given):
        return ()
    used = {part.name for _, node in design.nodes() for part in parts_of(node)}
    texts = {**dict(design.prompts), **dict(given)}
    return tuple(sorted((k, v) for k, v in texts.items() if k.partition(".")[0] in used))


def features_of(design: Design, bounds: Bounds) -> Mapping[str, float]:
    """See `paragent.searcher.Space.features`."""
    found: Counter[str] = Counter()
    nodes = list(design.nodes())
    models: set[str] = set()
    widest = 1
    for _, node in nodes:
        parts = parts_of(node)
        if isinstance(node, Team):
            found[f"has:{node.topology.name}"] += 1
            widest = max(widest, len(node.members))
        else:
            models.add(node.model.name)
            found.update(f"has:{p.name}" for p in parts)
            names = sorted({p.name for p in parts})
            found.update(f"pair:{a}&{b}" for a, b in itertools.combinations(names, 2))
        found.update(f"param:{p.name}.{k}={v}" for p in parts for k, v in p.params)
    agents = sum(isinstance(node, Agent) for _, node in nodes)
    measures = {
        "tree:agents": agents,
        "tree:teams": len(nodes) - agents,
        "tree:depth": design.depth,
        "tree:width": widest,
        "tree:models": len(models),
        "bound:log_calls": math.log(bounds.calls),
    }
    if bounds.usd:
        measures["bound:log_usd"] = math.log10(bounds.usd)
    return {**found, **measures}


def find_part(kind: str, part: Part) -> Component | None:
    """The part's component, or None where none of that kind and name is registered."""
    if part.name in components and components[part.name].kind == kind:
        return components[part.name]
    return None


def full_part(kind: str, part: Part) -> Part:
    """The part with its defaults written out."""
    component = find_part(kind, part)
    return Part.of(part.name, **{**component.defaults, **dict(part.params)}) if component else part

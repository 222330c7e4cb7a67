"""What the parts of a design mean in the registry: the component, its defaults, its bounds."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from paragent.component import MODEL_TAGS, Component, Kind, SubAgent
from paragent.design import OWN_MODEL, PART_SLOTS, Agent, Design, Node, Part, Team
from paragent.errors import InvalidDesign, UnknownName
from paragent.registry import component_of, components, remembered
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


def subagent_of(part: Part, where: str = "") -> SubAgent:
    """The ready agent of that name. Raises UnknownName with the nearest right one."""
    component = component_of("subagent", part.name, where)
    found: SubAgent = component.build(**{**component.defaults, **dict(part.params)})
    return found


def expand(agent: Agent, where: str = "") -> Agent:
    """The agent with the slots of its sub-agent written out; without one, the agent itself.

    Raises UnknownName, or InvalidDesign where two models or none are named.
    """
    if agent.subagent is None:
        return agent
    brought = subagent_of(agent.subagent, f"{where}.subagent").agent
    own = brought.model if brought.model.name != OWN_MODEL else None
    if own is None and agent.model.name == OWN_MODEL:
        raise InvalidDesign(where, f"{agent.subagent.name} has no model of its own: name one")
    if own is not None and agent.model.name not in (OWN_MODEL, own.name):
        why = f"{agent.subagent.name} runs on its own model {own.name}, not on {agent.model.name}"
        raise InvalidDesign(f"{where}.model", why)
    for slot, given, ours in (
        *((s, getattr(agent, s), getattr(brought, s)) for s in PART_SLOTS),
        ("tools", agent.tools, brought.tools),
    ):
        said = given and given != Agent.reasoning
        if said and _full(slot, given) != _full(slot, ours):
            raise InvalidDesign(f"{where}.{slot}", f"{agent.subagent.name} brings its own {slot}")
    return replace(brought, model=own or agent.model, role=agent.role, subagent=agent.subagent)


def _full(slot: str, given: Part | tuple[Part, ...] | None) -> object:
    if isinstance(given, tuple):
        return sorted(full_part("tool", part) for part in given)
    return given and full_part(slot, given)


def usd_bound(node: Node) -> float | None:
    """Dollars of one task in the worst case: every call at the dearest model's price and
    600 + 256 tokens; None where a price is unknown."""
    usd = _dearest(node)
    return usd if usd is None else usd * call_bound(node)


def call_bound(node: Node) -> int:
    """Declared worst-case model calls of one task (without turns of tool use)."""
    return _call_bound(node)


@remembered
def _dearest(node: Any) -> float | None:
    """Dollars of the dearest call below a node; None where a price is unknown."""
    if isinstance(node, Team):
        leads = (node.lead,) if node.lead is not None else ()
        found = [_dearest(inner) for inner in (*leads, *node.members)]
        known = [usd for usd in found if usd is not None]
        return max(known) if len(known) == len(found) else None
    price = component_of("model", expand(node).model.name).price
    return price.usd(PROMPT_TOKENS, COMPLETION_TOKENS) if price else None


@remembered
def _call_bound(node: Any) -> int:
    if isinstance(node, Team):
        topology = component_of("topology", node.topology.name)
        inner = [_with_memory(expand(node.lead), 1)] if node.lead is not None else []
        inner += [call_bound(m) for m in node.members]
        return topology.calls({**topology.defaults, **dict(node.topology.params)}, inner)
    bound, node = 0, expand(node)
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


@remembered
def _agent_features(agent: Agent) -> tuple[str, ...]:
    parts = parts_of(agent)
    names = sorted({p.name for p in parts})
    return (
        *(f"has:{p.name}" for p in parts),
        *(f"pair:{a}&{b}" for a, b in itertools.combinations(names, 2)),
        *(f"param:{p.name}.{k}={v}" for p in parts for k, v in p.params),
    )


def features_of(design: Design, bounds: Bounds) -> Mapping[str, float]:
    """See `paragent.searcher.Space.features`."""
    found: dict[str, float] = {}
    nodes = list(design.nodes())
    models: set[str] = set()
    widest = 1
    for _, node in nodes:
        if isinstance(node, Team):
            topology, widest = node.topology, max(widest, len(node.members))
            names = (
                f"has:{topology.name}",
                *(f"param:{topology.name}.{k}={v}" for k, v in topology.params),
            )
        else:
            models.add(node.model.name)
            names = _agent_features(node)
        for name in names:
            found[name] = found.get(name, 0) + 1
    for name, text in design.prompts:  # another wording is another level, like another part
        found[f"text:{name}={hashlib.sha256(text.encode()).hexdigest()[:8]}"] = 1
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


def slots_of(agent: Agent, at: str) -> list[tuple[Kind, str, Part]]:
    """(kind, path in the YAML, part) of every filled slot."""
    slots: tuple[Kind, ...] = ("model", "subagent", "reasoning", "planning", "memory", "guard")
    found = [(s, f"{at}.{s}", p) for s in slots if (p := getattr(agent, s)) is not None]
    return found + [("tool", f"{at}.tools[{i}]", t) for i, t in enumerate(agent.tools)]


def lacks(agent: Agent, available: frozenset[str], at: str) -> list[str]:
    """Why the agent cannot run: what its parts require, and neither the benchmark's tags nor its
    model nor its reasoning give. Parts that nobody registered are not judged."""
    try:
        agent = expand(agent, at)
    except (UnknownName, InvalidDesign) as error:
        return [str(error)]
    model, reasoning = find_part("model", agent.model), find_part("reasoning", agent.reasoning)
    by_model = available.union(model.provides if model else ())
    given = by_model.union(reasoning.provides if reasoning else ())
    reasons = []
    for kind, where, part in slots_of(agent, at):
        component = find_part(kind, part)
        if component is None or kind in ("model", "subagent"):
            continue
        missing = sorted(set(component.requires) - (by_model if kind == "reasoning" else given))
        if missing and model is not None:
            by_it = set(missing) <= set(MODEL_TAGS)
            why = f", which model {agent.model.name} does not give" if by_it else ""
            reasons.append(f"{where}: {part.name} requires {', '.join(missing)}{why}")
    return reasons


def suits(component: Component, models: Sequence[Component]) -> bool:
    """Whether a space of these models offers the component unasked."""
    return any(set(component.suits) <= set(m.provides) for m in models)


@remembered
def normal(node: Node) -> Node:
    """A node with defaults written out and symmetric members sorted; a normal one is itself."""
    if isinstance(node, Agent):
        return written_out(node)
    members = tuple(normal(m) for m in node.members)
    topology = find_part("topology", node.topology)
    if topology and "symmetric" in topology.provides:
        members = tuple(sorted(members, key=lambda m: m.text))
    lead = written_out(node.lead) if node.lead else None
    full = Team(full_part("topology", node.topology), members, lead)
    return node if full.text == node.text else full


@remembered
def written_out(agent: Agent) -> Agent:
    """The agent with its sub-agent and all defaults written out; what is unknown stays."""
    full = _write_out(agent)
    return agent if full.text == agent.text else full


def with_role(agent: Agent, role: str) -> Agent:
    """The agent in another role; of equal ones always the same object, so that its text is put
    together once."""
    return agent if agent.role == role else _changed(agent, "role", role)


def on_model(agent: Agent, name: str) -> Agent:
    """The agent on another model, as `with_role`."""
    return _changed(agent, "model", name)


def _changed(agent: Agent, field: str, value: str) -> Agent:
    known = _variants(agent)
    if (field, value) not in known:
        known[field, value] = replace(agent, **{field: value if field == "role" else Part(value)})  # type: ignore[arg-type]
    return known[field, value]


@remembered
def _variants(agent: Agent) -> dict[tuple[str, str], Agent]:
    return {}


def _write_out(agent: Agent) -> Agent:
    with suppress(UnknownName, InvalidDesign):
        agent = expand(agent)
    slots = {s: full_part(s, p) for s in PART_SLOTS if (p := getattr(agent, s)) is not None}
    tools = tuple(sorted(full_part("tool", t) for t in agent.tools))
    return replace(agent, model=full_part("model", agent.model), tools=tools, **slots)  # type: ignore[arg-type]


def full_part(kind: str, part: Part) -> Part:
    """The part with its defaults written out."""
    component = find_part(kind, part)
    if component and [name for name, _ in part.params] == sorted(component.params):
        return part
    return Part.of(part.name, **{**component.defaults, **dict(part.params)}) if component else part

"""A design from a file, checked before it runs: whatever is wrong is told in one line with file,
line, column, the path inside the YAML, and the nearest right name.

    pair.yaml: line 5, column 20: team.members[1].agent.reasoning: no reasoning is called
    'chain_of_thougt'. Did you mean 'chain_of_thought'?
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from paragent.component import Component, Kind
from paragent.design import OWN_MODEL, Agent, Design, Part, Team
from paragent.errors import ConfigError, InvalidDesign, UnknownName, nearest
from paragent.inventory import KEYS, register_inventory
from paragent.parts import expand, find_part, slots_of
from paragent.registry import component_of
from paragent.yaml_file import Document, Step, parse

#: What a model must bring itself, whatever the benchmark is.
OF_MODELS = frozenset({"tools", "instruct"})
_STEP = re.compile(r"[^.\[\]]+")


def load_design(path: Path) -> Design:
    """The design in a YAML or JSON file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start + 1} is no UTF-8 text") from None
    return read_design(text, str(path))


def read_design(text: str, source: str) -> Design:
    """The design in a text that `source` names. Raises ConfigError."""
    document = parse(text, source)
    cycle = _cycle(document.data)
    if cycle is not None:
        why = "the node contains itself (its anchor makes a cycle); a design is a tree"
        _fail(document, cycle, why)
    data = document.data
    if isinstance(data, Mapping) and set(data) & set(KEYS):
        register_inventory(data, Path(source).parent, document.fail)
        data = {key: value for key, value in data.items() if key not in KEYS}
    try:
        design = Design.from_data(data)
    except InvalidDesign as error:
        _fail(document, error.path, error.why)
    for path, why in mistakes(design):
        _fail(document, path, why)
    return design


def mistakes(design: Design) -> Iterator[tuple[str, str]]:
    """(path inside the YAML, why) of everything that no run could mend, in order: names nobody
    registered, parameters that do not exist or have no such value, too many or too few members."""
    for path, node in design.nodes():
        at = yaml_path(design, path)
        if isinstance(node, Agent):
            for kind, where, part in slots_of(node, at):
                if part.name != OWN_MODEL:  # a sub-agent brings it
                    yield from _part(kind, where, part)
            yield from _beyond(node, at)
            continue
        yield from _part("topology", f"{at}.topology", node.topology)
        try:
            topology = component_of("topology", node.topology.name)
        except UnknownName:
            continue
        low, high = topology.members
        if not low <= len(node.members) <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            yield f"{at}.members", f"{topology.name} takes {wanted}; there are {len(node.members)}"
        if topology.lead and node.lead is None:
            yield at, f"{topology.name} needs a lead"
        elif node.lead is not None and not topology.lead:
            yield f"{at}.lead", f"{topology.name} has no lead"
        else:
            yield from _asked_of_models(node, topology, at)


def yaml_path(design: Design, path: str) -> str:
    """A node's path of the tree ("0.lead") as it reads in the YAML, `team.members[0].team.lead`."""
    nodes, found, done = dict(design.nodes()), "", ""
    for step in ["", *(path.split(".") if path else [])]:
        if step:
            found += ".lead" if step == "lead" else f".members[{step}]"
            done = f"{done}.{step}" if done else step
        found += ".agent" if isinstance(nodes[done], Agent) else ".team"
    return found[1:]


def _asked_of_models(team: Team, topology: Component, at: str) -> Iterator[tuple[str, str]]:
    """What a topology requires of a model must come from its lead's or, without one, from all."""
    needed = OF_MODELS & set(topology.requires)
    for _, agent in Design(team if team.lead is None else team.lead).agents():
        model = find_part("model", agent.model)
        if model is not None and not needed <= set(model.provides):
            missing = ", ".join(sorted(needed - set(model.provides)))
            why = f"{topology.name} requires {missing}"
            yield f"{at}.topology", f"{why}, which model {agent.model.name} does not give"
            return


def _beyond(agent: Agent, at: str) -> Iterator[tuple[str, str]]:
    """What the agent's model cannot do, whatever the benchmark is."""
    try:
        agent = expand(agent, at)
        model = component_of("model", agent.model.name)
        found = [(w, p, component_of(kind, p.name)) for kind, w, p in slots_of(agent, at)]
    except UnknownName:
        return  # told with its place already
    except InvalidDesign as error:
        yield error.path, error.why
        return
    for where, part, component in found:
        missing = sorted(OF_MODELS & set(component.requires) - set(model.provides))
        if missing:
            why = f"{part.name} requires {', '.join(missing)}"
            yield where, f"{why}, which model {model.name} does not give"


def _part(kind: Kind, where: str, part: Part) -> Iterator[tuple[str, str]]:
    try:
        component = component_of(kind, part.name)
    except UnknownName as error:
        yield where, str(error)
        return
    for key, value in part.params:
        why = _illegal(component, key, value)
        if why:
            yield f"{where}.{part.name}.{key}", why


def _illegal(component: Component, key: str, value: object) -> str:
    """Why the parameter cannot be so; "" where it can."""
    if key not in component.params:
        near = nearest(key, component.params)
        known = ", ".join(component.params) or "none"
        hint = f"Did you mean {near!r}?" if near else f"Known: {known}"
        return f"{component.name} has no parameter {key!r}. {hint}"
    legal = component.params[key]
    if any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in legal):
        return ""
    near = nearest(value, [str(v) for v in legal]) if isinstance(value, str) else None
    hint = f". Did you mean {near!r}?" if near else ""
    return f"{value!r} is not one of {', '.join(map(str, legal))}{hint}"


def _cycle(data: object) -> str | None:
    """The path of the first value that contains itself, or None."""
    open_ids: set[int] = set()

    def walk(value: object, at: str) -> str | None:
        if not isinstance(value, Mapping | list):
            return None
        if id(value) in open_ids:
            return at
        open_ids.add(id(value))
        inside: Any = (
            ((f".{k}" if at else str(k), v) for k, v in value.items())
            if isinstance(value, Mapping)
            else ((f"[{i}]", v) for i, v in enumerate(value))
        )
        for step, child in inside:
            found = walk(child, f"{at}{step}")
            if found is not None:
                return found
        open_ids.discard(id(value))
        return None

    return walk(data, "")


def _fail(document: Document, path: str, why: str) -> None:
    steps: Sequence[Step] = [int(s) if s.isdigit() else s for s in _STEP.findall(path)]
    document.fail(steps, f"{path}: {why}" if path else why)

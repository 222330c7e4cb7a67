"""What a component says of itself in listings: its worst-case calls in words."""

from __future__ import annotations

from paragent.component import Component
from paragent.design import Param

#: What one call of each wrapped part is counted as, by kind; a topology wraps its members.
_INNER = {"planning": [1], "guard": [1], "memory": [1]}


def variants(component: Component) -> list[dict[str, Param]]:
    """All parameters at their defaults, then each at each other legal value alone."""
    found = [component.defaults]
    for key, values in component.params.items():
        found += [{**component.defaults, key: value} for value in values[1:]]
    return found


def bound_text(component: Component) -> str:
    """Worst-case model calls of one run over one-call parts: "3", or "3 to 5" over its parameters;
    a topology is told for its smallest team, e.g. "4 (2 members)"."""
    inner = _INNER.get(component.kind, [])
    members = component.members[0]
    if component.kind == "topology":
        inner = [1] * (members + component.lead)
    bounds = sorted({component.calls(params, inner) for params in variants(component)})
    text = str(bounds[0]) if len(bounds) == 1 else f"{bounds[0]} to {bounds[-1]}"
    if component.kind == "topology":
        led = " and a lead" if component.lead else ""
        text += f" ({members} member{'s' if members > 1 else ''}{led})"
    return text

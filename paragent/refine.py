"""Small edits chosen from logged failures, without any model: which edits of a design answer the
signs of its failures (`paragent.signs`).

An edit is described by what it changes, and every sign names the changes that may answer it: a
wrong sum is answered by a calculator or by room for steps, a word that nobody looked up by a memory
or a search tool, an answer of the wrong form by a guard that mends it. Most changes are named by
their kind alone, so that a user's own components take part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from paragent.design import PART_SLOTS, Agent, Design, Node, Part, Team
from paragent.parts import find_part

#: Sign, or kind of failure, to the beginnings of the changes that may answer it. `+` is added, `-`
#: taken away, `=` changed in its parameters; `steps` is a reasoning that leaves room for steps.
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "slip": ("+tool calculator", "+tool python", "reasoning program_of_thought", "model"),
    "number": ("+tool calculator", "+tool python", "steps", "model", "planning"),
    "lookup": ("+memory", "+tool bm25_search", "+tool table_lookup", "+tool sql", "=memory"),
    "format": ("+guard", "guard", "reasoning", "+memory few_shot"),
    "length": ("reasoning", "-memory", "-planning", "=reasoning"),
    "tool": ("-tool", "+tool", "reasoning", "model"),
    "empty": ("reasoning", "+guard", "model"),
    "other": ("model", "steps", "+planning", "planning", "+guard", "topology"),
    "call-bound": ("-planning", "-guard", "-memory", "=", "reasoning"),
    "context-overflow": ("-memory", "=memory", "memory", "-planning"),
    "component": ("reasoning", "-guard", "-planning", "-tool", "-memory", "topology"),
    "malformed": ("model", "reasoning"),
    "refused": ("model", "reasoning"),
}


def changes(before: Design, after: Design) -> tuple[str, ...]:
    """What an edit changes, at the nodes where the two differ: `+tool calculator`, `model
    pocket-m`, `steps`, `topology vote`, `members`; empty for equal designs."""
    found: Counter[str] = Counter()
    _compare(before.root, after.root, found)
    return tuple(sorted(found))


def _compare(one: Node, other: Node, found: Counter[str]) -> None:
    if one == other:
        return
    if isinstance(one, Team) and isinstance(other, Team):
        if one.topology.name != other.topology.name:
            found[f"topology {other.topology.name}"] += 1
        elif one.topology != other.topology:
            found["=topology"] += 1
        if len(one.members) != len(other.members):
            found["members"] += 1
            return
        for mine, theirs in zip(_nodes(one), _nodes(other), strict=False):
            _compare(mine, theirs, found)
    elif isinstance(one, Agent) and isinstance(other, Agent):
        _agents(one, other, found)
    elif isinstance(other, Team):
        found[f"topology {other.topology.name}"] += 1
    else:
        found["members"] += 1


def _nodes(team: Team) -> tuple[Node, ...]:
    return (team.lead, *team.members) if team.lead is not None else team.members


def _agents(one: Agent, other: Agent, found: Counter[str]) -> None:
    for slot in ("model", *PART_SLOTS, "subagent"):
        mine: Part | None = getattr(one, slot)
        theirs: Part | None = getattr(other, slot)
        if mine == theirs:
            continue
        if mine is not None and theirs is not None and mine.name == theirs.name:
            found[f"={slot} {mine.name}"] += 1
        elif theirs is None:
            found[f"-{slot}"] += 1
        else:
            found[f"{'+' if mine is None else ''}{slot} {theirs.name}"] += 1
            if slot == "reasoning" and _leaves_room(theirs):
                found["steps"] += 1
    held, holds = {t.name for t in one.tools}, {t.name for t in other.tools}
    found.update(f"+tool {name}" for name in holds - held)
    found.update("-tool" for _ in held - holds)


def _leaves_room(part: Part) -> bool:
    component = find_part("reasoning", part)
    return component is not None and "steps" in component.provides


def answering(sign: str, before: Design, edits: Sequence[Design]) -> list[Design]:
    """Those of the edits that may answer the sign, in their order."""
    wanted = ANSWERS.get(sign, ())
    return [d for d in edits if any(c.startswith(wanted) for c in changes(before, d))]

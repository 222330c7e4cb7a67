"""A design as an inline SVG tree: root at the left, members to the right, in order from the top.

The colours are CSS variables with fallbacks (`--ink`, `--muted`, `--line`, `--card`, `--accent`,
`--team`, `--lead`), so the same drawing is readable on light and dark pages and stands alone too.
Sizes are in CSS pixels at the drawing's natural width.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import escape

from paragent.design import PART_SLOTS, Agent, Design, Node, Part, Team

_LINE = 17  # height of a line of text
_PAD = 10
_GAP_X, _GAP_Y = 46, 14
_WRAP = 30  # characters of a value per line
_MAX_LINES = 4  # of one value; the whole stands in the card's tooltip
_LABEL = 68  # width of the column of slot names
_MARGIN = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a card; `label` is the slot's name, empty on a continued line."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """What a node says: its title, its lines as they are broken, and all of it unbroken."""

    title: str
    lines: tuple[Line, ...]
    tooltip: str


@dataclass(frozen=True, slots=True)
class Box:
    """A laid-out card: its place in pixels, and the edge that leads to it."""

    path: str
    x: float
    y: float
    width: float
    height: float
    card: Card
    kind: str  # "agent", "team" or "lead"
    parent: str | None
    edge: str  # "1", "2", ... or "lead"; "" for the root


def design_svg(design: Design, *, standalone: bool = False) -> str:
    """The drawing as one `<svg>` element; `standalone` adds what a file of its own needs."""
    boxes = layout(design)
    at = {box.path: box for box in boxes}
    width = max(box.x + box.width for box in boxes) + _MARGIN
    height = max(box.y + box.height for box in boxes) + _MARGIN
    namespace = ' xmlns="http://www.w3.org/2000/svg"' if standalone else ""
    out = [
        f'<svg{namespace} class="design" role="img" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" aria-label="{_safe(design.label)}" '
        'font-family="system-ui, sans-serif" font-size="12">'
    ]
    for box in boxes:
        if box.parent is not None:
            out.append(_edge(at[box.parent], box))
    out.extend(_card(box) for box in boxes)
    out.append("</svg>")
    return "".join(out)


def layout(design: Design) -> list[Box]:
    """Every node's card in pre-order. Cards never overlap; columns are depths of the tree."""
    cards = {path: _content(node) for path, node in design.nodes()}
    columns: dict[int, float] = {}
    for path, card in cards.items():
        depth = _depth_of(path)
        columns[depth] = max(columns.get(depth, 0.0), _width(card))
    lefts, left = {}, float(_MARGIN)
    for depth in sorted(columns):
        lefts[depth] = left
        left += columns[depth] + _GAP_X

    boxes: dict[str, Box] = {}

    def place(node: Node, path: str, top: float, parent: str | None, edge: str) -> float:
        """Lay the subtree out from `top`; returns its bottom."""
        height = 2 * _PAD + _LINE * (1 + len(cards[path].lines))
        kind = "team" if isinstance(node, Team) else "lead" if edge == "lead" else "agent"
        children = _children(node, path)
        # The box is stored before its children, so that the order is that of `design.nodes()`.
        depth = _depth_of(path)
        boxes[path] = Box(
            path, lefts[depth], top, columns[depth], height, cards[path], kind, parent, edge
        )
        bottom = top
        for i, (child_path, child, child_edge) in enumerate(children):
            bottom = place(child, child_path, bottom + (_GAP_Y if i else 0), path, child_edge)
        if children:
            first, last = boxes[children[0][0]], boxes[children[-1][0]]
            middle = (first.y + first.height / 2 + last.y + last.height / 2) / 2
            y = max(top, middle - height / 2)
            boxes[path] = replace(boxes[path], y=y)
            return max(bottom, y + height)
        return top + height

    place(design.root, "", float(_MARGIN), None, "")
    return list(boxes.values())


def _depth_of(path: str) -> int:
    return path.count(".") + 1 if path else 0


def _children(node: Node, path: str) -> list[tuple[str, Node, str]]:
    """(path, node, name of the edge) of the lead, if any, and the members."""
    if isinstance(node, Agent):
        return []
    prefix = f"{path}." if path else ""
    lead: list[tuple[str, Node, str]] = []
    if node.lead is not None:
        lead.append((f"{prefix}lead", node.lead, "lead"))
    return lead + [(f"{prefix}{i}", m, str(i + 1)) for i, m in enumerate(node.members)]


def _content(node: Node) -> Card:
    if isinstance(node, Team):
        title, rows = _words(node.topology.name), []
        rows = [("", f"{name} {_number(value)}") for name, value in node.topology.params]
    else:
        title, rows = node.model.name, _agent_rows(node)
    lines: list[Line] = []
    previous = ""
    for label, text in rows:
        wrapped = _wrapped(_printable(text))
        if len(wrapped) > _MAX_LINES:
            wrapped = [*wrapped[: _MAX_LINES - 1], _short(" ".join(wrapped[_MAX_LINES - 1 :]))]
        for i, piece in enumerate(wrapped):
            lines.append(Line("" if i or label == previous else label, piece))
        previous = label
    tooltip = "\n".join([title, *(f"{label} {text}".strip() for label, text in rows)])
    return Card(_short(title), tuple(lines), tooltip)


def _wrapped(text: str) -> list[str]:
    """Lines of at most `_WRAP` characters, broken after blanks and joints where there are any."""
    lines = [""]
    for word in re.findall(r"[^\s+/_,;|-]*[\s+/_,;|-]?", text):
        for start in range(0, max(1, len(word)), _WRAP):
            piece = word[start : start + _WRAP]
            if len((lines[-1] + piece).rstrip()) > _WRAP:
                lines.append("")
            lines[-1] += piece
    return [line.strip() for line in lines]


def _agent_rows(agent: Agent) -> list[tuple[str, str]]:
    rows = []
    if agent.role:
        rows.append(("role", agent.role))
    if agent.model.params:
        rows.append(("model", _settings(agent.model)))
    for slot in ("subagent", *PART_SLOTS):
        part = getattr(agent, slot)
        if part is not None:
            rows.append((slot, _part(part)))
    label = "tool" if len(agent.tools) == 1 else "tools"
    return rows + [(label, _part(tool)) for tool in agent.tools]


def _part(part: Part) -> str:
    settings = _settings(part)
    return f"{_words(part.name)} ({settings})" if settings else _words(part.name)


def _settings(part: Part) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in part.params)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _number(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _printable(text: str) -> str:
    """Without control characters, which no XML may hold."""
    return "".join(c if c.isprintable() else " " for c in text)


def _safe(text: str) -> str:
    return escape(_printable(text), quote=True)


def _short(text: str) -> str:
    return text if len(text) <= _WRAP else text[: _WRAP - 1] + "…"


def _width(card: Card) -> float:
    """Room for the text at 12 px: 6.6 px a character (7.4 bold), wide enough for most fonts."""
    head = 7.4 * len(card.title)
    body = max((6.6 * len(line.text) for line in card.lines), default=0.0)
    label = _LABEL if any(line.label for line in card.lines) else 0
    return round(max(head, label + body, 90.0) + 2 * _PAD + 8)


def _edge(parent: Box, box: Box) -> str:
    x0, y0 = parent.x + parent.width, parent.y + parent.height / 2
    x1, y1 = box.x, box.y + box.height / 2
    bend = (x0 + x1) / 2
    dash = ' stroke-dasharray="4 3"' if box.edge == "lead" else ""
    return (
        f'<path d="M{x0:g} {y0:g}C{bend:g} {y0:g} {bend:g} {y1:g} {x1:g} {y1:g}" fill="none" '
        f'style="stroke:var(--line,#8a94a6)" stroke-width="1.5"{dash}/>'
        f'<text x="{x1 - 6:g}" y="{y1 - 5:g}" text-anchor="end" font-size="10" '
        f'style="fill:var(--muted,#5b6472)">{_safe(box.edge)}</text>'
    )


def _card(box: Box) -> str:
    colour = {
        "agent": "var(--accent,#2563eb)",
        "team": "var(--team,#b45309)",
        "lead": "var(--lead,#7c3aed)",
    }[box.kind]
    radius = 14 if box.kind == "team" else 6
    tooltip = "\n".join(_safe(line) for line in box.card.tooltip.split("\n"))
    out = [
        f'<g class="{box.kind}"><title>{tooltip}</title>'
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" '
        f'rx="{radius}" style="fill:var(--card,#ffffff);stroke:{colour}" stroke-width="1.5"/>'
    ]
    left, y = box.x + _PAD + 4, box.y + _PAD + 12
    out.append(
        f'<text x="{left:g}" y="{y:g}" font-weight="650" style="fill:{colour}">'
        f"{_safe(box.card.title)}</text>"
    )
    indent = _LABEL if any(line.label for line in box.card.lines) else 0
    for line in box.card.lines:
        y += _LINE
        if line.label:
            out.append(
                f'<text x="{left:g}" y="{y:g}" style="fill:var(--muted,#5b6472)">'
                f"{_safe(line.label)}</text>"
            )
        out.append(
            f'<text x="{left + indent:g}" y="{y:g}" style="fill:var(--ink,#111827)">'
            f"{_safe(line.text)}</text>"
        )
    out.append("</g>")
    return "".join(out)

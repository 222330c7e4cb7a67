"""Designs as SVG trees: nothing overlaps, nothing is lost, nothing hostile survives."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paragent.design import Agent, Design, Node, Part, Team
from paragent.draw import _wrapped, design_svg, layout

parts = st.sampled_from(
    [Part("direct"), Part("chain_of_thought"), Part.of("self_consistency", n=5, temperature=0.7)]
)
agents = st.builds(
    Agent,
    model=st.sampled_from([Part("pocket-s"), Part("pocket-m")]),
    reasoning=parts,
    memory=st.none() | st.just(Part("lookup")),
    tools=st.sampled_from([(), (Part("calculator"),), (Part("calculator"), Part("clock"))]),
    role=st.text(max_size=120),
)
nodes: st.SearchStrategy[Node] = st.recursive(
    agents,
    lambda inner: st.builds(
        Team,
        topology=st.sampled_from([Part("vote"), Part.of("cascade", threshold=0.9)]),
        members=st.lists(inner, min_size=1, max_size=3).map(tuple),
        lead=st.none() | agents,
    ),
    max_leaves=8,
)
designs = nodes.map(Design)

CASCADE = Design(
    Team(
        Part.of("cascade", threshold=0.9),
        (
            Agent(Part("pocket-s")),
            Agent(
                Part("pocket-m"),
                Part.of("self_consistency", n=5, temperature=0.7),
                memory=Part("lookup"),
                tools=(Part("calculator"),),
                role="checker",
            ),
        ),
    )
)


def texts(svg: str) -> list[str]:
    """Every text drawn, tooltips aside."""
    return [e.text or "" for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]


def test_a_cascade_by_hand() -> None:
    """A team and two members: three cards, two edges numbered in order, every part named."""
    drawn = texts(design_svg(CASCADE))
    assert drawn[:2] == ["1", "2"]
    for word in ("cascade", "threshold 0.9", "pocket-s", "pocket-m", "checker", "direct",
                 "lookup", "calculator"):  # fmt: skip
        assert word in drawn
    # longer than a line, so it is broken, and nothing is lost in the break
    assert "self consistency (n 5, temperature 0.7)" in " ".join(drawn)


@given(designs)
@settings(max_examples=60, deadline=None)
def test_cards_never_overlap_and_stay_inside(design: Design) -> None:
    """No two cards share a pixel, and the drawing's size holds all of them."""
    boxes = layout(design)
    root = ET.fromstring(design_svg(design))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for box in boxes:
        assert box.x >= 0 and box.x + box.width <= width
        assert box.y >= 0 and box.y + box.height <= height
    for a, b in itertools.combinations(boxes, 2):
        assert (
            a.x + a.width <= b.x
            or b.x + b.width <= a.x
            or a.y + a.height <= b.y
            or b.y + b.height <= a.y
        ), (a, b)


@given(designs)
@settings(max_examples=60, deadline=None)
def test_every_node_is_drawn_right_of_its_parent(design: Design) -> None:
    """Cards are the design's nodes in pre-order; members stand right of their team, in order."""
    boxes = layout(design)
    assert [b.path for b in boxes] == [path for path, _ in design.nodes()]
    at = {b.path: b for b in boxes}
    for box in boxes:
        if box.parent is not None:
            parent = at[box.parent]
            assert parent.x + parent.width < box.x
    for parent_path in {b.parent for b in boxes}:
        tops = [b.y for b in boxes if b.parent == parent_path]
        assert tops == sorted(tops)


@given(st.text(max_size=200), st.text(min_size=1, max_size=60))
@settings(max_examples=80, deadline=None)
def test_any_text_gives_valid_xml(role: str, name: str) -> None:
    """Whatever a role or a name holds, the drawing parses and has no element of its own making."""
    svg = design_svg(Design(Agent(Part(name), role=role)), standalone=True)
    tags = {e.tag.rpartition("}")[2] for e in ET.fromstring(svg).iter()}
    assert tags <= {"svg", "g", "rect", "text", "title", "path"}


def test_long_words_break_at_their_joints() -> None:
    """A role of joined words is broken after a plus sign, not inside a word."""
    drawn = texts(
        design_svg(Design(Agent(Part("m"), role="arithmetic+units+facts+schedule+lists")))
    )
    assert "arithmetic+units+facts+" in drawn and "schedule+lists" in drawn


@given(st.text(max_size=300))
@settings(deadline=None)
def test_wrapping_loses_nothing_but_blanks(text: str) -> None:
    """Lines hold every visible character in order, each line at most thirty."""
    lines = _wrapped(text)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert max(map(len, lines)) <= 30


def test_hostile_text_is_escaped() -> None:
    """A role that is a script is drawn as text, in the label and in the tooltip too."""
    svg = design_svg(Design(Agent(Part("m"), role='"><script>alert(1)</script>')))
    assert "<script" not in svg
    assert '"><script>alert(1)</script>' in " ".join(texts(svg)).replace("role ", "")


def test_long_roles_end_in_an_ellipsis_and_stay_in_the_tooltip() -> None:
    """A role of a thousand words takes four lines; the whole is one hover away."""
    role = "word " * 1000
    svg = design_svg(Design(Agent(Part("m"), role=role)))
    assert sum("word" in text for text in texts(svg)) == 4
    assert texts(svg)[-3].endswith("…")
    assert svg.count("word") >= 1000


@pytest.mark.parametrize("standalone", [True, False])
def test_namespace_only_where_asked(standalone: bool) -> None:
    """Inside a page the drawing names no address; a file of its own needs the SVG namespace."""
    assert ("http" in design_svg(CASCADE, standalone=standalone)) is standalone


def test_lead_is_drawn_first_and_dashed() -> None:
    """The lead stands above the members, on a dashed edge that says so."""
    team = Team(Part("orchestrator"), (Agent(Part("a")), Agent(Part("b"))), Agent(Part("boss")))
    svg = design_svg(Design(team))
    assert [b.edge for b in layout(Design(team))] == ["", "lead", "1", "2"]
    assert svg.count("stroke-dasharray") == 1
    assert texts(svg)[0] == "lead"

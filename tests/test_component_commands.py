"""What a user sees of components and designs: list, inspect, draw, ask --trace."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedModel

from paragent.ask import node_usage
from paragent.chat import TraceStep
from paragent.cli import main
from paragent.component import Component, Price
from paragent.describe import bound_text, variants
from paragent.design import Agent, Design, Part, Team
from paragent.lab import effects
from paragent.registry import components
from paragent.runtime.model import Completion

Make = Callable[..., ScriptedModel]
CASCADE = """\
team:
  topology: {cascade: {threshold: 0.9}}
  members:
  - agent: {model: a, role: cheap}
  - team:
      topology: vote
      members:
      - agent: {model: b}
      - agent: {model: b, reasoning: chain_of_thought}
"""


def said(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """The JSON a command prints."""
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_list_has_calls_requirements_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    """Every component but the models; a row per component, also without --json."""
    listed = {c["name"]: c for c in said(capsys, "list", "components")["components"]}
    assert set(listed) == {c.name for c in components if c.kind != "model"}
    assert listed["debate"]["calls"] == "4 to 6 (2 members)"
    assert listed["supervisor"]["calls"] == "9 to 17 (2 members and a lead)"
    assert listed["self_consistency"]["calls"] == "3 to 5"
    assert listed["calculator"]["calls"] == "0"
    assert listed["classifier_router"]["requires"] == ["labelled"]
    assert all(c["paper"] for c in listed.values())
    assert main(["list", "components", "--kind", "topology"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    debate = next(row for row in rows if row[0] == "debate")
    assert debate[1:4] == ["topology", "4 to 6 (2 members)", "instruct"]
    assert debate[5].startswith("Du et al. 2023")


def test_bounds_by_hand() -> None:
    """One value is one number; a range spans the parameters; wrapping parts count one call."""
    guard = Component("g", "guard", "s", lambda n: None, {"n": (1, 4)},
                      lambda params, inner: int(params["n"]) + sum(inner))  # fmt: skip
    assert bound_text(guard) == "2 to 5"
    assert variants(guard) == [{"n": 1}, {"n": 4}]
    plain = Component("p", "reasoning", "s", lambda: None)
    assert bound_text(plain) == "1"


def test_inspect_shows_prompt_price_and_measured_effect(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Templates with their texts, the module's own description, and the stored effect."""
    row = {
        "component": "debate", "setting": "of a, b", "family": "", "against": "its best member",
        "score": 0.5, "control_score": 0.25, "difference": 0.25, "low": 0.125, "high": 0.375,
        "n": 200, "verdict": "raises the score; costs 3 times as much",
    }  # fmt: skip
    monkeypatch.setattr(effects, "FILE", tmp_path / "effects.json")
    assert said(capsys, "inspect", "component", "debate")["measured"] == "not measured"
    effects.write({"rows": [row], "unmeasured": [{"component": "chain", "why": "requires x"}]})
    facts = said(capsys, "inspect", "component", "debate")
    assert facts["measured"] == [
        "of a, b, against its best member: 0.500 vs 0.250 (+0.250 [+0.125, +0.375], n 200): "
        "raises the score; costs 3 times as much"
    ]
    assert facts["prompts"]["debate.round"].startswith("{question}")
    assert "Members answer, read each other's answers" in facts["description"]
    assert facts["price"] is None
    chain = said(capsys, "inspect", "component", "chain")
    assert chain["measured"] == "not measurable with the shipped models: requires x"
    assert main(["inspect", "component", "debate"]) == 0
    screen = capsys.readouterr().out
    assert "price                 what its model calls cost" in screen
    assert "calls                 4 to 6 (2 members)" in screen


def test_draw_writes_a_picture_that_stands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: Make
) -> None:
    """The SVG holds every node of the tree; on stdout it is the same; a retry has one child."""
    for name in ("a", "b"):
        scripted(lambda r: "Answer: 1", name=name)
    design = tmp_path / "d.yaml"
    design.write_text(CASCADE)
    picture = tmp_path / "d.svg"
    assert main(["draw", str(design), "-o", str(picture)]) == 0
    assert capsys.readouterr().out == f"{picture}\n"
    root = ET.fromstring(picture.read_text())
    groups = [e.get("class") for e in root.iter() if e.tag.endswith("}g")]
    assert groups == ["team", "agent", "team", "agent", "agent"]
    assert main(["draw", str(design)]) == 0
    assert capsys.readouterr().out == picture.read_text()
    design.write_text("team: {topology: retry, members: [agent: {model: a}]}")
    assert main(["draw", str(design)]) == 0
    assert capsys.readouterr().out.count("<rect") == 2


@pytest.mark.parametrize(
    ("out", "words"),
    [("d.png", "name it *.svg"), ("no/folder/d.svg", "cannot be written: No such file")],
)
def test_draw_says_where_it_cannot_write(
    out: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another format and a folder that is not there: one line, exit code 2."""
    design = tmp_path / "d.yaml"
    design.write_text("agent: {model: pocket-s}")
    assert main(["draw", str(design), "-o", str(tmp_path / out)]) == 2
    assert words in capsys.readouterr().err


def ask(tmp_path: Path, scripted: Make, *words: str) -> int:
    """Put a question to the cascade of a (unsure) and two of b."""
    scripted(lambda r: Completion("I guess\nAnswer: 1", 10, 4, 1.0, confidence=0.5), name="a")
    scripted(lambda r: Completion("Answer: 2", 20, 2, 1.0, confidence=0.9), name="b")
    design = tmp_path / "d.yaml"
    design.write_text(CASCADE)
    return main(["ask", str(design), "Why?", *words])


def test_the_trace_shows_words_tokens_and_cost_at_each_node(
    tmp_path: Path, scripted: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """$1 and $2 per million: a costs 10 + 2*4 = 18 millionths, each b 20 + 2*2 = 24."""
    assert ask(tmp_path, scripted, "--trace") == 0
    out, err = capsys.readouterr()
    assert out == "2\n"
    assert "[0] a: 10 + 4 tokens, confidence 0.500" in err
    assert "  said: I guess\n    Answer: 1" in err
    assert "  user: Why?" in err
    table = [line.split() for line in err.splitlines()[-6:]]
    assert table == [
        ["node", "calls", "tokens", "$"],
        ["root:", "cascade", "3", "58", "6.6e-05"],
        ["0:", "cheap", "1", "14", "1.8e-05"],
        ["1:", "vote", "2", "44", "4.8e-05"],
        ["0:", "b", "1", "22", "2.4e-05"],
        ["1:", "b", "1", "22", "2.4e-05"],
    ]


def test_the_trace_as_json(
    tmp_path: Path, scripted: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same facts, nothing on stderr."""
    assert ask(tmp_path, scripted, "--trace", "--json") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert (found["calls"], found["tokens"]) == (3, 58)
    assert found["usd"] == pytest.approx(6.6e-05)
    assert [n["path"] for n in found["nodes"]] == ["", "0", "1", "1.0", "1.1"]
    assert found["trace"][0]["said"] == "I guess\nAnswer: 1"


def test_an_unknown_price_is_not_free(scripted: Make) -> None:
    """Where one call's price is unknown, so is that of every node above it."""
    scripted(lambda r: "x", name="a")
    scripted(lambda r: "x", name="b", price=Price())
    design = Design(Team(Part("vote"), (Agent(Part("a")), Agent(Part("b")))))
    call = Completion("x", 1_000_000, 0, 0.0)
    trace = [TraceStep("0", "a", (), call), TraceStep("1", "b", (), call)]
    assert [n.usage.usd for n in node_usage(design, trace)] == [None, 1.0, None]

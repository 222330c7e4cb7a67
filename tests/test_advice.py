"""What a language model answers is data: whatever it writes, it is used or refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paragent.advice import (
    MOST_EDITS,
    Nonsense,
    Seen,
    json_object,
    offered,
    read_arms,
    read_edits,
    read_skills,
    read_verdicts,
)
from paragent.design import Agent, Design, Part
from paragent.outcome import Evaluation, Measured, Usage
from paragent.refine import changes
from paragent.registry import components
from paragent.testing import toy_evaluation, toy_space

SPACE = toy_space()
DESIGN = SPACE.normalise(Design(Agent(Part("pocket-s"))))
TOLD = toy_evaluation(DESIGN)

WORDS = st.sampled_from(
    [
        "",
        "calculator",
        "lookup",
        "chain_of_thought",
        "../../etc/passwd",
        "x" * 5000,
        "0",
        "pocket-s",
    ]
)
KEYS = ("promise", "prompt", "tools", "reasoning", "memory", "name", "edit", "texts", "agent", "at",
        "model")  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 50) | st.floats() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from(["proposals", "agents", "skills", "verdicts"]), value=VALUES)
def test_every_answer_is_used_or_refused(key: str, value: Any) -> None:
    """Nothing but Nonsense leaves the readers; what they let pass is legal in the space."""
    before = {c.name for c in components}
    text = json.dumps({key: value})
    seen = [Seen("t", "q", "w", "a")]
    with contextlib.suppress(Nonsense):
        read_skills(text, {"t": "words of a question"}, 4)
    with contextlib.suppress(Nonsense):
        read_verdicts(text, seen, [[True, True]])
    found: list[Design] = []
    with contextlib.suppress(Nonsense):
        found += read_edits(text, SPACE, TOLD, offered(SPACE, TOLD)).designs
    with contextlib.suppress(Nonsense):
        found += read_arms(text, SPACE, 3).designs
    assert all(not SPACE.check(design) for design in found)
    for name in {c.name for c in components} - before:
        components.unregister(name)
        kept = tuple(c for c in SPACE.by_kind["subagent"] if c.name != name)
        SPACE.by_kind["subagent"] = kept


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ("[]", "no JSON"),
        ('{"a": 1} and more', "no JSON"),
        ('{"a": NaN}', "no JSON"),
        ('{"a": "\\ud800"}', "no JSON"),
        ('{"a": ' + "9" * 5000 + "}", "no JSON"),
        ("{" * 100_000, "no JSON"),
        ('{"a": "\\u001b[2J"}', "control"),
        ('{"a": "\\r"}', "control"),
        ('{"a": "\\u009b"}', "control"),
    ],
)
def test_answers_that_are_no_plain_object(text: str, why: str) -> None:
    """Half an object, a constant that is no JSON, half a character, an escape sequence."""
    with pytest.raises(Nonsense, match=why):
        json_object(text)


def test_an_object_may_stand_in_a_code_block() -> None:
    """Alone or fenced; line breaks, tabs, backslashes and letters of any script are text."""
    said = {"a": "one\ntwo\tthree \\u001b \\r é 漢"}
    assert json_object(json.dumps(said)) == said
    assert json_object(f"```json\n{json.dumps(said)}\n```") == said


def test_edits_that_answer_the_signs_are_offered_first() -> None:
    """Of more edits than are shown, those that answer what failed lead the list."""
    outcomes = {"t": Measured(0.0, Usage(), "x", (), ("lookup",))}
    shown = offered(SPACE, Evaluation(DESIGN, "dev", "search-eval", outcomes))
    assert len(shown) == len({d.hash for d in shown}) == min(MOST_EDITS, len(SPACE.edits(DESIGN)))
    assert changes(DESIGN, shown[0]) == ("+memory lookup",)


def test_a_sub_agent_is_made_of_parts_of_the_space_alone() -> None:
    """A tool, a reasoning or a guard that the space leaves out is refused by name."""
    for part in ({"tools": ["python"]}, {"reasoning": "program_of_thought"},
                 {"guard": "verifier_gate"}):  # fmt: skip
        text = json.dumps({"agents": [{"model": "pocket-s", "promise": "x", **part}]})
        read = read_arms(text, SPACE, 3)
        assert not read.designs and "is not among the chosen components" in read.refused[0]
        assert not read.subagents


def test_the_same_description_is_the_same_sub_agent() -> None:
    """By whatever name it is proposed; another description is another."""
    space, before = toy_space(), {c.name for c in components}

    def hashes(**body: object) -> list[str]:
        agent = {"model": "pocket-s", "promise": "x", **body}
        return [d.hash for d in read_arms(json.dumps({"agents": [agent]}), space, 3).designs]

    assert hashes(name="one", memory="lookup") == hashes(name="two", memory="lookup")
    assert hashes(name="one") != hashes(name="one", memory="lookup")
    for name in {c.name for c in components} - before:
        components.unregister(name)

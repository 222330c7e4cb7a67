"""Designs from files: every mistake is one line with its place, its path and the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paragent.cli import main
from paragent.design import Agent, Design, Part, Team
from paragent.design_file import load_design, mistakes, read_design, yaml_path
from paragent.errors import ConfigError, InvalidDesign

PAIR = """\
team:
  topology: {TOPOLOGY}
  members:
  - agent: {model: pocket-s}
  - agent: {MEMBER}
"""


def pair(topology: str = "vote", member: str = "{model: pocket-m}") -> str:
    """A team of two with one thing changed."""
    return PAIR.replace("{TOPOLOGY}", topology).replace("{MEMBER}", member)


def test_a_right_file_is_its_design() -> None:
    """What is read is what the canonical data says, in YAML and in JSON."""
    design = read_design(pair(), "pair.yaml")
    assert design.label == "vote[pocket-s·direct, pocket-m·direct]"
    assert read_design(design.to_yaml(), "again") == design


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            pair("vot"),
            "x: line 2, column 3: team.topology: no topology is called 'vot'. Did you mean 'vote'?",
        ),
        (
            pair(member="{model: pocket-n}"),
            "x: line 5, column 13: team.members[1].agent.model: no model is called 'pocket-n'. "
            "Did you mean 'pocket-",
        ),
        (
            pair(member="{reasoning: direct}"),
            "x: line 5, column 5: team.members[1].agent: an agent needs a model",
        ),
        (
            pair("{vote: {rule: plurallity}}"),
            "team.topology.vote.rule: 'plurallity' is not one of plurality, confident. Did you "
            "mean 'plurality'?",
        ),
        (
            pair("{vote: {rul: plurality}}"),
            "team.topology.vote.rul: vote has no parameter 'rul'. Did you mean 'rule'?",
        ),
        (
            pair(member="{model: pocket-m, reasoning: {self_consistency: {n: 4}}}"),
            "team.members[1].agent.reasoning.self_consistency.n: 4 is not one of 3, 5",
        ),
        (
            pair(member="{model: pocket-m, memory: {lookup: {k: yes}}}"),
            "team.members[1].agent.memory.lookup.k: True is not one of 4, 8",
        ),
        (
            pair(member="{model: pocket-m, tools: [calculater]}"),
            "team.members[1].agent.tools[0]: no tool is called 'calculater'. Did you mean "
            "'calculator'?",
        ),
        (
            pair("debate"),
            "x: line 2, column 3: team.topology: debate requires instruct, which model pocket-s "
            "does not give",
        ),
        (pair("retry"), "team.members: retry takes 1; there are 2"),
        (pair("agreement_cascade"), "team.members: agreement_cascade takes 3 to 5; there are 2"),
        (pair("orchestrator"), "x: line 1, column 1: team: orchestrator needs a lead"),
        (
            pair() + "  lead: {agent: {model: pocket-s}}\n",
            "x: line 6, column 3: team.lead: vote has no lead",
        ),
        (
            "team: &a\n  topology: vote\n  members:\n  - agent: {model: pocket-s}\n  - team: *a\n",
            "x: line 5, column 5: team.members[1].team: the node contains itself",
        ),
        ("agent: {model: &m [*m]}", "agent.model[0]: the node contains itself"),
        ("agnet: {model: pocket-s}", "with the key agent or team. Did you mean 'agent'?"),
        ("", "x: empty file: "),
        ("team: [", "x: line 1, column 8: "),
        ("agent: {model: pocket-s, reasonin: direct}", "Did you mean 'reasoning'?"),
    ],
)
def test_mistakes_are_told_in_one_line(text: str, message: str) -> None:
    """File, line, column, path inside the YAML, and the nearest right name."""
    with pytest.raises(ConfigError) as caught:
        read_design(text, "x")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_anchor_used_twice_is_no_cycle() -> None:
    """The same member twice by an alias is an ordinary team."""
    text = "team:\n  topology: vote\n  members:\n  - &one {agent: {model: pocket-s}}\n  - *one\n"
    assert len(list(read_design(text, "x").agents())) == 2


def test_plain_data_that_contains_itself_is_refused_too() -> None:
    """Without a file there is no place to name, but there is no endless recursion either."""
    body: dict[str, object] = {"topology": "vote"}
    body["members"] = [{"team": body}]
    with pytest.raises(InvalidDesign, match="a design is a tree"):
        Design.from_data({"team": body})


def test_paths_inside_nested_teams() -> None:
    """The tree's "1.lead" is the YAML's team.members[1].team.lead.agent."""
    one = Agent(Part("pocket-s"))
    inner = Team(Part("orchestrator"), (one, one), one)
    design = Design(Team(Part("vote"), (one, inner)))
    assert yaml_path(design, "") == "team"
    assert yaml_path(design, "1.lead") == "team.members[1].team.lead.agent"
    assert yaml_path(design, "1.0") == "team.members[1].team.members[0].agent"
    assert list(mistakes(design)) == []


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A folder, and bytes that are no text."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_design(tmp_path)
    path = tmp_path / "d.yaml"
    path.write_bytes(b"agent: \xff")
    with pytest.raises(ConfigError, match="byte 8 is no UTF-8"):
        load_design(path)


@settings(max_examples=200, deadline=None)
@given(st.recursive(st.text(max_size=8) | st.integers() | st.none() | st.booleans(),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["agent", "team", "model", "members",
                                                       "topology", "lead", "tools", "x"]),
                                      inner, max_size=4), max_leaves=12))  # fmt: skip
def test_whatever_stands_in_a_file_is_a_design_or_one_clear_line(data: object) -> None:
    """Arbitrary data never ends in another exception."""
    import yaml

    try:
        read_design(yaml.safe_dump(data), "x")
    except ConfigError as error:
        assert str(error).startswith("x: ")


@pytest.mark.parametrize("command", [["draw"], ["inspect", "design"], ["ask"]])
def test_commands_refuse_a_wrong_file_with_exit_code_2(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Draw, inspect and ask say the same line, and no traceback."""
    path = tmp_path / "pair.yaml"
    path.write_text(pair("vot"))
    question = ["Why?"] if command == ["ask"] else []
    assert main([*command, str(path), *question]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"paragent: {path}: line 2, column 3: team.topology: no topology is called 'vot'. "
        "Did you mean 'vote'?\n"
    )

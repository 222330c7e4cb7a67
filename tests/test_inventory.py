"""What a user adds in YAML: tools, MCP servers and sub-agents, each mistake told with its place."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from paragent.commands.spec import read_spec
from paragent.component import Tool, run_tool
from paragent.design import Agent, Design, Part
from paragent.design_file import load_design
from paragent.errors import ConfigError, UsageError
from paragent.inventory import register_inventory, used_by, yaml_with
from paragent.mcp_tools import ServerSpec, _started, mcp_tools
from paragent.parts import subagent_of
from paragent.registry import component_of, components
from paragent.runtime.models_file import register_models
from paragent.space import DesignSpace

needs_mcp = pytest.mark.skipif(find_spec("mcp") is None, reason="the extra paragent[mcp] is absent")

FUNCTIONS = '''
def twice(x: int) -> int:
    """Twice a number."""
    return 2 * x
'''

SERVER = '''
from mcp.server import MCPServer

server = MCPServer("tiny")


@server.tool()
def shout(text: str) -> str:
    """The text in capitals."""
    return text.upper()


@server.tool()
def divide(a: float, b: float) -> float:
    """a divided by b."""
    return a / b


server.run()
'''


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    """What a test registers goes with it."""
    before = set(components.names())
    yield
    for name in set(components.names()) - before:
        components.unregister(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a function, a table, a text, a database and a server."""
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    (tmp_path / "prices.csv").write_text("item,price\napple,2\npear,3\n")
    (tmp_path / "manual.txt").write_text("Turn the red\nknob left.\n\nThe blue knob is a fake.\n")
    database = sqlite3.connect(tmp_path / "shop.db")
    database.execute("CREATE TABLE items (name TEXT)")
    database.execute("INSERT INTO items VALUES ('apple')")
    database.commit()
    database.close()
    (tmp_path / "server.py").write_text(SERVER)
    return tmp_path


def use(name: str, argument: str) -> str:
    """What a registered tool answers."""
    component = component_of("tool", name)
    tool: Tool = component.build(**component.defaults)
    return asyncio.run(run_tool(tool, argument))


def test_functions_and_files_become_tools(folder: Path) -> None:
    """A function beside the YAML, a table, passages, a database: each answers under its name."""
    data = {
        "tools": {
            "double": "mine.py:twice",
            "prices": {"table": "prices.csv"},
            "manual": {"corpus": "manual.txt", "k": 1},
            "shop": {"database": "shop.db"},
        }
    }
    assert register_inventory(data, folder) == ()
    assert use("double", "4") == "8"
    assert use("prices", "pear") == "prices: item=pear, price=3"
    assert use("manual", "red") == "[1] Turn the red knob left."
    assert use("shop", "SELECT name FROM items") == "name\napple"
    assert "tools" in component_of("tool", "shop").requires, "not for pocket models"
    register_inventory(data, folder)  # reading it again replaces


SPEC = """\
benchmark: pocket
tools:
  twice: mine.py:twice
subagents:
  critic:
  buyer:
    promise: compares prices
    prompt: You compare prices.
    reasoning: {self_refine: {rounds: 1}}
    tools: [twice, calculator]
    price: 0.002
"""


def test_a_specification_carries_its_inventory(folder: Path) -> None:
    """Definitions are registered, kept as plain data, and found again from what is kept."""
    (folder / "s.yaml").write_text(SPEC)
    settings = read_spec(folder / "s.yaml")
    assert settings["subagents"] == ["critic", "buyer"]
    ready = subagent_of(Part("buyer"))
    assert [tool.name for tool in ready.agent.tools] == ["calculator", "twice"]
    assert ready.prompt is not None
    assert ready.prompt.text == "You compare prices."
    price = component_of("subagent", "buyer").price
    assert price is not None
    assert price.usd_per_call == 0.002
    kept = json.loads(json.dumps(settings["inventory"]))
    components.unregister("buyer")
    components.unregister("twice")
    register_inventory(kept)
    assert use("twice", "2") == "4"
    assert subagent_of(Part("buyer")).agent == ready.agent


def test_a_design_travels_with_what_it_uses(folder: Path, tmp_path: Path) -> None:
    """The YAML of a design holds the definitions it needs, no others, and runs from anywhere."""
    (folder / "s.yaml").write_text(SPEC)
    inventory = read_spec(folder / "s.yaml")["inventory"]
    register_models()  # the shipped table: one that calls tools
    space = DesignSpace(("gpt-4o-mini",))
    plain = Design(Agent(Part("gpt-4o-mini"), Part("direct")))
    assert used_by(plain, inventory) == {}
    assert yaml_with(plain, inventory) == plain.to_yaml()
    design = space.normalise(Design(Agent(Part("gpt-4o-mini"), subagent=Part("buyer"))))
    assert set(used_by(design, inventory)) == {"tools", "subagents", "folder"}
    assert "critic" not in used_by(design, inventory)["subagents"]
    text = yaml_with(design, inventory)
    components.unregister("buyer")
    components.unregister("twice")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "d.yaml").write_text(text)
    assert load_design(elsewhere / "d.yaml") == design
    assert use("twice", "2") == "4"


def test_a_file_whose_model_cannot_hold_the_tools_is_refused(folder: Path) -> None:
    """A pocket model calls no tools, whoever brings them."""
    (folder / "s.yaml").write_text(SPEC)
    read_spec(folder / "s.yaml")
    (folder / "d.yaml").write_text("agent: {model: pocket-s, subagent: buyer}\n")
    with pytest.raises(ConfigError, match="twice requires tools, which model pocket-s does not"):
        load_design(folder / "d.yaml")


@pytest.mark.parametrize("section", ["all", "solver, critic", ["solver", "critic"]])
def test_sub_agents_of_the_library_are_named(section: object) -> None:
    """As a word, a text with commas, or a list."""
    found = register_inventory({"subagents": section})
    assert found in (("all",), ("solver", "critic"))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("mine.py:twice", "mine.py:twise", r"line 3, column 3: mine.py has no 'twise'.*'twice'"),
        ("mine.py:twice", "mime.py:twice", r"line 3, column 3: there is no file .*mime\.py"),
        ("mine.py:twice", "no_module_x:f", r"line 3, column 3: there is no module 'no_module_x'"),
        ("mine.py:twice", "{tabel: x}", r"line 3, .*unknown key 'tabel'. Did you mean 'table'"),
        ("mine.py:twice", "{table: gone.csv}", r"line 3, column 11: there is no file .*gone\.csv"),
        ("mine.py:twice", "{database: mine.py}", r"line 3, .*file is not a database"),
        ("mine.py:twice", "3", r"line 3, .*got 3; wanted a mapping"),
        ("  twice: mine", "  calculator: mine", r"'calculator' is taken by a component of the lib"),
        ("critic:", "critik:", r"line 5, column 3: no subagent .*'critik'. Did you mean 'critic'"),
        ("promise: compares prices", "about: x", r"line 7, column 5: unknown key 'about'"),
        ("    promise: compares prices\n", "", r"line 6, column 3: a sub-agent needs a promise"),
        ("self_refine: {rounds: 1}", "self_refin: {}", r"line 9.*Did you mean 'self_refine'"),
        ("{rounds: 1}", "{round: 1}", r"line 9.*no parameter 'round'; did you mean 'rounds'"),
        ("[twice,", "[twise,", r"line 10, column 5: no tool is called 'twise'. .*'twice'"),
        ("price: 0.002", "price: cheap", r"line 11, column 5: got 'cheap'; wanted dollars"),
    ],
)
def test_mistakes_are_told_with_line_and_column(folder: Path, old: str, new: str, why: str) -> None:
    """One line each, with the place in the file and the nearest right name."""
    assert old in SPEC
    (folder / "s.yaml").write_text(SPEC.replace(old, new))
    with pytest.raises(ConfigError, match=why) as caught:
        read_spec(folder / "s.yaml")
    assert "\n" not in str(caught.value)


def test_without_a_file_the_path_stands_instead() -> None:
    """From Python, the keys say where."""
    with pytest.raises(UsageError, match=r"^mcp\.x: an MCP server needs a command"):
        register_inventory({"mcp": {"x": {}}})


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1\n"])
def test_a_broken_table_is_refused(folder: Path, text: str) -> None:
    """No header, no row, a row that is too short."""
    (folder / "t.csv").write_text(text)
    with pytest.raises(UsageError, match=r"tools\.t\.table: .*(wanted|has 1 cells)"):
        register_inventory({"tools": {"t": {"table": "t.csv"}}}, folder)


@needs_mcp
def test_the_tools_of_a_real_server(folder: Path) -> None:
    """A stdio server answers from two event loops in turn; what it raises is told."""
    register_inventory({"mcp": {"tiny": {"command": [sys.executable, "server.py"]}}}, folder)
    assert component_of("tool", "tiny_shout").summary == "The text in capitals."
    assert use("tiny_shout", "hello") == "HELLO"
    assert use("tiny_divide", '{"a": 6, "b": 4}') == "1.5"
    assert use("tiny_divide", '{"a": 6, "b": 0}').startswith("error: ")
    assert use("tiny_divide", "6/4") == "error: wanted a JSON object with a, b"


@needs_mcp
def test_a_server_that_does_not_start_or_has_no_such_tool_is_told(folder: Path) -> None:
    """One line each."""
    python = sys.executable
    with pytest.raises(UsageError, match=r"^mcp\.gone: MCP server 'gone' does not start: \S"):
        register_inventory({"mcp": {"gone": {"command": [python, "no.py"]}}}, folder)
    with pytest.raises(UsageError, match=r"does not start: FileNotFoundError"):
        register_inventory({"mcp": {"gone": {"command": ["/no/such/program"]}}}, folder)
    tiny = {"command": [python, "server.py"], "tools": ["shot"]}
    with pytest.raises(UsageError, match=r"has no tool 'shot'. Did you mean 'shout'"):
        register_inventory({"mcp": {"tiny": tiny}}, folder)


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install 'paragent[mcp]'`, and no traceback."""
    _started.cache_clear()
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(UsageError, match=r"needs the extra: pip install 'paragent\[mcp\]'"):
        mcp_tools(ServerSpec("x", ("true",)))

"""What a user adds in YAML: tools, MCP servers and sub-agents, beside the settings of a search or
beside a design.

    tools:
      weather: my_tools.py:weather            # a function with type hints; module:function too
      slow: {function: "jobs:run", description: runs a job, seconds: 60}
      prices: {table: prices.csv}             # rows by the text of a cell
      manual: {corpus: manual.txt, k: 3}      # passages, a blank line between them
      shop: {database: shop.db}               # SQL, for reading only
    mcp:
      files: {command: [python, server.py], tools: [read_file]}
    subagents:                                # also: all, or a list of names
      critic:                                 # one of the library
      buyer:
        promise: compares prices              # what composers and leads read
        prompt: You compare prices.
        model: gpt-5-mini                     # left out: the design chooses
        reasoning: chain_of_thought
        tools: [prices, calculator]
        price: 0.002                          # dollars a task; left out: unknown

Files are sought from the folder of the YAML, or from the one that its key `folder` names. Each
mistake is told with its place.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from paragent.component import Component, Kind, Table, Tool
from paragent.components.bm25_search import search_tool
from paragent.components.sql import schema, sql_tool
from paragent.components.table_lookup import table_tool
from paragent.design import OWN_MODEL, Agent, Design, Part
from paragent.errors import InvalidDesign, UnknownName, UsageError, nearest
from paragent.mcp_tools import SECONDS as MCP_SECONDS
from paragent.mcp_tools import ServerSpec, mcp_tools
from paragent.parts import slots_of
from paragent.registry import component_of, components
from paragent.subagent import sub_agent
from paragent.user_tools import SECONDS, component_of_tool, load_function, tool_from

#: The sections, in the order in which they are read: sub-agents may hold the tools.
SECTIONS = ("tools", "mcp", "subagents")
#: The sections, and the folder of their files where it is not that of the YAML.
KEYS = (*SECTIONS, "folder")

Path_ = tuple[str | int, ...]
Fail = Callable[[Path_, str], NoReturn]

_SOURCE = "the user's inventory"
_FUNCTION = ("function", "description", "seconds")
_DATA = ("table", "corpus", "database")
_SERVER = ("command", "tools", "env", "seconds")
_SLOTS = ("model", "reasoning", "planning", "memory", "tools", "guard")
_AGENT = ("promise", "prompt", "price", *_SLOTS)


def register_inventory(
    data: Mapping[str, Any], folder: Path | None = None, fail: Fail | None = None
) -> tuple[str, ...]:
    """Put everything into the registry; returns the names of the sub-agents to be offered.

    `data` holds sections by name, and may name the `folder` of files itself; registering the same
    again replaces it. `fail(path, why)` raises for a mistake; by default UsageError with the path.
    A library name is never replaced.
    """
    told = fail or _plain_fail
    at = Path(str(data.get("folder") or folder or ""))
    for name, body in _mapping(data.get("tools"), ("tools",), told).items():
        place = ("tools", name)
        tool = _tool(str(name), body, place, at, told)
        _register(component_of_tool(tool, paper=_SOURCE), place, told)
    for name, body in _mapping(data.get("mcp"), ("mcp",), told).items():
        place = ("mcp", name)
        spec, only = _server(str(name), body, place, at, told)
        try:
            tools = mcp_tools(spec, only)
        except UsageError as error:
            told(place, str(error))
        for tool in tools:
            _register(component_of_tool(tool, paper=_SOURCE), place, told)
    return _subagents(data.get("subagents"), told)


def used_by(design: Design, inventory: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `RunConfig.inventory` that the design uses: what has to travel with it."""
    names = {part.name for _, agent in design.agents() for _, part in agent.parts()}

    def uses(section: str, name: str) -> bool:
        if section == "mcp":  # its tools are called server_tool
            return any(part.startswith(f"{name}_") for part in names)
        return name in names

    found: dict[str, Any] = {}
    for section in SECTIONS:
        bodies = {n: b for n, b in (inventory.get(section) or {}).items() if uses(section, n)}
        if bodies:
            found[section] = bodies
    return {**found, "folder": inventory.get("folder", "")} if found else {}


def design_of(data: Mapping[str, Any]) -> Design:
    """The design of a job's data, which may bring sub-agents that are not registered here yet.

    Raises InvalidDesign, or UsageError for a sub-agent that cannot be read."""
    brought = {n: b for n, b in (data.get("subagents") or {}).items() if n not in components}
    if brought:
        register_inventory({"subagents": brought})
    return Design.from_data({key: data[key] for key in data if key != "subagents"})


def yaml_with(design: Design, inventory: Mapping[str, Any]) -> str:
    """The design as YAML, with what it uses of the inventory: a file that runs by itself."""
    import yaml

    used = used_by(design, inventory)
    head = yaml.safe_dump(used, sort_keys=False, width=100) if used else ""
    return head + design.to_yaml()


def _plain_fail(path: Path_, why: str) -> NoReturn:
    raise UsageError(f"{'.'.join(map(str, path))}: {why}")


def _mapping(value: Any, path: Path_, fail: Fail, known: Sequence[str] = ()) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        fail(path, f"got {value!r}; wanted a mapping")
    for key in value:
        if known and key not in known:
            near = nearest(str(key), known)
            hint = f". Did you mean {near!r}?" if near else f". Known: {', '.join(known)}"
            fail((*path, key), f"unknown key {key!r}{hint}")
    return value


def _register(component: Component, path: Path_, fail: Fail) -> None:
    if component.name in components and components[component.name].paper != _SOURCE:
        fail(path, f"the name {component.name!r} is taken by a component of the library")
    components.register(component, replace=True)


def _tool(name: str, body: Any, path: Path_, folder: Path, fail: Fail) -> Tool:
    if isinstance(body, str):
        body = {"function": body}
    body = _mapping(body, path, fail, (*_FUNCTION, *_DATA, "k"))
    given = [key for key in ("function", *_DATA) if key in body]
    if len(given) != 1:
        fail(path, f"a tool needs one of {', '.join(('function', *_DATA))}")
    kind, where = given[0], body[given[0]]
    if not isinstance(where, str) or not where:
        fail((*path, kind), f"got {where!r}; wanted a text")
    seconds, k = _seconds(body, path, fail, SECONDS), body.get("k", 3)
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        fail((*path, "k"), f"got {k!r}; wanted a whole number of at least 1")
    if kind != "function" and not (folder / where).is_file():
        fail((*path, kind), f"there is no file {folder / where}")
    try:
        if kind == "function":
            function, about = load_function(where, folder), str(body.get("description") or "")
            return tool_from(function, name=name, description=about, seconds=seconds)
        return _data_tool(kind, folder / where, name, k)
    except UsageError as error:
        fail((*path, kind), str(error))


def _data_tool(kind: str, file: Path, name: str, k: int) -> Tool:
    """A tool over a file. Raises UsageError for a file that does not hold what it should."""
    if kind == "table":
        return table_tool((read_table(file, name),), name)
    if kind == "corpus":
        return search_tool(read_passages(file), k, name)
    where = str(file.resolve())
    try:
        schema(where)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return sql_tool(where, name)


def read_table(path: Path, name: str) -> Table:
    """A CSV file with a header as a table. Raises UsageError for an empty or ragged one."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [tuple(row) for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: {error}") from None
    if len(rows) < 2:
        raise UsageError(f"{path}: wanted a line of column names and at least one row")
    for number, row in enumerate(rows[1:], 1):
        if len(row) != len(rows[0]):
            raise UsageError(f"{path}: row {number} has {len(row)} cells, not {len(rows[0])}")
    return Table(name, rows[0], tuple(rows[1:]))


def read_passages(path: Path) -> tuple[str, ...]:
    """The paragraphs of a text file. Raises UsageError where there are none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    found = tuple(" ".join(p.split()) for p in text.split("\n\n") if p.strip())
    if not found:
        raise UsageError(f"{path}: there is no text in it")
    return found


def _seconds(body: Mapping[str, Any], path: Path_, fail: Fail, default: float) -> float:
    value = body.get("seconds", default)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        fail((*path, "seconds"), f"got {value!r}; wanted a number above 0")
    return float(value)


def _server(
    name: str, body: Any, path: Path_, folder: Path, fail: Fail
) -> tuple[ServerSpec, tuple[str, ...]]:
    body = _mapping(body, path, fail, _SERVER)
    lists = {}
    for key in ("command", "tools"):
        value = body.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            fail((*path, key), f"got {value!r}; wanted a list of texts")
        lists[key] = tuple(value)
    if not lists["command"]:
        fail(path, "an MCP server needs a command, for example [python, server.py]")
    env = _mapping(body.get("env"), (*path, "env"), fail)
    seconds = _seconds(body, path, fail, MCP_SECONDS)
    pairs = tuple(sorted((str(k), str(v)) for k, v in env.items()))
    spec = ServerSpec(name, lists["command"], pairs, str(folder.resolve()), seconds)
    return spec, lists["tools"]


def _subagents(section: Any, fail: Fail) -> tuple[str, ...]:
    path: Path_ = ("subagents",)
    if isinstance(section, str):
        section = [name.strip() for name in section.split(",") if name.strip()]
    if isinstance(section, list):
        for i, name in enumerate(section):
            if name != "all":
                _known("subagent", name, (*path, i), fail)
        return tuple(section)
    names = []
    for name, body in _mapping(section, path, fail).items():
        if body is None:
            _known("subagent", name, (*path, name), fail)
        else:
            _register(_subagent(str(name), body, (*path, name), fail), (*path, name), fail)
        names.append(str(name))
    return tuple(names)


def _known(kind: Kind, name: Any, path: Path_, fail: Fail) -> None:
    try:
        component_of(kind, str(name))
    except UnknownName as error:
        fail(path, str(error))


def _subagent(name: str, body: Any, path: Path_, fail: Fail) -> Component:
    body = _mapping(body, path, fail, _AGENT)
    for key in ("promise", "prompt"):
        if not isinstance(body.get(key, ""), str):
            fail((*path, key), f"got {body[key]!r}; wanted a text")
    if not body.get("promise"):
        fail(path, "a sub-agent needs a promise: what it can do, in a few words")
    price = body.get("price")
    number = isinstance(price, int | float) and not isinstance(price, bool)
    if price is not None and not (number and math.isfinite(price) and price >= 0):
        fail((*path, "price"), f"got {price!r}; wanted dollars a task")
    slots = {key: body[key] for key in _SLOTS if body.get(key) is not None}
    try:
        agent = Design.from_data({"agent": {"model": OWN_MODEL, **slots}}).root
    except InvalidDesign as error:
        inner = error.path.removeprefix("agent").strip(".").partition("[")[0]
        fail((*path, inner) if inner else path, error.why)
    assert isinstance(agent, Agent), "an agent was written"
    for kind, where, part in slots_of(agent, ""):
        slot = where.strip(".").partition("[")[0]
        if kind == "model":
            continue  # an endpoint's model may be registered later; the space looks for it
        component = _part_of(kind, part, (*path, slot), fail)
        for key in dict(part.params):
            if key not in component.params:
                near = nearest(key, component.params)
                hint = f"; did you mean {near!r}?" if near else ""
                fail((*path, slot), f"{part.name} has no parameter {key!r}{hint}")
    model = agent.model.name
    return sub_agent(
        name,
        body["promise"],
        prompt=body.get("prompt") or "",
        model="" if model == OWN_MODEL else model,
        reasoning=agent.reasoning,
        planning=agent.planning,
        memory=agent.memory,
        tools=agent.tools,
        guard=agent.guard,
        price=None if price is None else float(price),
        paper=_SOURCE,
    )


def _part_of(kind: Kind, part: Part, path: Path_, fail: Fail) -> Component:
    try:
        return component_of(kind, part.name)
    except UnknownName as error:
        fail(path, str(error))

"""Any Python function with type hints as a tool.

    def weather(city: str, days: int = 1) -> str:
        \"\"\"The forecast of a city.\"\"\"

    register(tool_component(weather))

The schema comes from the hints (pydantic reads them, so whatever it knows may be a parameter), the
description from the docstring. What goes wrong becomes a text that the model reads: arguments that
do not fit, an exception, a call that takes too long. A function that is not `async` runs in a
thread of its own, so a slow one holds nobody else up; one that never ends is left behind after
`seconds`, and after `STUCK` of those the tool refuses at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import importlib
import importlib.util
import inspect
import json
import re
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from paragent.component import Component, Tool
from paragent.errors import UsageError, nearest

SECONDS = 20.0
#: Calls of one tool that may have been left behind in their threads.
STUCK = 16
MOST_CHARACTERS = 8000

_PLAIN = ("string", "integer", "number", "boolean")
_ENTRY = re.compile(r"^\s*(?::param\s+)?(\w+)\s*(?:\([^)]*\))?\s*:\s*(\S.*)$")


class ToolFault(Exception):
    """What a tool tells the model instead of a result."""


def tool_from(
    function: Callable[..., Any],
    *,
    name: str = "",
    description: str = "",
    seconds: float = SECONDS,
) -> Tool:
    """The function as a tool. `seconds` is the time limit of one call.

    Raises UsageError for a function whose parameters cannot be described: no hint, *args, a type
    that has no JSON schema.
    """
    name = name or getattr(function, "__name__", "tool")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", name):
        raise UsageError(f"a tool's name is {name!r}; wanted letters, digits, _ and -")
    about, said = _docstring(function)
    arguments = _arguments(function, name, said)
    schema = _schema(arguments, name)
    names = list(schema["properties"])
    plain = [n for n in names if schema["properties"][n].get("type") in _PLAIN]
    lone = names[0] if len(names) == 1 and plain else ""
    runner = _Runner(function, name, seconds)

    async def call(text: str) -> str:
        return _shown(await runner.run(_read(arguments, lone, names, text)))

    pattern = json.dumps({n: "…" for n in names}, ensure_ascii=False)
    write = f"<<{lone}>>" if lone else f"<<{pattern}>>"
    about = description or about or name.replace("_", " ")
    wanted = "" if lone or not names else f" Arguments: {pattern}."
    return Tool(
        name=name,
        description=about + wanted,
        call=call,
        instruction=f". Use {name} ({about}) by writing {write}",
        native_instruction=f". Use {name} where it helps",
        schema=schema,
        argument=lone,
    )


def tool_component(
    function: Callable[..., Any],
    *,
    name: str = "",
    description: str = "",
    seconds: float = SECONDS,
    version: str = "1",
) -> Component:
    """The function as a component of kind "tool", ready to be registered. Raises as `tool_from`."""
    tool = tool_from(function, name=name, description=description, seconds=seconds)
    return component_of_tool(tool, paper=f"function {_place(function)}", version=version)


def component_of_tool(tool: Tool, *, paper: str, version: str = "1") -> Component:
    """A user's tool as a component: any model that calls tools may hold it."""
    return Component(
        name=tool.name,
        kind="tool",
        summary=" ".join(tool.description.split())[:200],
        build=lambda: tool,
        calls=lambda params, inner: 0,
        requires=("steps", "tools"),
        paper=paper,
        version=version,
    )


def load_function(where: str, folder: Path | None = None) -> Callable[..., Any]:
    """The function that `module:name` or `file.py:name` means (files from `folder`).

    Raises UsageError with what went wrong, in one line.
    """
    place, colon, name = where.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(f"got {where!r}; wanted module:function or file.py:function")
    module = _file_module(place, folder) if place.endswith(".py") else _module(place, folder)
    found: Any = module
    for step in name.split("."):
        if not hasattr(found, step):
            near = nearest(step, [n for n in vars(found) if not n.startswith("_")])
            hint = f". Did you mean {near!r}?" if near else ""
            raise UsageError(f"{place} has no {step!r}{hint}")
        found = getattr(found, step)
    if not callable(found):
        raise UsageError(f"{where} is no function, but {type(found).__name__}")
    function: Callable[..., Any] = found
    return function


def _module(place: str, folder: Path | None) -> Any:
    """A module, found as Python does, then in the folder of the file that names it."""
    added = str(folder) if folder is not None else None
    if added is not None and added not in sys.path:
        sys.path.append(added)
    else:
        added = None
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (error.name == place or place.startswith(f"{error.name}.")):
            raise UsageError(f"there is no module {place!r}") from None
        raise UsageError(f"module {place!r} needs {error.name!r}, which is not installed") from None
    except Exception as error:  # the user's own code
        why = f"{type(error).__name__}: {error}"
        raise UsageError(f"module {place!r} cannot be imported: {why}") from None
    finally:
        if added is not None:
            sys.path.remove(added)


def _file_module(place: str, folder: Path | None) -> Any:
    path = (folder or Path()) / place
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    name = f"paragent_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None, "a name that ends with .py has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where pydantic looks up hints that are texts
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code
        why = f"{type(error).__name__}: {error}"
        raise UsageError(f"{path} cannot be imported: {why}") from None
    return module


def _place(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', '?')}"


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The first paragraph, and what is said of each parameter (`name: text`, `:param name: …`)."""
    text = inspect.getdoc(function) or ""
    about, _, rest = text.partition("\n\n")
    said = {m[1]: m[2].strip() for line in rest.splitlines() if (m := _ENTRY.match(line))}
    return " ".join(about.split()), said


def _arguments(function: Callable[..., Any], name: str, said: Mapping[str, str]) -> Any:
    """A pydantic model of the function's parameters."""
    from pydantic import ConfigDict, Field, create_model

    try:
        signature = inspect.signature(function, eval_str=True)
    except (ValueError, TypeError, NameError) as error:
        raise UsageError(f"tool {name!r}: its parameters cannot be read: {error}") from None
    fields: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise UsageError(f"tool {name!r}: *{parameter.name} cannot be described to a model")
        if parameter.kind == parameter.POSITIONAL_ONLY:
            raise UsageError(f"tool {name!r}: {parameter.name} must be given by name")
        if parameter.annotation is parameter.empty:
            raise UsageError(f"tool {name!r}: parameter {parameter.name!r} has no type hint")
        default = ... if parameter.default is parameter.empty else parameter.default
        about = said.get(parameter.name)
        # The alias is the name; a field of our own name may begin with _ or shadow pydantic's.
        fields[f"p_{parameter.name}"] = (
            parameter.annotation,
            Field(default, alias=parameter.name, description=about, title=None),
        )
    try:
        # A model may write "5" for 5, not the other way round.
        return create_model(
            name, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False), **fields
        )
    except Exception as error:  # pydantic says what it cannot describe in many ways
        why = str(error).splitlines()[0]
        raise UsageError(f"tool {name!r}: its parameters cannot be described: {why}") from None


def _schema(arguments: Any, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = arguments.model_json_schema(by_alias=True)
    except Exception as error:  # a type without a JSON schema
        why = str(error).splitlines()[0]
        raise UsageError(f"tool {name!r}: its parameters cannot be described: {why}") from None
    found.pop("title", None)
    for field in found.setdefault("properties", {}).values():
        field.pop("title", None)
    return found


def _read(arguments: Any, lone: str, names: list[str], text: str) -> dict[str, Any]:
    """The function's arguments. Raises ToolFault with what does not fit."""
    from pydantic import ValidationError

    if lone:
        data: Any = {lone: text}
    else:
        try:
            data = json.loads(text) if text.strip() else {}
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise ToolFault(f"wanted a JSON object with {', '.join(names) or 'nothing in it'}")
    try:
        read = arguments.model_validate(data)
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False):
            where = ".".join(map(str, fault["loc"]))
            hint = nearest(where, names) if fault["type"] == "extra_forbidden" else None
            faults.append(f"{where}: {fault['msg']}" + (f" (did you mean {hint}?)" if hint else ""))
        raise ToolFault("; ".join(faults)) from None
    except (ValueError, RecursionError) as error:
        raise ToolFault(str(error)) from None
    return {n.removeprefix("p_"): getattr(read, n) for n in type(read).model_fields}


class _Runner:
    """Runs one function, each call within its time, never on the event loop's own thread."""

    def __init__(self, function: Callable[..., Any], name: str, seconds: float) -> None:
        self._function, self._name, self._seconds = function, name, seconds
        self._stuck: set[threading.Thread] = set()

    async def run(self, arguments: Mapping[str, Any]) -> Any:
        """The function's result. Raises ToolFault for whatever it raises or its time's end."""
        timer = asyncio.timeout(self._seconds)
        try:
            async with timer:
                if inspect.iscoroutinefunction(self._function):
                    return await self._function(**arguments)
                found = await self._in_thread(arguments)
                return await found if isinstance(found, Awaitable) else found
        except ToolFault:
            raise
        except Exception as error:  # the user's own code
            if timer.expired():
                raise ToolFault(f"{self._name} took longer than {self._seconds:g} s") from None
            raise ToolFault(f"{type(error).__name__}: {error}") from None

    async def _in_thread(self, arguments: Mapping[str, Any]) -> Any:
        """In a daemon thread: one that never ends must not keep the process from ending."""
        self._stuck = {thread for thread in self._stuck if thread.is_alive()}
        if len(self._stuck) >= STUCK:
            raise ToolFault(f"{self._name} hangs in {STUCK} earlier calls")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            elif isinstance(error, Exception) and not isinstance(error, StopIteration):
                future.set_exception(error)
            else:  # SystemExit and its kind end a thread, not the search
                future.set_exception(ToolFault(f"{type(error).__name__}: {error}"))

        def work() -> None:
            result, error = None, None
            try:
                result = context.run(self._function, **arguments)
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, result, error)

        thread = threading.Thread(target=work, name=f"tool-{self._name}", daemon=True)
        thread.start()
        try:
            return await future
        except asyncio.CancelledError:
            self._stuck.add(thread)
            raise


def _shown(result: Any) -> str:
    """A result as the text that the model reads."""
    if result is None:
        text = "done"
    elif isinstance(result, str):
        text = result
    else:
        try:
            text = json.dumps(result, ensure_ascii=False, default=str)
        except (TypeError, ValueError):
            text = str(result)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} … (cut)"

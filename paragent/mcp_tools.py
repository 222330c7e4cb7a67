"""Tools of an MCP server (Model Context Protocol), started as a child process and spoken to over
its standard input and output. Needs the extra `paragent[mcp]`.

One thread with an event loop of its own holds each server for the life of the process: the
session must be opened and closed by one task, while searches come and go with their own loops. The
same command is started once, whoever asks for it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from paragent.component import Tool
from paragent.errors import UsageError, nearest

SECONDS = 30.0
MOST_CHARACTERS = 8000


@dataclass(frozen=True)
class ServerSpec:
    """How a server is started. `env` is added to the few variables that a child gets (PATH, HOME);
    keys are named there, as `${VARIABLE}`, never written out."""

    name: str
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    folder: str = ""
    seconds: float = SECONDS


def mcp_tools(spec: ServerSpec, only: Sequence[str] = ()) -> list[Tool]:
    """The server's tools (those named in `only`, where any are), each as `server_tool`.

    Raises UsageError: the extra is not installed, the server does not start, a name is not there.
    """
    server = _started(spec)
    known = [tool["name"] for tool in server.tools]
    for name in only:
        if name not in known:
            near = nearest(name, known)
            hint = f". Did you mean {near!r}?" if near else f"; it has {', '.join(known) or 'none'}"
            raise UsageError(f"MCP server {spec.name!r} has no tool {name!r}{hint}")
    return [_tool(server, data) for data in server.tools if not only or data["name"] in only]


def _tool(server: _Server, data: Mapping[str, Any]) -> Tool:
    name, schema = f"{server.spec.name}_{data['name']}", data.get("inputSchema") or {}
    fields = schema.get("properties") or {}
    lone = next(iter(fields)) if len(fields) == 1 else ""
    if lone and fields[lone].get("type") != "string":
        lone = ""
    about = " ".join(str(data.get("description") or data["name"]).split())
    pattern = json.dumps({f: "…" for f in fields}, ensure_ascii=False)

    async def call(text: str) -> str:
        if lone:
            arguments: Any = {lone: text}
        else:
            try:
                arguments = json.loads(text) if text.strip() else {}
            except ValueError:
                arguments = None
        if not isinstance(arguments, dict):
            raise ValueError(f"wanted a JSON object with {', '.join(fields) or 'nothing in it'}")
        return await server.call(data["name"], arguments)

    return Tool(
        name=name,
        description=about if lone or not fields else f"{about} Arguments: {pattern}.",
        call=call,
        instruction=f". Use {name} ({about}) by writing <<{lone or pattern}>>",
        native_instruction=f". Use {name} where it helps",
        schema=schema or {"type": "object", "properties": {}},
        argument=lone,
    )


@lru_cache(maxsize=64)
def _started(spec: ServerSpec) -> _Server:
    try:
        import mcp  # noqa: F401  (only whether it is there)
    except ModuleNotFoundError:
        raise UsageError(
            f"MCP server {spec.name!r} needs the extra: pip install 'paragent[mcp]'"
        ) from None
    server = _Server(spec)
    server.start()
    return server


@dataclass(eq=False)
class _Server:
    """A running server, held by its thread."""

    spec: ServerSpec
    tools: list[dict[str, Any]] = field(default_factory=list)
    _session: Any = None
    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _error: str = ""

    def start(self) -> None:
        """Start the server and read its tools. Raises UsageError where that fails."""
        name = f"mcp-{self.spec.name}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self._ready.wait(self.spec.seconds + 5)
        if self._session is None:
            why = self._error or f"it said nothing for {self.spec.seconds:g} s"
            raise UsageError(f"MCP server {self.spec.name!r} does not start: {why}")
        atexit.register(self._end, thread)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The tool's texts. Raises RuntimeError with what the server says went wrong."""
        if self._loop is None or self._session is None:
            raise RuntimeError(f"the MCP server {self.spec.name!r} has ended")
        job = asyncio.run_coroutine_threadsafe(self._call(name, dict(arguments)), self._loop)
        return await asyncio.wrap_future(job)

    async def _call(self, name: str, arguments: dict[str, Any]) -> str:
        try:
            async with asyncio.timeout(self.spec.seconds):
                result = await self._session.call_tool(name, arguments)
        except TimeoutError:
            raise RuntimeError(f"{name} took longer than {self.spec.seconds:g} s") from None
        data = result.model_dump(by_alias=True, mode="json")
        parts = [
            part["text"] if part.get("type") == "text" else f"({part.get('type')})"
            for part in data.get("content") or ()
        ]
        text = "\n".join(parts)[:MOST_CHARACTERS]
        if data.get("isError"):
            raise RuntimeError(text or "the tool failed")
        return text or "done"

    def _work(self) -> None:
        try:
            asyncio.run(self._hold())
        except BaseException as error:
            self._error = self._error or _root(error)
        finally:
            self._session = None
            self._ready.set()

    async def _hold(self) -> None:
        from mcp import ClientSession, StdioServerParameters
        from mcp.client.stdio import stdio_client

        program, *rest = self.spec.command
        given = {name: os.path.expandvars(value) for name, value in self.spec.env}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        parameters = StdioServerParameters(
            command=program, args=rest, env={**kept, **given}, cwd=self.spec.folder or None
        )
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        with open(os.devnull, "w") as quiet:
            async with (
                stdio_client(parameters, errlog=quiet) as (reads, writes),
                ClientSession(reads, writes) as session,
            ):
                async with asyncio.timeout(self.spec.seconds):
                    await session.initialize()
                    found = await session.list_tools()
                self.tools = [t.model_dump(by_alias=True, mode="json") for t in found.tools]
                self._session = session
                self._ready.set()
                await self._stop.wait()

    def _end(self, thread: threading.Thread) -> None:
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(5)


def _root(error: BaseException) -> str:
    """The first real error in groups of groups, on one line."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())

"""The running event loop's sandbox for code of a model: made on first use, closed with the loop."""

from __future__ import annotations

import asyncio
import shutil
import weakref

from paragent.runtime.sandbox import Sandbox

_sandboxes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Sandbox] = (
    weakref.WeakKeyDictionary()
)


def sandbox() -> Sandbox:
    """The running loop's sandbox, shared by all who run code on it."""
    loop = asyncio.get_running_loop()
    if loop not in _sandboxes:
        _sandboxes[loop] = Sandbox()
    return _sandboxes[loop]


def cage_tags() -> frozenset[str]:
    """{"cage"} where code can be run on this machine: what a component that runs code requires."""
    return frozenset({"cage"} if shutil.which("bwrap") else ())


async def close_sandbox() -> None:
    """End the running loop's cages, if it has any."""
    found = _sandboxes.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.aclose()

"""One `openai` client per process, event loop, endpoint and key, shared by all who call there.

A client per request would cost 20 ms and a TLS context each. The shared one posts plain data, and
builds requests from the first one: address and headers never change, so only the body is new (the
client's own way takes a third of a call's processor time for them).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paragent.runtime.secrets import protect_logs

if TYPE_CHECKING:
    from openai import AsyncOpenAI

#: Attempts are timed by their callers (slow drips included), so this is only a last resort.
LAST_RESORT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client calls, and as whom."""

    base_url: str
    key: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass
class _Shared:
    client: AsyncOpenAI
    users: set[str] = field(default_factory=set)


_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Place, _Shared]] = (
    weakref.WeakKeyDictionary()
)


def client_of(place: Place, user: str) -> AsyncOpenAI:
    """The running loop's client for the place; `user` keeps it open until `leave`."""
    of_loop = _clients.setdefault(asyncio.get_running_loop(), {})
    if place not in of_loop:
        of_loop[place] = _Shared(_new(place))
    shared = of_loop[place]
    shared.users.add(user)
    return shared.client


async def leave(place: Place, user: str) -> None:
    """`user` is done there; the last one to leave closes the client."""
    of_loop = _clients.get(asyncio.get_running_loop(), {})
    shared = of_loop.get(place)
    if shared is None:
        return
    shared.users.discard(user)
    if not shared.users:
        del of_loop[place]
        await shared.client.close()


async def close_clients() -> None:
    """Close every client of the running loop."""
    for shared in _clients.pop(asyncio.get_running_loop(), {}).values():
        with contextlib.suppress(Exception):
            await shared.client.close()


def _new(place: Place) -> AsyncOpenAI:
    from openai import DefaultAioHttpClient

    protect_logs()
    client: AsyncOpenAI = _lean_client()(
        api_key=place.key,
        base_url=place.base_url,
        default_headers=dict(place.headers),
        max_retries=0,  # retries are ours: each needs its own turn and its own reservation
        timeout=LAST_RESORT_S,
        http_client=DefaultAioHttpClient(timeout=LAST_RESORT_S),
    )
    return client


@functools.cache
def _lean_client() -> type[AsyncOpenAI]:
    """AsyncOpenAI that builds every POST after the first from the first one's parts."""
    from openai import AsyncOpenAI

    class LeanClient(AsyncOpenAI):
        _parts: dict[str, tuple[Any, Any, Any, dict[str, Any]]]

        def _build_request(self, options: Any, *, retries_taken: int = 0) -> Any:
            data = options.json_data
            if options.method.lower() != "post" or not isinstance(data, Mapping):
                return super()._build_request(options, retries_taken=retries_taken)
            parts = self.__dict__.setdefault("_parts", {})
            if options.url not in parts:
                first = super()._build_request(options, retries_taken=retries_taken)
                varying = ("content-length", "idempotency-key")
                headers = type(first.headers)(
                    [(k, v) for k, v in first.headers.multi_items() if k.lower() not in varying]
                )
                parts[options.url] = (type(first), first.url, headers, dict(first.extensions))
            make, url, headers, extensions = parts[options.url]
            body = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode(
                "utf-8", "replace"
            )
            return make("POST", url, headers=headers, content=body, extensions=extensions)

    return LeanClient

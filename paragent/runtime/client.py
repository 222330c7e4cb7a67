"""One `openai` client per process, event loop, endpoint and key, shared by all who call there.

A client per request would cost 20 ms and a TLS context each. The shared one posts plain data, and
builds requests from the first one: address and headers never change, so only the body is new (the
client's own way to build and unpack them takes a quarter of a millisecond of processor time).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paragent.runtime.secrets import protect_logs

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CHAT = "/chat/completions"


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
    client: AsyncOpenAI = lean_client()(
        api_key=place.key,
        base_url=place.base_url,
        default_headers=dict(place.headers),
        max_retries=0,  # retries are ours: each needs its own turn and its own reservation
        timeout=None,  # attempts are timed by their callers, slow drips included
        http_client=DefaultAioHttpClient(timeout=None),
    )
    return client


@functools.cache
def lean_client() -> type[AsyncOpenAI]:
    """AsyncOpenAI that sends every chat after the first in the first one's clothes.

    The first goes the client's own way, which settles address, headers and key; later ones put
    their body into a copy of that request and hand it to the client's HTTP client. What comes back
    wrong is raised as the client's own exceptions.
    """
    from openai import APIConnectionError, APITimeoutError, AsyncOpenAI

    class LeanClient(AsyncOpenAI):
        _mould: Any = None

        async def post(self, path: str, *, cast_to: Any, body: Any = None, **options: Any) -> Any:
            if self._mould is None or path != CHAT or cast_to is not object or options:
                return await super().post(path, cast_to=cast_to, body=body, **options)
            return await self._send_plain(self._mould(body))

        async def _prepare_request(self, request: Any) -> None:
            """The client's hook before it sends; requests here are one URL's, but for the body."""
            if request.method == "POST" and request.url.path.endswith(CHAT):
                self._mould = _mould_of(request)

        async def _send_plain(self, request: Any) -> Any:
            try:
                response = await self._client.send(request)
            except Exception as error:
                names = {t.__name__ for t in type(error).__mro__}
                if "TimeoutException" in names:
                    raise APITimeoutError(request=request) from error
                if "RequestError" in names:
                    raise APIConnectionError(request=request) from error
                raise
            if response.is_success:
                return json.loads(response.content)
            raise self._make_status_error_from_response(response) from None

    return LeanClient


def _mould_of(first: Any) -> Callable[[Mapping[str, Any]], Any]:
    """Makes requests like the first, with bodies of their own."""
    varying = ("content-length", "idempotency-key", "x-stainless-")  # the last: facts about us
    make, url, extensions = type(first), first.url, dict(first.extensions)
    headers = type(first.headers)(
        [(k, v) for k, v in first.headers.multi_items() if not k.lower().startswith(varying)]
    )

    encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

    def request(body: Mapping[str, Any]) -> Any:
        content = encode(body).encode("utf-8", "replace")
        made = make("POST", url, headers=headers, content=content, extensions=extensions)
        made.headers.encoding = headers.encoding  # else guessed anew at every look-up
        return made

    return request

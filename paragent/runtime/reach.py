"""Whether endpoints answer at all, asked before anything is spent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from paragent.errors import CallFailure
from paragent.runtime.endpoint import EndpointModel
from paragent.runtime.models_file import ModelSpec, variables
from paragent.runtime.retry import UnsentFailure
from paragent.runtime.wire import failure_of


async def reachable(spec: ModelSpec, timeout_s: float = 3.0) -> bool | None:
    """Whether the endpoint answers `GET /models`; None where its key is not set."""
    try:
        return await _asked(spec, timeout_s) is None
    except CallFailure:
        return None


async def unreached(specs: Iterable[ModelSpec], timeout_s: float = 5.0) -> dict[str, str]:
    """Model -> why no line to its server comes about (connection refused, no such host).

    One question per server, at the same time. A server that answers anything, an error too, is
    there; so is, as far as can be known, one that is slow and one whose key is not set.
    """
    models = list(specs)
    servers = {spec.base_url: spec for spec in models}
    answers = await asyncio.gather(*(_line(spec, timeout_s) for spec in servers.values()))
    why = dict(zip(servers, answers, strict=True))
    return {spec.name: text for spec in models if (text := why[spec.base_url])}


async def obstacles(specs: Iterable[ModelSpec], timeout_s: float = 5.0) -> dict[str, str]:
    """Model -> what would keep its calls from being answered: no line to the server, silence, a
    key that is refused or not set; "" where one free question shows nothing of the kind.

    One question per server and key, at the same time.
    """
    models = list(specs)
    doors = {(spec.base_url, variables(spec)): spec for spec in models}
    answers = await asyncio.gather(*(_obstacle(spec, timeout_s) for spec in doors.values()))
    found = dict(zip(doors, answers, strict=True))
    return {spec.name: found[spec.base_url, variables(spec)] for spec in models}


async def _obstacle(spec: ModelSpec, timeout_s: float) -> str:
    try:
        error = await _asked(spec, timeout_s)
    except CallFailure as failure:  # its key is not set
        return failure.why
    if isinstance(error, TimeoutError):
        return f"{spec.endpoint} does not answer within {timeout_s:g} s"
    failed = None if error is None else failure_of(error, spec.name)
    if failed is None:
        return ""
    why = failed.why.removeprefix(f"{spec.name}: ").replace(" ssl:default", "")
    if failed.kind == "auth":
        held = ", ".join(variables(spec)) or "that is not set"
        return f"{spec.endpoint} refuses the key {held} ({why})"
    if failed.kind in ("connection", "timeout"):
        return f"no line to {spec.endpoint} ({why})"
    return f"{spec.endpoint} is out of order ({why})" if failed.kind == "server" else ""


async def _line(spec: ModelSpec, timeout_s: float) -> str:
    try:
        error = await _asked(spec, timeout_s)
    except CallFailure:
        return ""
    failure = None if error is None else failure_of(error, spec.name)
    if isinstance(failure, UnsentFailure) and failure.kind == "connection":
        return failure.why.removeprefix(f"{spec.name}: ").replace(" ssl:default", "")
    return ""


async def _asked(spec: ModelSpec, timeout_s: float) -> Exception | None:
    """What went wrong with `GET /models`, None for nothing. Raises CallFailure without a key."""
    model = EndpointModel(spec)
    client = model._client()
    try:
        async with asyncio.timeout(timeout_s):
            await client.get("/models", cast_to=object)
    except Exception as error:  # whatever it is, the caller judges it
        return error
    else:
        return None
    finally:
        await model.aclose()

"""What one node of a cluster has of what a run needs; sent to the node as it stands.

The node may lack Paragent itself: so only the standard library is imported at the top, and the
module travels by value. Keys arrive in the parcel and are never part of an answer.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import os
import platform
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def probe(
    parcel: bytes | None, models: Sequence[str], version: str, packages: Sequence[str]
) -> dict[str, Any]:
    """Facts of this node: `host`, `python`, `ray`, `packages`, `paragent` (None where missing).

    With a parcel of the same version also `code` (what keeps the run from starting here, or "")
    and `lines` (for each of `models`, what keeps its endpoint from answering, or "").
    """
    found: dict[str, Any] = {
        "host": socket.gethostname(),
        "executable": sys.executable,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "paragent": None,
    }
    try:
        found["paragent"] = importlib.import_module("paragent").__version__
    except Exception as error:  # missing, or broken in whatever way
        found["why"] = f"{type(error).__name__}: {error}"
        return found
    if parcel is None or found["paragent"] != version:
        return found
    try:
        ready: Any = importlib.import_module("paragent.cluster.parcel").unpack(parcel)
    except Exception as error:  # the user's code may raise whatever it likes
        ours = importlib.import_module("paragent.errors").ParagentError
        text = str(error) if isinstance(error, ours) else f"{type(error).__name__}: {error}"
        return {**found, "code": " ".join(text.split())[:300] or type(error).__name__}
    try:
        return {**found, "code": "", "lines": asyncio.run(_lines(models)) if models else {}}
    finally:
        ready.close()


async def _lines(models: Sequence[str]) -> Mapping[str, str]:
    specs = importlib.import_module("paragent.runtime.models_file").all_models()
    reach: Any = importlib.import_module("paragent.runtime.reach")
    answers: Mapping[str, str] = await reach.obstacles([specs[name] for name in models])
    return answers


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

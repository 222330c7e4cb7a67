"""Weight files: int8 rows with scales, addressed by SHA-256 in a JSON catalog.

A matrix is stored as int8 with one float32 scale per output row (embedding: per token), a vector
as float32.  ``catalog.json`` names every shipped file with its hash, shape and price.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paragent.pocket.arch import Shape

Floats = NDArray[np.float32]

USD_PER_MTOK_PER_MILLION_PARAMETERS = 0.02 / 0.15
"""Dollars per million tokens and million core parameters.

Compute per token is proportional to the core parameters, so price is too; the scale is set so
that a small model (0.15 M) costs 0.02 dollars per million tokens.  Nobody charges this: the table
exists so that designs have a real cost axis.
"""


@dataclass(frozen=True, slots=True)
class PocketInfo:
    """One shipped model; prices in US dollars per million tokens, ``file`` inside the package."""

    name: str
    parameters: int
    file: str
    sha256: str
    usd_per_mtok_in: float
    usd_per_mtok_out: float
    description: str


class WeightsError(ValueError):
    """A weight file is missing, damaged or not the one in the catalog."""


@functools.cache
def _entries() -> Mapping[str, Mapping[str, Any]]:
    text = (files("paragent.pocket") / "weights" / "catalog.json").read_text(encoding="utf-8")
    entries: Mapping[str, Mapping[str, Any]] = json.loads(text)
    return entries


@functools.cache
def catalog() -> Mapping[str, PocketInfo]:
    """Return the shipped models by name."""
    keys = PocketInfo.__dataclass_fields__
    return MappingProxyType(
        {name: PocketInfo(**{k: e[k] for k in keys}) for name, e in _entries().items()}
    )


def price(shape: Shape) -> float:
    """Return the price of a shape in dollars per million tokens, to three digits."""
    return round(USD_PER_MTOK_PER_MILLION_PARAMETERS * shape.core_parameters / 1e6, 3)


def pack(weights: Mapping[str, Floats]) -> bytes:
    """Return the file content of fp32 weights (matrices are rounded to int8)."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in weights.items():
        if value.ndim == 1 or name.endswith("conv"):
            arrays[name] = value.astype(np.float32)
            continue
        # A matrix is [input, output] and used as x @ w, so an output is a column; the embedding
        # is [token, width] and an output of the tied last layer is a row.
        axis = 1 if name == "embedding" else 0
        scale = np.maximum(np.abs(value).max(axis=axis, keepdims=True), 1e-12) / 127.0
        arrays[name] = np.rint(value / scale).astype(np.int8)
        arrays[name + ":scale"] = scale.astype(np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, Floats]:
    """Return the fp32 weights of a file made by ``pack``."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return {
        name: np.ascontiguousarray(
            value.astype(np.float32) * arrays[name + ":scale"] if value.dtype == np.int8 else value,
            dtype=np.float32,
        )
        for name, value in arrays.items()
        if not name.endswith(":scale")
    }


def read(name: str) -> tuple[Shape, dict[str, Floats]]:
    """Return shape and weights of a shipped model, after checking its hash."""
    info, entry = catalog()[name], _entries()[name]
    path = files("paragent.pocket") / "weights" / info.file
    if not path.is_file():
        raise WeightsError(f"weights of {name} are missing: {path}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != info.sha256:
        raise WeightsError(
            f"weights of {name} do not match the catalog: {path} has sha256 {found}, "
            f"expected {info.sha256}; reinstall the package"
        )
    shape, weights = Shape(**entry["shape"]), unpack(content)
    sizes = {key: value.shape for key, value in weights.items()}
    if sizes != shape.matrices():
        raise WeightsError(f"weights of {name} do not have the catalog's shape: {path}")
    return shape, weights

"""`models.yaml`: which endpoint models there are, where they answer, what they cost.

    endpoints:
      here: {base_url: "http://localhost:8000/v1", limits: {concurrency: 64}}
    models:
      my-model:
        endpoint: here                 # or base_url and api_key_env of its own
        model: org/my-model-8b         # the id at the server; the name where left out
        usd_per_mtok: {in: 0.05, cached: null, out: 0.08}   # null is unknown, not free
        prices_as_of: "2025-08"
        context: 32768
        provides: [instruct, tools]    # of instruct, judge, code, tools; default: all

A model takes what its endpoint says and may say otherwise. The starter table beside this module is
read first; then the user's file, whose models replace those of the same name: `$PARAGENT_MODELS`,
else `models.yaml` in the working folder, else `~/.config/paragent/models.yaml`. A key never stands
in the file: `api_key_env` names the environment variable, and a header may be `${VARIABLE}`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from paragent.component import MODEL_TAGS, Component, Price
from paragent.errors import ConfigError, UsageError, nearest
from paragent.registry import components
from paragent.runtime.limits import Limits
from paragent.yaml_file import Document, Step, parse

STARTER = Path(__file__).with_name("models.yaml")

_COMMON = ("base_url", "api_key_env", "limits", "headers", "timeout_s", "tools", "logprobs")
_MODEL = (
    *(*_COMMON, "endpoint", "model", "usd_per_mtok", "prices_as_of", "context", "summary"),
    "provides",
)
#: What a model may be said to give; log-probabilities have a key of their own.
_TAGS = tuple(tag for tag in MODEL_TAGS if tag != "logprobs")
_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FROM_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_HEADER = re.compile(r"authorization|api[-_]?key|token|secret|cookie", re.IGNORECASE)


@dataclass(frozen=True)
class ModelSpec:
    """One endpoint model. `context` is in tokens (None: unknown), `timeout_s` per attempt."""

    name: str
    base_url: str
    model: str = ""
    api_key_env: str = ""
    price: Price = Price()
    prices_as_of: str = ""
    context: int | None = None
    limits: Limits = Limits()
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    timeout_s: float = 120.0
    tools: Literal["native", "text"] = "native"
    logprobs: bool = True
    summary: str = ""
    provides: tuple[str, ...] = _TAGS  # see `paragent.component.MODEL_TAGS`

    @property
    def model_id(self) -> str:
        """What the server calls it."""
        return self.model or self.name

    @property
    def endpoint(self) -> str:
        """The base URL without credentials or query: safe to show and to store."""
        url = urlsplit(self.base_url)
        host = url.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        place = host if url.port is None else f"{host}:{url.port}"
        return urlunsplit((url.scheme, place, url.path.rstrip("/"), "", ""))


def read_models(text: str, source: str) -> dict[str, ModelSpec]:
    """The models of one file, by name. Raises ConfigError with line and column."""
    document = parse(text, source)
    if document.data is None:
        return {}
    top = _mapping(document, (), document.data, ("endpoints", "models"))
    endpoints: dict[str, Mapping[str, Any]] = {}
    for name, body in _mapping(document, ("endpoints",), top.get("endpoints") or {}).items():
        endpoints[str(name)] = _mapping(document, ("endpoints", name), body, _COMMON)
        _common(document, ("endpoints", name), endpoints[str(name)])
    models = _mapping(document, ("models",), top.get("models") or {})
    return {
        str(name): _model(document, str(name), ("models", name), body, endpoints)
        for name, body in models.items()
    }


def user_file() -> Path | None:
    """The user's models.yaml, or None. Raises ConfigError where $PARAGENT_MODELS is no file."""
    given = os.environ.get("PARAGENT_MODELS")
    if given:
        if not Path(given).is_file():
            raise ConfigError(f"PARAGENT_MODELS names {given!r}, which is no file")
        return Path(given)
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    for path in (Path("models.yaml"), Path(home).expanduser() / "paragent" / "models.yaml"):
        if path.is_file():
            return path
    return None


def all_models(path: Path | None = None) -> dict[str, ModelSpec]:
    """The starter table, overlaid by `path` (default: the user's file), by name."""
    models = _read(STARTER)
    path = path or user_file()
    if path is not None:
        models |= _read(path)
    return models


def register_models(path: Path | None = None) -> tuple[Component, ...]:
    """Put every endpoint model into the registry, and return their components, sorted by name.

    Registering again replaces. Raises ConfigError for a name that another kind of model has.
    """
    found = []
    for name, spec in sorted(all_models(path).items()):
        if name in components and components[name].paper != _SOURCE:
            raise ConfigError(f"models.yaml: the name {name!r} is taken by a built-in component")
        found.append(components.register(component(spec), replace=True))
    return tuple(found)


_SOURCE = "models.yaml"


def component(spec: ModelSpec) -> Component:
    """The spec as a component of kind "model"."""
    return Component(
        name=spec.name,
        kind="model",
        summary=spec.summary or f"{spec.model_id} at {spec.endpoint}",
        build=partial(_build, spec),
        price=spec.price,
        calls=lambda params, inner: 1,
        provides=(*spec.provides, "logprobs") if spec.logprobs else spec.provides,
        paper=_SOURCE,
        version=f"{spec.model_id}@{spec.endpoint}",
    )


def _build(spec: ModelSpec) -> object:
    from paragent.runtime.endpoint import EndpointModel  # the client takes 0.4 s to import

    return EndpointModel(spec)


def expand(value: str) -> tuple[str, tuple[str, ...]]:
    """A header's value with `${VARIABLE}` filled in, and the variables that are not set."""
    missing = tuple(v for v in _FROM_ENVIRONMENT.findall(value) if not os.environ.get(v))
    return _FROM_ENVIRONMENT.sub(lambda m: os.environ.get(m[1], ""), value), missing


def variables(spec: ModelSpec) -> tuple[str, ...]:
    """Names of the environment variables that hold the model's secrets."""
    found = [spec.api_key_env] if spec.api_key_env else []
    for value in spec.headers.values():
        found += _FROM_ENVIRONMENT.findall(value)
    return tuple(dict.fromkeys(found))


def require_keys(specs: Sequence[ModelSpec]) -> None:
    """Raises UsageError, before a run, naming the variables that are not set."""
    for spec in specs:
        for variable in variables(spec):
            if not os.environ.get(variable):
                raise UsageError(
                    f"model {spec.name!r} needs its key in the environment variable {variable}, "
                    "which is not set"
                )


def _read(path: Path) -> dict[str, ModelSpec]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start + 1} is no UTF-8 text") from None
    return read_models(text, "models.yaml (shipped)" if path == STARTER else str(path))


def _mapping(
    document: Document, path: Sequence[Step], value: Any, known: Sequence[str] = ()
) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        document.fail(path, f"got {value!r}; wanted a mapping")
    for key in value:
        if known and key not in known:
            near = nearest(str(key), known)
            hint = f". Did you mean {near!r}?" if near else f". Known: {', '.join(known)}"
            document.fail((*path, key), f"unknown key {key!r}{hint}")
    return value


def _model(
    document: Document,
    name: str,
    path: tuple[Step, ...],
    body: Any,
    endpoints: Mapping[str, Mapping[str, Any]],
) -> ModelSpec:
    body = _mapping(document, path, body, _MODEL)
    shared: Mapping[str, Any] = {}
    if body.get("endpoint") is not None:
        where = str(body["endpoint"])
        if where not in endpoints:
            near = nearest(where, endpoints)
            document.fail(
                (*path, "endpoint"),
                f"no endpoint is called {where!r}" + (f". Did you mean {near!r}?" if near else ""),
            )
        shared = _common(document, ("endpoints", where), endpoints[where])
    merged = {**shared, **_common(document, path, body)}
    if "base_url" not in merged:
        document.fail(path, f"model {name!r} needs a base_url, or an endpoint that has one")
    return ModelSpec(
        name=name,
        model=_text(document, (*path, "model"), body.get("model")),
        price=_price(document, (*path, "usd_per_mtok"), body.get("usd_per_mtok")),
        prices_as_of=str(body.get("prices_as_of") or ""),
        context=_whole(document, (*path, "context"), body.get("context")),
        summary=_text(document, (*path, "summary"), body.get("summary")),
        provides=_tags(document, (*path, "provides"), body.get("provides")),
        **merged,
    )


def _common(document: Document, path: tuple[Step, ...], body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that endpoints and models share, checked; those given only."""
    found: dict[str, Any] = {}
    if body.get("base_url") is not None:
        url = _text(document, (*path, "base_url"), body["base_url"])
        found["base_url"] = _checked_url(document, (*path, "base_url"), url)
    if body.get("api_key_env") is not None:
        variable = _text(document, (*path, "api_key_env"), body["api_key_env"])
        if variable and (not _VARIABLE.fullmatch(variable) or variable.startswith("sk_")):
            document.fail(
                (*path, "api_key_env"),
                "wanted the name of an environment variable (never put a key into a file)",
            )
        found["api_key_env"] = variable
    if body.get("limits") is not None:
        limits = _mapping(document, (*path, "limits"), body["limits"], _LIMITS)
        try:
            found["limits"] = Limits(**{str(k): v for k, v in limits.items()})
        except UsageError as error:
            document.fail((*path, "limits"), str(error))
    if body.get("headers") is not None:
        headers = _mapping(document, (*path, "headers"), body["headers"])
        for name, value in headers.items():
            if _SECRET_HEADER.search(str(name)) and not _FROM_ENVIRONMENT.search(str(value)):
                document.fail(
                    (*path, "headers", name),
                    f"{name} looks like a secret; write ${{VARIABLE}} and set the variable",
                )
        found["headers"] = {str(k): str(v) for k, v in headers.items()}
    if body.get("timeout_s") is not None:
        found["timeout_s"] = _positive(document, (*path, "timeout_s"), body["timeout_s"])
    if body.get("tools") is not None:
        if body["tools"] not in ("native", "text"):
            document.fail((*path, "tools"), f"got {body['tools']!r}; wanted native or text")
        found["tools"] = body["tools"]
    if body.get("logprobs") is not None:
        if not isinstance(body["logprobs"], bool):
            document.fail((*path, "logprobs"), f"got {body['logprobs']!r}; wanted true or false")
        found["logprobs"] = body["logprobs"]
    return found


def _checked_url(document: Document, path: Sequence[Step], url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError as error:
        document.fail(path, f"this is no URL: {error}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        document.fail(path, f"got {parts.scheme or 'no scheme'!s}; wanted http(s)://host[:port]/…")
    if parts.username or parts.password:
        document.fail(path, "no user or password in a URL; use api_key_env")
    return url.rstrip("/")


def _price(document: Document, path: tuple[Step, ...], value: Any) -> Price:
    if value is None:
        return Price()
    body = _mapping(document, path, value, ("in", "cached", "out"))
    amounts: dict[str, float | None] = {}
    for key in ("in", "cached", "out"):
        amount = body.get(key)
        number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if amount is not None and not (number and math.isfinite(amount) and amount >= 0):
            document.fail((*path, key), f"got {amount!r}; wanted dollars per million or null")
        amounts[key] = None if amount is None else float(amount)
    return Price(amounts["in"], amounts["out"], amounts["cached"])


def _text(document: Document, path: Sequence[Step], value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        document.fail(path, f"got {value!r}; wanted a text (put it in quotes)")
    return value


def _tags(document: Document, path: Sequence[Step], value: Any) -> tuple[str, ...]:
    if value is None:
        return _TAGS
    if not isinstance(value, list):
        document.fail(path, f"got {value!r}; wanted a list of {', '.join(_TAGS)}")
    for i, tag in enumerate(value):
        if tag not in _TAGS:
            near = nearest(str(tag), _TAGS)
            hint = f". Did you mean {near!r}?" if near else f". Known: {', '.join(_TAGS)}"
            document.fail((*path, i), f"no ability is called {tag!r}{hint}")
    return tuple(tag for tag in _TAGS if tag in value)


def _whole(document: Document, path: Sequence[Step], value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        document.fail(path, f"got {value!r}; wanted a whole number above 0")
    return value


def _positive(document: Document, path: Sequence[Step], value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        document.fail(path, f"got {value!r}; wanted a number above 0")
    return float(value)

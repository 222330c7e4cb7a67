"""A search's settings as a YAML file: the same keys as the flags, each mistake with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paragent.errors import ConfigError, UsageError, nearest

if TYPE_CHECKING:
    from paragent.yaml_file import Document


def names(text: str) -> list[str]:
    """`a,b` as ["a", "b"]."""
    return [part.strip() for part in text.split(",") if part.strip()]


#: Every setting of a search that has a flag, and how its text is read.
SETTINGS: Mapping[str, Callable[[str], Any]] = {
    "benchmark": str,
    "searcher": str,
    "models": names,
    "evals": int,
    "tasks": int,
    "confirm": int,
    "test_tasks": int,
    "finalists": int,
    "seed": int,
    "parallel": int,
    "cost": str,
    "usd": float,
    "tokens": int,
    "calls": int,
    "minutes": float,
    "final_share": float,
    "include": names,
    "exclude": names,
    "max_depth": int,
    "max_members": int,
    "max_calls_per_task": int,
    "max_tools": int,
    "subagents": names,
    "failure_limit": float,
    "data": str,
    "input": str,
    "answer": str,
    "scorer": str,
    "judge": str,
    "warm_start": str,
    "share": str,
    "proposer": str,
}

#: Keys of a file that have no flag of their own name, or are no setting of the run.
_MORE = ("prune", "race", "options", "benchmark_options", "prompts", "tools", "mcp", "out",
         "address", "workers")  # fmt: skip
#: Sections that `paragent.inventory` reads.
SECTIONS = ("tools", "mcp", "subagents")
_LISTS = ("models", "include", "exclude")
_TEXTS = ("benchmark", "searcher", "cost", "out", "data", "input", "answer", "scorer", "judge",
          "warm_start", "share", "proposer", "address")  # fmt: skip


def read_spec(path: Path) -> dict[str, Any]:
    """The settings in the file (and `out`, `address`, `workers`, where given). Raises ConfigError
    with line and column.

    `test-tasks` and `test_tasks` are the same key; `models` may be a list or `a,b`.
    """
    from paragent.cluster.hire import check_where
    from paragent.config import RunConfig
    from paragent.parts import templates
    from paragent.template import misshapen, mistaken
    from paragent.yaml_file import parse

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start + 1} is no UTF-8 text") from None
    document = parse(text, str(path))
    if document.data is None:
        return {}
    if not isinstance(document.data, Mapping):
        document.fail((), f"got {document.data!r}; wanted a mapping of settings")
    known = [*SETTINGS, *_MORE]
    found: dict[str, Any] = {}
    for key, value in document.data.items():
        place = (key,)
        name = str(key).replace("-", "_")
        if name not in known:
            near = nearest(name, known)
            hint = f". Did you mean {near!r}?" if near else f". Known: {', '.join(known)}"
            document.fail(place, f"no setting is called {str(key)!r}{hint}")
        if name in found:
            document.fail(place, f"{name!r} is given twice")
        if name in SECTIONS:  # read together, below
            found[name] = value
            continue
        if name in _LISTS:
            value = names(value) if isinstance(value, str) else value
            if value is not None and not (
                isinstance(value, list) and all(isinstance(item, str) for item in value)
            ):
                document.fail(place, f"{name} is {value!r}; wanted a list of names")
        elif name in _TEXTS and not isinstance(value, str):
            document.fail(place, f"{name} is {value!r}; wanted a text")
        elif name in ("options", "benchmark_options") and not isinstance(value, Mapping):
            document.fail(place, f"{name} is {value!r}; wanted a mapping")
        elif name == "prompts":
            wrong = misshapen(value) or mistaken(value, templates())
            if wrong:
                document.fail((key, *wrong[0]), wrong[1])
        try:
            if name in ("address", "workers"):
                check_where(
                    value if name == "address" else "auto", value if name == "workers" else None
                )
            elif name != "out":
                RunConfig.from_data({name: value})
        except UsageError as error:
            document.fail(place, str(error))
        found[name] = value
    _read_inventory(document, path, found)
    return found


def _read_inventory(document: Document, path: Path, found: dict[str, Any]) -> None:
    """Put the file's tools, servers and sub-agents into the registry and the settings."""
    sections = {name: found.pop(name) for name in SECTIONS if name in found}
    if not sections:
        return
    from paragent.inventory import register_inventory
    from paragent.runtime.models_file import register_models

    register_models()  # a sub-agent's model must not be mistaken for a free name
    found["subagents"] = list(register_inventory(sections, path.parent, document.fail))
    if isinstance(sections.get("subagents"), str | list):
        del sections["subagents"]  # names alone define nothing
    if sections:
        found["inventory"] = {**sections, "folder": str(path.parent.resolve())}


def key_names(settings: Mapping[str, Any]) -> list[str]:
    """Names of the variables whose keys the settings' models need, in the order of the models."""
    from paragent.runtime.models_file import all_models, variables

    used = [*(settings.get("models") or ()), settings.get("judge")]
    specs = all_models() if any(used) else {}
    return list(dict.fromkeys(v for n in used if n in specs for v in variables(specs[n])))

"""Prompts as named templates that stand beside the code, and what a user puts in their place.

A component holds its texts as `Prompt` objects and lists them in `Component.prompts`; calling one
gives its text with the places filled in. A user's texts travel with the design (`Design.prompts`),
so that they hold wherever it is run, and are in force while the design answers (`in_force`).

Places are written `{name}`. `{tools}` is filled in by the chat. What is filled in is never read for
places again, so a question with braces stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from paragent.errors import nearest

_PLACE = re.compile(r"\{([a-z][a-z_]*)\}")

#: Texts by full name of the template, of the design that is answering.
_given: ContextVar[Mapping[str, str] | None] = ContextVar("given_prompts", default=None)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template. `name` is `component.part`; `text` what stands where a user says nothing else."""

    name: str
    text: str

    @property
    def places(self) -> tuple[str, ...]:
        """The names in braces, each once, in order."""
        return places_of(self.text)

    def __call__(self, **values: object) -> str:
        """The text in force with the given places filled in; others stay as they are."""
        text = (_given.get() or {}).get(self.name, self.text)
        return _PLACE.sub(lambda m: str(values[m[1]]) if m[1] in values else m[0], text)


def places_of(text: str) -> tuple[str, ...]:
    """The places of a text, each once, in order."""
    return tuple(dict.fromkeys(_PLACE.findall(text)))


@contextmanager
def in_force(given: Iterable[tuple[str, str]]) -> Iterator[None]:
    """These texts, and no others, stand for the templates of their names (in this task alone)."""
    token = _given.set(dict(given))
    try:
        yield
    finally:
        _given.reset(token)


def flat(data: Mapping[str, Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    """`{component: {part: text}}` as sorted pairs of full name and text."""
    pairs = ((f"{c}.{p}", text) for c, parts in data.items() for p, text in parts.items())
    return tuple(sorted(pairs))


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, str]]:
    """The inverse of `flat`."""
    found: dict[str, dict[str, str]] = {}
    for name, text in pairs:
        component, _, part = name.partition(".")
        found.setdefault(component, {})[part] = text
    return found


def misshapen(data: Any) -> tuple[tuple[str, ...], str] | None:
    """Where data is not `{component: {part: text}}`: the path of the first mistake, and why."""
    if not isinstance(data, Mapping):
        return (), f"got {data!r}; wanted names of components, each with its templates"
    for component, parts in data.items():
        if not isinstance(parts, Mapping) or not isinstance(component, str):
            return (str(component),), f"got {parts!r}; wanted names of templates with their texts"
        for part, text in parts.items():
            if not isinstance(text, str) or not isinstance(part, str) or not text.strip():
                return (component, str(part)), f"got {text!r}; wanted a text"
    return None


def mistaken(
    data: Mapping[str, Mapping[str, str]], known: Mapping[str, Iterable[Prompt]]
) -> tuple[tuple[str, ...], str] | None:
    """Where data names no template of `known` (component to templates) or breaks one's places:
    the path of the first mistake, and why, with the nearest right name."""
    for component, parts in data.items():
        if component not in known:
            return (component,), _unknown("component with templates", component, known)
        templates = {p.name.partition(".")[2]: p for p in known[component]}
        for part, text in parts.items():
            if part not in templates:
                return (component, part), _unknown(f"template of {component}", part, templates)
            wanted, found = templates[part].places, places_of(text)
            for place in found:
                if place not in wanted:
                    return (component, part), _unknown("place", place, wanted, "{%s}")
            missing = [f"{{{place}}}" for place in wanted if place not in found]
            if missing:
                return (component, part), f"the text leaves out {', '.join(missing)}"
    return None


def _unknown(kind: str, name: str, known: Iterable[str], form: str = "%s") -> str:
    near = nearest(name, known)
    if near:
        hint = f". Did you mean {form % near!r}?"
    else:
        names = [form % k for k in sorted(known)]
        hint = f". Known: {', '.join(names)}" if names else "; it has none"
    return f"no {kind} is called {form % name!r}{hint}"

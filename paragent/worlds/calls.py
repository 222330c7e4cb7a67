"""Function calls as text: read from what a model wrote, and compared with what is allowed.

Calls are written as Python, `[weather(city="Rome", days=3), news.top()]`, or as JSON, a list of
`{"name": …, "arguments": {…}}` or of `{name: {…}}`. Nothing of them is ever run.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paragent.python_text import expression

#: Longer texts are no calls; it also bounds the time that reading takes.
MAX_TEXT = 20_000


@dataclass(frozen=True)
class Call:
    """One call: its function, and arguments with or without names."""

    name: str
    named: Mapping[str, Any] = field(default_factory=dict)
    unnamed: tuple[Any, ...] = ()

    def arguments(self, parameters: Sequence[str]) -> dict[str, Any] | None:
        """All arguments by name, those without one in the order of the parameters; None where
        there are too many, or one twice."""
        first = dict(zip(parameters, self.unnamed, strict=False))
        if len(self.unnamed) > len(parameters) or first.keys() & self.named.keys():
            return None
        return {**first, **self.named}


def read_calls(text: str) -> list[Call] | None:
    """The calls of a text, or None where it holds none that can be read.

    They are looked for in the whole text, after its last "Answer:", in its last code block, and
    from each line that begins with "[" to the end.
    """
    if len(text) > MAX_TEXT:
        return None
    tries = [text]
    if "Answer:" in text:
        tries.append(text.rpartition("Answer:")[2])
    if text.count("```") >= 2:
        tries.append(text.split("```")[-2].removeprefix("python").removeprefix("json"))
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.lstrip().startswith("[")]
    tries += ["\n".join(lines[i:]) for i in starts[-5:]]
    tries += [lines[i] for i in starts[-5:]]
    for attempt in tries:
        cleaned = attempt.strip().strip("`").strip()
        for read in (_from_json, _from_python):
            found = read(cleaned)
            if found is not None:
                return found
    return None


def _from_json(text: str) -> list[Call] | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = []
    for item in data if isinstance(data, list) else [data]:
        if not isinstance(item, dict) or not item:
            return None
        if isinstance(item.get("name"), str):
            name, arguments = item["name"], item.get("arguments", item.get("parameters", {}))
        elif len(item) == 1:
            ((name, arguments),) = item.items()
        else:
            return None
        if not isinstance(arguments, dict):
            return None
        found.append(Call(name, arguments))
    return found


def _from_python(text: str) -> list[Call] | None:
    try:
        tree = expression(text)
        items = tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]
        return [_call(item) for item in items]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _call(node: ast.expr) -> Call:
    if not isinstance(node, ast.Call) or any(k.arg is None for k in node.keywords):
        raise ValueError("no call")
    named = {k.arg: _value(k.value) for k in node.keywords if k.arg is not None}
    return Call(_name(node.func), named, tuple(_value(a) for a in node.args))


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    raise ValueError("no name")


def _value(node: ast.expr) -> Any:
    """A literal; JSON's true, false and null count, and words without quotes are texts."""
    if isinstance(node, ast.Name):
        return {"true": True, "false": False, "null": None}.get(node.id, node.id)
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        keys = [_value(key) if key is not None else None for key in node.keys]
        if not all(isinstance(key, str) for key in keys):
            raise ValueError("no literal")
        return dict(zip(keys, map(_value, node.values), strict=True))
    return ast.literal_eval(node)


# -- comparison ------------------------------------------------------------------------------------

#: A call that is right: its function, and for each argument the values that are. "" among them
#: means that the argument may be left out.
Allowed = Mapping[str, Mapping[str, Sequence[Any]]]


def matches(
    calls: Sequence[Call], allowed: Sequence[Allowed], functions: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Whether the calls are the allowed ones, one for one, in any order.

    `functions` are the schemas of the parameters by function (`properties`, `required`).
    """
    if len(calls) != len(allowed):
        return False
    left = list(calls)
    for wanted in allowed:  # no call fits two that differ, so the first that fits will do
        fitting = next((c for c in left if fits(c, wanted, functions)), None)
        if fitting is None:
            return False
        left.remove(fitting)
    return True


def fits(call: Call, wanted: Allowed, functions: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether one call is as wanted: the function, all that is required, nothing that is wrong."""
    ((name, values),) = wanted.items()
    schema = functions.get(name, {})
    if call.name != name:
        return False
    given = call.arguments(list(schema.get("properties", values)))
    if given is None or any(key not in values for key in given):
        return False
    missing = [key for key in values if key not in given]
    required = set(schema.get("required", ()))
    if any(key in required or "" not in (values[key] or [""]) for key in missing):
        return False  # an argument without any allowed value is one to leave out
    return all(any(same(v, a) for a in values[key]) for key, v in given.items())


def same(given: Any, allowed: Any) -> bool:
    """Whether a value is the allowed one: texts without case, blanks and punctuation, whole numbers
    as their floats; in objects, each key has a list of allowed values."""
    if isinstance(allowed, str) or isinstance(given, str):
        both = isinstance(allowed, str) and isinstance(given, str)
        return both and _plain(given) == _plain(allowed)
    if isinstance(allowed, bool) or isinstance(given, bool):
        return given is allowed
    if isinstance(allowed, Mapping):
        if not isinstance(given, Mapping) or any(key not in allowed for key in given):
            return False
        for key, values in allowed.items():
            choices = values if isinstance(values, list) else [values]
            if key not in given and "" not in choices:
                return False
            if key in given and not any(same(given[key], choice) for choice in choices):
                return False
        return True
    if isinstance(allowed, list | tuple):
        alike = isinstance(given, list | tuple) and len(given) == len(allowed)
        return alike and all(same(g, a) for g, a in zip(given, allowed, strict=True))
    return type(given) in (int, float, type(None)) and given == allowed


def _plain(text: str) -> str:
    return "".join(c for c in text.lower().replace("'", '"') if c not in " \t\n,./-_*^")

"""Registries: one door, no doubles, nearest names."""

from __future__ import annotations

import subprocess
import sys

import pytest

import paragent
from paragent.component import Component
from paragent.errors import ParagentError, UnknownName
from paragent.registry import benchmarks, component_of, components, searchers


def test_built_ins_are_found_by_their_files() -> None:
    """A few names of each kind, and sorted iteration."""
    assert {"direct", "chain_of_thought", "vote", "calculator", "lookup"} <= set(components.names())
    assert "pocket" in benchmarks
    assert "random" in searchers
    assert list(components.names()) == sorted(c.name for c in components)


def test_unknown_names_offer_the_nearest() -> None:
    """A misspelt name of the right kind; a name of another kind is not offered."""
    with pytest.raises(UnknownName, match=r"called 'poket'\. Did you mean 'pocket'"):
        benchmarks["poket"]
    with pytest.raises(UnknownName, match="Did you mean 'chain_of_thought'"):
        component_of("reasoning", "chain_of_though")
    with pytest.raises(UnknownName, match=r"team\.topology: no topology is called 'direct'"):
        component_of("topology", "direct", "team.topology")


def test_a_name_taken_twice_is_refused_unless_asked_for() -> None:
    """The second registration says so; `replace=True` and `unregister` undo it."""
    first = Component("toy_for_test", "reasoning", "one", build=lambda: None)
    second = Component("toy_for_test", "reasoning", "two", build=lambda: None)
    paragent.register(first)
    try:
        with pytest.raises(ParagentError, match="two components are called 'toy_for_test'"):
            paragent.register(second)
        paragent.register(second, replace=True)
        assert components["toy_for_test"].summary == "two"
    finally:
        components.unregister("toy_for_test")
    assert "toy_for_test" not in components


def test_what_is_registered_inside_kept_is_undone() -> None:
    """New, replaced and removed plug-ins: all as before at the end, also after an error."""
    before = {c.name: c for c in components}
    with pytest.raises(RuntimeError), components.kept():
        components.register(Component("toy_for_test", "reasoning", "one", build=lambda: None))
        components.register(
            Component("direct", "reasoning", "two", build=lambda: None), replace=True
        )
        components.unregister("chain_of_thought")
        assert components["direct"].summary == "two" and "chain_of_thought" not in components
        raise RuntimeError
    assert {c.name: c for c in components} == before
    assert "direct" not in {c.name for c in components.added()}


def test_a_component_of_an_unknown_kind_is_refused() -> None:
    """The kinds are fixed."""
    with pytest.raises(ValueError, match="kind 'magic'"):
        Component("x", "magic", "y", build=lambda: None)  # type: ignore[arg-type]


def test_a_built_in_can_be_replaced_before_anything_is_loaded() -> None:
    """The registry loads first, so that the built-in does not find its name taken later."""
    code = (
        "import paragent\n"
        "from paragent.component import Component\n"
        "from paragent.registry import components\n"
        "mine = Component('direct', 'reasoning', 'mine', build=lambda: None)\n"
        "paragent.register(mine, replace=True)\n"
        "assert components['direct'] is mine\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

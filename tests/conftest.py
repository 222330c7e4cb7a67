"""Shared fixtures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # so that tests find `scripted`

from scripted import Script, ScriptedModel, model_component

from paragent.registry import benchmarks, components, searchers


@pytest.fixture(autouse=True)
def _no_user_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither read nor write the user's own cache of answers."""
    monkeypatch.setenv("PARAGENT_CACHE", "off")


@pytest.fixture(autouse=True)
def _no_plugin_left() -> Iterator[None]:
    """A test leaves no component, searcher or benchmark behind for the next one."""
    with components.kept(), searchers.kept(), benchmarks.kept():
        yield


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedModel]]:
    """Registers scripted models for one test: `scripted(script, name="a")`."""
    names: list[str] = []

    def make(script: Script, name: str = "scripted", **options: object) -> ScriptedModel:
        model = ScriptedModel(script, name, **options)  # type: ignore[arg-type]
        components.register(model_component(model))
        names.append(name)
        return model

    yield make
    for name in names:
        components.unregister(name)

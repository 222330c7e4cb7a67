"""Every registered component and benchmark passes the shipped suites."""

from __future__ import annotations

import pytest

from paragent.component import Component
from paragent.registry import BenchmarkPlugin, benchmarks, components
from paragent.testing import BenchmarkConformance, ComponentConformance


@pytest.mark.parametrize("component", list(components), ids=lambda c: c.name)
class TestEveryComponent(ComponentConformance):
    """The shipped suite, over the registry."""

    @pytest.fixture(autouse=True)
    def _component(self, component: Component) -> None:
        self.component = component


@pytest.mark.parametrize("plugin", list(benchmarks), ids=lambda p: p.name)
class TestEveryBenchmark(BenchmarkConformance):
    """The shipped suite, over the registry."""

    @pytest.fixture(autouse=True)
    def _plugin(self, plugin: BenchmarkPlugin) -> None:
        self.plugin = plugin

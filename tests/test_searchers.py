"""Every registered searcher passes the conformance suite; Optuna's and MCTS's own rules."""

from __future__ import annotations

import pytest

from paragent.registry import SearcherPlugin, searchers
from paragent.testing import SearcherConformance


@pytest.mark.parametrize("plugin", list(searchers), ids=lambda p: p.name)
class TestEverySearcher(SearcherConformance):
    """The shipped suite, over the registry."""

    @pytest.fixture(autouse=True)
    def _plugin(self, plugin: SearcherPlugin) -> None:
        self.plugin = plugin

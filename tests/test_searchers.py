"""Every registered searcher passes the conformance suite; Optuna's and MCTS's own rules."""

from __future__ import annotations

import math

import pytest

from paragent.registry import SearcherPlugin, searchers
from paragent.search.mcts import Mcts, Stats, Weighting, mixed_probabilities, show_tree, ucb
from paragent.testing import SearcherConformance, drive, toy_space


@pytest.mark.parametrize("plugin", list(searchers), ids=lambda p: p.name)
class TestEverySearcher(SearcherConformance):
    """The shipped suite, over the registry."""

    @pytest.fixture(autouse=True)
    def _plugin(self, plugin: SearcherPlugin) -> None:
        self.plugin = plugin


HALF = Weighting(0.5, -6.0, -4.0)


def test_a_weighting_mixes_score_and_cheapness() -> None:
    """Score 0.8 at the middle of two decades: 0.5 * 0.8 + 0.5 * 0.5."""
    assert HALF.value(0.8, -5.0) == pytest.approx(0.65)
    assert Weighting(1.0, -5.0, -5.0).value(0.8, -5.0) == 0.8, "one cost only: no division by zero"


def test_ucb_on_hand_worked_values() -> None:
    """Mean value 0.65 of two measured, 3 visits of 10: 0.65 + 0.5 sqrt(ln 10 / 3)."""
    stats = Stats(visits=3, measured=2, score=1.6, log_cost=-10.0)
    assert ucb(stats, 10, HALF, 0.5) == pytest.approx(0.65 + 0.5 * math.sqrt(math.log(10) / 3))
    assert ucb(Stats(), 10, HALF, 0.5) == math.inf, "unvisited children come first"
    assert ucb(Stats(visits=1), 10, HALF, 0.5) == pytest.approx(0.5 * math.sqrt(math.log(10)))


def test_the_mixed_rule_works_in_percent() -> None:
    """Scores .8 .7 .6 .5 .4 with lambda .3, alpha .2 give .67 .14 .07 .06 .06; without the factor
    of 100 it would be nearly uniform."""
    found = mixed_probabilities([0.8, 0.7, 0.6, 0.5, 0.4], lam=0.3, alpha=0.2)
    assert [round(p, 2) for p in found] == [0.67, 0.14, 0.07, 0.06, 0.06]
    assert sum(found) == pytest.approx(1.0)


def test_the_tree_counts_every_walk_and_prints() -> None:
    """After n top-down proposals the root has n visits, its children sum to that, and measured
    scores came back."""
    searcher = Mcts(toy_space(), seed=1, edit_share=0.0)
    asked = drive(searcher, 12)
    tree = searcher.tree
    assert tree[()].measured == len(asked) == 12
    assert tree[()].visits >= 12, "walks to illegal or known designs count as visits"
    assert sum(s.visits for p, s in tree.items() if len(p) == 1) == tree[()].visits
    text = show_tree(tree, depth=1).splitlines()
    assert text[0].startswith("root  visits")
    assert {line.split()[0] for line in text[1:]} == {p[0] for p in tree if len(p) == 1}

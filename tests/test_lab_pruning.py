"""The lab's measurement of pruning."""

from __future__ import annotations

import json
from typing import Any

import pytest

from paragent.cli import main
from paragent.lab.pruning import summed


def row(seed: int, volume: tuple[float, float], audits: int, wrong: int) -> dict[str, Any]:
    """A seed's figures; its best scores are those of the hypervolume."""
    return {
        "searcher": "random", "seed": seed, "hypervolume": list(volume), "best": list(volume),
        "usd": [1.0, 2.0], "pruned": 10, "audits": audits, "false_prunes": wrong,
    }  # fmt: skip


def test_figures_of_seeds_by_hand() -> None:
    """Differences are means of pairs, counts are sums, an audit of none is no rate."""
    found = summed([row(0, (0.5, 0.4), 3, 1), row(1, (0.7, 0.4), 1, 0)])
    assert found["hypervolume"]["difference"] == pytest.approx(0.2)
    assert (found["pruned"], found["audits"], found["false_prune_rate"]) == (20, 4, 0.25)
    assert found["usd_ratio"] == 0.5
    assert summed([row(0, (0.5, 0.4), 0, 0)])["false_prune_rate"] is None


@pytest.mark.slow
def test_a_small_run_prints_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """Two real searches of one seed, too short for anything to be skipped, are equal."""
    words = ["--searchers", "random", "--models", "pocket-s", "--seeds", "1", "--evals", "3"]
    assert main(["lab", "pruning", *words, "--test-tasks", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["searchers"]["random"]["hypervolume"]["difference"] == 0
    assert found["searchers"]["random"]["usd_ratio"] == 1
    assert found["searchers"]["random"]["pruned"] == 0


def test_misuse_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown searcher with the nearest name; no seeds."""
    assert main(["lab", "pruning", "--searchers", "rando"]) == 2
    assert "Did you mean 'random'" in capsys.readouterr().err
    assert main(["lab", "pruning", "--seeds", "0"]) == 2
    assert "--seeds is 0; wanted 1 or more" in capsys.readouterr().err

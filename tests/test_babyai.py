"""BabyAI through the real package; everything here is skipped where it is not installed."""

from __future__ import annotations

import asyncio

import pytest

from paragent.benchmarks import babyai
from paragent.benchmarks.babyai import Grid
from paragent.component import Answer
from paragent.environment import Action, replay
from paragent.errors import UsageError


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the listing, and before a search begins."""
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert babyai.BABYAI.missing() == "pip install 'paragent[grids]'"
    with pytest.raises(UsageError, match=r"not installed; run: pip install 'paragent\[grids\]'"):
        babyai.load()


def test_the_packages_bot_fulfils_missions_and_idling_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One task of each level, through the tools; the package's own remarks are not printed."""
    pytest.importorskip("minigrid", reason="the extra `grids` is not installed")
    benchmark = babyai.load()
    for task in benchmark.tasks("dev")[:5]:
        plan = benchmark.oracle(task)
        assert isinstance(plan, list) and 0 < len(plan) <= benchmark.steps
        assert isinstance(plan[0], Action)
        assert asyncio.run(replay(benchmark, task)) == 1.0
        assert Grid(task.tags["level"], babyai.seed_of(task)).score(Answer("done")) == 0.0
    assert capsys.readouterr().out == ""


def test_what_is_seen_is_told_by_where_it_lies() -> None:
    """A step forward brings everything one nearer; the same seed is the same world."""
    pytest.importorskip("minigrid", reason="the extra `grids` is not installed")
    grid, same = Grid("BabyAI-GoToLocal-v0", 1000), Grid("BabyAI-GoToLocal-v0", 1000)
    assert grid.describe() == same.describe()
    assert "a green box 1 ahead, 1 to the right" in grid.describe()
    assert "a green box 0 ahead, 1 to the right" in str(grid.tools[2].call("{}"))
    assert not grid.over

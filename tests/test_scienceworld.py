"""ScienceWorld through the real package and Java; skipped where they are not there."""

from __future__ import annotations

import asyncio

import pytest

from paragent.benchmarks import scienceworld
from paragent.benchmarks.scienceworld import Laboratory
from paragent.component import Answer
from paragent.environment import replay
from paragent.errors import UsageError


def test_without_the_package_or_java_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The package first."""
    import importlib.util
    import shutil

    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert scienceworld.missing() == "install Java 8 or newer"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"run: pip install 'paragent\[science\]'"):
        scienceworld.load()


def test_points_are_a_share() -> None:
    """Of a hundred; a task that the package ends badly has less than none."""
    room = Laboratory("boil", 0)
    for points, wanted in ((-100.0, 0.0), (40.0, 0.4), (100.0, 1.0)):
        room.points = points
        assert room.score(Answer("")) == wanted
    asyncio.run(room.aclose())


def test_splits_hold_different_variations() -> None:
    """Every kind in both."""
    dev, test = scienceworld.variations("dev"), scienceworld.variations("test")
    assert len(dev) == len(test) == 20
    assert not {t.id for t in dev} & {t.id for t in test}
    assert {t.tags["kind"] for t in dev} == {t.tags["kind"] for t in test}


@pytest.mark.slow
def test_the_packages_gold_path_reaches_all_points() -> None:
    """One task, in Java, through the tools; a command that is none is told so."""
    if why := scienceworld.missing():
        pytest.skip(f"scienceworld is not ready: {why}")
    benchmark = scienceworld.load()
    task = benchmark.tasks("dev")[0]
    assert asyncio.run(replay(benchmark, task)) == 1.0
    room = Laboratory(task.tags["kind"], scienceworld.variation_of(task))
    assert "No known action" in room.act("fly to the moon")
    asyncio.run(room.aclose())

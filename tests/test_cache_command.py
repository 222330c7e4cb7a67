"""`paragent cache`: what is cached, and emptying it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from paragent.cli import main
from paragent.runtime.journal import Journal, Row
from paragent.runtime.model import Completion


def test_stats_and_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Off, absent, one row, none: each is said, and clearing says how many rows went."""

    def said(*words: str) -> dict[str, object]:
        assert main(["cache", *words, "--json"]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    assert said("stats") == {"file": None}
    cache = tmp_path / "cache.db"
    monkeypatch.setenv("PARAGENT_CACHE", str(cache))
    assert said("stats") == {"file": str(cache)}
    journal = Journal(cache)
    completion = Completion("Answer: 1", 10, 3, 0.1)
    row = Row(b"key", "m", "search-eval", completion, 1e-6, 10, 3)
    asyncio.run(journal.put(row))
    journal.close()
    assert said("stats")["calls"] == 1
    assert said("clear")["removed"] == 1
    assert said("stats")["calls"] == 0
    assert main(["cache", "burn"]) == 2

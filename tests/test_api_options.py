"""Options of searchers are checked before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from paragent.cli import main


@pytest.mark.parametrize(
    ("searcher", "option", "value", "nearest"),
    [
        ("mcts", "selection", "uctt", "uct"),
        ("knapsack", "composer", "onlin", "online"),
        ("bandit", "credit", "helpfull", "helpful"),
    ],
)
def test_a_refused_option_leaves_no_folder(
    searcher: str,
    option: str,
    value: str,
    nearest: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, one line with what was wanted, and no run folder behind it."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"searcher: {searcher}\noptions: {{{option}: {value}}}\n")
    assert main(["search", str(spec), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert value in error and nearest in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()

"""`address:` and `workers:` in a specification: the same as the flags, which win."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paragent import api
from paragent.cli import main
from paragent.errors import ParagentError


class _Asked(ParagentError):
    """Ends a command where its search would begin."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What `optimize` was asked for by a command; it then ends."""
    found: dict[str, Any] = {}

    def optimize(**settings: Any) -> None:
        found.update(settings)
        raise _Asked("enough")

    monkeypatch.setattr(api, "optimize", optimize)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.mark.parametrize(
    ("text", "words", "address", "workers"),
    [
        ("evals: 3", [], "none", None),
        ("address: local\nworkers: 2", [], "local", 2),
        ("address: local\nworkers: 2", ["--address", "auto"], "auto", 2),
        ("address: local\nworkers: 2", ["--workers", "3"], "local", 3),
        ("workers: 2", ["--address", "10.0.0.1:6379"], "10.0.0.1:6379", 2),
        ("address: local\nworkers: 2", ["--address", "none", "--workers", "1"], "none", 1),
    ],
)
def test_the_place_comes_from_the_file_and_flags_win(
    text: str, words: list[str], address: str, workers: int | None, asked: dict[str, Any]
) -> None:
    """Neither is a setting of the run: results do not depend on them."""
    Path("my.yaml").write_text(text)
    assert main(["search", "my.yaml", *words]) == 1
    assert (asked["address"], asked["workers"]) == (address, workers)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("evals: 3\naddress: lokal", "line 2, column 1: address is 'lokal'"),
        ("address: http://head:8265", "line 1, column 1: address is 'http://head:8265'; wanted"),
        ("address: 7", "line 1, column 1: address is 7; wanted a text"),
        ("address: local\nworkers: 0", "line 2, column 1: workers is 0; wanted a whole number"),
        ("address: local\nworkers: two", "line 2, column 1: workers is 'two'"),
        ("adress: local", "Did you mean 'address'?"),
    ],
)
def test_a_mistake_has_its_line(
    text: str, said: str, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the place, before anything starts."""
    Path("my.yaml").write_text(text)
    assert main(["search", "my.yaml"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert asked == {}


def test_a_rehearsal_needs_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--dry-run` checks the request here, whatever the file says of the place."""
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text("address: 192.0.2.1:6379\nworkers: 2\nevals: 3\n")
    assert main(["search", "my.yaml", "--dry-run"]) == 0
    assert "the request is in order" in capsys.readouterr().out

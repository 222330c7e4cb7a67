"""Where a run comes from: versions, configuration and the commit of the user's own folder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from paragent import __version__, provenance
from paragent.cli import main
from paragent.provenance import SUBMITTED, facts, source

SMALL = [
    *("--searcher", "random", "--models", "pocket-s", "--include", "direct"),
    *("--evals", "1", "--tasks", "2", "--confirm", "2", "--test-tasks", "2", "--seed", "3"),
]


def git(folder: Path, *words: str) -> str:
    """Run git there as somebody."""
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_folder_without_repository_has_no_commit(tmp_path: Path) -> None:
    """Nothing is made up."""
    assert source(tmp_path) is None
    assert source(tmp_path / "not there") is None


def test_a_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    """New, committed, changed; a file that git does not know (a run's folder) is no change."""
    git(tmp_path, "init", "-q")
    assert source(tmp_path) == {"commit": None, "dirty": False}
    (tmp_path / "mine.py").write_text("a = 1\n")
    git(tmp_path, "add", "mine.py")
    git(tmp_path, "commit", "-qm", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert source(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "x").write_text("x")
    assert source(tmp_path / "runs") == {"commit": commit, "dirty": False}
    (tmp_path / "mine.py").write_text("a = 2\n")
    assert source(tmp_path) == {"commit": commit, "dirty": True}


@pytest.mark.parametrize(
    ("argv", "typed"),
    [
        (["/env/bin/paragent", "search", "--evals", "8"], "paragent search --evals 8"),
        (["/env/paragent/__main__.py", "resume", "my run"], "python -m paragent resume 'my run'"),
        ([], ""),
    ],
)
def test_the_command_can_be_typed_again(
    argv: list[str], typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program without its folder, or the module; a name with a space is quoted."""
    monkeypatch.setattr("sys.argv", argv)
    assert facts()["command"] == typed


def test_without_git_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without git, or with one that hangs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert source(tmp_path) is None

    def hangs(*args: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired("git", 5)

    monkeypatch.setattr(subprocess, "run", hangs)
    assert source(tmp_path) is None


def test_a_submitted_job_has_the_folder_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the submitter saw is taken over; nonsense in its place is not."""
    there = {"commit": "abc", "dirty": True}
    monkeypatch.setenv(SUBMITTED, json.dumps(there))
    assert facts()["git"] == there
    monkeypatch.setenv(SUBMITTED, "nonsense")
    assert facts()["git"] == source()


def test_show_tells_versions_config_and_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`paragent show --json` of a run made in a repository."""
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "empty", "--allow-empty")
    assert main(["search", *SMALL, "--out", "runs/one", "--no-report", "--json"]) == 0
    capsys.readouterr()
    assert main(["show", "one", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["config"]["seed"] == 3
    assert found["config"]["models"] == ["pocket-s"]
    meta = found["meta"]
    assert meta["version"] == __version__
    assert set(meta["packages"]) == set(provenance.PACKAGES)
    assert meta["git"] == {"commit": git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    assert meta["where"] == {"address": "none", "workers": None}

"""Code blocks of the project's documents, run so that they cannot drift from the code."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import paragent
from paragent.cli import COMMANDS, Group, main

ROOT = Path(__file__).parent.parent

#: What makes any search of a document small.
TINY: dict[str, Any] = {"evals": 3, "tasks": 3, "confirm": 3, "test_tasks": 6, "finalists": 2}
TINY["max_calls_per_task"] = 6


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and where it stands."""

    language: str
    text: str
    place: str


def blocks(document: str) -> list[Block]:
    """The fenced blocks of a document in the root, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        number = text.count("\n", 0, match.start()) + 1
        found.append(Block(match[1], match[2], f"{document}:{number}"))
    return found


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `paragent.optimize` small, whatever its caller asks for."""
    optimize: Callable[..., Any] = paragent.optimize

    def small(*args: Any, **settings: Any) -> Any:
        return optimize(*args, **{**settings, **TINY})

    monkeypatch.setattr(paragent, "optimize", small)


def run_python(block: Block) -> dict[str, Any]:
    """Run a block as a script; returns its names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(block.text, block.place, "exec"), names)
    return names


def run_shell(block: Block) -> None:
    """Run each line: paragent's in this process, make's as a rehearsal; others must be known."""
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] == "paragent":
            if words[1] == "search":
                words.append("--dry-run")
            elif words[1] == "resume":
                words += ["--evals", "3", "--no-report"]
            elif words[1] in ("submit", "attach"):  # they need a cluster
                understood(words[1:])
                continue
            assert main(words[1:]) == 0, f"{block.place}: {line}"
        elif words[0] == "make":
            rehearsal = ["make", "--dry-run", *words[1:]]
            done = subprocess.run(rehearsal, cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, f"{block.place}: {line}: {done.stderr}"
        elif words[0] == "export":
            assert len(words) == 2, f"{block.place}: {line}"
        else:
            raise AssertionError(f"{block.place}: nobody runs {line!r}")


def understood(words: list[str]) -> None:
    """The command line takes these words; they are not carried out."""
    command, rest = COMMANDS[words[0]], words[1:]
    if isinstance(command, Group):
        command, rest = command.commands[rest[0]], rest[1:]
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    importlib.import_module(command.module).add_arguments(parser)
    parser.parse_args(rest)


def write_yaml(block: Block, folder: Path) -> Path:
    """A YAML block names its file in its first line."""
    match = re.match(r"# (\S+\.yaml)\n", block.text)
    assert match, f"{block.place}: the first line names the file"
    path = folder / match[1]
    path.write_text(block.text, encoding="utf-8")
    return path

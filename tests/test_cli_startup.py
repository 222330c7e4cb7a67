"""The command line starts fast: what is heavy is imported by those who need it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "aiohttp",
    "asyncio",
    "jinja2",
    "lightgbm",
    "networkx",
    "numpy",
    "openai",
    "optuna",
    "plotly",
    "ray",
    "rich",
    "scipy",
    "sklearn",
    "sqlite3",
    "yaml",
)


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running `code`."""
    program = f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stderr.split()}


def help_of(*words: str) -> str:
    """Code that prints a help text."""
    return f"from paragent.cli import main\nassert main({[*words, '--help']!r}) == 0"


def test_help_imports_nothing_heavy() -> None:
    """`paragent --help` loads neither a library of ours nor the event loop."""
    assert loaded_after(help_of()) & set(HEAVY) == set()


@pytest.mark.parametrize(
    "command", ["search", "resume", "show", "report", "export", "list", "inspect", "doctor"]
)
def test_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    """Nor does the help of a command."""
    assert loaded_after(help_of(command)) & set(HEAVY) == set()


def test_importing_paragent_is_light() -> None:
    """`import paragent` is for notebooks and scripts alike."""
    assert loaded_after("import paragent") & set(HEAVY) == set()


def test_the_names_of_the_package_are_there() -> None:
    """Every public name can be imported, though none is until it is used."""
    import paragent

    for name in paragent.__all__:
        assert getattr(paragent, name) is not None
    with pytest.raises(AttributeError, match="optimise"):
        paragent.optimise  # noqa: B018

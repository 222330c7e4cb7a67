"""Where a run comes from: versions, the command, and the state of the user's own code.

The working folder's commit is asked of git, where the folder is in a repository; `dirty` says
whether tracked files differ from it. A search that was submitted to a cluster has that of the
folder it was submitted from, which `paragent submit` passes on in `SUBMITTED`.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from paragent import __version__

#: Set for a submitted job: what `source` said where it was submitted, as JSON.
SUBMITTED = "PARAGENT_SUBMITTED_FROM"
#: Packages that results or their speed depend on.
PACKAGES = ("numpy", "scipy", "scikit-learn", "lightgbm", "optuna", "openai", "ray")
#: Seconds that git may take; a run does not wait longer for it.
GIT_S = 5.0


def facts() -> dict[str, Any]:
    """How and where this process runs: plain data, no secrets beyond the command line."""
    return {
        "version": __version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: found for name in PACKAGES if (found := installed(name)) is not None},
        "command": _command(sys.argv),
        "git": submitted_from() or source(),
    }


def _command(argv: list[str]) -> str:
    """What to type again: the program without its folder, arguments quoted for a shell."""
    if not argv:
        return ""
    name = Path(argv[0]).name
    return shlex.join(
        [*(["python", "-m", "paragent"] if name == "__main__.py" else [name]), *argv[1:]]
    )


def submitted_from() -> dict[str, Any] | None:
    """The user's folder as it was when this job was submitted; None where it was not."""
    try:
        found = json.loads(os.environ.get(SUBMITTED, ""))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def source(folder: Path | None = None) -> dict[str, Any] | None:
    """`commit` (hash) and `dirty` of the repository that `folder` (default: here) is in, or None.

    `commit` is None in a repository without one yet.
    """
    where = str(folder or Path.cwd())
    if _git(where, "rev-parse", "--is-inside-work-tree") != "true":
        return None
    changed = _git(where, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": _git(where, "rev-parse", "--verify", "--quiet", "HEAD") or None,
        "dirty": None if changed is None else bool(changed),
    }


def _git(folder: str, *words: str) -> str | None:
    """What git says, or None where it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            ["git", "-C", folder, *words],
            capture_output=True,
            text=True,
            timeout=GIT_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # a status must not hinder a commit
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def installed(name: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""What this machine has of what a search needs, and of Ray. Nothing is changed, no key is shown."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `ok` is None for a mere fact; `fix` says what helps where it is False."""

    name: str
    ok: bool | None
    value: str
    fix: str = ""


def examine(runs: Path = Path("runs")) -> list[Finding]:
    """Every check, in the order in which they are shown."""
    checks: tuple[Callable[[], list[Finding]], ...] = (
        _python,
        _packages,
        _machine,
        _pocket,
        _keys,
        _sandbox,
        _ray,
        lambda: _writable(runs),
    )
    return [finding for check in checks for finding in check()]


def to_data(findings: list[Finding]) -> dict[str, Any]:
    """Plain data for --json; `ok` is whether nothing is wrong."""
    return {
        "ok": all(f.ok is not False for f in findings),
        "findings": [asdict(f) for f in findings],
    }


def _python() -> list[Finding]:
    enough = sys.version_info[:2] >= PYTHON
    fix = "" if enough else f"install Python {PYTHON[0]}.{PYTHON[1]} or newer"
    return [Finding("python", enough, f"{platform.python_version()} ({sys.executable})", fix)]


def _packages() -> list[Finding]:
    try:
        needed = requires("paragent") or []
    except PackageNotFoundError:
        return [Finding("packages", None, "run from a checkout that is not installed: not checked")]
    found = []
    for line in needed:
        if "extra ==" in line:
            continue
        name = line.split(";")[0].split("[")[0].split(">")[0].split("=")[0].strip()
        try:
            found.append(Finding(f"package {name}", True, version(name)))
        except PackageNotFoundError:
            found.append(Finding(f"package {name}", False, "missing", "pip install paragent again"))
    return found


def _machine() -> list[Finding]:
    from paragent.runtime.pocket import cores

    facts = [Finding("cores", None, str(cores()))]
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # not told by every system
        return facts
    return [*facts, Finding("memory", None, f"{memory / 2**30:.1f} GiB")]


def _pocket() -> list[Finding]:
    from paragent.pocket.engine import PocketModel, catalog

    found = []
    for name in sorted(catalog()):
        try:
            PocketModel.load(name)
        except Exception as error:  # whatever is wrong with a file, it is said
            fix = "install paragent again"
            found.append(Finding(f"model {name}", False, f"{type(error).__name__}: {error}", fix))
        else:
            found.append(Finding(f"model {name}", True, "weights match their hash"))
    if not found:
        found.append(Finding("pocket models", False, "none", "install paragent again"))
    return found


def _keys() -> list[Finding]:
    from paragent.errors import ConfigError
    from paragent.runtime.models_file import all_models, user_file, variables

    try:
        specs, file = all_models(), user_file()
    except ConfigError as error:
        return [Finding("models.yaml", False, str(error), "mend the file")]
    found = [Finding("models.yaml", None, str(file) if file else "none of your own")]
    for name in sorted({v for spec in specs.values() for v in variables(spec)}):
        found.append(Finding(f"key {name}", None, "set" if os.environ.get(name) else "not set"))
    return found


def _sandbox() -> list[Finding]:
    """A cage for model-written code. Only components that run such code need it: a mere fact."""
    import asyncio

    from paragent.errors import UsageError
    from paragent.runtime.sandbox import Sandbox

    async def check() -> None:
        sandbox = Sandbox()
        try:
            await sandbox.check()
        finally:
            await sandbox.aclose()

    try:
        asyncio.run(check())
    except UsageError as error:
        return [Finding("sandbox", None, "not available", str(error))]
    return [Finding("sandbox", True, "model-written code can be run in a cage")]


def _ray() -> list[Finding]:
    """What of Ray is here, and whether a cluster of this machine answers. Searches need none."""
    from importlib.util import find_spec

    from paragent.cluster.knock import knock
    from paragent.cluster.session import cluster_here, joining_settings

    if find_spec("ray") is None:
        return [Finding("ray", None, "not installed: searches run in one process")]
    extra = find_spec("aiohttp_cors") is not None and find_spec("opencensus") is not None
    jobs = "ready" if extra else "without its dashboard: this machine can be no head for jobs"
    found = [
        Finding("ray", None, version("ray")),
        Finding("ray jobs", None, jobs, "" if extra else "pip install 'paragent[cluster]'"),
    ]
    mode = os.environ.get("RAY_AUTH_MODE") or joining_settings()["RAY_AUTH_MODE"]
    token = "joined with a token" if mode == "token" else "joined without a token"
    address = cluster_here()
    if address is None:
        return [*found, Finding("ray cluster", None, "none runs on this machine")]
    host, _, port = address.rpartition(":")
    why = knock(host, int(port), 1.0)
    state = f"recorded at {address}, but: {why}" if why else f"answers at {address}"
    return [*found, Finding("ray cluster", None, f"{state}; {token}")]


def _writable(runs: Path) -> list[Finding]:
    place = runs if runs.is_dir() else runs.absolute().parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        why = f"{place.absolute()}: {error.strerror or error}"
        return [
            Finding("runs folder", False, why, "run in a folder you may write to, or use --out")
        ]
    return [Finding("runs folder", True, f"{runs.absolute()} can be written")]

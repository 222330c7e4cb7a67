"""A search as a folder that can be run on another machine: its settings and the files they name.

    job.sh                  what the cluster runs: copies all this to where it stays, and searches
    models.yaml             the user's models (names of keys, never keys)
    files/home/me/proj/…    the user's files under their whole paths
    files/home/me/proj/paragent-job.yaml    the settings, with paths relative to themselves

On the cluster's head a job lives in `~/.paragent/jobs/ID` ($PARAGENT_JOBS names another place): the
files, and the run folder `run` beside them. `home_paths` turns its paths back when it comes home.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from paragent.cluster.parcel import MARK, collect
from paragent.config import RunConfig
from paragent.errors import UsageError
from paragent.runtime.models_file import user_file
from paragent.store import FILE

SPEC = "paragent-job.yaml"
#: Where jobs live on the head, as a shell reads it.
PLACE = '"${PARAGENT_JOBS:-$HOME/.paragent/jobs}"'
#: Sections of a specification, kept in the settings' inventory.
_SECTIONS = ("tools", "mcp", "subagents")


def pack_job(
    settings: Mapping[str, Any], folder: Path, command: str, *, python: str, job: str | None = None
) -> None:
    """Write the folder of a job that runs `paragent COMMAND`, with `$home` for the job's place and
    `SPEC` for its settings, which are those of `read_spec`. With `job`, the job's id, it is kept on
    the head; otherwise it goes with the job.

    Raises UsageError for settings that cannot be carried out, and for files that cannot be read or
    are too large.
    """
    wanted = dict(settings)
    inventory = dict(wanted.pop("inventory", {}))
    base = Path(inventory.get("folder") or Path.cwd()).absolute()
    place = ("address", "workers", "out")  # no settings of the run
    run = {name: value for name, value in settings.items() if name not in place}
    moved, files = collect(RunConfig.from_data(run))
    for path, content in files.items():
        _write(folder / "files" / path, content)
    spec = {name: list(v) if isinstance(v, tuple) else v for name, v in wanted.items()}
    for name in ("data", "scorer"):
        if name in spec:
            spec[name] = _relative(getattr(moved, name), base)
    if spec.get("warm_start"):
        spec["warm_start"] = _earlier(Path(str(spec["warm_start"])), folder / "files", base)
    for name in _SECTIONS:
        if name in inventory:
            spec[name] = _relative(moved.inventory[name], base)
    import yaml

    home = folder / "files" / str(base).lstrip("/")
    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)
    _write(home / SPEC, text.encode())
    models = user_file()
    if models is not None:
        _write(folder / "models.yaml", models.read_bytes())
    script = _script(job, str(base).lstrip("/"), models is not None)
    _write(
        folder / "job.sh", f"{script}exec {shlex.quote(python)} -m paragent {command}\n".encode()
    )


def _script(job: str | None, base: str, models: bool) -> str:
    kept = f'home={PLACE}/{shlex.quote(job or "")}\nmkdir -p "$home"\nchmod 700 "$home"\n'
    copied = f'{kept}cp -R . "$home"\n' if job else "home=$PWD\n"
    named = 'export PARAGENT_MODELS="$home/models.yaml"\n' if models else ""
    head = "# Runs on the cluster's head, in a copy of this folder.\nset -e\n"
    return f'{head}{copied}cd "$home/files/"{shlex.quote(base)}\n{named}'


def _relative(value: Any, base: Path) -> Any:
    """Paths of the parcel, as they are seen from `base` in the job's files."""
    if isinstance(value, str):
        scheme, mark, place = value.partition(MARK)
        if not mark or scheme not in ("", "python:"):
            return value
        return scheme + os.path.relpath(f"/{place}", base)
    if isinstance(value, Mapping):
        return {key: _relative(each, base) for key, each in value.items()}
    return value


def _earlier(run: Path, files: Path, base: Path) -> str:
    """The store of the run that the search starts from, whole even while it is written to."""
    run = run.absolute()
    if not (run / FILE).is_file():
        raise UsageError(f"the run to start from, {run}, does not exist")
    copy_database(run / FILE, files / str(run).lstrip("/") / FILE)
    return os.path.relpath(run, base)


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy of an SQLite file, also of one that is being written to."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as here,
        closing(sqlite3.connect(target)) as there,
    ):
        here.backup(there)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def home_paths(value: Any, job_folder: str) -> Any:
    """Settings of a job's run with its paths as they were where it was submitted."""
    files = f"{job_folder.rstrip('/')}/files/"
    if isinstance(value, str):
        scheme, mark, place = value.partition(files)
        return f"{scheme}/{place}" if mark and scheme in ("", "python:") else value
    if isinstance(value, Mapping):
        return {key: home_paths(each, job_folder) for key, each in value.items()}
    return [home_paths(each, job_folder) for each in value] if isinstance(value, list) else value

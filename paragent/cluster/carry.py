"""Brings a run folder home through a job's log, the one channel that a dashboard's port gives.

    python -m paragent.cluster.carry FOLDER      # on the head: the job's folder; prints it packed

Between two lines of marks stands a tar archive (xz, base64) of what a run needs to be shown,
resumed and reported: copies of its databases, taken while it may still be written to, its
designs, and the folder's own place. `unpack` is the other end.
"""

from __future__ import annotations

import base64
import io
import json
import lzma
import os
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from paragent.cluster.luggage import copy_database, home_paths
from paragent.errors import ParagentError
from paragent.store import FILE, Store

#: The lines around the archive; the first one also names the job's folder.
BEGIN, END = "paragent-run-begins ", "paragent-run-ends"
#: Bytes to a line.
WIDTH = 3000
_DATABASES = (FILE, "calls.db")
_OTHERS = ("value_model.json", "configs")


def packed(job: Path) -> list[str]:
    """The lines that hold the run of the job's folder; none where it has no run yet."""
    run = job / "run"
    if not (run / FILE).is_file():
        return []
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as place, tarfile.open(fileobj=buffer, mode="w:xz") as tar:
        for name in _DATABASES:
            if (run / name).is_file():
                copy_database(run / name, Path(place) / name)
                tar.add(Path(place) / name, arcname=name)
        for name in _OTHERS:
            if (run / name).exists():
                tar.add(run / name, arcname=name)
    text = base64.b64encode(buffer.getvalue()).decode()
    parts = [text[i : i + WIDTH] for i in range(0, len(text), WIDTH)]
    return [BEGIN + json.dumps(str(job.resolve())), *parts, END]


def unpack(log: str, folder: Path) -> bool:
    """Put the run of a log into `folder`, with paths as they are here; False where it has none.

    Databases are replaced as a whole. Raises ParagentError, and leaves the folder as it was, for an
    archive that is cut off or is none, and where the run here has gone on by itself meanwhile.
    """
    lines = log.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(BEGIN)), None)
    if start is None:
        return False
    try:
        end = lines.index(END, start)
        where = str(json.loads(lines[start].removeprefix(BEGIN)))
        raw = base64.b64decode("".join(lines[start + 1 : end]), validate=True)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".arriving-") as place:
            with tarfile.open(fileobj=io.BytesIO(raw), mode="r:xz") as tar:
                _extract(tar, Path(place))
            _at_home(Path(place), where)
            if _outcomes(folder) > _outcomes(Path(place)):
                raise ParagentError(
                    f"{folder} holds more than the job has measured, so it was resumed here: it is "
                    "kept. Show it with: paragent show"
                )
            _put(Path(place), folder)
    except (ValueError, tarfile.TarError, lzma.LZMAError, EOFError, sqlite3.Error) as error:
        raise ParagentError(f"the run did not arrive whole ({error}): attach again") from None
    return True


def _extract(tar: tarfile.TarFile, place: Path) -> None:
    """Plain files below `place`, and nothing else: no links, and no way out of it."""
    for member in tar:
        target = (place / member.name).resolve()
        content = tar.extractfile(member) if member.isfile() else None
        if content is not None and target.is_relative_to(place.resolve()):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())


def _outcomes(run: Path) -> int:
    """Tasks that the run of this folder has measured; 0 where there is no run."""
    if not (run / FILE).is_file():
        return 0
    uri = f"{(run / FILE).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as db:
        return int(db.execute("SELECT COUNT(*) FROM outcomes").fetchone()[0])


def _at_home(run: Path, job: str) -> None:
    with Store(run, write=True) as store:
        config = store.meta("config")
        if config is not None:
            store.set_meta("config", home_paths(config, job))
    for path in run.glob("configs/*.yaml"):  # they name the folder of the user's tools
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(f"{job.rstrip('/')}/files/", "/"), encoding="utf-8")


def _put(arrived: Path, folder: Path) -> None:
    for name in _DATABASES:
        for beside in (f"{name}-wal", f"{name}-shm"):  # they belong to what is replaced
            (folder / beside).unlink(missing_ok=True)
    for path in sorted(arrived.rglob("*")):
        target = folder / path.relative_to(arrived)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif path.name != "lock":
            os.replace(path, target)


def main(words: list[str]) -> int:
    """Print the run; exit code 3 where the job has none (yet)."""
    lines = packed(Path(words[0]))
    print("\n".join(lines))
    return 0 if lines else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

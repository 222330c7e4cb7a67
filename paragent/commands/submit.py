"""Hand a search to a Ray cluster as a job: it goes on there when this machine is switched off.

The specification and the files that it names travel; keys do not: set them where the cluster's Ray
is started. The run is followed and brought home by `paragent attach`.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

from paragent.commands.runs import RUNS, add_json_argument, print_json
from paragent.commands.spec import key_names, read_spec
from paragent.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC --address WHERE."""
    parser.add_argument("spec", type=Path, metavar="SPEC.yaml", help="the search, as for `search`")
    parser.add_argument(
        "--address",
        metavar="WHERE",
        help="the cluster's dashboard: http://HOST:8265, or auto (what $RAY_API_SERVER_ADDRESS "
        "says, else this machine's; the default)",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="worker processes; default: one per core"
    )
    parser.add_argument(
        "--name", metavar="NAME", help="the run's folder will be ./runs/NAME; default: a new one"
    )
    parser.add_argument(
        "--python",
        default="python",
        metavar="COMMAND",
        help="Python on the cluster's head that has Paragent; default: python",
    )
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Check here what can be checked, send, and say how to go on."""
    from paragent.cluster.hire import check_where
    from paragent.cluster.jobs import board, dashboard

    settings = read_spec(args.spec)
    address = dashboard(args.address)
    workers = args.workers if args.workers is not None else settings.get("workers")
    check_where("auto", workers)
    for name in ("address", "workers", "out"):  # the cluster's, and ours
        settings.pop(name, None)
    notes = _checked(settings)
    folder = _folder(settings, args.name)
    with board(address) as jobs:
        _submit(jobs, settings, folder, address, workers, args.python)
    if args.json:
        print_json({"run": str(folder), "address": address, "notes": notes})
        return 0
    print(f"submitted {folder.name} to {address}")
    for note in notes:
        print(f"note: {note}")
    print(f"next      paragent attach {folder.name}   # progress, and the run folder in the end")
    return 0


def _checked(settings: dict[str, Any]) -> list[str]:
    """Notes on the request. Raises UsageError where it makes no sense."""
    from paragent.api import check
    from paragent.config import RunConfig

    config = RunConfig.from_data(settings)
    missing = [name for name in key_names(settings) if not os.environ.get(name)]
    if missing:
        return [
            f"{', '.join(missing)} must be set where the cluster's Ray was started; not set here, "
            "so the request was checked in part only"
        ]
    return list(check(config).notes)


def _folder(settings: dict[str, Any], name: str | None) -> Path:
    from paragent.api import new_folder
    from paragent.config import RunConfig

    if name is None:
        return new_folder(RunConfig.from_data(settings))
    if not name or Path(name).name != name or name in (".", "..", "last"):
        raise UsageError(f"name is {name!r}; wanted the name of a folder under ./{RUNS}")
    if (RUNS / name).exists():
        raise UsageError(f"{RUNS / name} exists already; a run needs a new name")
    return RUNS / name


def _submit(
    jobs: Any,
    settings: dict[str, Any],
    folder: Path,
    address: str,
    workers: int | None,
    python: str,
) -> None:
    from datetime import UTC, datetime

    from paragent.cluster.luggage import SPEC, pack_job
    from paragent.cluster.ticket import Ticket
    from paragent.provenance import SUBMITTED, source

    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in folder.name)
    job = f"{safe}-{secrets.token_hex(3)}"  # others may choose the same name
    with tempfile.TemporaryDirectory(prefix="pgr-job-") as place:
        many = f" --workers {workers}" if workers is not None else ""
        command = f'search {SPEC} --address "$RAY_ADDRESS"{many} --out "$home/run" --no-report'
        pack_job(settings, Path(place), command, python=python, job=job)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        Ticket(job, address, python, now).write(folder)
        try:
            jobs.submit(job, "sh job.sh", Path(place), {SUBMITTED: json.dumps(source())})
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

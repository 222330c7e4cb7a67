"""Can this cluster run this search? Every node is asked, and nothing is spent.

Checked on each node: versions of Python, Ray and Paragent; with a specification also whether the
user's code and data arrive and can be imported there, and whether the endpoints answer from there.
Keys are named, never shown. Exit code 0: it can; 1: it cannot; 2: the request makes no sense.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paragent.commands.runs import add_json_argument, print_json
from paragent.commands.spec import key_names, read_spec
from paragent.errors import UsageError

if TYPE_CHECKING:
    from paragent.cluster.survey import Finding


#: Seconds that a job which asks the nodes may take.
JOB_S = 180.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[SPEC] --address WHERE."""
    parser.add_argument(
        "spec", nargs="?", type=Path, metavar="SPEC.yaml", help="the search that is to run there"
    )
    parser.add_argument(
        "--address",
        metavar="WHERE",
        help="the cluster: auto (the one of this machine, the default), HOST:PORT, "
        "ray://HOST:PORT, http://HOST:8265 (asked by a job, as `submit` would run it); or local",
    )
    parser.add_argument(
        "--python",
        default="python",
        metavar="COMMAND",
        help="with http://…: Python on the cluster's head that has Paragent; default: python",
    )
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Ask, and print the findings."""
    settings = read_spec(args.spec) if args.spec is not None else {}
    address = args.address or settings.pop("address", None) or "auto"
    workers = settings.pop("workers", None)
    for name in ("out", "address"):
        settings.pop(name, None)
    if address == "none":
        raise UsageError("address none is no cluster: `paragent doctor` checks this machine")
    wanted = settings if args.spec is not None else None
    if address.startswith(("http://", "https://")):
        findings = _by_job(wanted, address, workers, args.python)
    else:
        findings = list(_findings(wanted, address, workers))
    ok = all(finding.ok is not False for finding in findings)
    if args.json:
        print_json({"ok": ok, "address": address, "findings": [asdict(f) for f in findings]})
        return 0 if ok else 1
    node = ""
    for finding in findings:
        if finding.node != node:
            node = finding.node
            print(f"node {node}")
        mark = {True: "ok", False: "WRONG", None: ""}[finding.ok]
        print(f"{mark:<6}{finding.name:<24}{finding.value}")
        if finding.fix:
            print(f"{'':<30}-> {finding.fix}")
    print("the cluster can run it" if ok else "the cluster cannot run it yet")
    return 0 if ok else 1


def _findings(
    settings: dict[str, Any] | None, address: str, workers: int | None
) -> Iterator[Finding]:
    from paragent.cluster.session import ray_session
    from paragent.cluster.survey import Finding, survey

    parcel: bytes | None = None
    models: tuple[str, ...] = ()
    if settings is not None:
        keys = list(_keys(settings))
        yield from keys
        if all(key.ok for key in keys):
            from paragent.api import packed
            from paragent.config import RunConfig

            parcel, models = packed(RunConfig.from_data(settings))
        else:
            yield Finding("", "code, data, endpoints", None, "not checked without every key")
    with ray_session(address) as joined:
        if workers is not None and workers > joined.cpus:
            text = f"{workers} on {joined.cpus} cores: they share them, and are no faster for it"
            yield Finding("", "workers", None, text)
        yield from survey(joined, parcel, models)


def _by_job(
    settings: dict[str, Any] | None, address: str, workers: int | None, python: str
) -> list[Finding]:
    """The findings of the same command, run on the cluster's head: its keys are those that count
    for a job."""
    from paragent.cluster.jobs import board, dashboard, wait, why_ended
    from paragent.cluster.luggage import SPEC, pack_job
    from paragent.cluster.session import ClusterError
    from paragent.cluster.survey import Finding

    address = dashboard(address)
    job = f"check-{secrets.token_hex(6)}"
    spec = "" if settings is None else f" {SPEC}"
    wanted = {**(settings or {}), **({"workers": workers} if workers is not None else {})}
    command = f'cluster check{spec} --address "$RAY_ADDRESS" --json'
    with tempfile.TemporaryDirectory(prefix="pgr-job-") as place, board(address) as jobs:
        pack_job(wanted, Path(place), command, python=python)
        jobs.submit(job, "sh job.sh", Path(place), {})
        wait(jobs, job, JOB_S)
        lines = jobs.log(job).splitlines()
        try:
            begin = lines.index("{")
            end = len(lines) - lines[::-1].index("}")
            said = json.loads("\n".join(lines[begin:end]))["findings"]
        except (ValueError, KeyError):
            why = why_ended(jobs, job, python, lines)
            raise ClusterError(f"the cluster at {address} could not be asked: {why}") from None
    return [Finding(**finding) for finding in said]


def _keys(settings: dict[str, Any]) -> Iterator[Finding]:
    """The variables with keys that the request needs here; from here they travel to workers."""
    from paragent.cluster.survey import Finding

    for name in key_names(settings):
        there = bool(os.environ.get(name))
        text = "set here; it travels to the workers" if there else "not set"
        yield Finding("", f"key {name}", there, text, "" if there else f"export {name}=...")

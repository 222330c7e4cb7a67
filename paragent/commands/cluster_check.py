"""Can this cluster run this search? Every node is asked, and nothing is spent.

Checked on each node: versions of Python, Ray and Paragent; with a specification also whether the
user's code and data arrive and can be imported there, and whether the endpoints answer from there.
Keys are named, never shown. Exit code 0: it can; 1: it cannot; 2: the request makes no sense.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paragent.commands.runs import add_json_argument, print_json
from paragent.commands.spec import key_names, read_spec
from paragent.errors import UsageError

if TYPE_CHECKING:
    from paragent.cluster.survey import Finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[SPEC] --address WHERE."""
    parser.add_argument(
        "spec", nargs="?", type=Path, metavar="SPEC.yaml", help="the search that is to run there"
    )
    parser.add_argument(
        "--address",
        metavar="WHERE",
        help="the cluster: auto (the one of this machine, the default), HOST:PORT, "
        "ray://HOST:PORT; or local",
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
    findings = list(_findings(settings if args.spec else None, address, workers))
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


def _keys(settings: dict[str, Any]) -> Iterator[Finding]:
    """The variables with keys that the request needs here; from here they travel to workers."""
    from paragent.cluster.survey import Finding

    for name in key_names(settings):
        there = bool(os.environ.get(name))
        text = "set here; it travels to the workers" if there else "not set"
        yield Finding("", f"key {name}", there, text, "" if there else f"export {name}=...")

"""Check a cluster file: Ray's launcher (`ray up`) or a RayCluster manifest of KubeRay.

Nothing is contacted. A mistake is told with its line, exit code 2.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from paragent.commands.runs import add_json_argument, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE."""
    parser.add_argument("file", type=Path, metavar="FILE", help="for instance ray_cluster.yaml")
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Check, and say what is noteworthy."""
    from paragent.cluster.launcher_file import check_file

    notes = check_file(args.file)
    if args.json:
        print_json({"file": str(args.file), "ok": True, "notes": notes})
        return 0
    print(f"{args.file} is in order")
    for note in notes:
        print(f"note: {note}")
    return 0

"""Write a run as a design table, to compare searchers on it: `paragent lab compare --table DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

from paragent.commands.runs import add_json_argument, add_run_argument, find_run, print_json
from paragent.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN and where to write."""
    add_run_argument(parser)
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", required=True)
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Write it and say what it holds."""
    from paragent.lab.record import record

    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise UsageError(f"{args.out} is there already and not an empty folder; give another")
    done = record(find_run(args.run), args.out)
    if args.json:
        print_json(done)
    else:
        print(f"{done['table']}: {done['designs']} designs, {done['factors']} factors, "
              f"up to {done['tasks']} tasks each")  # fmt: skip
    return 0

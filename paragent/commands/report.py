"""Write a run's report: a folder of HTML that works offline."""

from __future__ import annotations

import argparse
from pathlib import Path

from paragent.commands.runs import add_json_argument, add_run_argument, find_run, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN and where to write."""
    add_run_argument(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: RUN/report")
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Write it and say where."""
    from paragent.api import open_run
    from paragent.report import write_report

    run = open_run(find_run(args.run))
    page = write_report(run, args.out or run.path / "report")
    if args.json:
        print_json({"run": str(run.path), "report": str(page)})
    else:
        print(page)
    return 0

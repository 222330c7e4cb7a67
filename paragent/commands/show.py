"""The front that a run found, the baseline beside it, and what the search itself spent."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from paragent.commands.runs import add_json_argument, add_run_argument, find_run, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN."""
    add_run_argument(parser)
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Print the front."""
    from paragent.api import open_run

    run = open_run(find_run(args.run))
    if args.json:
        print_json(run.summary())
    else:
        print_front(run)
    return 0


def print_front(run: Any) -> None:
    """A table on a terminal, plain lines elsewhere; then the notes."""
    from paragent.show import front_lines, front_table, printable, summary_lines

    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(front_table(run))
        lines = summary_lines(run)
    else:
        lines = front_lines(run)
    for line in lines:
        print(line)
    for note in run.notes:
        print(f"note: {printable(note)}")

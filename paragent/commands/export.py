"""A design that a run found, as YAML or as a Python program of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from paragent.commands.runs import add_run_argument, find_run, load_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN, which design, and in what form."""
    add_run_argument(parser)
    parser.add_argument(
        "--pick", default="knee", metavar="PICK", help="knee, best, cheapest, or a design's hash"
    )
    parser.add_argument("--format", default="yaml", metavar="FORMAT", help="yaml or python")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: stdout")


def main(args: argparse.Namespace) -> int:
    """Print it, or write it to a file."""
    from paragent.api import open_run
    from paragent.errors import ParagentError
    from paragent.export import export

    load_models()
    text = export(open_run(find_run(args.run)).pick(args.pick), args.format)
    if args.out is None:
        print(text, end="")
        return 0
    try:
        args.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ParagentError(f"{args.out}: cannot be written: {error.strerror or error}") from None
    print(args.out)
    return 0

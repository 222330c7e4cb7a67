"""Draw a design as a picture: the hierarchy from left to right, one card per agent or team (SVG).

Without -o the picture goes to stdout. It stands alone: no script, no font and no file is needed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from paragent.commands.designs import HELP, find_design
from paragent.commands.runs import load_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """DESIGN and where to write."""
    parser.add_argument("design", metavar="DESIGN", help=HELP)
    parser.add_argument("-o", "--out", type=Path, metavar="FILE.svg", help="default: stdout")


def main(args: argparse.Namespace) -> int:
    """Draw it; a design that cannot run is refused, with the path of the mistake."""
    from paragent.compile import compile_design
    from paragent.draw import design_svg
    from paragent.errors import UsageError

    load_models()
    design = find_design(args.design).design
    compile_design(design)
    svg = design_svg(design, standalone=True) + "\n"
    if args.out is None:
        sys.stdout.write(svg)
        return 0
    if args.out.suffix.lower() != ".svg":
        raise UsageError(f"--out is {str(args.out)!r}; the picture is SVG, name it *.svg")
    try:
        args.out.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{args.out}: cannot be written: {error.strerror or error}") from None
    print(args.out)
    return 0

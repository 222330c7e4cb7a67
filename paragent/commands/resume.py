"""Go on with a run that was stopped: what was measured or paid for is not done again.

Caps may be raised; everything else stays as it was.
"""

from __future__ import annotations

import argparse

from paragent.commands.progress import add_progress_argument, watching
from paragent.commands.runs import add_json_argument, add_run_argument, find_run
from paragent.commands.search import add_where_arguments, finish

_CAPS = {"evals": int, "usd": float, "tokens": int, "calls": int, "minutes": float}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN and the caps."""
    add_run_argument(parser)
    for name, kind in _CAPS.items():
        parser.add_argument(f"--{name}", type=kind, metavar="N", help=f"new cap: {name}")
    add_where_arguments(parser)
    add_progress_argument(parser)
    parser.add_argument("--no-report", action="store_true", help="write no HTML report at the end")
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Resume, settle, report."""
    from paragent.api import resume

    folder = find_run(args.run)
    changes = {name: getattr(args, name) for name in _CAPS if getattr(args, name) is not None}
    with watching(folder, quiet=args.json, way=args.progress) as progress:
        run = resume(
            folder,
            progress=progress,
            address=args.address or "none",
            workers=args.workers,
            **changes,
        )
    return finish(run, report=not args.no_report, as_json=args.json)

"""Get the public data of benchmarks from the hub into the user's cache, once.

Needs the package `datasets` (pip install 'paragent[hub]') and a network; nothing else does. What is
fetched is checked by count, and by hash whenever it is read.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which benchmarks."""
    parser.add_argument("names", nargs="+", metavar="BENCHMARK", help="`paragent list benchmarks`")


def main(args: argparse.Namespace) -> int:
    """Fetch them one after the other."""
    from paragent.errors import UsageError
    from paragent.hub import fetch
    from paragent.registry import benchmarks

    wanted = [benchmarks[name] for name in args.names]
    for plugin in wanted:
        if plugin.data is None:
            raise UsageError(f"benchmark {plugin.name!r} has no public data to fetch")
    for plugin in wanted:
        assert plugin.data is not None
        for line in fetch(plugin.data):
            print(line)
    return 0

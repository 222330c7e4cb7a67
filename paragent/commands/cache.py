"""The user's cache of endpoint answers, which all runs share: what is in it, and emptying it.

`PARAGENT_CACHE` names another file, or switches it off (`off`). A run's own record of paid calls
(`calls.db` in its folder) is no cache of this kind and is never cleared.
"""

from __future__ import annotations

import argparse

from paragent.commands.runs import add_json_argument, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do."""
    parser.add_argument("action", choices=("stats", "clear"))
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Show or empty."""
    from paragent.runtime.journal import Journal, user_cache_path

    path = user_cache_path()
    found: dict[str, object] = {"file": str(path) if path else None}
    if path is not None and path.is_file():
        journal = Journal(path)
        try:
            if args.action == "clear":
                found["removed"] = journal.clear()
            found |= journal.stats()
        finally:
            journal.close()
    if args.json:
        print_json(found)
    elif path is None:
        print("the cache is switched off (PARAGENT_CACHE)")
    elif len(found) == 1:
        print(f"{path}: nothing is cached yet")
    else:
        for name, value in found.items():
            print(f"{name:<20}{value}")
    return 0

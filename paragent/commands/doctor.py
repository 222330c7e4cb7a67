"""Check this machine: Python, packages, cores, weights, keys by name, and the runs folder."""

from __future__ import annotations

import argparse

from paragent.commands.runs import add_json_argument, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No more than --json."""
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Print the findings; exit code 1 where something is wrong."""
    from paragent.doctor import examine, to_data

    findings = examine()
    data = to_data(findings)
    if args.json:
        print_json(data)
        return 0 if data["ok"] else 1
    for finding in findings:
        mark = {True: "ok", False: "WRONG", None: ""}[finding.ok]
        print(f"{mark:<6}{finding.name:<24}{finding.value}")
        if finding.fix:
            print(f"{'':<30}-> {finding.fix}")
    return 0 if data["ok"] else 1

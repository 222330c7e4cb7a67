"""The command line: finds the command, imports it alone, and turns errors into one clear line.

Exit codes: 0 done, 1 something failed, 2 misuse, 130 interrupted. Nothing heavy is imported here:
`paragent --help` and every command's `--help` stay fast.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from paragent import __version__
from paragent.errors import ParagentError, UnknownName
from paragent.runtime.secrets import protect_logs


@dataclass(frozen=True)
class Command:
    """A command: `module` has `add_arguments(parser)` and `main(args) -> int | None`."""

    module: str
    help: str


@dataclass(frozen=True)
class Group:
    """Commands under one word, e.g. `paragent lab pocket-table`. `hidden` keeps it out of help."""

    help: str
    commands: Mapping[str, Command] = field(hash=False)
    hidden: bool = False


COMMANDS: Mapping[str, Command | Group] = {
    "search": Command("paragent.commands.search", "search for the best agent systems"),
    "resume": Command("paragent.commands.resume", "go on with a run that was stopped"),
    "show": Command("paragent.commands.show", "the front that a run found"),
    "report": Command("paragent.commands.report", "write a run's report (HTML, works offline)"),
    "export": Command("paragent.commands.export", "a found design as YAML or as a Python program"),
    "trace": Command("paragent.commands.trace", "what one design said on one task of a run"),
    "ask": Command("paragent.commands.ask", "put a question to a design"),
    "list": Command("paragent.commands.listing", "components, searchers, benchmarks, models, runs"),
    "inspect": Command("paragent.commands.inspect", "one component, benchmark or design in full"),
    "fetch": Command("paragent.commands.fetch", "get a benchmark's public data, once"),
    "draw": Command("paragent.commands.draw", "a design as a picture (SVG)"),
    "cache": Command("paragent.commands.cache", "the shared cache of endpoint answers"),
    "submit": Command("paragent.commands.submit", "hand a search to a Ray cluster as a job"),
    "attach": Command("paragent.commands.attach", "follow a run or a job, and bring its run home"),
    "cluster": Group(
        "Ray clusters",
        {
            "validate": Command("paragent.commands.cluster_validate", "check a cluster file"),
            "check": Command("paragent.commands.cluster_check", "can this cluster run this search"),
        },
    ),
    "doctor": Command("paragent.commands.doctor", "check this machine"),
    "lab": Group(
        "measurements of Paragent's own parts",
        {
            "compare": Command(
                "paragent.lab.compare", "which searcher to trust, on recorded results"
            ),
            "committee": Command(
                "paragent.lab.committee", "committees of models, chosen from recorded answers"
            ),
            "record": Command("paragent.commands.record", "a finished run as a table to replay"),
            "value-model": Command(
                "paragent.lab.value_model", "how well value models predict unseen designs"
            ),
            "landscapes": Command(
                "paragent.lab.landscapes", "searchers on synthetic landscapes of known optimum"
            ),
            "bandits": Command("paragent.lab.bandits", "do the bandits do what their theorems say"),
            "arms": Command("paragent.lab.arms", "is a team grown by the bandit worth its search"),
            "composers": Command(
                "paragent.lab.composers", "which way of buying parts gives the better team"
            ),
            "pocket-table": Command(
                "paragent.lab.pocket_table", "what the pocket models can do, with intervals"
            ),
            "warm-start": Command(
                "paragent.lab.warm_start", "what starting from an earlier run gains or loses"
            ),
            "islands": Command(
                "paragent.lab.islands", "what searches gain that share what they measure"
            ),
            "pruning": Command(
                "paragent.lab.pruning", "what skipping hopeless proposals saves, and what it loses"
            ),
            "refine": Command("paragent.lab.refining", "what edits chosen by logged failures gain"),
            "own-tables": Command("paragent.lab.own_tables", "make the design tables that ship"),
            "random-table": Command("paragent.lab.random_table", "a synthetic table to check on"),
            "ablate": Command("paragent.lab.ablate", "what each component does, against a control"),
            "graders": Command(
                "paragent.lab.graders", "whether the graders agree with what is known"
            ),
            "front-gain": Command(
                "paragent.lab.front_gain", "what a front gains over single agents, over seeds"
            ),
        },
    ),
    "dev": Group(
        "for those who work on Paragent",
        {
            "fake-server": Command(
                "paragent.dev.fake_server", "a local server that speaks the OpenAI protocol"
            )
        },
        hidden=True,
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    protect_logs()
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except ParagentError as error:
        print(f"paragent: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        print(f"paragent: {str(stop) or 'stopped'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has gone: be quiet, also when Python closes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(words: list[str]) -> int:
    name = words[0] if words else "--help"
    if name in ("-h", "--help", "help"):
        print(help_text(), end="")
        return 0 if words else 2
    if name in ("-V", "--version"):
        print(f"paragent {__version__}")
        return 0
    shown = [key for key, c in COMMANDS.items() if not (isinstance(c, Group) and c.hidden)]
    if name not in COMMANDS:
        raise UnknownName("command", name, shown)
    command, rest, prog = COMMANDS[name], words[1:], f"paragent {name}"
    if isinstance(command, Group):
        there = {key: c for key, c in command.commands.items() if _exists(c.module)}
        if not rest or rest[0] in ("-h", "--help"):
            print(_lines(f"usage: {prog} COMMAND …\n\n{command.help}\n", there), end="")
            return 0 if rest else 2
        if rest[0] not in there:
            raise UnknownName(f"{name} command", rest[0], there)
        prog, command, rest = f"{prog} {rest[0]}", there[rest[0]], rest[1:]
    module = importlib.import_module(command.module)
    parser = argparse.ArgumentParser(
        prog=prog,
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    try:
        args = parser.parse_args(rest)
    except SystemExit as stop:  # argparse has printed help or what is wrong
        return stop.code if isinstance(stop.code, int) else 2
    return int(module.main(args) or 0)


def help_text() -> str:
    """What `paragent --help` prints."""
    shown = {key: c for key, c in COMMANDS.items() if not (isinstance(c, Group) and c.hidden)}
    return _lines(
        "usage: paragent COMMAND …\n\n"
        "Searches for the best LLM-agent systems for a task: the front of score against cost.\n"
        "Start with `paragent search`; `paragent COMMAND --help` says more.\n",
        shown,
    )


def _lines(head: str, commands: Mapping[str, Command | Group]) -> str:
    width = max((len(name) for name in commands), default=0)
    rows = [f"  {name:<{width}}  {command.help}\n" for name, command in commands.items()]
    return f"{head}\ncommands:\n{''.join(rows)}"


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not there
        return False


if __name__ == "__main__":
    sys.exit(main())

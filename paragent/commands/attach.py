"""Follow a run that another process writes, or a search that was submitted to a cluster.

A submitted search is brought home when it ends: its run folder comes to ./runs, where `show`,
`report`, `export` and `resume` find it. Ctrl-C only stops following.
"""

from __future__ import annotations

import argparse
import secrets
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from paragent.commands.progress import is_progress, watching
from paragent.commands.runs import RUNS, add_json_argument, find_run, known_runs
from paragent.commands.search import finish
from paragent.errors import ParagentError, StoreError, UsageError

if TYPE_CHECKING:
    from paragent.cluster.jobs import Board
    from paragent.cluster.ticket import Ticket

#: Seconds between two looks, and those that bringing a run home may take.
LOOK_S, HOME_S = 1.0, 300.0
#: Characters of a job's log that are asked for per second at most: each look brings all of it.
LOG_PER_S = 200_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN."""
    parser.add_argument(
        "run", metavar="RUN", help="a run's folder, its name under ./runs, or `last`"
    )
    parser.add_argument(
        "--now", action="store_true", help="do not wait: what a submitted search has measured"
    )
    parser.add_argument("--stop", action="store_true", help="end a submitted search first")
    parser.add_argument("--no-report", action="store_true", help="write no HTML report at the end")
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Follow; then show what was found."""
    from paragent.cluster.jobs import board
    from paragent.cluster.ticket import ticket_of

    folder = _find(args.run)
    ticket = ticket_of(folder)
    try:
        if ticket is None:
            if args.stop or args.now:
                raise UsageError(f"{folder} was not submitted: --stop and --now are for jobs")
            return _follow_run(folder, report=not args.no_report, as_json=args.json)
        with board(ticket.address) as jobs:
            return _follow_job(jobs, ticket, folder, args)
    except KeyboardInterrupt:
        why = f"no longer followed; it goes on. Again: paragent attach {args.run}"
        raise KeyboardInterrupt(why) from None


def _find(word: str) -> Path:
    """As `find_run`, of submitted searches too, which may have no run here yet."""
    from paragent.cluster.ticket import FILE

    tickets = sorted(RUNS.glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime)
    if word == "last" and tickets:
        newest = tickets[-1]
        runs = known_runs()
        later = [run for run in runs if (run / "run.db").stat().st_mtime > newest.stat().st_mtime]
        return later[-1] if later else newest.parent
    for folder in (Path(word), RUNS / word):
        if (folder / FILE).is_file():
            return folder
    return find_run(word)


# -- a run of this machine -------------------------------------------------------------------------


def _follow_run(folder: Path, *, report: bool, as_json: bool) -> int:
    from paragent.following import event_of, is_written

    with watching(folder, quiet=as_json) as progress:
        while True:
            began = time.monotonic()
            writing = is_written(folder)  # asked first: what is stored then is whole at the end
            try:
                event = event_of(folder, writing=writing)
            except StoreError:
                if not writing:
                    raise
            else:
                if progress is not None:
                    progress(event)
                if not writing:
                    break
            time.sleep(max(LOOK_S, 4 * (time.monotonic() - began)))  # a large run takes its time
    if event.kind != "done":
        raise ParagentError(
            f"the run was stopped; what was measured is kept. Go on with: paragent resume {folder}"
        )
    from paragent.api import open_run

    report = report and not (folder / "report").exists()  # its own process writes it
    return finish(open_run(folder), report=report, as_json=as_json)


# -- a job of a cluster ----------------------------------------------------------------------------


def _follow_job(jobs: Board, ticket: Ticket, folder: Path, args: argparse.Namespace) -> int:
    from paragent.api import open_run
    from paragent.cluster.jobs import ENDED, why_ended

    if args.stop:
        jobs.stop(ticket.job)
    seen = 0
    while True:
        state = jobs.state(ticket.job)
        log = jobs.log(ticket.job) if state else ""
        whole = log[: log.rfind("\n") + 1]
        if not args.json:
            for line in whole[seen:].splitlines():
                if is_progress(line):
                    print(line, flush=True)
        seen = len(whole)
        if state in ENDED or not state or args.now:
            break
        time.sleep(max(LOOK_S, len(log) / LOG_PER_S))
    if not state:
        raise ParagentError(
            f"the cluster at {ticket.address} does not know job {ticket.job} (any more)"
        )
    arrived = _bring_home(jobs, ticket, folder)
    rest = [line for line in log.splitlines() if not is_progress(line)]
    why = why_ended(jobs, ticket.job, ticket.python, rest)
    if not arrived:
        if state not in ENDED:
            raise ParagentError(f"the job is {state.lower()} and has measured nothing yet")
        raise ParagentError(f"the search ended before it began: {why}")
    if state == "SUCCEEDED":
        return finish(open_run(folder), report=not args.no_report, as_json=args.json)
    code = finish(open_run(folder), report=False, as_json=args.json)
    if state not in ENDED:
        return code
    print(
        f"paragent: the job ended as {state.lower()}: {why}. What it measured is here; go on with: "
        f"paragent resume {folder}",
        file=sys.stderr,
    )
    return 1


def _bring_home(jobs: Board, ticket: Ticket, folder: Path) -> bool:
    """Fetch the run by a job of its own, whose log holds it. False where there is none."""
    from paragent.cluster.carry import unpack
    from paragent.cluster.jobs import wait
    from paragent.cluster.luggage import PLACE

    job = f"{ticket.job}-home-{secrets.token_hex(3)}"
    python = shlex.quote(ticket.python)
    entry = f"exec {python} -m paragent.cluster.carry {PLACE}/{shlex.quote(ticket.job)}"
    jobs.submit(job, entry, None, {})
    wait(jobs, job, HOME_S, LOOK_S / 2)
    return unpack(jobs.log(job), folder)

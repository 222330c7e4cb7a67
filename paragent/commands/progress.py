"""Progress of a search, as `--progress` wants it.

    auto    a live picture on a terminal, plain lines elsewhere, nothing with --json
    plain   plain lines
    json    one JSON object per event and line, on standard error
    none    nothing

With --json standard output is the command's own, and plain lines go to standard error.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from paragent.events import Event
from paragent.runtime.secrets import redact

if TYPE_CHECKING:
    from rich.console import RenderableType

WAYS = ("auto", "plain", "json", "none")
#: Seconds between two plain lines.
EVERY_S = 5.0
#: Points of the front that are shown.
SHOWN = 6

Watch = Callable[[Event], None]


def add_progress_argument(parser: argparse.ArgumentParser) -> None:
    """--progress, the same for every command that searches."""
    parser.add_argument(
        "--progress",
        choices=WAYS,
        default="auto",
        help="auto (a live picture on a terminal, plain lines elsewhere, nothing with --json), "
        "plain, json (one object per event and line, on standard error) or none",
    )


@contextmanager
def watching(folder: Path, *, quiet: bool, way: str = "auto") -> Iterator[Watch | None]:
    """A progress function for `optimize`; Ctrl-C then says how to go on with `folder`. `quiet`:
    standard output is taken (--json)."""
    try:
        if way == "none" or (quiet and way == "auto"):
            yield None
        elif way == "json":
            yield JsonLines(sys.stderr)
        elif way == "auto" and sys.stdout.isatty():
            from rich.console import Console
            from rich.live import Live

            with Live(console=Console(highlight=False), refresh_per_second=8) as live:
                yield lambda event: live.update(panel(event))
        else:
            yield PlainLines(out=sys.stderr if quiet else sys.stdout)
    except KeyboardInterrupt:
        if (folder / "run.db").is_file():
            why = f"stopped; everything measured is kept. Go on with: paragent resume {folder}"
            raise KeyboardInterrupt(why) from None
        raise


class JsonLines:
    """Writes every event as one line of JSON."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        print(redact(json.dumps(event.to_data(), ensure_ascii=False)), file=self._out, flush=True)


class PlainLines:
    """Prints a line at the start, at the end, when the search is over, and now and then."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, out: IO[str] | None = None
    ) -> None:
        self._clock, self._last, self._out = clock, float("-inf"), out

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        now = self._clock()
        if event.kind in ("settling", "done") or now - self._last >= EVERY_S:
            self._last = now
            print(line(event), file=self._out, flush=True)


def line(event: Event) -> str:
    """An event as one line of text."""
    parts = [f"{event.evaluations}/{event.cap} designs{taken(event)}"]
    if event.best_score is not None:
        parts.append(f"best {event.best_score:.2f} on dev: {_plain(event.best_label)}")
        parts.append(f"front {event.front_size}")
    parts.append(spent(event))
    parts += [text for text in (busy(event), trouble(event)) if text]
    parts.append(f"{event.seconds:.0f} s{left(event)}")
    return f"{stage(event)}: {' | '.join(parts)}"


def is_progress(text: str) -> bool:
    """Whether a line of some output is one that `line` made."""
    return re.match(r"[a-z ]+: \d+/\d+ designs\b", text) is not None


def panel(event: Event) -> RenderableType:
    """An event as a live picture of a few lines."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1))
    head.add_row(
        Text(stage(event), style="bold"),
        ProgressBar(total=event.cap, completed=min(event.evaluations, event.cap), width=30),
        Text(f"{event.evaluations}/{event.cap} designs{taken(event)}"),
        Text(f"{event.seconds:.0f} s{left(event)}", style="dim"),
    )
    best = "nothing measured yet"
    if event.best_score is not None:
        best = f"{event.best_score:.2f}  {_plain(event.best_label)}"
    body = Table.grid(padding=(0, 2))

    def row(name: str, text: str, style: str = "") -> None:
        body.add_row(
            Text(name, style="dim"), Text(text, style=style, overflow="ellipsis", no_wrap=True)
        )

    row("best on dev", best)
    row("front", front(event))
    row("spent", spent(event))
    row("running", busy(event) or "no call in flight")
    if trouble(event):
        row("trouble", trouble(event), "yellow")
    return Group(head, body)


def stage(event: Event) -> str:
    """What is going on, in a word or three."""
    over = {"settling": "settle", "settled": "settle", "done": "done"}.get(event.kind, event.phase)
    return {"settle": "measuring the front", "done": "done"}.get(over, "searching")


def taken(event: Event) -> str:
    """` + 12 of others` where other searches gave some."""
    return f" + {event.taken} of others" if event.taken else ""


def front(event: Event) -> str:
    """How many are on the front, and their dev scores from the cheapest to the best."""
    scores = [f"{score:.2f}" for score, _ in event.front]
    if len(scores) > SHOWN:
        scores = [*scores[: SHOWN // 2], "…", *scores[-(SHOWN // 2) :]]
    designs = f"{event.front_size} design{'' if event.front_size == 1 else 's'}"
    return f"{designs}: {' '.join(scores)}" if scores else designs


def spent(event: Event) -> str:
    """What was spent so far; an unknown price is said, not counted as nothing."""
    dollars = "dollars unknown" if event.spent_usd is None else f"${event.spent_usd:.4f}"
    return f"{dollars}, {event.tokens:,} tokens"


def busy(event: Event) -> str:
    """Workers alive and calls in flight, where there are some."""
    parts = []
    if event.workers is not None:
        parts.append(f"{event.workers} worker{'' if event.workers == 1 else 's'} alive")
    if event.in_flight:
        parts.append(f"{event.in_flight:,} call{'' if event.in_flight == 1 else 's'} in flight")
    return ", ".join(parts)


def trouble(event: Event) -> str:
    """Failed tasks and failed attempts at calls, by kind; empty where there were none."""
    parts = []
    if event.failures:
        parts.append(f"failed tasks: {_counted(event.failures)}")
    if event.failed_calls:
        parts.append(f"failed calls: {_counted(event.failed_calls)}")
    return "; ".join(parts)


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))


def left(event: Event) -> str:
    """`, about 40 s left` where that is known."""
    if event.eta_s is None:
        return ""
    minutes, seconds = divmod(round(event.eta_s), 60)
    return f", about {minutes} min {seconds:02d} s left" if minutes else f", about {seconds} s left"


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)

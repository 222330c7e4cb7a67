"""Progress of a search: a live line on a terminal, plain lines elsewhere, nothing with --json."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from paragent.events import Event

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Seconds between two plain lines.
EVERY_S = 5.0


@contextmanager
def watching(folder: Path, *, quiet: bool) -> Iterator[Callable[[Event], None] | None]:
    """A progress function for `optimize`; Ctrl-C then says how to go on with `folder`."""
    try:
        if quiet:
            yield None
        elif sys.stdout.isatty():
            from rich.console import Console
            from rich.live import Live

            with Live(console=Console(highlight=False), refresh_per_second=8) as live:
                yield lambda event: live.update(panel(event))
        else:
            yield PlainLines()
    except KeyboardInterrupt:
        if (folder / "run.db").is_file():
            why = f"stopped; everything measured is kept. Go on with: paragent resume {folder}"
            raise KeyboardInterrupt(why) from None
        raise


class PlainLines:
    """Prints a line at the start, at the end, when the search is over, and now and then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._last = clock, float("-inf")

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        now = self._clock()
        if event.kind in ("settling", "done") or now - self._last >= EVERY_S:
            self._last = now
            print(line(event), flush=True)


def line(event: Event) -> str:
    """An event as one line of text."""
    parts = [f"{event.evaluations}/{event.cap} designs"]
    if event.best_score is not None:
        parts.append(f"best {event.best_score:.2f} on dev: {_plain(event.best_label)}")
        parts.append(f"front {event.front_size}")
    parts.append(spent(event))
    parts.append(f"{event.seconds:.0f} s{left(event)}")
    return f"{stage(event)}: {' | '.join(parts)}"


def is_progress(text: str) -> bool:
    """Whether a line of some output is one that `line` made."""
    return re.match(r"[a-z ]+: \d+/\d+ designs\b", text) is not None


def panel(event: Event) -> RenderableType:
    """An event as a live picture of four lines."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1))
    head.add_row(
        Text(stage(event), style="bold"),
        ProgressBar(total=event.cap, completed=min(event.evaluations, event.cap), width=30),
        Text(f"{event.evaluations}/{event.cap} designs"),
        Text(f"{event.seconds:.0f} s{left(event)}", style="dim"),
    )
    best = "nothing measured yet"
    if event.best_score is not None:
        best = f"{event.best_score:.2f}  {_plain(event.best_label)}"
    body = Table.grid(padding=(0, 2))
    body.add_row(Text("best on dev", style="dim"), Text(best, overflow="ellipsis", no_wrap=True))
    body.add_row(Text("front", style="dim"), Text(f"{event.front_size} designs"))
    body.add_row(Text("spent", style="dim"), Text(spent(event)))
    return Group(head, body)


def stage(event: Event) -> str:
    """What is going on, in a word or three."""
    return {
        "settling": "measuring the front",
        "settled": "measuring the front",
        "done": "done",
    }.get(event.kind, "searching")


def spent(event: Event) -> str:
    """What was spent so far; an unknown price is said, not counted as nothing."""
    dollars = "dollars unknown" if event.spent_usd is None else f"${event.spent_usd:.4f}"
    return f"{dollars}, {event.tokens:,} tokens"


def left(event: Event) -> str:
    """`, about 40 s left` where that is known."""
    if event.eta_s is None:
        return ""
    minutes, seconds = divmod(round(event.eta_s), 60)
    return f", about {minutes} min {seconds:02d} s left" if minutes else f", about {seconds} s left"


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)

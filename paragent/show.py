"""The front as a table: for a terminal (rich) and as plain lines; no other output is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paragent.run_view import Point, RunView, Spent, against, picks

if TYPE_CHECKING:
    from rich.table import Table

UNKNOWN = "?"
#: Terminals below this many columns get names under the table.
_WIDE = 110
_HEAD = ("score [95%]", "dev", "cost/1,000", "tokens", "latency", "calls")


@dataclass(frozen=True, slots=True)
class Row:
    """One design as it is shown. `marks` are the picks it stands for, and `baseline`."""

    label: str
    hash: str
    marks: tuple[str, ...]
    score: str
    dev: str
    cost: str
    tokens: str
    latency: str
    calls: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells beside the label, in the order of the columns."""
        return (self.score, self.dev, self.cost, self.tokens, self.latency, self.calls)


def rows(run: RunView) -> list[Row]:
    """The front, cheapest first, then the baseline where it is not on the front."""
    front = list(run.front())
    chosen = picks(front, run.config.get("cost", "usd"))
    base = run.baseline
    out = []
    for i, point in enumerate(front):
        marks = [name for name, at in chosen.items() if at == i]
        if base is not None and base.design == point.design:
            marks.append("baseline")
        out.append(_row(point, tuple(marks)))
    if base is not None and all(base.design != p.design for p in front):
        out.append(_row(base, ("baseline",)))
    return out


def _row(point: Point, marks: tuple[str, ...]) -> Row:
    shown = point.best_known
    usd, tokens, calls = shown.usd_per_task, shown.tokens_per_task, shown.calls_per_task
    return Row(
        label=printable(point.design.label),
        hash=point.design.hash,
        marks=marks,
        score=score_text(point),
        dev=UNKNOWN if point.dev.score is None else f"{point.dev.score:.3f}",
        cost=money(None if usd is None else usd * 1000),
        tokens=UNKNOWN if tokens is None else f"{tokens:,.0f}",
        latency=seconds(shown.latency_s),
        calls=UNKNOWN if calls is None else f"{calls:.2f}",
    )


def score_text(point: Point) -> str:
    """Test score with its 95% interval; `not measured` where the test split was not run."""
    if point.test is None or point.test.score is None:
        return "not measured"
    interval = point.test.interval()
    assert interval is not None, "a score has an interval"
    return f"{point.test.score:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def money(usd: float | None) -> str:
    """Dollars with three significant digits; `?` where unknown, which is not free."""
    if usd is None:
        return UNKNOWN
    if usd == 0:
        return "$0"
    if abs(usd) >= 100:
        return f"${usd:,.0f}"
    return f"${usd:#.3g}" if abs(usd) >= 1e-4 else f"${usd:.2e}"


def seconds(value: float | None) -> str:
    """A duration in the unit that suits it."""
    if value is None:
        return UNKNOWN
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 99.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return (
        f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    )


def p_text(p: float) -> str:
    """A p-value as it is read: `p = .012`, `p < .001`."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)


def printable(text: str) -> str:
    """Without control characters, which could move a terminal's cursor or colour it."""
    return "".join(c if c.isprintable() else " " for c in text)


def front_table(run: RunView, width: int | None = None) -> Table:
    """The front and the baseline as a rich table for a terminal of `width` columns.

    Below 110 columns the designs are numbered and their names stand under the table, since a
    narrow column would break them into many lines. None takes the width of this terminal.
    """
    from rich import box, get_console
    from rich.table import Table
    from rich.text import Text

    everything = rows(run)
    # Text, not str: a label's brackets are no markup.
    names = []
    for row in everything:
        name = Text(row.label)
        if row.marks:
            name.append(f"  {', '.join(row.marks)}", style="bold cyan")
        names.append(name)
    narrow = (get_console().width if width is None else width) < _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    if narrow:
        table.add_column("", justify="right", no_wrap=True)
    else:
        table.add_column("design", ratio=1, overflow="fold")
    for head in _HEAD:
        table.add_column(head, justify="right", no_wrap=True)
    for i, (row, name) in enumerate(zip(everything, names, strict=True)):
        # A baseline that is not on the front stands apart from it.
        apart = i + 2 == len(everything) and everything[-1].marks == ("baseline",)
        first = Text(str(i + 1)) if narrow else name
        table.add_row(first, *map(Text, row.cells), end_section=apart)
    if narrow:
        numbered = (Text(f"{i + 1}  ").append(name) for i, name in enumerate(names))
        table.caption = Text("\n").join(numbered)
        table.caption_style, table.caption_justify = "", "left"
        table.min_width = 78
    return table


def front_lines(run: RunView) -> list[str]:
    """The same as plain lines, then how the best compares, then what the search itself spent."""
    shown = rows(run)
    cells = [_HEAD, *(row.cells for row in shown)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_HEAD))]
    names = ["design", *(_name(row) for row in shown)]
    lines = [
        "  ".join([*(cell.rjust(w) for cell, w in zip(line, widths, strict=True)), name])
        for line, name in zip(cells, names, strict=True)
    ]
    if not run.front():
        lines.append("no design could be measured, so there is no front")
    return [*lines, *summary_lines(run)]


def _name(row: Row) -> str:
    return f"{row.label}  ({', '.join(row.marks)})" if row.marks else row.label


def summary_lines(run: RunView) -> list[str]:
    """Under either table: the best against the baseline, and what the search itself spent."""
    lines = []
    front = run.front()
    if front:
        best = front[picks(front, run.config.get("cost", "usd"))["best"]]
        paired = against(best, run.baseline)
        if paired is not None:
            lines.append(
                f"best minus baseline on the same {paired.n} test tasks: {paired.mean:+.3f} "
                f"[{paired.low:+.3f}, {paired.high:+.3f}], {p_text(paired.p_value)} (paired)"
            )
    lines.append(spent_line(run.spent, len(run.evaluations)))
    return lines


def spent_line(spent: Spent, evaluations: int) -> str:
    """What the search itself used, by purpose where more than one occurred."""
    line = (
        f"the search itself spent {_dollars(spent.usd)}, {spent.tokens:,} tokens and "
        f"{spent.calls:,} calls in {seconds(spent.seconds)} on {evaluations} designs"
    )
    parts = _shares(spent.by_purpose)
    return f"{line} ({', '.join(parts)} of the tokens)" if len(parts) > 1 else line


def _dollars(usd: float | None) -> str:
    return "dollars unknown (a price is missing)" if usd is None else money(usd)


def _shares(by_purpose: Mapping[str, Mapping[str, float | int | None]]) -> Sequence[str]:
    tokens = {purpose: float(used.get("tokens") or 0) for purpose, used in by_purpose.items()}
    total = sum(tokens.values())
    if not total:
        return []
    ordered = sorted(tokens.items(), key=lambda item: (-item[1], item[0]))
    return [f"{purpose} {count / total:.0%}" for purpose, count in ordered if count]

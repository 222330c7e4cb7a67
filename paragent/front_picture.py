"""A run's front as one SVG file: for a README, a paper, a mail. The report has the one to explore.

Score on the test split against cost per 1,000 tasks (log axis), with 95 % intervals; every design
the search measured on dev lies behind as a dot. Colours work on light and dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from paragent.outcome import CostName, Evaluation
from paragent.run_view import RunView
from paragent.show import printable

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 20, 56
UNITS = {"usd": "dollars", "tokens": "tokens", "calls": "calls", "latency": "seconds"}


@dataclass(frozen=True)
class _Axes:
    low: float  # log10 cost
    high: float

    def x(self, cost: float) -> float:
        share = (math.log10(cost) - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    @staticmethod
    def y(score: float) -> float:
        return TOP + (1 - score) * (HEIGHT - TOP - BOTTOM)


def front_picture(run: RunView) -> str:
    """The SVG text; without any design of known score and cost above 0, a picture that says so."""
    cost: CostName = run.config["cost"]
    front = [p for p in run.front() if _known(p.best_known, cost)]
    behind = [e for e in run.evaluations if _known(e, cost)]
    baseline = run.baseline.best_known if run.baseline else None
    shown = [p.best_known for p in front] + behind
    if baseline is not None and _known(baseline, cost):
        shown.append(baseline)
    if not shown:
        nothing = f'<text x="{LEFT}" y="{TOP + 20}">no design has both a score and a cost</text>'
        return _SVG.format(width=WIDTH, height=HEIGHT, body=nothing)
    costs = [1000 * (e.cost(cost) or 0.0) for e in shown]
    axes = _Axes(math.log10(min(costs)) - 0.08, math.log10(max(costs)) + 0.08)
    body = [*_grid(axes, UNITS[cost])]
    body += [_dot(axes, e, cost, "seen", 3) for e in behind]
    line = " ".join(
        f"{axes.x(1000 * (p.best_known.cost(cost) or 0)):.1f},{axes.y(p.best_known.score or 0):.1f}"
        for p in front
    )
    body.append(f'<polyline class="front" points="{line}"/>')
    for number, point in enumerate(front, 1):
        body.append(_interval(axes, point.best_known, cost))
        body.append(_dot(axes, point.best_known, cost, "found", 6, point.design.label))
        x, y = _place(axes, point.best_known, cost)
        body.append(f'<text x="{x + 9:.1f}" y="{y - 9:.1f}">{number}</text>')
    if baseline is not None and _known(baseline, cost):
        body.append(_interval(axes, baseline, cost))
        body.append(_dot(axes, baseline, cost, "base", 6, "baseline"))
        x, y = _place(axes, baseline, cost)
        body.append(f'<text x="{x + 9:.1f}" y="{y - 9:.1f}">baseline</text>')
    return _SVG.format(width=WIDTH, height=HEIGHT, body="\n".join(body))


def _known(evaluation: Evaluation, cost: CostName) -> bool:
    return evaluation.score is not None and bool(evaluation.cost(cost))


def _place(axes: _Axes, evaluation: Evaluation, cost: CostName) -> tuple[float, float]:
    return axes.x(1000 * (evaluation.cost(cost) or 0.0)), axes.y(evaluation.score or 0.0)


def _dot(
    axes: _Axes, evaluation: Evaluation, cost: CostName, kind: str, size: int, title: str = ""
) -> str:
    x, y = _place(axes, evaluation, cost)
    inner = f"<title>{escape(printable(title))}</title>" if title else ""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size}">{inner}</circle>'


def _interval(axes: _Axes, evaluation: Evaluation, cost: CostName) -> str:
    interval = evaluation.interval()
    if interval is None:
        return ""
    x, _ = _place(axes, evaluation, cost)
    y1, y2 = axes.y(interval.low), axes.y(interval.high)
    return f'<line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _grid(axes: _Axes, unit: str) -> Iterable[str]:
    for tenth in range(0, 11, 2):
        y = axes.y(tenth / 10)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="end" x="{LEFT - 8}" y="{y + 4:.1f}">{tenth / 10:.1f}</text>'
    for value in _ticks(axes):
        x = axes.x(value)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        label = f"{value:g}"
        yield f'<text class="middle" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}">{label}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text class="middle" x="{middle}" y="{HEIGHT - 12}">{unit} per 1,000 tasks</text>'
    yield (
        f'<text class="middle" transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) '
        'rotate(-90)">score</text>'
    )


def _ticks(axes: _Axes) -> Sequence[float]:
    """1, 2 and 5 times powers of ten inside the axis."""
    decades = range(math.floor(axes.low), math.ceil(axes.high) + 1)
    values = [float(f"{m}e{d}") for d in decades for m in (1, 2, 5)]
    return [v for v in values if axes.low <= math.log10(v) <= axes.high]


_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">
<style>
text {{ font: 13px system-ui, sans-serif; fill: #57606a; }}
.middle {{ text-anchor: middle; }} .end {{ text-anchor: end; }}
.grid {{ stroke: #8884; }} .interval {{ stroke: #888; stroke-width: 2; }}
.front {{ fill: none; stroke: #2f81f7; stroke-width: 2; stroke-dasharray: 4 4; }}
.found {{ fill: #2f81f7; }} .base {{ fill: #d1242f; }} .seen {{ fill: #8888; }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #9198a1; }} }}
</style>
{body}
</svg>
"""

"""The report's figures as plain plotly data (`{"data": [...], "layout": {...}}`).

Colours are names of CSS variables (`var(--accent)`); the page fills them in for its theme. Texts
are escaped here, since plotly reads a little HTML in labels and hovers.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from paragent.outcome import CostName, Evaluation
from paragent.pareto import front, log_costs
from paragent.report_data import Effect, Progress
from paragent.run_view import Point
from paragent.show import money, printable, seconds

Figure = dict[str, Any]

#: Axis title, factor from "per task" to what is shown, prefix of ticks.
COST_AXES: Mapping[CostName, tuple[str, float, str]] = {
    "usd": ("cost per 1,000 tasks, US$ (log)", 1000.0, "$"),
    "tokens": ("tokens per task (log)", 1.0, ""),
    "calls": ("model calls per task (log)", 1.0, ""),
    "latency": ("seconds of model time per task (log)", 1.0, ""),
}


#: Scores lie in [0, 1]; with one point alone plotly would show impossible ones.
SCORE_AXIS: Mapping[str, Any] = {"tickformat": ".2~f", "minallowed": -0.03, "maxallowed": 1.05}


def label_html(label: str, width: int = 46) -> str:
    """A label for a hover: escaped, broken into lines."""
    return "<br>".join(escape(line) for line in textwrap.wrap(printable(label), width) or [""])


def hover(name: str, evaluation: Evaluation) -> str:
    """All that is known of an evaluation, as plotly's little HTML."""
    e, interval = evaluation, evaluation.interval()
    usd = None if e.usd_per_task is None else e.usd_per_task * 1000
    score = "not measured"
    if e.score is not None and interval is not None:
        score = f"{e.score:.3f} [{interval.low:.3f}, {interval.high:.3f}] on {e.n} {e.split} tasks"
    cost = "cost unknown" if usd is None else f"{money(usd)} per 1,000 tasks"
    tokens = "?" if e.tokens_per_task is None else f"{e.tokens_per_task:,.0f}"
    calls = "?" if e.calls_per_task is None else f"{e.calls_per_task:.2f}"
    return (
        f"<b>{escape(name)}</b><br>{label_html(e.design.label)}<br>score {score}<br>{cost}<br>"
        f"{tokens} tokens, {calls} calls, {seconds(e.latency_s)} a task"
    )


def pareto_figure(
    evaluated: Sequence[Evaluation],
    points: Sequence[tuple[str, Point]],
    baseline: Point | None,
    cost: CostName,
) -> Figure:
    """Score against cost. `points` are (name, point) of the front, cheapest first.

    Evaluations of unknown cost or score are left out; cost 0 stands a decade below the cheapest.
    """
    title, factor, prefix = COST_AXES[cost]
    drawn = [p for _, p in points] + ([baseline] if baseline else [])
    everything = [*evaluated, *(p.dev for p in drawn), *(p.test for p in drawn if p.test)]
    shown = [e for e in everything if e.score is not None and e.cost(cost) is not None]
    logs = log_costs([(e.cost(cost) or 0.0) * factor for e in shown])
    x_of = {id(e): 10**log for e, log in zip(shown, logs, strict=True)}

    def trace(
        name: str, found: Sequence[tuple[str, Evaluation | None]], **style: Any
    ) -> dict[str, Any]:
        here = [(n, e) for n, e in found if e is not None and id(e) in x_of]
        return {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [x_of[id(e)] for _, e in here],
            "y": [e.score for _, e in here],
            "hovertext": [hover(n, e) for n, e in here],
            "hoverinfo": "text",
            "customdata": [e.design.hash for _, e in here],
            **style,
        }

    tests = [(n, p.test) for n, p in points]
    known = [(x_of[id(e)], e) for _, e in tests if e is not None and id(e) in x_of]
    on = [known[i] for i in front([(e.score, x) for x, e in known])]
    edge = max(x_of.values(), default=1.0) * 1.4
    stairs_x = [x for x, _ in on] + ([edge] if on else [])
    stairs_y = [e.score for _, e in on] + ([on[-1][1].score] if on else [])
    numbers = {"mode": "markers+text", "textposition": "middle right", "textfont": {"size": 12}}
    data = [
        trace(
            "evaluated in the search (dev)",
            [(f"evaluation {e.number + 1}", e) for e in evaluated],
            marker={"color": "var(--faint)", "size": 6},
        ),
        {
            "type": "scatter",
            "mode": "lines",
            "name": "front on test",
            "x": stairs_x,
            "y": stairs_y,
            "line": {"shape": "hv", "color": "var(--accent)", "width": 1.5, "dash": "dot"},
            "hoverinfo": "skip",
            "showlegend": False,
        },
        trace(
            "front, dev score",
            [(f"{n} (dev)", p.dev) for n, p in points],
            marker={
                "color": "var(--card)",
                "size": 9,
                "line": {"color": "var(--accent)", "width": 1.5},
            },
        ),
        trace(
            "front, test score",
            tests,
            marker={"color": "var(--accent)", "size": 10},
            text=_together([(n, x_of[id(e)], e.score) for n, e in tests if e and id(e) in x_of]),
            error_y=_errors([e for _, e in tests if e is not None and id(e) in x_of], "--accent"),
            **numbers,
        ),
    ]
    if baseline is not None:
        data += [
            trace(
                "baseline, dev",
                [("baseline (dev)", baseline.dev)],
                marker={
                    "color": "var(--card)",
                    "size": 10,
                    "symbol": "diamond",
                    "line": {"color": "var(--team)", "width": 1.5},
                },
                showlegend=False,
            ),
            trace(
                "baseline, test",
                [("baseline", baseline.test)],
                marker={"color": "var(--team)", "size": 12, "symbol": "diamond"},
                error_y=_errors([e for e in [baseline.test] if e and id(e) in x_of], "--team"),
            ),
        ]
    layout = {
        "height": 480,
        "hovermode": "closest",
        "xaxis": {"type": "log", "title": {"text": title}, "tickprefix": prefix,
                  "tickformat": "~g", "dtick": log_step(list(x_of.values()))},
        "yaxis": {"title": {"text": "score"}, **SCORE_AXIS},
        "legend": {"orientation": "h", "y": -0.22, "x": 0},
    }  # fmt: skip
    return {"data": data, "layout": layout}


def _together(found: Sequence[tuple[str, float, float | None]]) -> list[str]:
    """Names beside points; points in one place share the first one's label: "2, 3"."""
    names: dict[tuple[float, float | None], list[str]] = {}
    for name, x, y in found:
        names.setdefault((x, y), []).append(name)
    texts = []
    for name, x, y in found:
        first = names[x, y][0] == name
        texts.append(f" {', '.join(names[x, y])}" if first else "")
    return texts


def log_step(values: Sequence[float]) -> str | int:
    """Plotly's step of ticks on a log axis: every digit, 1-2-5, or powers of ten."""
    decades = math.log10(max(values) / min(values)) if values else 0.0
    return "D1" if 0 < decades < 0.7 else "D2" if decades < 2.5 else 1


def _errors(evaluations: Sequence[Evaluation], colour: str) -> dict[str, Any]:
    up, down = [], []
    for e in evaluations:
        interval, score = e.interval(), e.score
        assert interval is not None and score is not None, "only measured points are drawn"
        up.append(interval.high - score)
        down.append(score - interval.low)
    return {
        "type": "data",
        "symmetric": False,
        "array": up,
        "arrayminus": down,
        "color": f"var({colour})",
        "thickness": 1,
        "width": 3,
    }


def interval_figure(points: Sequence[tuple[str, Point]]) -> Figure:
    """One row a design, the last on top: test and dev score with their 95% intervals."""
    data = []
    for name, colour, symbol in (("dev", "--faint", "circle-open"), ("test", "--accent", "circle")):
        found = [(n, p.dev if name == "dev" else p.test) for n, p in points]
        here = [(n, e) for n, e in found if e is not None and e.score is not None]
        errors = _errors([e for _, e in here], colour)
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{name} score",
                "x": [e.score for _, e in here],
                "y": [n for n, _ in here],
                "error_x": errors,
                "marker": {"color": f"var({colour})", "size": 9, "symbol": symbol},
                "hovertext": [hover(n, e) for n, e in here],
                "hoverinfo": "text",
            }
        )
    layout = {
        "height": 110 + 30 * len(points),
        "hovermode": "closest",
        "xaxis": {"title": {"text": "score"}, **SCORE_AXIS},
        "yaxis": {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [n for n, _ in points],
        },
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
    }
    return {"data": data, "layout": layout}


def progress_figure(evaluations: Sequence[Evaluation], found: Progress) -> Figure:
    """Every dev score in the order of proposal, and the best so far."""
    scored = [(i + 1, e) for i, e in enumerate(evaluations) if e.score is not None]
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "evaluations",
            "x": [i for i, _ in scored],
            "y": [e.score for _, e in scored],
            "marker": {"color": "var(--faint)", "size": 6},
            "hovertext": [
                hover(f"evaluation {i}" + (f", by {e.by}" if e.by else ""), e) for i, e in scored
            ],
            "hoverinfo": "text",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "best so far",
            "x": [i + 1 for i, b in enumerate(found.best) if b is not None],
            "y": [b for b in found.best if b is not None],
            "line": {"shape": "hv", "color": "var(--accent)", "width": 2},
        },
    ]
    return {"data": data, "layout": _over_evaluations("dev score", SCORE_AXIS)}


def volume_figure(found: Progress) -> Figure:
    """The hypervolume after each evaluation."""
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "hypervolume",
            "x": list(range(1, len(found.volumes) + 1)),
            "y": list(found.volumes),
            "line": {"shape": "hv", "color": "var(--accent)", "width": 2},
        }
    ]
    return {
        "data": data,
        "layout": {**_over_evaluations("hypervolume", {"tickformat": ".2~f"}), "showlegend": False},
    }


def _over_evaluations(title: str, axis: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "height": 340,
        "hovermode": "closest",
        "xaxis": {"title": {"text": "evaluations"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": title}, **axis},
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
    }


def effects_figure(rows: Sequence[Effect]) -> Figure:
    """Difference of mean dev score with and without each component, where an interval is known."""
    known = [(e, e.gap, e.interval) for e in reversed(rows) if e.interval and e.gap is not None]
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [gap for _, gap, _ in known],
            "y": [escape(printable(f"{e.slot}: {e.name}")) for e, _, _ in known],
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [i.high - gap for _, gap, i in known],
                "arrayminus": [gap - i.low for _, gap, i in known],
                "color": "var(--accent)",
                "thickness": 1,
                "width": 3,
            },
            "marker": {"color": "var(--accent)", "size": 8},
            "hovertext": [
                f"<b>{escape(printable(e.name))}</b><br>difference {gap:+.3f} "
                f"[{i.low:+.3f}, {i.high:+.3f}]<br>{e.n_with} designs with, {e.n_without} without"
                for e, gap, i in known
            ],
            "hoverinfo": "text",
            "showlegend": False,
        }
    ]
    layout = {
        "height": 90 + 26 * len(known),
        "hovermode": "closest",
        "xaxis": {"title": {"text": "dev score with − without"}, "zeroline": True,
                  "zerolinewidth": 2, "tickformat": "+.2~f"},
        "yaxis": {"automargin": True, "type": "category"},
    }  # fmt: skip
    return {"data": data, "layout": layout}


def spend_figure(rows: Sequence[tuple[str, float]], unit: str) -> Figure:
    """One bar a purpose."""
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "x": [value for _, value in reversed(rows)],
            "y": [escape(printable(name)) for name, _ in reversed(rows)],
            "marker": {"color": "var(--accent)"},
            "hoverinfo": "x+y",
        }
    ]
    layout = {
        "height": 100 + 34 * len(rows),
        "xaxis": {"title": {"text": unit}},
        "yaxis": {"automargin": True, "type": "category"},
        "showlegend": False,
    }
    return {"data": data, "layout": layout}

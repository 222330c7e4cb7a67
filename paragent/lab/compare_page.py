"""The page of a comparison: anytime curves as SVG, the figures as a table, the verdicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from paragent.lab.reaching import UNITS, counted_in
from paragent.lab.trial import Truth

WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT, TOP = 720, 360, 60, 44, 170, 16
COLOURS = ("#3566b8", "#c4562f", "#3d8b52", "#8b5bb5", "#a8842b", "#2d8f9e", "#b0447a", "#6b6b6b")


#: Points of a curve over tasks or cost.
STEPS = 120


def anytime(curves: Sequence[Sequence[float]]) -> tuple[list[float], list[float], list[float]]:
    """(25 %, median, 75 %) over trials after each evaluation; a trial that ended keeps its last."""
    longest = max(len(c) for c in curves)
    full = np.array([[*c, *([c[-1] if c else 0.0] * (longest - len(c)))] for c in curves])
    low, middle, high = np.quantile(full, (0.25, 0.5, 0.75), axis=0)
    return list(low), list(middle), list(high)


def stepped(
    curve: Sequence[float], spent: Sequence[float], grid: Sequence[float], before: float = 0.0
) -> list[float]:
    """The curve after each amount of `grid`, where its values came at the amounts `spent` (rising,
    as long as the curve); `before` until the first came."""
    places = np.searchsorted(np.asarray(spent), np.asarray(grid), side="right")
    return [[before, *curve][int(i)] for i in places]


def curves_svg(
    trials: Mapping[str, Sequence[Mapping[str, Any]]],
    key: str,
    title: str,
    unit: str,
    spent: str = "",
) -> str:
    """One line per searcher (median), with its quartiles as a band; over evaluations, or over the
    amounts of the curve `spent`."""
    end = 0.0

    def worst(curve: Sequence[float]) -> float:
        return max(curve, default=0.0) if key == "missed_curve" else 0.0

    if spent:
        end = max((t[spent][-1] for rows in trials.values() for t in rows if t[spent]), default=0.0)
        grid = [end * (k + 1) / STEPS for k in range(STEPS)]
        found = {
            name: anytime([stepped(t[key], t[spent], grid, worst(t[key])) for t in rows])
            for name, rows in trials.items()
        }
    else:
        found = {name: anytime([t[key] for t in rows]) for name, rows in trials.items()}
    top = max((max(high) for _, _, high in found.values() if high), default=1.0)
    low = min((min(band) for band, _, _ in found.values() if band), default=0.0)
    if key == "missed_curve":
        low = 0.0
    span = (top - low) or 1.0
    longest = max(len(m) for _, m, _ in found.values())

    def x(i: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (i / max(1, longest - 1))

    def y(v: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (v - low) / span)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for k in range(5):
        value = low + span * k / 4
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            f'stroke="#ddd"/><text x="{LEFT - 6}" y="{y(value) + 4:.1f}" '
            f'text-anchor="end">{value:.3g}</text>'
        )
        step = round(k * max(1, longest - 1) / 4)
        parts.append(
            f'<text x="{x(step):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{f'{end * (step + 1) / STEPS:.3g}' if spent else step + 1}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(unit)}</text>')
    for k, (name, (below, line, above)) in enumerate(found.items()):
        colour = COLOURS[k % len(COLOURS)]
        band = [f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(above)]
        band += [f"{x(i):.1f},{y(v):.1f}" for i, v in reversed(list(enumerate(below)))]
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(line))
        at = TOP + 14 + 18 * k
        parts += [
            f'<polygon points="{" ".join(band)}" fill="{colour}" opacity="0.12"/>',
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<rect x="{WIDTH - RIGHT + 12}" y="{at - 9}" width="12" height="12" fill="{colour}"/>'
            f'<text x="{WIDTH - RIGHT + 30}" y="{at + 1}">{escape(name)}</text>',
        ]
    return "".join([*parts, "</svg>"])


def write_page(
    folder: Path,
    report: Mapping[str, Any],
    trials: Mapping[str, Sequence[Mapping[str, Any]]],
    truth: Truth,
) -> None:
    """`compare.json` (the report with every trial), the curves as SVG files, and `index.html`."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**report, "trials": trials}
    (folder / "compare.json").write_text(json.dumps(whole, allow_nan=False), encoding="utf-8")
    unit = counted_in(report["protocol"])
    words = {"cost": report["protocol"]["cost"]}.get(unit, UNITS[unit])
    spent = "" if unit == "evals" else f"{unit}_curve"
    shares = curves_svg(trials, "curve", "hypervolume share", words, spent)
    missed = curves_svg(trials, "missed_curve", "best score missed, points", words, spent)
    (folder / "hypervolume.svg").write_text(shares, encoding="utf-8")
    (folder / "missed.svg").write_text(missed, encoding="utf-8")
    (folder / "index.html").write_text(_page(report, shares, missed, truth), encoding="utf-8")


def _page(report: Mapping[str, Any], shares: str, missed: str, truth: Truth) -> str:
    unit = counted_in(report["protocol"])
    columns = ("hv_share", "front_share", "best_missed", "regret", "held_out_regret",
               f"{unit}_to_95", f"{unit}_to_99", "designs", "cost", "tasks", "duplicates",
               "overhead_ms")  # fmt: skip
    head = "".join(f"<th>{c.replace('_', ' ')}</th>" for c in columns)
    body = ""
    for name, r in report["results"].items():
        cells = "".join(f"<td>{_figure(r[c])}</td>" for c in columns)
        body += f"<tr><th>{escape(name)}</th>{cells}</tr>"
    said = "".join(f"<li>{escape(v['text'])}</li>" for v in report["verdicts"])
    terms = ", ".join(f"{k} {v}" for k, v in report["protocol"].items() if v is not None)
    title = f"Searchers on {escape(report['table'])}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:15px/1.5 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}"
        "table{border-collapse:collapse;font-size:13px}td,th{padding:3px 9px;text-align:right;"
        "border-bottom:1px solid #ddd}svg{max-width:720px;width:100%}</style>"
        f"<h1>{title}</h1><p>{report['designs']} designs; the best scores {truth.best:.4f}; "
        f"{len(truth.front)} lie on the front. {escape(terms)}.</p>"
        f"<h2>Hypervolume share, anytime</h2>{shares}"
        f"<h2>Best score missed, in points</h2>{missed}"
        f"<p>Lines are medians over seeds, bands their quartiles.</p><h2>At the end</h2>"
        f"<p>Median [95 % bootstrap interval over seeds].</p><table><tr><th></th>{head}</tr>{body}"
        f"</table><h2>Verdicts</h2><ul>{said}</ul></html>"
    )


def _figure(figure: Mapping[str, Any]) -> str:
    low, high = (("∞" if v is None else f"{v:.4g}") for v in (figure["low"], figure["high"]))
    median = "∞" if figure["median"] is None else f"{figure['median']:.4g}"
    reached = f"; {figure['reached']:.0%} got there" if "reached" in figure else ""
    return f"{median} [{low}, {high}]{reached}"

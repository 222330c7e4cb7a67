"""The report's section on the value model: what it foretold, what came, what it pruned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paragent.outcome import CostName
from paragent.show import money

Figure = dict[str, Any]
#: Half a 90 % interval in standard deviations.
NINETY = 1.644854


def value_section(pruning: Mapping[str, Any] | None, cost: CostName) -> dict[str, Any] | None:
    """Texts of the section; None where a run had no value model or it foretold nothing.

    `inside` counts designs whose measured score lies in the 90 % interval of its forecast; a
    measured score is itself noisy, so fewer than nine in ten are to be expected.
    """
    if not pruning or not pruning["forecasts"]:
        return None
    forecasts = pruning["forecasts"]
    inside = sum(abs(f["score"] - f["mean"]) <= NINETY * f["std"] for f in forecasts)
    last = pruning["trust"][-1] if pruning["trust"] else None
    bounds = pruning["false_prune_interval"]
    rate = "nothing was audited"
    if bounds:
        rate = (
            f"{pruning['false_prunes']} of {pruning['audits']} audited designs entered the front "
            f"of their time: {pruning['false_prune_rate']:.0%} [{bounds[0]:.0%}, {bounds[1]:.0%}]"
        )
    saved = pruning["saved"]
    unit = {"usd": "", "tokens": " tokens", "calls": " calls", "latency": " s"}[cost]
    amount = ""
    if saved is not None:
        amount = money(saved) if cost == "usd" else f"{saved:,.0f}{unit}"
    return {
        "forecasts": len(forecasts),
        "inside": inside,
        "spearman": f"{last[1]:.2f}" if last else "not known",
        "trust": f"[{last[2]:.2f}, {last[3]:.2f}]" if last else "",
        "pruned": pruning["pruned"],
        "audits": pruning["audits"],
        "rate": rate,
        "saved": amount,
        "threshold": f"{pruning['threshold']:.0%}",
    }


def value_figures(pruning: Mapping[str, Any]) -> dict[str, Figure]:
    """`forecast`: foretold against measured scores; `trust`: rank correlation over time."""
    found: dict[str, Figure] = {}
    forecasts = pruning["forecasts"]
    shared: dict[str, Any] = {"showlegend": False, "margin": {"t": 10}}
    data: list[dict[str, Any]] = []
    for audit, colour, name in ((False, "var(--accent)", "run"), (True, "var(--team)", "audit")):
        part = [f for f in forecasts if f["audit"] is audit]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [f["mean"] for f in part],
                "y": [f["score"] for f in part],
                "error_x": {"type": "data", "array": [NINETY * f["std"] for f in part]},
                "marker": {"color": colour},
            }
        )
    data.append(
        {"type": "scatter", "mode": "lines", "name": "equal", "x": [0, 1], "y": [0, 1],
         "line": {"dash": "dot", "color": "var(--muted)"}}
    )  # fmt: skip
    found["forecast"] = {
        "data": data,
        "layout": {
            **shared,
            "showlegend": True,
            "xaxis": {"title": {"text": "foretold score, 90 % interval"}},
            "yaxis": {"title": {"text": "measured dev score"}},
        },
    }
    trust = pruning["trust"]
    if len(trust) > 1:
        lines = [
            {
                "type": "scatter",
                "mode": "lines",
                "x": [t[0] + 1 for t in trust],
                "y": [t[k] for t in trust],
                "line": {"color": "var(--accent)", "dash": "solid" if k == 1 else "dot"},
            }
            for k in (1, 2, 3)
        ]
        found["trust"] = {
            "data": lines,
            "layout": {
                **shared,
                "xaxis": {"title": {"text": "evaluations"}},
                "yaxis": {"title": {"text": "Spearman, forecast and measured"}, "range": [-1, 1]},
            },
        }
    return found

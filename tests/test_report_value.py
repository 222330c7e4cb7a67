"""The report's section on the value model, on hand-made records."""

from __future__ import annotations

from typing import Any

from paragent.report_value import value_figures, value_section


def record() -> dict[str, Any]:
    """Three forecasts: two inside their intervals, one audit that proved wrong."""
    base = {"design": "d", "std": 0.1, "cost_mean": -4.0, "cost_std": 0.1, "log_cost": -4.0}
    return {
        "threshold": 0.05,
        "forecasts": [
            {**base, "mean": 0.5, "score": 0.6, "chance": 0.4, "audit": False, "extended": True},
            {**base, "mean": 0.5, "score": 0.4, "chance": 0.3, "audit": False, "extended": False},
            {**base, "mean": 0.2, "score": 0.9, "chance": 0.01, "audit": True, "extended": True},
        ],
        "trust": [[16, 0.3, -0.1, 0.6], [17, 0.5, 0.1, 0.8]],
        "pruned": 4,
        "audits": 1,
        "false_prunes": 1,
        "false_prune_rate": 1.0,
        "false_prune_interval": [0.025, 1.0],
        "saved": 0.0012,
    }


def test_the_section_counts_what_a_reader_can_recount() -> None:
    """Two of three inside, the latest correlation, one of one audits wrong with its interval."""
    found = value_section(record(), "usd")
    assert found is not None
    assert (found["forecasts"], found["inside"], found["pruned"]) == (3, 2, 4)
    assert found["spearman"] == "0.50" and found["trust"] == "[0.10, 0.80]"
    assert found["rate"].startswith("1 of 1 audited") and "[2%, 100%]" in found["rate"]
    assert "$" in found["saved"]
    tokens = value_section({**record(), "saved": 1200.0}, "tokens")
    assert tokens is not None and tokens["saved"] == "1,200 tokens"


def test_no_model_no_section() -> None:
    """A run without pruning, and one too short for a forecast, have nothing to show."""
    assert value_section(None, "usd") is None
    assert value_section({**record(), "forecasts": []}, "usd") is None


def test_figures_show_audits_apart_and_a_line_needs_two_points() -> None:
    """One marker in the audits' colour; a single correlation is no line."""
    found = value_figures(record())
    assert [len(trace["x"]) for trace in found["forecast"]["data"]] == [2, 1, 2]
    assert "trust" in found
    assert "trust" not in value_figures({**record(), "trust": record()["trust"][:1]})

"""The estimate before a search, against hand-worked figures and against a real run."""

from __future__ import annotations

import pytest

from paragent.benchmark import ListBenchmark
from paragent.component import Component, Price
from paragent.config import RunConfig
from paragent.estimate import estimate
from paragent.registry import components
from paragent.space import DesignSpace, Limits

BENCHMARK = ListBenchmark.of("b", [(f"{i:040d}", "x") for i in range(400)])
CONFIG = RunConfig(evals=2, tasks=10, confirm=5, test_tasks=20, finalists=1)


def space(price: Price) -> DesignSpace:
    """One model answering directly: one call of 40/4 + 40 prompt tokens and 120 tokens back."""
    components.register(Component("priced", "model", "x", lambda: None, price=price), replace=True)
    return DesignSpace(("priced",), include=("direct",), limits=Limits(max_depth=1))


def test_a_space_of_one_design_is_worked_out_by_hand() -> None:
    """2 designs x 10 tasks + 2 (finalist, baseline) x (5 + 0.5 x 20) = 50 runs of one call each,
    170 tokens, $1 per million in and $2 out: 50 x (50 + 240) / 1e6. High: 70 runs of 562 tokens."""
    try:
        found = estimate(CONFIG, space(Price(1.0, 2.0)), BENCHMARK)
        assert (found.calls, found.tokens) == (50, 50 * 170)
        assert found.usd == pytest.approx(50 * 290 / 1e6)
        assert (found.calls_high, found.tokens_high) == (70, 70 * 562)
        assert found.usd_high == pytest.approx(70 * (50 + 1024) / 1e6)
    finally:
        components.unregister("priced")


def test_an_unknown_price_is_unknown_not_free() -> None:
    """No dollars, but calls and tokens."""
    try:
        found = estimate(CONFIG, space(Price()), BENCHMARK)
        assert found.usd is None and found.usd_high is None
        assert found.calls == 50
    finally:
        components.unregister("priced")

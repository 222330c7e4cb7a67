"""The calculator: exact, bounded, and never an evaluator of code."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.arithmetic import ArithmeticFault, evaluate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("17*3", "51"),
        ("2+3*4", "14"),
        ("(2+3)*4", "20"),
        ("7/2", "3.5"),
        ("1/3", "0.333333"),
        ("-4+1", "-3"),
        ("1,200 \u00d7 2", "2400"),
        ("0.1+0.2", "0.3"),
        ("10/5", "2"),
    ],
)
def test_hand_worked_values(expression: str, value: str) -> None:
    """Whole results have no point, fractions at most six places, 0.1 + 0.2 is 0.3."""
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    "expression",
    ["", "1/0", "2**9999", "__import__('os')", "a+1", "1 if 1 else 2", "[1]", "9" * 300, "1j+1",
     "True+1", "10000000000*10000000000*10000000000*10000000000", "(" * 199],
)  # fmt: skip
def test_everything_else_is_refused(expression: str) -> None:
    """Code, names, powers, huge numbers and nonsense are faults, never crashes."""
    with pytest.raises(ArithmeticFault):
        evaluate(expression)


numbers = st.integers(-10_000, 10_000)


@given(numbers, numbers, st.sampled_from("+-*"))
def test_agrees_with_exact_arithmetic(a: int, b: int, operator: str) -> None:
    """Against Python's own integers."""
    want = {"+": a + b, "-": a - b, "*": a * b}[operator]
    assert Fraction(evaluate(f"({a}){operator}({b})")) == want


@given(st.text(max_size=40))
def test_no_text_crashes_it(text: str) -> None:
    """A result or an ArithmeticFault."""
    with contextlib.suppress(ArithmeticFault):
        assert isinstance(evaluate(text), str)

"""Python syntax written by a model."""

from __future__ import annotations

import ast
import warnings

import pytest

from paragent.arithmetic import ArithmeticFault, evaluate
from paragent.python_text import expression, literal, module


def test_reading_what_python_warns_of_says_nothing() -> None:
    """`1if 2` and an unknown escape are read without a warning, so also where warnings are errors;
    the bare `ast.parse` of the same text does warn (else this test would prove nothing)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for text in ("1if 2else 3", r"'\d'"):
            with pytest.raises((SyntaxError, Warning)):
                ast.parse(text, mode="eval")
            assert isinstance(expression(text), ast.expr) and len(module(text).body) == 1
        assert literal(r" [1, (2, '\d')]") == [1, (2, r"\d")]


def test_what_is_no_python_raises() -> None:
    """The same errors as Python's own, for the caller to turn into a wrong answer or a fault."""
    for text in ("1 +", "(" * 500, "\0"):
        with pytest.raises((SyntaxError, ValueError, MemoryError, RecursionError)):
            expression(text)
    with pytest.raises(ValueError, match="malformed"):
        literal("open")
    with pytest.raises(ArithmeticFault):
        evaluate("1is 2")

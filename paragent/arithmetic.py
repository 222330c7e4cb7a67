"""Exact arithmetic on an expression written by a model: + - * / and brackets, nothing else.

The expression is parsed, never evaluated as code. Results are exact: whole numbers print without a
point, fractions as the shortest decimal of at most 6 places.
"""

from __future__ import annotations

import ast
import math
from fractions import Fraction

from paragent.python_text import expression

MAX_LENGTH = 200
MAX_DIGITS = 30


class ArithmeticFault(ValueError):
    """What was written is no arithmetic this calculator does; the message says why."""


def evaluate(given: str) -> str:
    """The value of an expression as text. Raises ArithmeticFault."""
    if len(given) > MAX_LENGTH:
        raise ArithmeticFault(f"an expression of {len(given)} characters is too long")
    text = given.strip().replace("\u00d7", "*").replace("\u00f7", "/").replace(",", "")
    try:
        tree = expression(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ArithmeticFault(f"{given!r} is no arithmetic expression") from None
    return show(_value(tree))


def show(value: Fraction) -> str:
    """A fraction as text: 54, -3, 0.25, 0.333333."""
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.6f}".rstrip("0").rstrip(".")


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        if node.value == math.inf:  # 1e999999
            raise ArithmeticFault(f"a number of more than {MAX_DIGITS} digits")
        value = Fraction(str(node.value))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _value(node.operand)
        value = -inner if isinstance(node.op, ast.USub) else inner
    elif isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Add):
            value = left + right
        elif isinstance(node.op, ast.Sub):
            value = left - right
        elif isinstance(node.op, ast.Mult):
            value = left * right
        elif isinstance(node.op, ast.Div):
            if right == 0:
                raise ArithmeticFault("division by zero")
            value = left / right
        else:
            raise ArithmeticFault("only + - * / are known")
    else:
        raise ArithmeticFault("only numbers, + - * / and brackets are known")
    if max(abs(value.numerator), value.denominator) >= 10**MAX_DIGITS:
        raise ArithmeticFault(f"a number of more than {MAX_DIGITS} digits")
    return value

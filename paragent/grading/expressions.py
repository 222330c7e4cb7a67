"""Game of 24: an arithmetic expression over given numbers, checked without running anything.

As in the grader of princeton-nlp/tree-of-thought-llm (`src/tot/tasks/game24.py`, at commit
ab40034): the last line's expression, left of any "=", must use exactly the given numbers, once
each, and equal 24. Values are exact fractions here; there, sympy's.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from paragent.python_text import expression

MOST_CHARACTERS = 200

_OTHER_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")"})


def makes(numbers: Sequence[int], target: int, given: str) -> float:
    """1.0 where `given` holds an expression over exactly these numbers that equals the target."""
    lines = [line.strip() for line in given[-4_000:].splitlines() if line.strip()]
    if not lines:
        return 0.0
    text = re.sub(r"(?i)^.*\banswer\s*(?:is|:)", "", lines[-1])
    text = text.translate(_OTHER_SIGNS).replace("\\times", "*").replace("\\div", "/")
    text = text.partition("=")[0].strip(" .$`*_")
    if len(text) > MOST_CHARACTERS or not re.fullmatch(r"[0-9+\-*/() ]+", text):
        return 0.0
    used = Counter(int(n) for n in re.findall(r"[0-9]{1,9}", text))
    if used != Counter(numbers):
        return 0.0
    try:
        return float(_value(expression(text)) == target)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return 0.0


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return Fraction(node.value)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div):
            return left / right
    raise ValueError("not the arithmetic of the game")

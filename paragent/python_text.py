"""Python syntax written by a model: read, never run, and without a word on the terminal.

Python warns of text such as `1if 2` or an unknown escape. On the terminal that is noise about what
a model said, and where warnings are errors it would change what an answer is worth. Everything here
raises SyntaxError, ValueError (null bytes), RecursionError or MemoryError for what is no Python.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any


def expression(text: str) -> ast.expr:
    """The syntax tree of one expression."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text, mode="eval").body


def module(text: str) -> ast.Module:
    """The syntax tree of a program."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def literal(text: str) -> Any:
    """The value of a literal, as `ast.literal_eval` reads it; TypeError for a key with no hash."""
    return ast.literal_eval(expression(text.lstrip(" \t")))

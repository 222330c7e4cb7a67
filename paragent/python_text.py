"""Python syntax written by a model: read, never run, and without a word on the terminal."""

from __future__ import annotations

import ast
import warnings
from typing import Any, Literal, overload


@overload
def parse(text: str, mode: Literal["eval"]) -> ast.Expression: ...
@overload
def parse(text: str, mode: Literal["exec"]) -> ast.Module: ...
def parse(text: str, mode: Literal["eval", "exec"]) -> ast.Expression | ast.Module:
    """The syntax tree. Raises SyntaxError, ValueError (null bytes), RecursionError or MemoryError.

    Python warns of text such as `1if 2` or an unknown escape: on the terminal that is noise about
    what a model said, and where warnings are errors it would change what an answer is worth.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text, mode=mode)
    assert isinstance(tree, ast.Expression | ast.Module)
    return tree


def literal(text: str) -> Any:
    """The value of a literal, as `ast.literal_eval` reads it; raises as `parse`, and TypeError."""
    return ast.literal_eval(parse(text.lstrip(" \t"), "eval"))

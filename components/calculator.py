"""Exact arithmetic while thinking (Cobbe et al. 2021, section 4.1, "calculator annotations").

The model writes `<<17*3>>` and reads `=51` after it; models with native tool calling call it by
name. No model calls of its own. Requires "steps": an answer given at once has no room for it.
"""

from __future__ import annotations

from paragent.arithmetic import evaluate
from paragent.component import Component, Tool

TOOL = Tool(
    name="calculator",
    description="Exact arithmetic: numbers, + - * / and brackets. Returns the result.",
    call=evaluate,
    instruction=". Use the calculator by writing <<expression>>",
    native_instruction=". Use the calculator for every calculation",
    schema={
        "type": "object",
        "properties": {"expression": {"type": "string", "description": "for example 17*3+(4-1)/2"}},
        "required": ["expression"],
        "additionalProperties": False,
    },
)


CALCULATOR = Component(
    name="calculator",
    kind="tool",
    summary="exact arithmetic while thinking",
    build=lambda: TOOL,
    calls=lambda params, inner: 0,
    requires=("steps",),
    paper="Cobbe et al. 2021, Training Verifiers to Solve Math Word Problems, section 4.1",
)

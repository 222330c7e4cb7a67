"""A model's Python snippet, run in a cage (Gao et al. 2023, PAL, section 3; Chen et al. 2023,
Program of Thoughts, section 2): no network, no files, limits on time, memory and output.

What the snippet prints is the result, cut at `MOST_CHARACTERS`; where it ends with an expression,
its value is printed too, as in a Python shell. An exception comes back as its last line.
No model calls of its own. Requires "steps", "tools" and "cage": a machine with bubblewrap.
"""

from __future__ import annotations

import ast

from paragent.component import Component, Tool
from paragent.python_text import module
from paragent.runtime.cages import sandbox

MOST_CHARACTERS = 2000


async def run(code: str) -> str:
    """What the snippet prints. Raises RuntimeError with why it ended early."""
    ran = await sandbox().run(shown(code))
    out = ran.stdout.strip()
    if len(out) > MOST_CHARACTERS:
        out = f"{out[:MOST_CHARACTERS]} … (cut)"
    if ran.status == "ok":
        return out or "(nothing was printed)"
    why = {"timeout": "the time limit was reached", "killed": "the program was killed"}
    last = (ran.stderr.strip().splitlines() or ["it failed"])[-1][:MOST_CHARACTERS]
    raise RuntimeError("\n".join(part for part in (why.get(ran.status, last), out) if part))


def shown(code: str) -> str:
    """The code without a Markdown fence, its last expression printed where it stands alone."""
    lines = code.strip().splitlines()
    if lines and lines[0].startswith("```"):
        lines = lines[1:-1] if lines[-1].startswith("```") else lines[1:]
    code = "\n".join(lines)
    try:
        tree = module(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return code  # the cage's Python says what is wrong
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        return code
    head = code.splitlines()[: last.lineno - 1]
    start = code.splitlines()[last.lineno - 1].encode()[: last.col_offset].decode()
    value = ast.get_source_segment(code, last.value)
    show = f"_ = ({value})\nif _ is not None: print(_)"
    return "\n".join([*head, *([start.rstrip(" ;")] if start.strip(" ;") else []), show])


TOOL = Tool(
    name="python",
    description="Runs Python 3 (standard library only) and returns what it prints.",
    call=run,
    instruction=". Use Python by writing <<code>>, and print the results you need",
    native_instruction=". Use Python for whatever can be computed",
    schema={
        "type": "object",
        "properties": {"code": {"type": "string", "description": "a program that prints"}},
        "required": ["code"],
        "additionalProperties": False,
    },
    argument="code",
)


PYTHON = Component(
    name="python",
    kind="tool",
    summary="runs Python programs that the model writes, in a cage",
    build=lambda: TOOL,
    calls=lambda params, inner: 0,
    requires=("steps", "tools", "cage"),
    paper="Gao et al. 2023, PAL, section 3; Chen et al. 2023, Program of Thoughts, section 2",
)

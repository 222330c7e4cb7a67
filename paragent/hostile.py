"""Answers that no grader expects, and what they do to a benchmark.

Empty, huge, unicode, nested texts, numbers without end, and code that does harm: `hostile` makes
them, `answer_hostilely` gives them to a benchmark's scorer or to the tools and users of its worlds.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence

from paragent.benchmark import Benchmark, Closes, Task
from paragent.component import Answer, Tool
from paragent.environment import Environment, Interactive, World
from paragent.evaluate import score_of

PIECES = (
    "",
    " ",
    "\n",
    "\x00",
    "\u202e",
    "\ud800",
    "🦆",
    "é",
    "ﬁ",
    "１２３",
    "٣",
    "NaN",
    "inf",
    "-",
    "+",
    "1e999999",
    "0/0",
    "1/0",
    "9" * 400,
    "1,000,000",
    "1,2,3",
    ".5",
    "5.",
    "--5",
    "Answer:",
    "####",
    "\\boxed{",
    "\\frac{",
    "\\sqrt",
    "\\left(",
    "}",
    "{",
    "$",
    "\\text{",
    "^{",
    "9^9^9",
    "x=",
    "(",
    ")",
    "[",
    "]",
    "<<",
    ">>",
    "***",
    "*",
    "- ",
    "```",
    "```python\n",
    "```json",
    '"',
    "'",
    "A)",
    "(B)",
    "yes",
    "no",
    "the",
    "a",
    ",",
    ";",
    "|",
    " and ",
    "=",
    "P.S.",
    "Section 1",
    '{"a":',
    "My answer is yes.",
    "SELECT",
    "WITH RECURSIVE",
    "DROP TABLE",
    "ATTACH",
    "--",
    "/*",
    "24",
    "4 * 6",
    "import os",
    "def f():",
    "return",
    "    ",
    "lambda: ",
    "__import__('os')",
    "exit()",
    "while True: pass",
)

WHOLE = (
    "9" * 20_000,
    "\\boxed{" * 3_000,
    "\\frac{" * 2_000 + "1" + "}" * 2_000,
    "(" * 5_000,
    "[" * 60_000,
    "*" * 60_000,
    "\n" * 60_000,
    " " * 60_000,
    "<<" * 30_000,
    "a," * 30_000,
    "Answer: " * 5_000,
    "1+" * 30_000,
    "p." * 30_000,
    "x" * 200_000,
    "3" + " 3" * 40_000,
    "```" * 20_000,
)

PROGRAMS = (
    "while True: pass",
    "import os\nwhile True: os.fork()",
    "print(open('/etc/passwd').read())",
    "import os; os.kill(os.getppid(), 9)",
    "x = 'a' * 10**10",
    "import sys; sys.exit(0)",
    "import os; os._exit(0)",
    "print('x' * 10**7)",
    "raise KeyboardInterrupt",
    "import builtins; builtins.print = lambda *a: None",
    "def f(x): return f(x)\nf(1)",
    "import socket; socket.create_connection(('1.1.1.1', 80), 1)",
    "import signal; signal.alarm(1)",
)


def hostile(count: int, seed: int = 0) -> Iterator[str]:
    """`count` answers, the same for one seed: all whole ones, then random mixtures of pieces."""
    rng = random.Random(seed)
    yield from WHOLE[:count]
    for _ in range(count - len(WHOLE)):
        yield "".join(rng.choices(PIECES, k=rng.choice((0, 1, 2, 3, 5, 8, 20, 200))))


async def answer_hostilely(
    benchmark: Benchmark, texts: Sequence[str], tasks: Sequence[Task]
) -> tuple[float, str]:
    """Give every text to the benchmark, the tasks in turn; the slowest one's processor seconds and
    its first 80 characters.

    A scorer gets it as the answer. A world that asks (a network, a commons, a customer) gets it as
    what the design says; every second world with tools gets it as an argument of one tool after
    another, and its user as a word; then the world is scored. Raises what a scorer or a tool
    raises, and ValueError for a score outside [0, 1].
    """
    slowest = (0.0, "")
    try:
        if isinstance(benchmark, Interactive):
            return await _in_worlds(benchmark, texts, tasks)
        for i, text in enumerate(texts):
            begin = time.process_time()
            await score_of(benchmark, tasks[i % len(tasks)], text)
            slowest = max(slowest, (time.process_time() - begin, text[:80]))
        return slowest
    finally:
        if isinstance(benchmark, Closes):
            await benchmark.aclose()


#: Texts that one world gets before it is scored.
_A_WORLD = 20


async def _in_worlds(
    benchmark: Interactive, texts: Sequence[str], tasks: Sequence[Task]
) -> tuple[float, str]:
    left, opened, slowest = list(reversed(texts)), 0, (0.0, "")
    while left:
        environment = benchmark.environment(tasks[opened % len(tasks)])
        world, opened = World(environment, benchmark.steps), opened + 1
        begin, first = time.process_time(), left[-1][:80]
        try:
            plays = type(environment).play is not Environment.play
            if plays and (opened % 2 or not environment.tools):

                async def ask(_: str) -> Answer:
                    return Answer(left.pop() if left else "")

                await world.score(await environment.play(ask, tasks[0].question))
                slowest = max(slowest, (time.process_time() - begin, first))
                continue
            text = ""
            for step in range(_A_WORLD):
                if not left or (step and not world.open):
                    break
                text, begin = left.pop(), time.process_time()
                if environment.tools:
                    tool = environment.tools[(opened + step) % len(environment.tools)]
                    for argument in _arguments(tool, text):
                        await world.act(tool, argument)
                slowest = max(slowest, (time.process_time() - begin, text[:80]))
            if environment.has_user:
                await world.hear(text)
            begin = time.process_time()
            await world.score(Answer(text))
            slowest = max(slowest, (time.process_time() - begin, text[:80]))
        finally:
            await environment.aclose()
    return slowest


def _arguments(tool: Tool, text: str) -> Iterator[str]:
    """The text as it is; as every argument; and in the place of JSON values."""
    names = list(tool.schema.get("properties", {}))
    yield text
    yield json.dumps(dict.fromkeys(names, text))
    yield json.dumps({name: [text] for name in names})
    yield "{" + ", ".join(f"{json.dumps(name)}: {text}" for name in names) + "}"

r"""Mathematical answers: the same formula after normalisation, else equal by math-verify.

Normalisation follows what graders of MATH do (hendrycks/math, `is_equiv`): the last `\boxed{…}`
without spaces, `\left`, `\right`, dollar, percent and degree signs, `\dfrac` as `\frac`. What is
not the same text may still be equal: math-verify (extra `math`) parses both and asks sympy, in a
worker process with a time limit. A formula that takes longer is not shown to be equal: 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import weakref
from dataclasses import dataclass, field

from paragent.errors import UsageError
from paragent.grading.numbers import final_number, same_number

#: Only the end of an answer is read, and no longer formula is compared.
MOST_CHARACTERS = 20_000
MOST_FORMULA = 400

_DROP = re.compile(
    r"\\left|\\right|\\[!,;: ]|\\quad|\\displaystyle|\\?\$|\\?%|\^\{?\\circ\}?|\\degree"
)


def boxed(text: str) -> str | None:
    r"""What the last `\boxed{…}` (or `\fbox{…}`) holds, braces matched, or None."""
    text = text[-MOST_CHARACTERS:]
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0:
        return None
    rest = text[start:].partition("{")[2] if "{" in text[start : start + 12] else ""
    depth = 1
    for place, character in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return rest[:place]
    return rest.strip() or None


def formula_in(text: str) -> str:
    """The formula that a text gives as its answer: boxed, or after "Answer:", or its last line."""
    found = boxed(text)
    if found is not None:
        return found.strip()
    text = text[-MOST_CHARACTERS:]
    marks = list(re.finditer(r"(?i)\banswer\s*(?:is|:)", text))
    tail = text[marks[-1].end() :] if marks else text
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    return (lines[0] if marks else lines[-1]).rstrip(".") if lines else ""


def normalised(formula: str) -> str:
    """One spelling for formulas that differ in typesetting only."""
    text = _DROP.sub("", formula[:MOST_FORMULA])
    text = re.sub(r"\\text(?:bf|it|rm)?\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\math(?:rm|bf|it)\s*\{([^{}]*)\}", r"\1", text)
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = re.sub(r"\\frac\s*([0-9])\s*([0-9])(?![0-9])", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\sqrt\s*([0-9a-zA-Z])", r"\\sqrt{\1}", text)
    text = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", text.replace("{,}", ","))
    text = re.sub(r"\s+", "", text).rstrip(".")
    text = re.sub(r"^[a-zA-Z]=(?=.)", "", text)  # x = 5
    return re.sub(r"(?<![0-9])\.(?=[0-9])", "0.", text)


def same_formula(expected: str, given: str) -> bool:
    """Whether two formulas are the same after normalisation, or the same plain number."""
    one, two = normalised(expected), normalised(given)
    if one == two or one.casefold() == two.casefold():
        return bool(one)
    plain = r"-?[0-9]+(?:\.[0-9]+)?(?:/[0-9]+)?|-?\\frac\{-?[0-9]+\}\{[0-9]+\}"
    if not (re.fullmatch(plain, one) and re.fullmatch(plain, two)):
        return False
    first, second = final_number(one), final_number(two)
    return first is not None and second is not None and same_number(first, second)


@dataclass
class MathsGrader:
    """Scores formulas; one worker process per event loop, started when first needed.

    Raises UsageError where math-verify is not installed, and only when it is needed.
    """

    seconds: float = 5.0
    _workers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Worker] = field(
        default_factory=weakref.WeakKeyDictionary, repr=False
    )

    async def score(self, expected: str, given: str) -> float:
        """1.0 where the formula in `given` is or equals `expected`, else 0.0."""
        formula = formula_in(given)
        if same_formula(expected, formula):
            return 1.0
        if not formula or len(formula) > MOST_FORMULA:
            return 0.0
        loop = asyncio.get_running_loop()
        worker = self._workers.get(loop)
        if worker is None:
            worker = self._workers[loop] = _Worker(self.seconds)
        return float(await worker.equal(expected, formula))

    async def aclose(self) -> None:
        """End this loop's worker."""
        worker = self._workers.pop(asyncio.get_running_loop(), None)
        if worker is not None:
            await worker.end()


class _Worker:
    """math-verify in a process of its own, one question at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def equal(self, expected: str, given: str) -> bool:
        async with self._turn:
            if self._process is None:
                await self._start()
            assert self._process is not None and self._process.stdin and self._process.stdout
            question = json.dumps([expected, given]).encode() + b"\n"
            try:
                async with asyncio.timeout(self._seconds):
                    self._process.stdin.write(question)
                    await self._process.stdin.drain()
                    return (await self._process.stdout.readline()).strip() == b"1"
            except (TimeoutError, OSError):
                await self.end()
                return False
            except BaseException:  # cancelled in mid-answer: the next must not read this one's
                await self.end()
                raise

    async def _start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROGRAM, stdin=pipe, stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL, env={"PATH": os.environ.get("PATH", "")},
        )  # fmt: skip
        assert self._process.stdout is not None
        if (await self._process.stdout.readline()).strip() != b"ready":
            await self.end()
            raise UsageError(
                "formulas are compared by math-verify, which is not installed; "
                "run: pip install 'paragent[math]'"
            )

    async def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


#: Memory is bounded here, time by the parent.
_PROGRAM = r"""
import json, logging, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
logging.disable(logging.CRITICAL)
from math_verify import parse, verify
print("ready", flush=True)
for line in sys.stdin:
    expected, given = json.loads(line)
    try:
        wanted = parse("$" + expected + "$", parsing_timeout=None)
        found = parse("$" + given + "$", parsing_timeout=None)
        same = bool(wanted and found and verify(wanted, found, timeout_seconds=None))
    except Exception:  # it raises on what it cannot read: such an answer is wrong
        same = False
    print(int(same), flush=True)
"""

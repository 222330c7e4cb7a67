"""Code as an answer: found in what a model said, and run in the cage with the task's tests.

A program passes when its tests ran to their end: it prints, last of all, a word that it cannot know
beforehand. Code that only leaves early, or prints a lot, has not passed. A program that goes and
looks for that word in its own process could cheat; it harms nothing but its score.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import weakref
from dataclasses import dataclass, field

from paragent.runtime.sandbox import CodeLimits, Ran, Sandbox

#: Longer answers than this hold no program that a task asks for.
MOST_CHARACTERS = 200_000

_LIMITS = CodeLimits(wall_s=10.0, cpu_s=10, memory_mb=2048, processes=8, disk_mb=16)


def code_in(text: str, name: str = "") -> str:
    """The program in a model's words: its last fenced block (that defines `name`, where one does),
    else what stands after the last "Answer:" where that looks like code, else the whole text."""
    text = text[-MOST_CHARACTERS:].replace("\r\n", "\n")
    blocks = [code for language, code in blocks_in(text) if language in _PYTHON]
    defining = [code for code in blocks if defines(code, name)]
    if defining:
        return str(defining[-1])
    if blocks:
        return str(blocks[-1])
    before, mark, after = text.rpartition("Answer:")
    if mark and (defines(after, name) or not defines(before, name)):
        return after.strip("\n").removeprefix(" ")
    return before if mark else text


def blocks_in(text: str) -> list[tuple[str, str]]:
    """(language in lower case, code) of each fenced block, in time linear in the text.

    A fence is three backquotes at the start of a line; the last block may be unfinished. A line of
    code may end with its closing fence.
    """
    found: list[tuple[str, str]] = []
    language = ""
    code: list[str] | None = None
    for line in text.split("\n"):
        bare = line.strip()
        if code is None:
            if bare.startswith("```"):
                language, code = bare.strip("`").strip().split(" ")[0].lower(), []
        elif bare.endswith("```"):
            if bare != "```":
                code.append(line.rstrip().removesuffix("```"))
            found.append((language, "".join(f"{part}\n" for part in code)))
            code = None
        else:
            code.append(line)
    if code is not None:
        found.append((language, "".join(f"{part}\n" for part in code)))
    return found


_PYTHON = ("", "python", "python3", "py")


def defines(code: str, name: str) -> bool:
    """Whether a text has a line that defines the function (any definition or import for "")."""
    if not name:
        return bool(re.search(r"^[ \t]*(?:def|class|import|from)\s", code, re.MULTILINE))
    return bool(
        re.search(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(name)}\b", code, re.MULTILINE)
    )


@dataclass
class CodeGrader:
    """Runs programs with tests in cages of the running event loop; `aclose` ends them.

    Raises UsageError where no cage can be built: the task is then Failed, never a zero.
    """

    limits: CodeLimits = _LIMITS
    cages: int = 2
    _sandboxes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Sandbox] = field(
        default_factory=weakref.WeakKeyDictionary, repr=False
    )

    async def passes(self, program: str, tests: str) -> float:
        """1.0 where program and tests run to their end, else 0.0."""
        word = secrets.token_hex(16)
        ran = await self.run(f"{program}\n\n{tests}\n\nprint('\\n' + {word!r})\n")
        return float(ran.status == "ok" and ran.stdout.rstrip().endswith(word))

    async def run(self, code: str, stdin: str = "") -> Ran:
        """One snippet in a cage; never raises for what it does."""
        loop = asyncio.get_running_loop()
        sandbox = self._sandboxes.get(loop)
        if sandbox is None:
            sandbox = self._sandboxes[loop] = Sandbox(self.limits, self.cages)
        return await sandbox.run(code, stdin)

    async def aclose(self) -> None:
        """End the cages of this loop."""
        sandbox = self._sandboxes.pop(asyncio.get_running_loop(), None)
        if sandbox is not None:
            await sandbox.aclose()


def missing_cage() -> str:
    """The command that makes running code possible, or "" where bubblewrap is installed."""
    import shutil

    return "" if shutil.which("bwrap") else "apt install bubblewrap"

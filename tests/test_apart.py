"""Calls from inside a running event loop, as a notebook makes them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import paragent
from paragent.errors import UsageError
from paragent.runtime.apart import callable_anywhere, run

ROOT = Path(__file__).parent.parent


@callable_anywhere
def doubled(number: int) -> tuple[int, str]:
    """Twice the number, and the thread it was worked out in."""

    async def work() -> int:
        await asyncio.sleep(0)
        if number < 0:
            raise UsageError("below 0")
        return 2 * number

    return run(work()), threading.current_thread().name


def test_without_a_loop_nothing_changes_threads() -> None:
    """Plain programs stay in their thread."""
    assert doubled(4) == (8, threading.current_thread().name)


def test_inside_a_loop_the_call_has_a_thread_and_a_loop_of_its_own() -> None:
    """The result comes back as from any call; errors too."""

    async def notebook() -> tuple[int, str]:
        with pytest.raises(UsageError, match="below 0"):
            doubled(-1)
        return doubled(4)

    assert asyncio.run(notebook()) == (8, "paragent doubled")


def test_a_search_in_a_notebook_finds_what_it_finds_elsewhere(tmp_path: Path) -> None:
    """The same seed gives the same front, and resuming and asking work there as well."""
    small = {
        "searcher": "random",
        "models": ("pocket-s",),
        "include": ("direct", "vote"),
        "evals": 2,
        "tasks": 4,
        "confirm": 2,
        "test_tasks": 2,
    }
    plain = paragent.optimize(out=tmp_path / "plain", **small)

    async def notebook() -> tuple[paragent.Run, str]:
        found = paragent.optimize(out=tmp_path / "notebook", **small)
        again = paragent.resume(found.path)
        return again, again.best().ask("What is 2 + 3?")

    found, answer = asyncio.run(notebook())
    assert [p.design for p in found.front()] == [p.design for p in plain.front()]
    assert isinstance(answer, str)


PROGRAM = """
import asyncio, signal
from paragent.runtime.apart import callable_anywhere, run

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells may have it ignored

@callable_anywhere
def call():
    async def work():
        try:
            print("begun", flush=True)
            await asyncio.sleep(60)
        finally:
            print("closed", flush=True)
    run(work())

async def cell():
    call()

try:
    asyncio.new_event_loop().run_until_complete(cell())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_in_a_notebook_cancels_the_work_and_waits_for_its_end() -> None:
    """Notebooks run their loop without asyncio's own handler: the interrupt is raised where the
    caller waits, and the work has closed what it holds before the cell ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert out == "closed\ninterrupted\n"
    assert process.returncode == 0

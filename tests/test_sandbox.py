"""The cage: code runs, and what it must not reach is out of its reach."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from paragent.errors import UsageError
from paragent.runtime.sandbox import CodeLimits, Ran, Sandbox

LIMITS = CodeLimits(wall_s=1.5, cpu_s=1, memory_mb=200, output_bytes=1000)


def no_cage() -> str:
    """Why there is no cage on this machine; "" where there is one."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    try:
        asyncio.run(_check())
    except UsageError as error:
        return str(error)
    return ""


async def _check() -> None:
    box = Sandbox()
    try:
        await box.check()
    finally:
        await box.aclose()


REASON = no_cage()
caged = pytest.mark.skipif(bool(REASON), reason=REASON or "has a cage")


def run(*codes: str, stdin: str = "", limits: CodeLimits = LIMITS) -> list[Ran]:
    """Snippets one after the other in one cage."""

    async def main() -> list[Ran]:
        box = Sandbox(limits, cages=1)
        try:
            return [await box.run(code, stdin) for code in codes]
        finally:
            await box.aclose()

    return asyncio.run(main())


def test_without_bubblewrap_it_refuses_and_names_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never a silent fallback: a clear line, exit code 2."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="install the package `bubblewrap`") as told:
        run("print(1)")
    assert told.value.exit_code == 2


def test_a_bubblewrap_that_builds_no_cage_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Inside containers without user namespaces the line says so."""
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(broken))
    with pytest.raises(UsageError, match=r"No permissions.*it needs user namespaces"):
        run("print(1)")


@caged
def test_code_runs_with_its_input_and_its_errors() -> None:
    """Output, input, exit codes and tracebacks come back; snippets share nothing."""
    good, echo, bad, quit_, after = run(
        "x = 6 * 7\nprint(x)",
        "print(input()[::-1])",
        "def f():\n    return 1 / 0\nf()",
        "import sys; sys.exit(3)",
        "print('x' in globals())",
        stdin="abc\n",
    )
    assert (good.status, good.stdout, good.exit_code) == ("ok", "42\n", 0)
    assert echo.stdout == "cba\n"
    assert bad.status == "error" and "ZeroDivisionError" in bad.stderr
    assert (quit_.status, quit_.exit_code) == ("error", 3)
    assert after.stdout == "False\n"


@caged
def test_time_memory_and_output_are_bounded() -> None:
    """A sleeper, a spinner, an eater and a talker each end in time, and the cage goes on."""
    sleeper, spinner, eater, talker, after = run(
        "import time; print('before', flush=True); time.sleep(60)",
        "while True: pass",
        "x = bytearray(10**9)",
        "print('y' * 100_000)",
        "print('still here')",
    )
    assert (sleeper.status, sleeper.stdout) == ("timeout", "before\n")
    assert spinner.status in ("timeout", "killed")
    assert eater.status == "error" and "MemoryError" in eater.stderr
    assert len(talker.stdout) == 1000 and talker.truncated
    assert after.stdout == "still here\n"
    assert max(r.seconds for r in (sleeper, spinner, eater, talker)) < 4


@caged
def test_no_network_no_files_no_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A listening port, a file beside us, our variables and our processes are out of reach."""
    monkeypatch.setenv("PLANTED_KEY", "planted-secret-value")
    secret = tmp_path / "secret.txt"
    secret.write_text("planted-file", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        net, file, home, environment, processes, write = run(
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)",
            f"print(open({str(secret)!r}).read())",
            "import os; print(sorted(os.listdir('/')))",
            "import os; print(dict(os.environ))",
            "import os; print(sum(p.isdigit() for p in os.listdir('/proc')))",
            "open('/usr/x', 'w')",
        )
    assert net.status == "error" and "refused" in net.stderr
    assert file.status == "error" and "FileNotFoundError" in file.stderr
    assert "'etc'" not in home.stdout and "'work'" not in home.stdout
    assert "planted" not in environment.stdout
    assert int(processes.stdout) <= 4
    assert write.status == "error" and "Read-only" in write.stderr


@caged
def test_what_a_snippet_leaves_behind_is_gone() -> None:
    """Children, files and broken servers of one snippet do not reach the next."""
    leave = (
        "import os, time\nopen('/tmp/left', 'w').write('x')\n"
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\n"
    )
    look = (
        "import os\nprint(os.listdir('/tmp'), sum(p.isdigit() for p in os.listdir('/proc')) <= 4)"
    )
    kill = "import os; os.kill(os.getppid(), 9)"
    bomb = "import os\nwhile True: os.fork()"
    _, first, _, second, exploded, third = run(leave, look, kill, look, bomb, look)
    assert first.stdout == second.stdout == third.stdout == "[] True\n"
    assert exploded.status != "ok"


@caged
def test_processes_are_bounded() -> None:
    """A snippet has eight processes at most, whoever runs the cage."""
    count = (
        "import os, time\nn = 0\ntry:\n    while n < 50:\n        if os.fork() == 0:\n"
        "            time.sleep(30)\n        n += 1\nexcept BlockingIOError:\n    pass\nprint(n)"
    )
    (ran,) = run(count)
    assert ran.status == "ok"
    assert 1 <= int(ran.stdout) <= 8


@caged
def test_snippets_run_side_by_side() -> None:
    """Two cages take two snippets at once."""

    async def main() -> list[Ran]:
        box = Sandbox(LIMITS, cages=2)
        await box.check()
        try:
            code = "import time; time.sleep(0.3); print(1)"
            return await asyncio.gather(*(box.run(code) for _ in range(4)))
        finally:
            await box.aclose()

    assert [r.stdout for r in asyncio.run(main())] == ["1\n"] * 4

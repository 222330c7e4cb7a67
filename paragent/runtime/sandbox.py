"""Model-written code runs only in a cage: no network, no environment, no files of the host.

The cage is bubblewrap with every namespace of its own, holding a Python interpreter without site
packages, read-only system libraries and a small /tmp in memory. Inside, a small server forks one
child per snippet (a few milliseconds), with limits on time, memory, processes, files and output;
whatever a snippet leaves running is killed before the next one. A snippet that breaks its server
breaks its own cage only: the cage is replaced.

Where there is no working bubblewrap, `Sandbox` refuses and names the package; nothing falls back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from paragent.errors import UsageError

Status = Literal["ok", "error", "timeout", "killed"]

_numbers = itertools.count()

#: Seconds that a cage may take beyond a snippet's wall time before it is replaced.
GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """Limits of one snippet. `memory_mb` is per process; `output_bytes` per stream, of which the
    first are kept; `disk_mb` is the size of /tmp, which lives in memory."""

    wall_s: float = 5.0
    cpu_s: int = 5
    memory_mb: int = 256
    processes: int = 8
    output_bytes: int = 64 * 1024
    disk_mb: int = 16


@dataclass(frozen=True, slots=True)
class Ran:
    """What a snippet did. `status`: "ok" (exit code 0), "error" (another exit code, for instance
    an exception), "timeout" (wall or CPU time), "killed" (a signal, for instance for memory)."""

    status: Status
    stdout: str
    stderr: str
    exit_code: int
    seconds: float
    truncated: bool = False


class Sandbox:
    """Runs Python snippets in up to `cages` cages of one event loop.

    `check` (also done at the first run) raises UsageError where no cage can be built.
    """

    def __init__(self, limits: CodeLimits = CodeLimits(), cages: int = 2) -> None:
        self.limits = limits
        self._free: list[asyncio.subprocess.Process] = []
        self._gate = asyncio.Semaphore(cages)
        self._checked = False

    async def check(self) -> None:
        """Build a cage and run a snippet. Raises UsageError with what to install."""
        command(self.limits)  # raises where bubblewrap is missing
        cage = await self._start()
        try:
            ran = await _talk(cage, "print(6 * 7)", "", self.limits)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            assert cage.stderr is not None
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                cage.kill()
            said = (await cage.stderr.read()).decode(errors="replace").strip().splitlines()
            await cage.wait()
            raise UsageError(
                "code cannot be run: bubblewrap is installed, but builds no cage here"
                + (f" ({said[-1]})" if said else "")
                + "; it needs user namespaces"
            ) from None
        if ran.stdout != "42\n":
            raise UsageError(f"code cannot be run: the cage's Python fails ({ran.stderr.strip()})")
        self._free.append(cage)
        self._checked = True

    async def run(self, code: str, stdin: str = "") -> Ran:
        """Run one snippet as `__main__`; never raises for what the snippet does."""
        async with self._gate:
            if not self._checked:
                await self.check()
            cage = self._free.pop() if self._free else await self._start()
            begin = time.perf_counter()
            try:
                ran = await _talk(cage, code, stdin, self.limits)
            except TimeoutError:  # before OSError, of which it is a kind
                await _end(cage)
                return Ran("timeout", "", "", -9, time.perf_counter() - begin)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                await _end(cage)
                return Ran("killed", "", "the cage broke", -9, time.perf_counter() - begin)
            except BaseException:
                await _end(cage)
                raise
            self._free.append(cage)
            return ran

    async def aclose(self) -> None:
        """End the cages."""
        while self._free:
            await _end(self._free.pop())

    async def _start(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *command(self.limits), stdin=pipe, stdout=pipe, stderr=pipe, env={}
        )


def command(limits: CodeLimits) -> list[str]:
    """The command line of a cage. Raises UsageError where bubblewrap is not installed."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise UsageError(
            "code of a model runs only in a cage, and bubblewrap is not installed; "
            "install the package `bubblewrap` (for instance: apt install bubblewrap)"
        )
    python = os.path.realpath(sys.executable)
    line = [bwrap, "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    if os.geteuid() == 0:
        # No kernel limits how many processes root has, even inside a user namespace: as root the
        # server keeps what it needs to make each snippet a user of its own, who has no rights.
        line += [f"--unshare-{what}" for what in ("ipc", "pid", "net", "uts", "cgroup-try")]
        for right in ("SETUID", "SETGID", "KILL", "DAC_OVERRIDE", "FOWNER"):
            line += ["--cap-add", f"CAP_{right}"]
    else:
        line += ["--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534"]
    line += ["--hostname", "cage", "--ro-bind", "/usr", "/usr"]
    for name in ("/lib", "/lib64", "/lib32", "/bin"):
        if Path(name).is_symlink():
            line += ["--symlink", os.readlink(name), name]
        elif Path(name).is_dir():
            line += ["--ro-bind", name, name]
    home = os.path.realpath(sys.base_prefix)
    if not home.startswith("/usr"):
        # At a place of its own: the way to it may be closed to others (/root).
        line += ["--ro-bind", home, "/python"]
        python = "/python" + python.removeprefix(home)
        line += ["--setenv", "LD_LIBRARY_PATH", "/python/lib"]
    line += ["--proc", "/proc", "--dev", "/dev"]
    line += ["--size", str(limits.disk_mb << 20), "--tmpfs", "/tmp", "--chdir", "/tmp"]
    line += ["--chmod", "1777", "/tmp"]
    # Processes are counted by user, over all cages: each cage has a user of its own.
    user = 100_000 + (os.getpid() * 64 + next(_numbers)) % 900_000 if os.geteuid() == 0 else None
    known = json.dumps(asdict(limits) | {"user": user})
    return [*line, python, "-I", "-S", "-B", "-u", "-c", _SERVER, known]


async def _talk(cage: asyncio.subprocess.Process, code: str, stdin: str, limits: CodeLimits) -> Ran:
    """One snippet over the cage's pipes: length-prefixed JSON both ways."""
    assert cage.stdin is not None and cage.stdout is not None
    data = json.dumps([code, stdin]).encode()
    async with asyncio.timeout(limits.wall_s + GRACE_S):
        cage.stdin.write(len(data).to_bytes(4, "big") + data)
        await cage.stdin.drain()
        size = int.from_bytes(await cage.stdout.readexactly(4), "big")
        if size > 16 * limits.output_bytes + 4096:
            raise ValueError("the cage sends more than it may")
        status, out, err, exit_code, seconds, truncated = json.loads(
            await cage.stdout.readexactly(size)
        )
    if status not in ("ok", "error", "timeout", "killed"):
        raise ValueError("the cage speaks nonsense")
    return Ran(status, str(out), str(err), int(exit_code), float(seconds), bool(truncated))


async def _end(cage: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        cage.kill()
    # Reads what is left, so that the pipes are closed with the process.
    await cage.communicate()


#: The cage's own program. It knows the standard library only, and trusts nothing a child says.
_SERVER = r"""
import ctypes, json, os, resource, select, signal, sys, time

LIMITS = json.loads(sys.argv[1])
CAP = LIMITS["output_bytes"]
# Children run as the same user: without this they could write into this process's memory.
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)

def read(size):
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            os._exit(0)
        data += more
    return data

def child(code, stdin, out, err):
    os.setsid()
    if LIMITS["user"]:
        os.setgroups([])
        os.setresgid(LIMITS["user"], LIMITS["user"], LIMITS["user"])
        os.setresuid(LIMITS["user"], LIMITS["user"], LIMITS["user"])
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # a change of user sets it back
    os.dup2(stdin, 0); os.dup2(out, 1); os.dup2(err, 2)
    os.closerange(3, 256)
    mb = 1 << 20
    for name, value in (
        (resource.RLIMIT_CPU, LIMITS["cpu_s"]), (resource.RLIMIT_AS, LIMITS["memory_mb"] * mb),
        # In a user namespace the cage's own three processes count too.
        (resource.RLIMIT_NPROC, LIMITS["processes"] + (0 if LIMITS["user"] else 3)),
        (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_FSIZE, LIMITS["disk_mb"] * mb),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(name, (value, value))
    status = 1
    try:
        sys.argv = ["answer.py"]
        exec(compile(code, "answer.py", "exec"), {"__name__": "__main__"})
        status = 0
    except SystemExit as done:
        code = done.code
        status = 0 if code is None else code if isinstance(code, int) else 1
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        import traceback
        try:
            traceback.print_exc()
        except BaseException:
            pass
    finally:
        try:
            sys.stdout.flush(); sys.stderr.flush()
        except BaseException:
            pass
        os._exit(status & 255)

def sweep():
    # Everything in this cage but this process and its init (1): what the snippet left behind,
    # again until nothing is left that could have forked meanwhile.
    mine = {"1", str(os.getpid())}
    while True:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        if all(name in mine or not name.isdigit() for name in os.listdir("/proc")):
            break
        time.sleep(0.001)
    for folder, names, files in os.walk("/tmp", topdown=False):
        for name in files:
            os.unlink(os.path.join(folder, name))
        for name in names:
            path = os.path.join(folder, name)
            os.unlink(path) if os.path.islink(path) else os.rmdir(path)

def run(code, stdin):
    begin = time.monotonic()
    given = os.memfd_create("stdin")
    os.write(given, stdin.encode("utf-8", "replace")); os.lseek(given, 0, 0)
    (out, out_w), (err, err_w) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        child(code, given, out_w, err_w)
    for fd in (given, out_w, err_w):
        os.close(fd)
    kept, open_ = {out: b"", err: b""}, [out, err]
    truncated = late = False
    status = None
    while open_ and status is None:
        left = begin + LIMITS["wall_s"] - time.monotonic()
        if left <= 0:
            late = True
            break
        for fd in select.select(open_, [], [], min(left, 0.2))[0]:
            data = os.read(fd, 65536)
            if not data:
                open_.remove(fd)
            room = CAP - len(kept[fd])
            kept[fd] += data[:room]
            truncated = truncated or len(data) > room
        if open_:
            done, code_ = os.waitpid(pid, os.WNOHANG)
            status = code_ if done else None
    while status is None and not late:
        done, code_ = os.waitpid(pid, os.WNOHANG)
        status = code_ if done else None
        if status is None:
            late = time.monotonic() > begin + LIMITS["wall_s"]
            time.sleep(0.001)
    if late:
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    for fd in (out, err):  # what the child wrote last
        os.set_blocking(fd, False)
        try:
            while data := os.read(fd, 65536):
                room = CAP - len(kept[fd])
                kept[fd] += data[:room]
                truncated = truncated or len(data) > room
                if room <= 0:
                    break
        except BlockingIOError:
            pass
        os.close(fd)
    sweep()
    exit_code = os.waitstatus_to_exitcode(status)
    word = "ok" if exit_code == 0 else "error" if exit_code > 0 else "killed"
    if late or exit_code == -signal.SIGXCPU:
        word = "timeout"
    text = [kept[fd].decode("utf-8", "replace") for fd in (out, err)]
    return [word, text[0], text[1], exit_code, time.monotonic() - begin, truncated]

while True:
    code, stdin = json.loads(read(int.from_bytes(read(4), "big")))
    reply = json.dumps(run(code, stdin)).encode()
    reply = len(reply).to_bytes(4, "big") + reply
    while reply:
        reply = reply[os.write(1, reply):]
"""

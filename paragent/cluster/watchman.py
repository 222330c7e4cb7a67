"""Ends a Ray of ours when its driver is gone, however it went.

    python watchman.py TOKEN_PATH      # reads standard input until the driver's end closes it

After `kill -9` of a driver, Ray's agents stay for ever and its workers for half a minute. Each has
the path of the session's token in its environment, which is how they are found. Linux only: other
systems have no /proc, and keep Ray's own behaviour.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

#: Seconds that Ray is given to end by itself, and that the last of it may take to be killed.
GRACE_S, LIMIT_S = 1.0, 8.0


def of_session(token: str) -> list[int]:
    """Processes, but for this one, whose environment names the token."""
    mark = f"RAY_AUTH_TOKEN_PATH={token}\0".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            if int(entry.name) != os.getpid() and mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def main(token: str) -> None:
    """Wait for the driver's end, then end what is left, and remove the session's folder."""
    sys.stdin.buffer.read()
    time.sleep(GRACE_S)
    deadline = time.monotonic() + LIMIT_S
    while (left := of_session(token)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
    shutil.rmtree(Path(token).parent, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])

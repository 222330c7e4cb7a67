"""What tests with a Ray of their own share: free ports, and an end for what names their folder."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def end_processes(mark: str) -> None:
    """Kill what has the folder in its environment or command: `ray stop` would end others' too."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        left = 0
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if mark.encode() in text and int(entry.name) != os.getpid():
                    os.kill(int(entry.name), signal.SIGKILL)
                    left += 1
        if not left:
            return
        time.sleep(0.2)

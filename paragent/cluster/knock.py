"""Whether a Ray answers at an address, asked in seconds: Ray itself would knock for a minute.

Ray's control store and its client server speak gRPC, which is HTTP/2. A server of that kind opens
with a SETTINGS frame as soon as it is greeted (RFC 9113, section 3.4), before any question of who
is asking, so a greeting of 33 bytes tells a Ray from a closed, a silent and a foreign door.
"""

from __future__ import annotations

import os
import socket
import time

#: Seconds within which an address must answer.
REACH_S = 3.0
#: HTTP/2's greeting, and an empty SETTINGS frame.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME, _SETTINGS = 9, 4


def knock(host: str, port: int, timeout_s: float = REACH_S) -> str:
    """Why no Ray can be reached there, in a few words; "" where one answers.

    With TLS between Ray's processes (RAY_USE_TLS=1) only the door itself is tried.
    """
    end = time.monotonic() + timeout_s
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as line:
            if os.environ.get("RAY_USE_TLS") == "1":
                return ""
            line.sendall(_HELLO)
            heard = b""
            while len(heard) < _FRAME:
                line.settimeout(max(0.01, end - time.monotonic()))
                part = line.recv(_FRAME - len(heard))
                if not part:
                    return "what listens there hung up: it is no Ray, or one that wants TLS"
                heard += part
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except OSError as error:
        return error.strerror or str(error) or "no answer"
    if heard.startswith(b"HTTP/1"):
        return "that is a web server; a Ray's dashboard is for `paragent submit`"
    return "" if heard[3] == _SETTINGS else "what listens there is no Ray"

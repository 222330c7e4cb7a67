"""Doors of every kind, and what is said of each within seconds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from paragent.cluster.knock import knock
from paragent.cluster.session import ClusterError, ray_session


@pytest.fixture
def door() -> Iterator[Callable[[bytes | None], int]]:
    """`door(words)` opens a port whose server says `words` and hangs up; None says nothing."""
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(listening: socket.socket, words: bytes) -> None:
        try:
            line, _ = listening.accept()
        except OSError:
            return
        with line:
            line.recv(100)
            line.sendall(words)

    def make(words: bytes | None) -> int:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        opened.append(listening)
        if words is not None:
            threads.append(threading.Thread(target=serve, args=(listening, words)))
            threads[-1].start()
        port: int = listening.getsockname()[1]
        return port

    yield make
    for listening in opened:
        listening.close()
    for thread in threads:
        thread.join(10)


SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (SETTINGS, ""),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a web server"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no Ray"),
        (b"", "hung up"),
        (SETTINGS[:5], "hung up"),
    ],
)
def test_what_listens_is_told_apart(
    words: bytes, said: str, door: Callable[[bytes | None], int]
) -> None:
    """A gRPC server opens with a SETTINGS frame (type 4, RFC 9113 section 4.1); others do not."""
    why = knock("127.0.0.1", door(words))
    assert said in why
    assert bool(why) == bool(said)


def test_a_silent_door_is_given_up(door: Callable[[bytes | None], int]) -> None:
    """It takes the connection and never says a word: Ray alone would wait for over a minute."""
    begin = time.monotonic()
    assert knock("127.0.0.1", door(None), 0.3) == "no answer within 0.3 s"
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_silent_address_is_one_line(
    scheme: str, door: Callable[[bytes | None], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same through the session, which names the address; Ray is not even imported for it."""
    pytest.importorskip("ray")
    address = f"{scheme}127.0.0.1:{door(None)}"
    with (
        pytest.raises(ClusterError, match=f"no Ray cluster answers at {address}: no answer within"),
        ray_session(address),
    ):
        raise AssertionError("there is no such cluster")


def test_a_recorded_cluster_that_is_gone_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` with an address left in the environment of a cluster that has ended."""
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free.getsockname()[1]}")
    with (
        pytest.raises(ClusterError, match=r"no Ray cluster answers at .*:\d+: .*refused"),
        ray_session("auto"),
    ):
        raise AssertionError("there is no such cluster")


def test_tls_leaves_the_greeting_to_ray(
    door: Callable[[bytes | None], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Ray's processes speak TLS, an open door is all that can be seen from here."""
    monkeypatch.setenv("RAY_USE_TLS", "1")
    assert knock("127.0.0.1", door(None)) == ""

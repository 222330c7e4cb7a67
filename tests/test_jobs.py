"""The dashboard's port, and whatever else may stand there: one line each, within seconds."""

from __future__ import annotations

import importlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from paragent.cli import main
from paragent.cluster import jobs as jobs_module
from paragent.cluster.jobs import board
from paragent.cluster.session import ClusterError, the_ray
from paragent.doctor import examine
from paragent.errors import UsageError

pytest.importorskip("ray")
#: Ray's own warnings at import.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray.*"),
]
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def web() -> Iterator[Callable[[int, str], str]]:
    """`web(code, body)` is the address of a server that answers every question so; 401 to those
    without the token where the code is 401."""
    servers: list[tuple[HTTPServer, threading.Thread]] = []

    def serve(code: int, body: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                self.send_response(200 if code == 401 and known else code)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join(10)
        server.server_close()


def refused(address: str) -> str:
    """The line with which the address is refused."""
    with pytest.raises(ClusterError) as caught, board(address):
        raise AssertionError("there is no such cluster")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_closed_port() -> None:
    """Refused at once, with what the cluster needs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = refused(f"http://127.0.0.1:{port}")
    assert "Connection refused" in said
    assert "paragent[cluster]" in said


def test_a_silent_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing: given up after a bounded time."""
    monkeypatch.setattr(jobs_module, "REACH_S", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begin = time.monotonic()
        assert "no answer within 0.5 s" in refused(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - begin < 20


def test_a_port_that_speaks_something_else(web: Callable[[int, str], str]) -> None:
    """A web page, another API, an error, and what is no HTTP at all."""
    assert "is no dashboard of Ray" in refused(web(200, "<html>hello</html>"))
    assert "is no dashboard of Ray" in refused(web(200, "{}"))
    assert "is no dashboard of Ray (HTTP 404)" in refused(web(404, ""))
    with socket.socket() as odd:
        odd.bind(("127.0.0.1", 0))
        odd.listen()

        def answer() -> None:
            line, _ = odd.accept()
            with line:
                line.recv(1000)
                line.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert "is no dashboard of Ray" in refused(f"http://127.0.0.1:{odd.getsockname()[1]}")
        thread.join(10)


def test_another_version_of_ray(web: Callable[[int, str], str]) -> None:
    """Both versions are named."""
    said = refused(web(200, json.dumps({"ray_version": "2.0.0"})))
    assert f"runs Ray 2.0.0, here is {the_ray().__version__}: install the same" in said


def test_tokens(
    web: Callable[[int, str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the cluster's token, how to give it is said; with it, the next question is asked; a
    file that is not there is named."""
    address = web(401, json.dumps({"ray_version": "2.0.0"}))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert "wants its token: set RAY_AUTH_MODE=token" in refused(address)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    assert "runs Ray 2.0.0" in refused(address)
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with (
        pytest.raises(UsageError, match=r"the token of Ray cannot be read from .*token"),
        board(address),
    ):
        raise AssertionError("there is no token")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert "runs Ray 2.0.0" in refused(address)
    assert TOKEN not in refused(address)


def test_without_the_extra(
    web: Callable[[int, str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A Ray without its client for jobs: what to install, in one line, exit code 2; no folder."""
    address = web(200, json.dumps({"ray_version": the_ray().__version__}))
    real = importlib.import_module

    def bare(name: str, *rest: Any) -> Any:
        if name == "ray.job_submission":
            raise ImportError("requests is not installed")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", bare)
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text("models: [pocket-s]\nevals: 2\n")
    assert main(["submit", "my.yaml", "--address", address]) == 2
    err = capsys.readouterr().err
    assert "pip install 'paragent[cluster]'" in err
    assert err.count("\n") == 1
    assert not Path("runs").exists()


def test_doctor_tells_of_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its version, whether jobs can be run here, and a recorded cluster that is gone; facts all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    found = {f.name: f for f in examine()}
    assert found["ray"].value == the_ray().__version__
    assert "Connection refused; joined with a token" in found["ray cluster"].value
    assert [found[name].ok for name in ("ray", "ray jobs", "ray cluster")] == [None] * 3

"""Real processes, killed and cut off in mid-run: `paragent resume` pays for no call twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paragent.cli import main

ROOT = Path(__file__).parent.parent
SMALL = [
    *("--searcher", "random", "--models", "fake", "--include", "direct,chain_of_thought,vote"),
    *("--evals", "4", "--tasks", "20", "--confirm", "5", "--test-tasks", "5", "--seed", "3"),
    *("--parallel", "3", "--no-report", "--json"),
]
MODELS = """
models:
  fake:
    base_url: {url}
    model: fake-small
    api_key_env: FAKE_KEY
    usd_per_mtok: {{in: 1.0, out: 2.0}}
    context: 4096
    limits: {{concurrency: 4}}
"""


@contextlib.contextmanager
def serving(*words: str) -> Iterator[str]:
    """`paragent dev fake-server` in a process of its own; gives its URL."""
    server = subprocess.Popen(
        [sys.executable, "-m", "paragent", "dev", "fake-server", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def ask(url: str, what: str) -> dict[str, Any]:
    """GET /stats or /requests."""
    with urllib.request.urlopen(f"{url}/{what}", timeout=10) as reply:
        found: dict[str, Any] = json.loads(reply.read())
    return found


def start(folder: Path, url: str, *words: str, key: str = "right") -> subprocess.Popen[str]:
    """A `paragent` command in `folder`, with its models there and no cache but the run's own."""
    (folder / "models.yaml").write_text(MODELS.format(url=url), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PARAGENT_CACHE": "off", "FAKE_KEY": key}
    env["PARAGENT_MODELS"] = str(folder / "models.yaml")
    return subprocess.Popen(
        [sys.executable, "-m", "paragent", *words],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON object that a command prints; it must not complain."""
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    assert out, err
    found: dict[str, Any] = json.loads(out)
    return found


def rows(folder: Path, table: str) -> int:
    """How many rows a table of the run's journal has."""
    with contextlib.closing(sqlite3.connect(folder / "runs" / "one" / "calls.db")) as db:
        (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def results(said: dict[str, Any]) -> tuple[Any, ...]:
    """What a run found, without times."""
    front = [(p["design"], p["dev"], p["test"], p["usd_per_1k"]) for p in said["front"]]
    return said["evaluations"], said["failed"], front, said["baseline"]["dev"]


def until_a_call_is_sent(url: str, process: subprocess.Popen[str], after: int) -> None:
    """Wait for `after` more answers, then for the arrival of a call: it is then in flight, and will
    be for most of the server's latency. (After an answer there may be none: calls go in step.)"""
    wanted = ask(url, "stats")["billed"] + after
    deadline = time.monotonic() + 60
    seen = None
    while True:
        now = ask(url, "stats")
        if seen is not None and now["requests"] > seen:
            return
        seen = now["requests"] if now["billed"] >= wanted else None
        assert process.poll() is None, "killed too late: the run is over"
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
def test_kill_9_and_resume_ask_for_no_recorded_call_again(tmp_path: Path) -> None:
    """Killed with calls in flight: only those may be asked for again, at most once more, and each
    counts as unsure with its worst case; the server's own count proves it. The resumed run finds
    what an undisturbed one finds, and asks for the same different requests."""
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    calm.mkdir()
    wild.mkdir()
    with serving("--latency-ms", "100") as url:
        undisturbed = finish(start(calm, url, "search", *SMALL, "--out", "runs/one"))
        wanted = ask(url, "requests")
    with serving("--latency-ms", "100") as url:
        process = start(wild, url, "search", *SMALL, "--out", "runs/one")
        for _ in range(2):  # killed, resumed, killed again, resumed
            until_a_call_is_sent(url, process, after=15)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            process = start(wild, url, "resume", "runs/one", "--no-report", "--json")
        resumed = finish(process)
        asked, stats = ask(url, "requests"), ask(url, "stats")
    unsure = rows(wild, "flights")
    assert unsure > 0, "calls were in flight at the kill"
    assert asked.keys() == wanted.keys()
    twice = sum(n["asked"] - 1 for n in asked.values())
    assert twice <= unsure, "nothing but what was in flight at a kill is asked for again"
    assert stats["billed_twice"] <= twice
    paid = resumed["spent"]["calls"]
    assert paid == rows(wild, "calls") == len(wanted), "each different call is recorded once"
    assert paid <= stats["billed"] <= paid + unsure, "and what was billed beyond is known as unsure"
    assert resumed["spent"]["unsure_usd"] > 0
    assert resumed["spent"]["usd"] == pytest.approx(undisturbed["spent"]["usd"])
    assert results(resumed) == results(undisturbed)


@pytest.mark.slow
def test_an_expired_key_and_an_outage_are_made_good_by_resume(tmp_path: Path) -> None:
    """With a wrong key every task fails; resume with the right one gives what a run without the
    mishap gives, says how many were tried again, and a second resume pays nothing."""
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    calm.mkdir()
    wild.mkdir()
    with serving("--key", "right") as url:
        undisturbed = finish(start(calm, url, "search", *SMALL, "--out", "runs/one"))
    with serving("--key", "right") as url:
        process = start(wild, url, "search", *SMALL, "--out", "runs/one", key="wrong")
        failed = finish(process)
        assert process.returncode == 1
        assert set(failed["failures"]) == {"auth"}
        assert failed["spent"]["calls"] == 0
        assert any("nothing could be measured" in note for note in failed["notes"])
        resumed = finish(start(wild, url, "resume", "runs/one", "--no-report", "--json"))
        assert any("tried again" in note and "auth" in note for note in resumed["notes"])
        assert results(resumed) == results(undisturbed)
        before = ask(url, "stats")
        again = finish(start(wild, url, "resume", "runs/one", "--no-report", "--json"))
        assert ask(url, "stats") == before
        assert results(again) == results(undisturbed)
        assert not any("tried again" in note for note in again["notes"])


def test_a_server_that_is_not_there_ends_the_search_at_once(tmp_path: Path) -> None:
    """One line, exit code 1, nothing spent and no run folder made."""
    process = start(tmp_path, "http://127.0.0.1:9/v1", "search", *SMALL, "--out", "runs/one")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert not out and err.count("\n") == 1
    assert "model fake: no line to http://127.0.0.1:9/v1" in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--latency-ms", "nan"), "--latency-ms must be a number from 0 up, got nan"),
        (("--latency-ms", "-1"), "--latency-ms must be a number from 0 up, got -1"),
        (("--fault-rate", "2"), "--fault-rate must be in [0, 1], got 2"),
        (("--port", "99999"), "--port must be in [0, 65535], got 99999"),
        (("--faults", "5oo"), "unknown faults: 5oo"),
    ],
)
def test_the_fake_server_refuses_senseless_settings(
    words: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One clear line with what was given and what was wanted; exit code 2."""
    assert main(["dev", "fake-server", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1

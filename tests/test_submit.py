"""Searches handed to a cluster, followed and brought home.

The cluster of these tests is this machine: a board that runs each job's line of shell in a process
of its own, as Ray's head does. `test_submit_ray.py` does the same on a real one.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from paragent.api import open_run
from paragent.cli import main
from paragent.cluster import carry
from paragent.cluster.jobs import Board, dashboard
from paragent.cluster.luggage import home_paths, pack_job
from paragent.cluster.ticket import Ticket, ticket_of
from paragent.commands.spec import read_spec
from paragent.errors import ParagentError, UsageError

SPEC = """\
data: ../tasks.csv
scorer: python:marks.py:same
models: [pocket-s, pocket-m]
include: [direct, chain_of_thought, double]
searcher: random
evals: 2
tasks: 3
confirm: 2
test-tasks: 4
seed: 1
tools: {double: "tools.py:double"}
"""
#: A search that goes on until it is ended.
LONG = SPEC.replace("evals: 2", "evals: 100000").replace("include:", "exclude: []\n#")


class LocalBoard:
    """Runs jobs here. `jobs` is where they live; $RAY_ADDRESS says none: no Ray is needed."""

    def __init__(self, place: Path) -> None:
        self.place, self.processes = place, dict[str, subprocess.Popen[bytes]]()
        self.env = {**os.environ, "PARAGENT_JOBS": str(place / "jobs"), "RAY_ADDRESS": "none"}
        self.env |= {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}

    def submit(
        self, job: str, entrypoint: str, folder: Path | None, env: Mapping[str, str]
    ) -> None:
        where = self.place / f"copy-{job}"
        if folder is None:
            where.mkdir(parents=True)
        else:
            shutil.copytree(folder, where)
        with (self.place / f"{job}.log").open("wb") as log:
            self.processes[job] = subprocess.Popen(
                entrypoint, shell=True, cwd=where, env={**self.env, **env},
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def state(self, job: str) -> str:
        if job not in self.processes:
            return ""
        code = self.processes[job].poll()
        if code is None:
            return "RUNNING"
        return "STOPPED" if code < 0 else "FAILED" if code else "SUCCEEDED"

    def why(self, job: str) -> str:
        return f"exit code {self.processes[job].poll()}"

    def log(self, job: str) -> str:
        return (self.place / f"{job}.log").read_text()

    def stop(self, job: str) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.killpg(self.processes[job].pid, signal.SIGKILL)  # the shell and what it runs
        self.processes[job].wait()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalBoard]:
    """A cluster, and a working folder with a specification and its files."""
    place = tmp_path / "cluster"
    place.mkdir()
    board = LocalBoard(place)

    @contextlib.contextmanager
    def local(address: str) -> Iterator[Board]:
        yield board

    monkeypatch.setattr("paragent.cluster.jobs.board", local)
    work = tmp_path / "proj"
    work.mkdir()
    rows = "\n".join(f'"What is {i} + {i}?",{2 * i}' for i in range(30))
    (tmp_path / "tasks.csv").write_text(f"question,answer\n{rows}\n")
    (work / "marks.py").write_text(
        "def same(expected, given):\n    return float(expected in given)\n"
    )
    (work / "tools.py").write_text(
        "def double(number: float) -> float:\n    '''Twice the number.'''\n    return 2 * number\n"
    )
    (work / "my.yaml").write_text(SPEC)
    monkeypatch.chdir(work)
    monkeypatch.setattr("paragent.commands.attach.LOOK_S", 0.1)
    yield board
    for job in board.processes:
        board.stop(job)


def submit(*words: str) -> int:
    """`paragent submit`, with this Python on the cluster."""
    return main(["submit", *words, "--python", sys.executable])


def test_a_search_goes_there_and_its_run_comes_home(
    cluster: LocalBoard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Submitted, followed, and here in the end: shown, with its own front; its paths are those of
    this machine, so it can be resumed here; and it found what a search here finds."""
    assert submit("my.yaml", "--address", "http://head:8265", "--name", "one") == 0
    assert "next      paragent attach one" in capsys.readouterr().out
    assert main(["show", "one"]) == 2
    assert "paragent attach one brings its run here" in capsys.readouterr().err
    assert main(["attach", "one", "--no-report"]) == 0
    out = capsys.readouterr().out
    assert "done: 2/2 designs" in out
    assert "the search itself spent" in out
    assert str(cluster.place) not in out, "what the search said there of its own folder is no news"
    run = open_run(Path("runs/one"))
    assert run.config["data"] == str(tmp_path / "proj" / ".." / "tasks.csv")
    assert run.config["scorer"] == f"python:{tmp_path / 'proj' / 'marks.py'}:same"
    assert run.config["inventory"]["folder"] == str(tmp_path / "proj")
    assert main(["resume", "one", "--evals", "3", "--no-report", "--json"]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert main(["attach", "one"]) == 1, "what was measured since then is not thrown away"
    assert "holds more than the job has measured" in capsys.readouterr().err
    assert len(open_run(Path("runs/one")).evaluations) == 3
    shutil.rmtree(cluster.place)  # the cluster is gone
    assert (
        main(["search", "my.yaml", "--evals", "3", "--out", "here", "--no-report", "--json"]) == 0
    )
    here = json.loads(capsys.readouterr().out)
    designs = [[p["design"], p["dev"], p["test"]] for p in here["front"]]
    assert [[p["design"], p["dev"], p["test"]] for p in resumed["front"]] == designs


def test_a_search_that_cannot_begin_is_one_line(
    cluster: LocalBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cluster lacks a key that only it needs: its own line is the answer, exit code 1."""
    Path("models.yaml").write_text(
        "models:\n  far: {base_url: 'http://127.0.0.1:9/v1', model: a, api_key_env: FAR_KEY}\n"
    )
    Path("far.yaml").write_text("models: [far]\nevals: 2\n")
    assert submit("far.yaml", "--name", "two") == 0
    assert (
        "note: FAR_KEY must be set where the cluster's Ray was started" in capsys.readouterr().out
    )
    assert main(["attach", "two"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("paragent: the search ended before it began: model 'far' needs its key")
    assert err.count("\n") == 1


def test_a_python_without_paragent(cluster: LocalBoard, capsys: pytest.CaptureFixture[str]) -> None:
    """What to do is said, not only that a module is missing."""
    Path("no-paragent").write_text(
        "#!/bin/sh\necho /usr/bin/python: No module named paragent\nexit 1\n"
    )
    Path("no-paragent").chmod(0o755)
    python = str(Path("no-paragent").absolute())
    assert main(["submit", "my.yaml", "--name", "bare", "--python", python]) == 0
    assert main(["attach", "bare"]) == 1
    assert "has no paragent: install it there" in capsys.readouterr().err


def test_stopped_half_way(cluster: LocalBoard, capsys: pytest.CaptureFixture[str]) -> None:
    """--now shows what is measured so far while it goes on; --stop ends it, keeps that, and says
    how to go on."""
    Path("long.yaml").write_text(LONG)
    assert submit("long.yaml", "--name", "long") == 0
    job = next(iter(cluster.processes))
    wait_for_designs(cluster.place / "jobs" / job / "run")
    assert cluster.state(job) == "RUNNING"
    capsys.readouterr()
    assert main(["attach", "long", "--now", "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["evaluations"] > 0
    assert cluster.state(job) == "RUNNING"
    assert main(["attach", "last", "--stop"]) == 1
    said = capsys.readouterr()
    assert "the job ended as stopped: exit code -9" in said.err
    assert "go on with: paragent resume runs/long" in said.err
    assert len(open_run(Path("runs/long")).evaluations) > 0


def wait_for_designs(run: Path) -> None:
    """Until a search has measured something."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with contextlib.suppress(ParagentError):
            if open_run(run).evaluations:
                return
        time.sleep(0.1)
    raise AssertionError("nothing was measured in two minutes")


def test_ctrl_c_only_stops_following(
    cluster: LocalBoard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The search goes on, and the way back is told."""
    assert submit("my.yaml", "--name", "three") == 0
    looked: list[float] = []

    def impatient(seconds: float) -> None:
        looked.append(seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", impatient)
    assert main(["attach", "three"]) == 130
    monkeypatch.undo()
    assert looked
    assert "it goes on. Again: paragent attach three" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no.yaml"], "no.yaml: No such file"),
        (["my.yaml", "--workers", "0"], "workers is 0"),
        (["my.yaml", "--address", "10.0.0.1:6379"], "wanted http://HOST:8265"),
        (["my.yaml", "--address", "ray://10.0.0.1:10001"], "wanted http://HOST:8265"),
        (["my.yaml", "--name", "../up"], "wanted the name of a folder under ./runs"),
        (["my.yaml", "--name", "last"], "wanted the name of a folder under ./runs"),
        (["my.yaml", "--name", "taken"], "runs/taken exists already"),
        (["odd.yaml"], "no option of searcher 'mcts' is called 'nonsense'"),
        (["lost.yaml"], "gone.csv"),
    ],
)
def test_misuse_is_told_before_anything_is_sent(
    words: list[str], said: str, cluster: LocalBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one line, no job and no folder."""
    Path("runs/taken").mkdir(parents=True)
    Path("odd.yaml").write_text("options: {nonsense: 1}\n")
    Path("lost.yaml").write_text("data: gone.csv\n")
    assert submit(*words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert cluster.processes == {}
    assert [path.name for path in Path("runs").iterdir()] == ["taken"]


def test_a_cluster_that_refuses_leaves_no_folder(
    cluster: LocalBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was not submitted cannot be attached to."""

    def full(*args: object) -> None:
        raise ParagentError("the cluster is full")

    monkeypatch.setattr(cluster, "submit", full)
    assert submit("my.yaml", "--name", "four") == 1
    assert not Path("runs/four").exists()


# -- what travels --------------------------------------------------------------------------------


def test_the_jobs_folder(
    cluster: LocalBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's files under their whole paths, settings with paths relative to themselves, an
    earlier run's store; no key, and nothing that was not named."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-key-0123456789")
    (tmp_path / "proj" / "unrelated.txt").write_text("private")
    Path("spec.yaml").write_text(SPEC.replace("../tasks.csv", str(tmp_path / "tasks.csv")))
    folder = tmp_path / "packed"
    command = "search paragent-job.yaml"
    pack_job(read_spec(Path("spec.yaml")), folder, command, python="my python", job="job-1")
    base = folder / "files" / str(tmp_path).lstrip("/")
    names = {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()}
    assert names == {
        "tasks.csv",
        "proj/paragent-job.yaml",
        "proj/marks.py",
        "proj/tools.py",
    }
    text = (base / "proj" / "paragent-job.yaml").read_text()
    assert "data: ../tasks.csv" in text
    assert "scorer: python:marks.py:same" in text
    assert "function: tools.py:double" in text
    script = (folder / "job.sh").read_text()
    assert script.endswith("exec 'my python' -m paragent search paragent-job.yaml\n")
    assert "/job-1\n" in script
    everything = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert b"sk-not-a-real-key" not in everything


@pytest.mark.slow
def test_a_cluster_is_checked_by_a_job(
    cluster: LocalBoard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where only the dashboard can be reached: the same findings, made on the head with its keys;
    a head without Paragent is one line."""
    pytest.importorskip("ray")
    cluster.env["RAY_ADDRESS"] = "local"
    Path("w.yaml").write_text(f"{SPEC}workers: 50\n")
    there = ["--address", "http://head", "--python", sys.executable, "--json"]
    assert main(["cluster", "check", "w.yaml", *there]) == 0
    found = {f["name"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert found["code and data"]["ok"]
    assert found["workers"]["value"].startswith("50 on ")
    Path("models.yaml").write_text(
        "models:\n  far: {base_url: 'http://127.0.0.1:9/v1', model: a, api_key_env: FAR_KEY}\n"
    )
    Path("far.yaml").write_text("models: [far]\n")
    assert main(["cluster", "check", "far.yaml", *there]) == 1
    found = {f["name"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert (found["key FAR_KEY"]["ok"], found["key FAR_KEY"]["value"]) == (False, "not set")
    assert list((cluster.place).glob("jobs/*")) == []
    assert main(["cluster", "check", *there[:2], "--python", "no-such-python"]) == 1
    err = capsys.readouterr().err
    assert "no-such-python: not found" in err
    assert err.count("\n") == 1


def test_paths_are_turned_back() -> None:
    """Texts that lie in the job's files, in any depth; others stay."""
    job = "/root/.paragent/jobs/a-1"
    given = {
        "data": f"{job}/files/home/me/t.csv",
        "scorer": f"python:{job}/files/home/me/m.py:same",
        "inventory": {"folder": f"{job}/files/home/me", "tools": {"a": {"function": "t.py:a"}}},
        "models": ["m", f"{job}/files/x"],
        "evals": 3,
        "note": f"see {job}/files/x",
    }
    assert home_paths(given, job) == {
        "data": "/home/me/t.csv",
        "scorer": "python:/home/me/m.py:same",
        "inventory": {"folder": "/home/me", "tools": {"a": {"function": "t.py:a"}}},
        "models": ["m", "/x"],
        "evals": 3,
        "note": f"see {job}/files/x",
    }


def test_an_archive_that_is_cut_off_leaves_the_folder_alone(tmp_path: Path) -> None:
    """The log ends in the middle, or holds something else: told, and nothing is replaced."""
    log = f'{carry.BEGIN}"/j"\nAAAA\n'
    for bad in (log, f"{log}????\n{carry.END}\n", f"{log}{carry.END}\n"):
        with pytest.raises(ParagentError, match="did not arrive whole"):
            carry.unpack(bad, tmp_path / "run")
    assert list((tmp_path / "run").glob("*")) == []
    assert carry.unpack("nothing of the kind\n", tmp_path / "other") is False
    assert not (tmp_path / "other").exists()


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    """Paths that lead out of the folder, and links, are left out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("../out", "/tmp/pgr-out", "configs/in"):
            tar.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    buffer.seek(0)
    (tmp_path / "run").mkdir()
    with tarfile.open(fileobj=buffer) as tar:
        carry._extract(tar, tmp_path / "run")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert found == {"run", "run/configs", "run/configs/in"}
    assert not Path("/tmp/pgr-out").exists()


# -- addresses and tickets -----------------------------------------------------------------------


def test_the_dashboards_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """As given; from Ray's own variables, where they name a dashboard; else this machine's."""
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    assert dashboard(None) == dashboard("auto") == "http://127.0.0.1:8265"
    assert dashboard("http://head/") == "http://head:8265"
    assert dashboard("https://head:443/") == "https://head:443"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert dashboard(None) == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_ADDRESS", "http://there:1")
    assert dashboard("auto") == "http://there:1"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://first:2")
    assert dashboard(None) == "http://first:2"
    for wrong in ("head:8265", "ray://head:10001", "local", "", "http://", "http://a:b"):
        with pytest.raises(UsageError, match="wanted http://HOST:8265"):
            dashboard(wrong)


def test_tickets(tmp_path: Path) -> None:
    """Kept and read again; a broken one is told, none is None."""
    ticket = Ticket("a-1", "http://h:1", "python", "now")
    ticket.write(tmp_path)
    assert ticket_of(tmp_path) == ticket
    assert ticket_of(tmp_path / "none") is None
    for text in ("{", "[]", '{"job": "a"}', '{"job": "a", "x": 1}'):
        (tmp_path / "job.json").write_text(text)
        with pytest.raises(ParagentError, match="cannot be read"):
            ticket_of(tmp_path)


# -- runs of this machine --------------------------------------------------------------------------


def test_another_process_is_followed_to_its_end(
    cluster: LocalBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attached while it searches: progress, and the front when it is there."""
    words = [sys.executable, "-m", "paragent", "search", "my.yaml", "--out", "runs/own",
             "--no-report", "--json"]  # fmt: skip
    process = subprocess.Popen(words, env=cluster.env, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not Path("runs/own/run.db").exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert main(["attach", "own", "--no-report"]) == 0
    finally:
        process.wait(60)
    out = capsys.readouterr().out
    assert "done: 2/2 designs" in out
    assert "run       runs/own" in out
    assert main(["attach", "own", "--stop"]) == 2
    assert "was not submitted" in capsys.readouterr().err


def test_a_run_that_was_killed_is_told(
    cluster: LocalBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody writes it and it is not complete: exit code 1, and the way to go on."""
    Path("long.yaml").write_text(LONG)
    words = [sys.executable, "-m", "paragent", "search", "long.yaml", "--out", "runs/killed"]
    process = subprocess.Popen(words, env=cluster.env, stdout=subprocess.DEVNULL)
    ended: list[int] = []
    follower = threading.Thread(target=lambda: ended.append(main(["attach", "killed", "--json"])))
    wait_for_designs(Path("runs/killed"))
    follower.start()
    time.sleep(0.3)
    assert not ended, "it is followed as long as it runs"
    process.kill()
    process.wait()
    follower.join(60)
    assert ended == [1]
    assert "Go on with: paragent resume runs/killed" in capsys.readouterr().err

"""Searches on a real Ray of two workers: the same results as in this process, and plain refusals.

One Ray is started for the module; searches join it by the address "auto".
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedModel

from paragent import ListBenchmark, optimize
from paragent.api import resume
from paragent.cli import main
from paragent.cluster.session import (
    ClusterError,
    Joined,
    check_address,
    ray_session,
    the_ray,
)
from paragent.component import Component
from paragent.errors import UsageError
from paragent.registry import components
from paragent.run import Run
from paragent.runtime.model import Request

pytest.importorskip("ray")
ROOT = Path(__file__).parent.parent
#: Ray's own: it leaves sockets and files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray.*"),
]
SMALL: dict[str, Any] = {
    **{"searcher": "random", "evals": 4, "tasks": 8, "confirm": 4, "test_tasks": 6, "finalists": 2},
    **{"seed": 5, "parallel": 3, "include": ["direct", "chain_of_thought", "vote"]},
}


@pytest.fixture(scope="module")
def ray() -> Iterator[Joined]:
    """One Ray for all tests here."""
    with ray_session("local", cpus=2) as joined:
        yield joined


def found(run: Run) -> Any:
    """What a run found: designs in order, with every outcome but for times."""
    told = [
        (e.design.hash, [(t, o.score, o.answer) for t, o in zip(e.outcomes, e.measured)])  # noqa: B905
        for e in run.evaluations
    ]
    front = [(p.design.hash, p.dev.score, p.test.score if p.test else None) for p in run.front()]
    return told, front


def by_rule(request: Request) -> str:
    """Right on every question whose number is not a multiple of three."""
    number = int("".join(c for c in request.messages[-1].content if c.isdigit())[-3:])
    return f"the answer is {number % 7 if number % 3 else 9}"


def numbers() -> ListBenchmark:
    """Forty questions; a scorer that is this module's own."""
    pairs = [(f"What is {100 + i} modulo 7?", str((100 + i) % 7)) for i in range(60)]
    return ListBenchmark.of("numbers", pairs, ends_alike)


def ends_alike(expected: str, given: str) -> float:
    """Whether the last characters agree."""
    return float(given.strip()[-1:] == expected)


@pytest.fixture
def model(scripted: Callable[..., ScriptedModel]) -> str:
    """A scripted model, which travels by value."""
    scripted(by_rule, name="ruled")
    return "ruled"


def test_objects_made_in_python_travel_and_results_are_the_same(
    ray: Joined, model: str, tmp_path: Path
) -> None:
    """A benchmark with its own scorer and a model with its own code: workers run what this process
    runs, and find the same designs, in the same order, with the same scores and answers."""
    here = optimize(numbers(), models=[model], out=tmp_path / "here", **SMALL)
    there = optimize(
        numbers(), models=[model], out=tmp_path / "there", address="auto", workers=2, **SMALL
    )
    assert here.front()
    assert found(there) == found(here)
    assert there.summary()["spent"]["calls"] == here.summary()["spent"]["calls"]


def test_the_pocket_front_is_the_same(ray: Joined, tmp_path: Path) -> None:
    """Real models on the workers, one thread each: the front of this process, seed for seed."""
    few = {**SMALL, "evals": 2, "include": ["direct", "chain_of_thought"]}
    here = optimize(out=tmp_path / "here", **few)
    there = optimize(out=tmp_path / "there", address="auto", workers=2, **few)
    assert found(there) == found(here)


def test_a_cap_holds_over_two_workers(ray: Joined, model: str, tmp_path: Path) -> None:
    """Twelve calls are allowed and twelve at most are made, by both workers together."""
    run = optimize(
        numbers(), models=[model], out=tmp_path / "run", address="auto", workers=2, calls=12,
        **SMALL,
    )  # fmt: skip
    spent = run.summary()["spent"]
    assert 0 < spent["calls"] <= 12
    assert run.summary()["stopped_by"] == "calls"


def fatal(folder: Path) -> Callable[[Request], str]:
    """By the rule; the twentieth call of all ends its process, as kill -9 does, but once only."""

    def script(request: Request) -> str:
        with (folder / "calls").open("ab") as file:
            file.write(b".")
        if (folder / "calls").stat().st_size >= 20:
            with contextlib.suppress(FileExistsError):
                (folder / "killed").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return by_rule(request)

    return script


def test_a_killed_worker_changes_nothing(
    ray: Joined, scripted: Callable[..., ScriptedModel], tmp_path: Path
) -> None:
    """Kill -9 of a worker in mid-search: its tasks run elsewhere, none fails, none counts twice."""
    scripted(fatal(tmp_path), name="fatal")
    there = optimize(
        numbers(), models=["fatal"], out=tmp_path / "there", address="auto", workers=2, **SMALL
    )
    assert (tmp_path / "killed").exists()
    here = optimize(numbers(), models=["fatal"], out=tmp_path / "here", **SMALL)
    assert there.summary()["failed"] == 0
    assert found(there) == found(here)


def test_files_named_by_the_settings_travel(ray: Joined, tmp_path: Path) -> None:
    """A scorer in a file that imports the module beside it, and a table of tasks: the workers run
    copies, so the run does not need the originals to be anywhere else."""
    (tmp_path / "marks.py").write_text("RIGHT = 1.0\n")
    (tmp_path / "mine.py").write_text(
        "def same(expected, given):\n"
        "    from marks import RIGHT\n"
        "    return RIGHT if expected in given else 0.0\n"
    )
    rows = "\n".join(f'"What is {i} + {i}?",{2 * i}' for i in range(30))
    (tmp_path / "tasks.csv").write_text(f"question,answer\n{rows}\n")
    run = optimize(
        "data", data=str(tmp_path / "tasks.csv"), scorer=f"python:{tmp_path / 'mine.py'}:same",
        out=tmp_path / "run", address="auto", workers=1, **{**SMALL, "evals": 2},
    )  # fmt: skip
    assert run.summary()["failed"] == 0


def test_what_a_worker_lacks_is_one_line_before_the_search(ray: Joined, tmp_path: Path) -> None:
    """A component whose code needs a module that no worker has: told before the run has a folder,
    and nothing is scored."""
    absent = Component("absent", "guard", "cannot travel", _Unpicklable())
    components.register(absent)
    try:
        with pytest.raises(ClusterError, match="module 'no_such_module' is not installed there"):
            optimize(out=tmp_path / "run", address="auto", workers=1, **SMALL)
    finally:
        components.unregister("absent")
    assert not (tmp_path / "run").exists()


class _Unpicklable:
    """Comes back as something of a module that does not exist."""

    def __call__(self, **params: Any) -> None:
        """Never built."""

    def __reduce__(self) -> Any:
        return __import__, ("no_such_module",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--address", "lokal"], "Did you mean 'local'?"),
        (["--address", "http://a:1"], "wanted none, local, auto, HOST:PORT or ray://HOST:PORT"),
        (["--address", "local", "--workers", "0"], "workers is 0; wanted a whole number"),
        (["--workers", "2"], "give an address too"),
    ],
)
def test_a_senseless_place_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One clear line, exit code 2, and no Ray is started."""
    assert main(["search", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_closed_door_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there: told before Ray is asked, which would take half a minute."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(the_ray(), "init", lambda **_: pytest.fail("Ray was asked"))
    with pytest.raises(ClusterError, match=f"no Ray cluster answers at 127.0.0.1:{port}"):
        optimize(address=f"127.0.0.1:{port}")


def test_a_ray_that_does_not_start_in_time_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray raises a bare Exception of several lines then, on a machine that is too busy."""

    def too_slow(**_: Any) -> None:
        raise Exception("The current node timed out during startup.\n\nSee the logs")

    monkeypatch.setattr(the_ray(), "init", too_slow)
    monkeypatch.setattr(the_ray(), "is_initialized", lambda: False)
    monkeypatch.setattr(the_ray(), "shutdown", lambda: None)
    with pytest.raises(ClusterError, match=r"local: The current .* during startup\.$"):
        ray_session("local").__enter__()


@pytest.mark.parametrize("address", ["local", "auto", "none", "10.0.0.1:6379", "ray://head:10001"])
def test_addresses(address: str) -> None:
    """All forms that the help names."""
    check_address(address)


@pytest.mark.parametrize("workers", [0, -1, True, 1.5])
def test_workers_are_a_whole_number(workers: Any) -> None:
    """Refused before anything starts."""
    with pytest.raises(UsageError, match="workers is"):
        optimize(address="local", workers=workers)
    with pytest.raises(UsageError, match="workers is"):
        resume("nowhere", address="local", workers=workers)


@pytest.mark.slow
@pytest.mark.parametrize("end", [None, signal.SIGKILL])
def test_nothing_is_left_running(end: signal.Signals | None, tmp_path: Path) -> None:
    """A search of its own Ray, which ends or is killed: ten seconds later no process of it lives,
    and two at once do not disturb each other."""
    command = [sys.executable, "-m", "paragent", "search", "--address", "local", "--workers", "1",
               "--evals", "2", "--tasks", "5", "--confirm", "5", "--test-tasks", "5",
               "--no-report", "--json"]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen([*command, "--out", str(tmp_path / name)], env=env,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
        for name in ("one", "two")
    ]  # fmt: skip
    if end is not None:
        time.sleep(7)
        for process in running:
            process.send_signal(end)
    codes = [process.communicate(timeout=120) and process.returncode for process in running]
    assert codes == ([0, 0] if end is None else [-end, -end])
    deadline = time.monotonic() + 10
    names = [f"/tmp/pgr-{process.pid}-" for process in running]
    while (left := alive(names)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


def alive(names: list[str]) -> list[str]:
    """Commands of processes that name one of these folders, or have it in their environment."""
    left = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
            settings = (entry / "environ").read_text(errors="replace")
            if any(name in words + settings for name in names):
                left.append(words)
    return left

"""Faults of whole machines and of single tasks on a real Ray: what is noticed, how soon, and that
nothing becomes a score.

Slow: each starts a Ray of its own. What happens when workers are killed is in test_ray_search.py.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedModel

from paragent import ListBenchmark, optimize
from paragent.cluster import executor
from paragent.cluster.session import HEALTH, ray_session, the_ray
from paragent.runtime.model import Request

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray.*"),
]
SMALL: dict[str, Any] = {
    **{"searcher": "random", "evals": 4, "tasks": 8, "confirm": 4, "test_tasks": 6, "finalists": 2},
    **{"seed": 5, "parallel": 3, "include": ["direct", "chain_of_thought", "vote"]},
}


def numbers() -> ListBenchmark:
    """Sixty questions."""
    pairs = [(f"What is {100 + i} modulo 7?", str((100 + i) % 7)) for i in range(60)]
    return ListBenchmark.of("numbers", pairs, ends_alike)


def ends_alike(expected: str, given: str) -> float:
    """Whether the last characters agree."""
    return float(given.strip()[-1:] == expected)


def right(request: Request) -> str:
    """The answer, after a moment."""
    time.sleep(0.02)
    (number,) = re.findall(r"What is (\d+) modulo", request.messages[-1].content)
    return f"the answer is {int(number) % 7}"


def devours(question: str) -> Callable[[Request], str]:
    """As `right`, but one question wants more memory than there is. What the kernel does then is
    done here: the process ends at once, without a word."""

    def answer(request: Request) -> str:
        if question in request.messages[-1].content:
            os.kill(os.getpid(), signal.SIGKILL)
        return right(request)

    return answer


def found(run: Any) -> Any:
    """Designs in order, with every outcome's score."""
    return [(e.design.hash, dict(e.scores)) for e in run.evaluations]


def workers_of(token: str) -> list[int]:
    """Processes of our actors, in the Ray of that token."""
    able = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            mine = f"RAY_AUTH_TOKEN_PATH={token}".encode() in (entry / "environ").read_bytes()
            if mine and b"ray::Worker" in (entry / "cmdline").read_bytes():
                able.append(int(entry.name))
    return able


@pytest.fixture
def ray() -> Iterator[str]:
    """A Ray of our own; the path of its token."""
    with ray_session("local", cpus=2):
        yield os.environ["RAY_AUTH_TOKEN_PATH"]


def test_a_task_that_takes_its_worker_with_it_fails_and_is_no_zero(
    ray: str, scripted: Callable[..., ScriptedModel], tmp_path: Path
) -> None:
    """A task whose process is killed for its memory each time: after its workers' deaths it has
    failed as `component`, on every design that runs it; all other tasks are measured as ever."""
    tasks = numbers().tasks("dev")[:8]
    scripted(devours(tasks[2].question), name="hungry")
    few = {**SMALL, "evals": 1, "include": ["direct"], "confirm": 0}
    run = optimize(
        numbers(), models=["hungry"], out=tmp_path / "run", address="auto", workers=2, **few
    )
    (evaluation,) = run.evaluations
    assert list(evaluation.outcomes) == [t.id for t in tasks]
    assert evaluation.failures == {"component": 1}
    assert evaluation.scores == {t.id: 1.0 for t in tasks if t != tasks[2]}
    assert "its worker died" in evaluation.failed[0].why


def test_a_worker_that_hangs_is_replaced(
    ray: str,
    scripted: Callable[..., ScriptedModel],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker is stopped, as one behind a network that swallows everything: it says nothing for
    `HUNG_S` and is replaced. The results are those of a run without mishap."""
    monkeypatch.setattr(executor, "HUNG_S", 4.0)
    scripted(right, name="calm")
    stopped: list[int] = []

    def stop_one() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and not stopped:
            for pid in workers_of(ray):
                if b"ray::Worker.exchange" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGSTOP)
                    stopped.append(pid)
                    return
            time.sleep(0.02)

    thread = threading.Thread(target=stop_one)
    thread.start()
    there = optimize(
        numbers(), models=["calm"], out=tmp_path / "there", address="auto", workers=2, **SMALL
    )
    thread.join()
    here = optimize(numbers(), models=["calm"], out=tmp_path / "here", **SMALL)
    assert stopped
    assert there.summary()["failed"] == 0
    assert found(there) == found(here)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_node_is_noticed_within_seconds(end: signal.Signals) -> None:
    """A second raylet of the same settings is killed, or falls silent: Ray says that it is lost as
    soon as the settings promise, in less than 5 s (and the test allows for a busy machine)."""
    each = HEALTH["health_check_period_ms"] + HEALTH["health_check_timeout_ms"]
    assert each * HEALTH["health_check_failure_threshold"] < 5000
    with second_raylet() as (raylet, alive):
        assert alive() == 2
        os.kill(raylet, end)
        begin = time.monotonic()
        try:
            while alive() == 2 and time.monotonic() - begin < 30:
                time.sleep(0.05)
            took = time.monotonic() - begin
        finally:
            os.kill(raylet, signal.SIGKILL)
        assert took < 10


@contextlib.contextmanager
def second_raylet() -> Iterator[tuple[int, Callable[[], int]]]:
    """A Ray of ours with one more node on this machine: (its raylet's pid, nodes alive)."""
    with ray_session("local", cpus=1) as joined:
        private: Any = importlib.import_module("ray._private")
        head = the_ray()._private.worker._global_node
        params = private.parameter.RayParams(
            gcs_address=head.gcs_address,
            num_cpus=1,
            object_store_memory=80 * 2**20,
            temp_dir=str(Path(os.environ["RAY_AUTH_TOKEN_PATH"]).parent),
            include_log_monitor=False,
        )
        more = private.node.Node(params, head=False, shutdown_at_exit=False, spawn_reaper=False)
        try:
            yield more.all_processes["raylet"][0].process.pid, lambda: len(joined.nodes())
        finally:
            more.kill_all_processes(check_alive=False, allow_graceful=False)

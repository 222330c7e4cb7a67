"""The main job, end to end: on pocket models, on an endpoint, under kill -9, one seed one run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedModel

import paragent
from paragent.api import check
from paragent.benchmark import Task
from paragent.chat import TraceStep
from paragent.component import Price
from paragent.config import RunConfig
from paragent.dev.fake_server import FakeConfig, FakeServer
from paragent.errors import CallFailure, StoreError, UnknownName, UsageError
from paragent.events import Event
from paragent.outcome import Pruned
from paragent.registry import components
from paragent.runtime.model import Completion
from paragent.store import Store
from paragent.trace import Trace, lines

SMALL: dict[str, Any] = {
    "evals": 4,
    "tasks": 10,
    "confirm": 5,
    "test_tasks": 10,
    "finalists": 3,
    "models": ("pocket-s",),
    "max_calls_per_task": 3,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> paragent.Run:
    """One small finished search on the pocket benchmark."""
    return paragent.optimize("pocket", out=tmp_path_factory.mktemp("runs") / "one", **SMALL)


def test_a_search_measures_stores_and_settles(run: paragent.Run) -> None:
    """Four designs on the same ten dev tasks; front and baseline on ten untouched test tasks."""
    assert len(run.evaluations) == 4
    assert len({tuple(e.outcomes) for e in run.evaluations}) == 1
    assert run.stopped_by == "evaluations"
    assert run.baseline is not None and run.baseline.test is not None
    assert run.front()
    for point in run.front():
        assert point.test is not None
        assert len(point.test.outcomes) == 10
        assert len(point.dev.outcomes) == 15, "10 in the search, 5 fresh ones"
        assert not set(point.test.outcomes) & set(point.dev.outcomes)
        loaded = paragent.Design.from_yaml(run.config_path(point.design).read_text())
        assert loaded == point.design


def test_the_summary_has_the_promised_keys(run: paragent.Run) -> None:
    """The object of --json, and it is JSON."""
    summary = json.loads(json.dumps(run.summary()))
    assert set(summary) >= {
        "run", "seed", "evaluations", "failed", "stopped_by", "spent", "hypervolume", "baseline",
        "front",
    }  # fmt: skip
    assert set(summary["spent"]) >= {"usd", "tokens", "calls", "seconds", "by_purpose"}
    assert set(summary["front"][0]) == {
        "design", "label", "dev", "test", "usd_per_1k", "tokens", "latency_s", "calls", "config",
    }  # fmt: skip
    assert set(summary["front"][0]["test"]) == {"score", "low", "high", "n"}
    by_purpose = summary["spent"]["by_purpose"]
    assert sum(p["calls"] for p in by_purpose.values()) == summary["spent"]["calls"]


def test_picks_answer_questions(run: paragent.Run) -> None:
    """Each pick is on the front and answers; a misspelt pick offers the right ones."""
    for name in ("best", "knee", "cheapest"):
        assert run.pick(name).design in [p.design for p in run.front()]
    assert isinstance(run.best().ask("Tom has 3 pens and buys 4. How many pens?"), str)
    with pytest.raises(UnknownName, match="Did you mean 'knee'"):
        run.pick("kne")


def test_an_opened_run_is_the_same(run: paragent.Run) -> None:
    """All a run shows comes from its folder."""
    again = paragent.open_run(run.path)
    assert again.summary() == run.summary()


def test_a_trace_is_rebuilt_from_the_journal(run: paragent.Run) -> None:
    """Every call of a measured task is found, and leads to the outcome that was stored; a task
    that was never run has no score."""
    from paragent.api import CALLS
    from paragent.registry import benchmarks
    from paragent.runtime.journal import Journal
    from paragent.trace import find_task, lines, trace

    benchmark = benchmarks["pocket"].load()
    journal = Journal(run.path / CALLS)
    try:
        for evaluation in run.evaluations:
            task_id, outcome = next(iter(evaluation.outcomes.items()))
            task = find_task(benchmark, task_id)
            found = trace(evaluation.design, benchmark, task, journal, seed=0)
            assert found.outcome == outcome
            assert len(found.steps) == outcome.usage.calls
            assert any(task.question.splitlines()[0] in line for line in lines(found))
        unseen = benchmark.tasks("test")[-1]
        missing = trace(run.best().design, benchmark, unseen, journal, seed=0)
        assert lines(missing)[-1] == "no score: this call is not in the run's journal"
    finally:
        journal.close()
    with pytest.raises(UnknownName, match="Did you mean"):
        find_task(benchmark, "dev-0000-arithmetics")


SCRIPT = """
import json, sys, paragent
run = paragent.optimize("pocket", out=sys.argv[1], **json.loads(sys.argv[2]))
print(json.dumps([
    [e.design.hash, e.number, e.score, e.usd_per_task, list(e.outcomes)] for e in run.evaluations
] + [[p.design.hash, p.test.score] for p in run.front()]))
"""


def facts(run: paragent.Run) -> list[Any]:
    """What must be equal between two runs of one seed."""
    found: list[Any] = [
        [e.design.hash, e.number, e.score, e.usd_per_task, list(e.outcomes)]
        for e in run.evaluations
    ]
    return found + [[p.design.hash, p.test.score] for p in run.front() if p.test]


def environment(**more: str) -> dict[str, str]:
    """The environment of a child process, with the path under test."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **more}


def test_one_seed_is_one_run_in_another_process(run: paragent.Run, tmp_path: Path) -> None:
    """Another process, another hash seed: same designs, same order, same scores, same front."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "two"), json.dumps(SMALL)],
        env=environment(PYTHONHASHSEED="123"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == json.loads(json.dumps(facts(run)))


def test_a_killed_search_resumes_to_the_same_result(run: paragent.Run, tmp_path: Path) -> None:
    """Kill -9 in mid-run, then resume: the result is that of the undisturbed run."""
    folder = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), json.dumps(SMALL)],
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        calls = folder / "calls.db-wal"
        if calls.exists() and calls.stat().st_size > 20_000:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = paragent.resume(folder)
    assert facts(resumed) == facts(run)


def test_resume_refuses_other_changes_and_keeps_the_rest(run: paragent.Run) -> None:
    """Caps may be raised; a seed may not be changed."""
    with pytest.raises(UsageError, match="resume can change evals, usd"):
        paragent.resume(run.path, seed=3)


def test_misuse_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """Unknown names, a folder that exists, caps of 0: no folder is left behind."""
    folder = tmp_path / "x"
    for settings, words in (
        ({"benchmark": "poket"}, "Did you mean 'pocket'"),
        ({"searcher": "mtcs"}, "Did you mean 'mcts'"),
        ({"models": ("pocket-x",)}, "Did you mean 'pocket-s'"),
        ({"include": ("direkt",)}, "Did you mean 'direct'"),
        ({"evals": 0}, "evals is 0"),
        ({"usd": 0}, "the cap usd is 0"),
        ({"options": {"warm": 3}}, "option of searcher 'mcts'.* Did you mean 'warm_up'"),
        ({"options": {"c": "x"}}, "option 'c' of searcher 'mcts' is 'x'; wanted a number"),
    ):
        with pytest.raises(UsageError, match=words):
            paragent.optimize(out=folder, **settings)
        assert not folder.exists()
    folder.mkdir()
    with pytest.raises(UsageError, match="exists already"):
        paragent.optimize(out=folder)


def test_a_run_killed_before_it_began_is_told(tmp_path: Path) -> None:
    """Killed between the folder's creation and its first facts: one line, no crash."""
    Store(tmp_path / "x", write=True, create=True).close()
    for use in (paragent.open_run, paragent.resume):
        with pytest.raises(StoreError, match="stopped before it began"):
            use(tmp_path / "x")


def test_resume_refuses_another_benchmark(run: paragent.Run) -> None:
    """Tasks of two benchmarks must not mix in one store."""
    other = paragent.ListBenchmark.of("sums", [(f"{i}+1", str(i + 1)) for i in range(20)])
    with pytest.raises(UsageError, match="a run of benchmark 'pocket', not of 'sums'"):
        paragent.resume(run.path, benchmark=other)


def test_a_resumed_run_is_interrupted_until_it_ends_again(
    run: paragent.Run, tmp_path: Path
) -> None:
    """What stopped the first part says nothing of a second part that dies."""
    folder = tmp_path / "again"
    shutil.copytree(run.path, folder)
    assert paragent.open_run(folder).stopped_by == "evaluations"

    def die(event: Event) -> None:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        paragent.resume(folder, evals=6, progress=die)
    assert paragent.open_run(folder).stopped_by == "interrupted"


def test_a_small_benchmark_and_free_models_are_told(
    tmp_path: Path, scripted: Callable[..., ScriptedModel]
) -> None:
    """Fewer tasks than asked in each part, and a price of nothing, which is no second objective."""
    scripted(lambda request: "1", price=Price(0.0, 0.0))
    bench = paragent.ListBenchmark.of("few", [(f"{i}+1", str(i)) for i in range(20)])
    dev, test = len(bench.tasks("dev")), len(bench.tasks("test"))
    plan = check(RunConfig("few", models=("scripted",), tasks=dev - 1), bench)
    assert plan.config.cost == "tokens"
    assert plan.notes == (
        "scripted cost nothing: cost is counted in tokens",
        "1 fresh dev tasks are left to decide the front, not 150",
        f"the test split has {test} tasks: the front is reported on {test}, not 400",
    )


def test_a_trace_moves_no_cursor(run: paragent.Run) -> None:
    """What a model said is shown without control characters, in lines of its own."""
    said = Completion("one\x1b[2Jtwo\nthree", 1, 1, 0.1)
    step = TraceStep("", "m", (), said)
    task = Task("t", "q", "a")
    shown = "\n".join(lines(Trace(run.best().design, task, [step], Pruned("test"))))
    assert "\x1b" not in shown
    assert "one [2Jtwo" in shown
    assert any(line.strip() == "three" for line in shown.splitlines())


def test_a_run_that_measured_nothing_says_only_that(tmp_path: Path) -> None:
    """A scorer that always raises: no front, no zero, and no word of a baseline that was beaten."""

    def broken(expected: str, given: str) -> float:
        raise ZeroDivisionError("scorer")

    bench = paragent.ListBenchmark.of("odd", [(f"{i}+1", str(i)) for i in range(20)], broken)
    found = paragent.optimize(bench, out=tmp_path / "x", **{**SMALL, "evals": 2})
    assert found.front() == []
    assert found.summary()["failures"].keys() == {"scorer"}
    assert any("nothing could be measured" in note for note in found.notes)
    assert not any("the front is the baseline" in note for note in found.notes)


def test_a_run_without_its_store_is_refused(tmp_path: Path) -> None:
    """An empty folder is no run."""
    with pytest.raises(StoreError, match="no run is stored here"):
        paragent.open_run(tmp_path)


# -- an endpoint -----------------------------------------------------------------------------

SUMS = [(f"What is {i}+{i % 7}?", str(i + i % 7)) for i in range(60)]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server on loopback that does sums and fails on a tenth of the requests."""
    config = FakeConfig(fault_rate=0.1, faults=("429", "500", "empty"), key="sk-planted-secret")
    ready, stop = threading.Event(), threading.Event()
    found: list[FakeServer] = []

    async def serve() -> None:
        async with FakeServer(config) as one:
            found.append(one)
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait(10)
    models = tmp_path / "models.yaml"
    models.write_text(
        textwrap.dedent(
            f"""
            models:
              here:
                base_url: {found[0].url}
                model: fake-small
                api_key_env: FAKE_KEY
                usd_per_mtok: {{in: 1.0, out: 2.0}}
                context: 4096
            """
        )
    )
    monkeypatch.setenv("PARAGENT_MODELS", str(models))
    monkeypatch.setenv("FAKE_KEY", "sk-planted-secret")
    yield found[0]
    stop.set()
    thread.join()
    components.unregister("here")


ENDPOINT: dict[str, Any] = {**SMALL, "models": ("here",), "max_depth": 1}


def test_a_search_on_an_endpoint_pays_once_and_hides_the_key(
    server: FakeServer, tmp_path: Path
) -> None:
    """Faults are retried, no request is billed twice, dollars are counted, no file has the key."""
    benchmark = paragent.ListBenchmark.of("sums", SUMS)
    run = paragent.optimize(benchmark, out=tmp_path / "run", **ENDPOINT)
    assert len(run.evaluations) == 4
    assert run.spent.usd is not None and run.spent.usd > 0
    stats = server.stats.to_data()
    assert stats["faults"], "the server did fail"
    empty = stats["faults"].get("empty", 0)  # a reply without choices still reports usage
    assert run.spent.calls == stats["billed"] + empty, "what was billed is what was counted"
    assert stats["billed_twice"] == 0
    for file in run.path.rglob("*"):
        if file.is_file():
            assert b"sk-planted-secret" not in file.read_bytes(), file
    components.unregister("here")  # as in a process that did not search
    with contextlib.suppress(CallFailure):  # the server fails now and then
        paragent.open_run(run.path).pick(run.evaluations[0].design.hash).ask("What is 3+3?")
    assert "here" in components


def test_a_cap_in_dollars_holds_and_what_was_measured_is_kept(
    server: FakeServer, tmp_path: Path
) -> None:
    """The run ends by its cap, has spent less than it, and says how little it measured."""
    benchmark = paragent.ListBenchmark.of("sums", SUMS)
    run = paragent.optimize(benchmark, out=tmp_path / "run", usd=0.002, **ENDPOINT)
    assert run.stopped_by == "usd"
    assert run.spent.usd is not None and run.spent.usd <= 0.002
    assert any("the cap on usd" in note for note in run.notes)


def test_a_missing_key_is_told_by_its_name(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable's name, never a value; nothing is written."""
    monkeypatch.delenv("FAKE_KEY")
    with pytest.raises(UsageError, match="FAKE_KEY"):
        paragent.optimize(paragent.ListBenchmark.of("sums", SUMS), out=tmp_path / "run", **ENDPOINT)
    assert not (tmp_path / "run").exists()

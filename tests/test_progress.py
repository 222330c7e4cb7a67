"""What a search says while it runs: the terminal, lines of JSON, its log, metrics."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import paragent
from paragent.cluster.metrics import BY_KIND, GAUGES, RayMetrics, values
from paragent.commands.progress import JsonLines, front, line, panel, watching
from paragent.design import Agent, Design, Part
from paragent.events import Event
from paragent.outcome import Evaluation, Failed, Measured, Outcome, Usage
from paragent.run_log import FILE, RunLog
from paragent.runtime import secrets

ROOT = Path(__file__).parents[1]
SMALL: dict[str, Any] = {
    "evals": 5,
    "tasks": 8,
    "confirm": 4,
    "test_tasks": 6,
    "finalists": 2,
    "models": ("pocket-s",),
    "max_calls_per_task": 3,
}
BUSY = Event(
    "told",
    12,
    60,
    0.5,
    1200,
    0.75,
    "a·b",
    2,
    10.0,
    95.0,
    run="r",
    front=((0.5, 0.001), (0.75, 0.01)),
    workers=2,
    in_flight=48,
    failures={"timeout": 3, "server": 1},
    failed_calls={"rate-limit": 7},
    taken=4,
)


def lines(folder: Path) -> list[dict[str, Any]]:
    """The run's log."""
    return [json.loads(text) for text in (folder / FILE).read_text().splitlines() if text]


# -- the terminal ----------------------------------------------------------------------------------


def test_a_line_says_who_works_and_what_fails() -> None:
    """Evaluations, those of others, dollars, front, workers, calls in flight, failures, ETA."""
    assert line(BUSY) == (
        "searching: 12/60 designs + 4 of others | best 0.75 on dev: a·b | front 2 | $0.5000, "
        "1,200 tokens | 2 workers alive, 48 calls in flight | failed tasks: server 1, timeout 3; "
        "failed calls: rate-limit 7 | 10 s, about 1 min 35 s left"
    )


def test_the_picture_says_the_same() -> None:
    """At 100 columns nothing of it is cut off."""
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    console.print(panel(BUSY))
    shown = console.export_text()
    for part in (
        "12/60 designs + 4 of others",
        "2 designs: 0.50 0.75",
        "2 workers alive, 48 calls in flight",
        "failed tasks: server 1, timeout 3; failed calls: rate-limit 7",
        "about 1 min 35 s left",
    ):
        assert part in shown
    assert "trouble" not in _drawn(replace(BUSY, failures={}, failed_calls={}))


def _drawn(event: Event) -> str:
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    console.print(panel(event))
    return console.export_text()


def test_a_long_front_is_shown_by_its_ends() -> None:
    """Ten designs: the three cheapest, the three best."""
    ten = tuple((i / 10, float(i)) for i in range(10))
    event = replace(BUSY, front=ten, front_size=10)
    assert front(event) == "10 designs: 0.00 0.10 0.20 … 0.70 0.80 0.90"


def test_a_pulse_while_the_front_is_measured_is_no_search() -> None:
    """What goes on is told by the phase where the kind does not say it."""
    assert line(replace(BUSY, kind="pulse", phase="settle")).startswith("measuring the front: ")
    assert line(replace(BUSY, kind="pulse")).startswith("searching: ")


@pytest.mark.parametrize(
    ("way", "quiet", "kind"),
    [
        ("auto", True, "NoneType"),
        ("none", False, "NoneType"),
        ("json", True, "JsonLines"),
        ("json", False, "JsonLines"),
        ("plain", True, "PlainLines"),
        ("auto", False, "PlainLines"),
    ],
)
def test_ways_of_progress(tmp_path: Path, way: str, quiet: bool, kind: str) -> None:
    """What `--progress` and --json make of it where standard output is no terminal."""
    with watching(tmp_path, quiet=quiet, way=way) as progress:
        assert type(progress).__name__ == kind


def test_plain_lines_leave_standard_output_to_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json they go to standard error."""
    with watching(tmp_path, quiet=True, way="plain") as progress:
        assert progress is not None
        progress(BUSY)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("searching: 12/60 designs")


def test_json_lines_hold_everything() -> None:
    """One object a line with every field of the event, and no key."""
    secrets.remember("planted-key-0123456789")
    try:
        out = io.StringIO()
        JsonLines(out)(replace(BUSY, best_label="planted-key-0123456789\n"))
    finally:
        secrets.forget()
    (text,) = out.getvalue().splitlines()
    data = json.loads(text)
    assert data == json.loads(json.dumps(replace(BUSY, best_label=f"{secrets.BLOT}\n").to_data()))


def test_the_command_writes_events_beside_its_json(tmp_path: Path) -> None:
    """`search --json --progress json`: standard output is the result alone, standard error is
    events alone, from the start to the end."""
    small = {k: v for k, v in SMALL.items() if k != "models"}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in small.items()]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "paragent",
            "search",
            "--models=pocket-s",
            "--out=r",
            *flags,
            "--no-report",
            "--json",
            "--progress=json",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["evaluations"] == 5
    events = [json.loads(text) for text in done.stderr.splitlines()]
    kinds = [e["kind"] for e in events]
    assert kinds[0] == "start" and kinds[-1] == "done" and kinds.count("told") == 5
    assert [e["evaluations"] for e in events if e["kind"] == "told"] == [1, 2, 3, 4, 5]
    assert events[-1]["run"] == "r" and events[-1]["phase"] == "done"
    assert events[-1]["front_size"] == len(events[-1]["front"]) >= 1
    assert events[-1]["tokens"] > 0 and events[-1]["workers"] is None


# -- the log ---------------------------------------------------------------------------------------


def evaluation(number: int, *outcomes: Outcome) -> Evaluation:
    """A made-up one."""
    design = Design(Agent(Part("m"), Part("direct")))
    named = {f"t{i}": o for i, o in enumerate(outcomes)}
    return Evaluation(design, "dev", "search-eval", named, number, "mcts")


def test_a_run_keeps_a_log(tmp_path: Path) -> None:
    """Start, every design, the front's measurement, the end; every line says when, which run and
    which design. A resume adds a part whose repeated lines say so."""
    run = paragent.optimize("pocket", **SMALL, out=tmp_path / "r")
    log = lines(run.path)
    kinds = [row["kind"] for row in log]
    assert kinds[0] == "start" and kinds[-1] == "done" and kinds.count("told") == 5
    assert kinds.index("settling") < kinds.index("settled")
    assert all(row["run"] == "r" and row["part"] == 1 and row["time"] for row in log)
    told = [row for row in log if row["kind"] == "told"]
    assert [row["design"] for row in told] == [e.design.hash for e in run.evaluations]
    assert [row["score"] for row in told] == [e.score for e in run.evaluations]
    paragent.resume(run.path, evals=6)
    again = lines(run.path)[len(log) :]
    assert {row["part"] for row in again} == {2}
    told = [row for row in again if row["kind"] == "told"]
    assert [row.get("replayed", False) for row in told] == [True] * 5 + [False]


def test_an_error_ends_the_log(tmp_path: Path) -> None:
    """What ended the run is its last line."""

    def die(event: paragent.Event) -> None:
        if event.evaluations == 2:
            raise RuntimeError("the watcher fell asleep")

    with pytest.raises(RuntimeError, match="asleep"):
        paragent.optimize("pocket", **SMALL, out=tmp_path / "r", progress=die)
    last = lines(tmp_path / "r")[-1]
    assert (last["kind"], last["error"]) == ("ended", "RuntimeError")
    assert last["why"] == "the watcher fell asleep"


def test_failures_are_logged_by_kind(tmp_path: Path) -> None:
    """One line for each kind, with the number of tasks and the first reason."""
    log = RunLog(tmp_path, "usd", now=lambda: "now")
    slow = [Failed("timeout", f"slow {i}") for i in range(2)]
    log.told(evaluation(3, Measured(1.0, Usage()), *slow, Failed("server", "500")))
    log.workers(2)
    log.workers(2)
    log.workers(1)
    log.close()
    log.write("too late")
    told, *failed, two, one = lines(tmp_path)
    assert told["failures"] == {"server": 1, "timeout": 2} and told["tasks"] == 1
    assert [(f["failure"], f["count"], f["why"]) for f in failed] == [
        ("server", 1, "500"),
        ("timeout", 2, "slow 0"),
    ]
    assert (two["alive"], one["alive"]) == (2, 1)


def test_a_log_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    """Half a line of a killed process spoils neither what is before it nor what follows."""
    first = RunLog(tmp_path, "usd")
    first.told(evaluation(0, Measured(1.0, Usage())))
    first.close()
    with (tmp_path / FILE).open("a") as file:
        file.write('{"kind": "to')
    second = RunLog(tmp_path, "usd")
    second.told(evaluation(0, Measured(1.0, Usage())))
    second.close()
    texts = (tmp_path / FILE).read_text().splitlines()
    assert len(texts) == 3 and texts[1] == '{"kind": "to'
    assert json.loads(texts[2])["replayed"] is True and json.loads(texts[2])["part"] == 2


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    """A folder stands where the log should be: the run goes on without it, and says why."""
    (tmp_path / FILE).mkdir()
    log = RunLog(tmp_path, "usd")
    log.told(evaluation(0, Measured(1.0, Usage())))
    assert FILE in log.fault


def test_no_key_reaches_the_log(tmp_path: Path) -> None:
    """A planted key in a reason, a label, an error: blotted out in each."""
    secrets.remember('planted/KEY+"7f3a9')
    try:
        log = RunLog(tmp_path, "usd")
        log.told(evaluation(0, Failed("auth", 'rejected: planted/KEY+"7f3a9')))
        log.write("ended", why='planted/KEY+"7f3a9', error='planted/KEY+"7f3a9')
        log.close()
    finally:
        secrets.forget()
    text = (tmp_path / FILE).read_text()
    assert "planted" not in text and "7f3a9" not in text and text.count(secrets.BLOT) == 3


# -- metrics ---------------------------------------------------------------------------------------


def test_every_number_has_its_gauge() -> None:
    """What an event says is what the gauges show; once the search is over nothing is left."""
    shown = values(BUSY)
    assert shown.keys() == GAUGES.keys()
    assert shown["workers"] == 2 and shown["calls_in_flight"] == 48 and shown["eta_seconds"] == 95
    assert shown["spent_usd"] == 0.5 and shown["taken"] == 4
    assert values(replace(BUSY, spent_usd=None))["spent_usd"] is None
    assert values(replace(BUSY, kind="done"))["eta_seconds"] == 0.0


def test_metrics_are_told_by_run_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gauge is set under its name with the run, failures with their kind."""
    import ray.util.metrics

    told: dict[tuple[str, ...], float] = {}

    class Gauge:
        def __init__(self, name: str, text: str, keys: tuple[str, ...]) -> None:
            self.name, self.keys = name, keys

        def set(self, value: float, tags: dict[str, str]) -> None:
            assert tuple(tags) == self.keys
            told[(self.name, *tags.values())] = value

    monkeypatch.setattr(ray.util.metrics, "Gauge", Gauge)
    RayMetrics()(replace(BUSY, spent_usd=None))
    assert told["paragent_evaluations", "r"] == 12
    assert told["paragent_failures", "r", "timeout"] == 3
    assert told["paragent_failed_calls", "r", "rate-limit"] == 7
    assert ("paragent_spent_usd", "r") not in told
    assert len(told) == len(GAUGES) - 1 + len(BUSY.failures) + len(BUSY.failed_calls)
    assert BY_KIND.keys() <= {key[0].removeprefix("paragent_") for key in told}


def test_metrics_without_ray_are_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Ray says, nothing is raised."""
    monkeypatch.setitem(sys.modules, "ray.util.metrics", None)
    RayMetrics()(BUSY)

"""A proposer behind an endpoint: real processes, faults, kills; and one run on Ray."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedModel
from test_resume_endpoint import ask, finish, serving, start, until_a_call_is_sent

from paragent import ListBenchmark, optimize
from paragent.cli import main
from paragent.component import Component, Price
from paragent.dev.advising import advice
from paragent.registry import components
from paragent.run import Run
from paragent.runtime.model import Request

SMALL = [
    *("--proposer", "fake", "--models", "pocket-s", "--evals", "20", "--tasks", "4"),
    *("--include", "direct,chain_of_thought,lookup,calculator,vote,cascade,self_refine"),
    *("--confirm", "2", "--test-tasks", "2", "--finalists", "1", "--parallel", "2"),
    *("--no-prune", "--no-report", "--json"),
]


def results(said: dict[str, Any], folder: Path) -> tuple[Any, ...]:
    """What a run found and was told, without times."""
    told = [(e.design.hash, e.by, e.score) for e in Run(folder / "runs" / "one").evaluations]
    return told, [p["design"] for p in said["front"]], said["proposer"]


@pytest.mark.slow
def test_a_run_with_faults_goes_on_and_resumes_to_the_same(tmp_path: Path) -> None:
    """Every call to the proposer breaks, and some were billed: all are counted, the search ends,
    and a resumed run asks for nothing again."""
    with serving("--fault-rate", "1", "--faults", "truncated,empty", "--key", "right") as url:
        said = finish(start(tmp_path, url, "search", *SMALL, "--out", "runs/one"))
        before, asked = results(said, tmp_path), ask(url, "stats")["requests"]
        again = finish(start(tmp_path, url, "resume", "runs/one", "--no-report", "--json"))
        assert results(again, tmp_path) == before
        assert ask(url, "stats")["requests"] == asked
    record = said["proposer"]
    assert sum(record["failed"].values()) == record["asked"]["edit"] >= 2
    assert any("of no use" in note for note in said["notes"])
    assert said["spent"]["by_purpose"].get("propose", {"calls": 0})["calls"] <= asked


def test_a_wrong_key_of_the_proposer_costs_advice_alone(tmp_path: Path) -> None:
    """The search ends as usual, with nothing from the proposer; --json says so."""
    with serving("--key", "right") as url:
        said = finish(start(tmp_path, url, "search", *SMALL, "--out", "runs/one", key="wrong"))
    assert said["evaluations"] == 20
    assert said["proposer"]["failed"] == {"auth": said["proposer"]["asked"]["edit"]}
    assert "propose" not in said["spent"]["by_purpose"]


@pytest.mark.slow
def test_kill_9_with_a_question_in_flight(tmp_path: Path) -> None:
    """Killed while the proposer is asked, and resumed: the same run as an undisturbed one; only
    what was in flight is asked for again."""
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    calm.mkdir()
    wild.mkdir()
    with serving("--latency-ms", "400") as url:
        undisturbed = finish(start(calm, url, "search", *SMALL, "--out", "runs/one"))
        wanted = ask(url, "requests")
    with serving("--latency-ms", "400") as url:
        process = start(wild, url, "search", *SMALL, "--out", "runs/one")
        until_a_call_is_sent(url, process, after=1)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        resumed = finish(start(wild, url, "resume", "runs/one", "--no-report", "--json"))
        asked = ask(url, "requests")
    assert results(resumed, wild) == results(undisturbed, calm)
    assert asked.keys() == wanted.keys()
    assert sum(n["asked"] - 1 for n in asked.values()) <= 1
    assert resumed["spent"]["unsure_usd"] > 0


def test_refusals_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, nothing spent."""
    for words, said in (
        (["--proposer", "pocket-m"], "pocket-m does not follow free instructions"),
        (["--proposer", "poket-m"], "Did you mean 'pocket-m'?"),
        (["--searcher", "bandit", "--credit", "judge"], "give --proposer MODEL"),
    ):
        assert main(["search", *words]) == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1


def test_a_specification_may_name_the_proposer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`proposer:` is the flag's key; what is no text is told with its line."""
    file = tmp_path / "search.yaml"
    file.write_text("evals: 5\nproposer: pocket-s\n", encoding="utf-8")
    assert main(["search", str(file)]) == 2
    assert "pocket-s does not follow" in capsys.readouterr().err
    file.write_text("evals: 5\nproposer: [a]\n", encoding="utf-8")
    assert main(["search", str(file)]) == 2
    assert "line 2" in capsys.readouterr().err


@pytest.fixture
def scripted() -> Iterator[None]:
    """A solver, and a proposer that describes a sub-agent."""
    before = {c.name for c in components}

    def solver(request: Request) -> str:
        careful = "carefully" in request.messages[0].content
        numbers = [int(w) for w in request.messages[-1].content.split() if w.isdigit()][:2]
        return f"Answer: {sum(numbers) + (not careful) * (sum(numbers) % 2)}"

    def adviser(request: Request) -> str:
        agent = {"promise": "adds", "prompt": "You add carefully.", "name": "adder"}
        return json.dumps({"proposals": [{"agent": agent}]})

    for name, script in (("summer", solver), ("adviser", adviser)):
        model = ScriptedModel(script, name=name)
        components.register(
            Component(name, "model", "scripted", lambda model=model: model, price=Price(1.0, 2.0),
                      provides=("instruct",))
        )  # fmt: skip
    yield
    for name in {c.name for c in components} - before:
        components.unregister(name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:ray.*")
@pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray.*")
def test_a_sub_agent_of_a_models_making_runs_on_ray(scripted: None, tmp_path: Path) -> None:
    """Workers that never heard of it run it: the same results as in this process."""
    pytest.importorskip("ray")
    pairs = [(f"What is {a} + {b} ?", str(a + b)) for a in range(8, 16) for b in range(8, 16)]
    bench = ListBenchmark.of("sums", pairs)
    settings: dict[str, Any] = {
        **{"models": ["summer"], "include": ["direct", "chain_of_thought", "self_refine", "vote"]},
        **{"proposer": "adviser", "evals": 16, "tasks": 6, "confirm": 6, "test_tasks": 6},
        **{"options": {"warm_up": 5}, "prune": False, "parallel": 3},
    }
    here = optimize(bench, out=tmp_path / "here", **settings)
    for name in [c.name for c in components if c.name.startswith("adder_")]:
        components.unregister(name)
    there = optimize(bench, out=tmp_path / "there", address="local", workers=2, **settings)
    told = [[(e.design.hash, e.by, e.scores) for e in run.evaluations] for run in (here, there)]
    assert told[0] == told[1]
    assert any("adder_" in e.design.label for e in there.evaluations)
    assert there.spent.by_purpose["propose"] == here.spent.by_purpose["propose"]


def test_the_fake_server_advises_by_the_request_alone() -> None:
    """The same question, the same advice; what is no question for advice is answered otherwise."""
    asked = 'Edits of it that are possible:\n0: model x\n1: reasoning y\n{"proposals": [...]}'
    assert advice(asked) == advice(asked)
    assert json.loads(advice(asked) or "")["proposals"][0]["edit"] in (0, 1)
    assert advice("What is 2 + 2?") is None

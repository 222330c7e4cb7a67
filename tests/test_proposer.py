"""A language model advises the search: paid, checked, repeatable, and never needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import Script, ScriptedModel

import paragent.proposer
from paragent import ListBenchmark, optimize, resume
from paragent.component import Component, Price
from paragent.design import Design
from paragent.errors import CallFailure, UsageError
from paragent.registry import components
from paragent.run import Run
from paragent.runtime.model import Request

PAIRS = [(f"What is {a} + {b}?", str(a + b)) for a in range(8, 20) for b in range(8, 20)]
SUMS = ListBenchmark.of("sums", PAIRS)
SMALL: dict[str, Any] = {
    "models": ["summer"],
    "include": ["direct", "chain_of_thought", "self_refine", "vote"],
    "evals": 22,
    "tasks": 8,
    "confirm": 24,
    "test_tasks": 24,
    "finalists": 4,
    "options": {"warm_up": 6},
    "prune": False,
}
CAREFUL = "Answer carefully, with the final answer only."


def solver(request: Request) -> str:
    """Adds; without being told to be careful it errs on every other sum."""
    system, question = request.messages[0].content, request.messages[-1].content
    numbers = [int(w) for w in question.replace("?", " ").split() if w.isdigit()][:2]
    right = "carefully" in system or sum(numbers) % 2 == 0
    return f"Answer: {sum(numbers) + (not right)}"


def say(**data: Any) -> str:
    return json.dumps(data)


class Models:
    """Registers scripted models for one test."""

    def __init__(self) -> None:
        self.made: dict[str, ScriptedModel] = {}

    def add(
        self, name: str, script: Script, provides: tuple[str, ...] = ("instruct",)
    ) -> ScriptedModel:
        model = ScriptedModel(script, name=name, price=Price(1.0, 2.0))
        component = Component(
            name, "model", "scripted", lambda: model, price=model.price, provides=provides
        )
        components.register(component)
        self.made[name] = model
        return model


@pytest.fixture
def models() -> Iterator[Models]:
    before = {c.name for c in components}
    found = Models()
    found.add("summer", solver)
    yield found
    for name in {c.name for c in components} - before:
        components.unregister(name)


def proposals(*rows: dict[str, Any]) -> Script:
    return lambda request: say(proposals=list(rows))


def told(run: Run) -> list[tuple[str, str, float | None]]:
    return [(e.design.hash, e.by, e.score) for e in run.evaluations]


def test_a_reworded_prompt_wins_and_is_exported(models: Models, tmp_path: Path) -> None:
    """The model finds the word that helps: the best design carries the text, in its config too; the
    call stands in the ledger as `propose`, and the run says what came of it."""
    adviser = models.add("adviser", proposals({"texts": {"direct.ask": CAREFUL}}))
    run = optimize(SUMS, proposer="adviser", out=tmp_path / "run", **SMALL)
    best = run.best().design
    assert dict(best.prompts) == {"direct.ask": CAREFUL}
    assert run.best().point.test is not None and run.best().point.test.score == 1.0
    assert CAREFUL in run.config_path(best).read_text(encoding="utf-8")
    assert any(e.by == "proposer" for e in run.evaluations)
    assert run.spent.by_purpose["propose"]["calls"] == len(adviser.seen) > 0
    said = run.summary()["proposer"]
    assert said["model"] == "adviser" and said["asked"] == {"edit": len(adviser.seen)}
    assert any("adviser was asked for advice" in note for note in run.notes)
    shown = adviser.seen[0].messages[-1].content
    assert "How tasks failed: number" in shown and "direct.ask" in shown


def test_the_model_sees_what_failed_and_how(models: Models, tmp_path: Path) -> None:
    """A failed task with what was said, answered and wanted; edits that answer its signs."""
    adviser = models.add("adviser", proposals({"edit": 0}))
    optimize(SUMS, proposer="adviser", out=tmp_path / "run", **SMALL)
    shown = adviser.seen[0].messages[-1].content
    assert "Tasks that it failed:" in shown and "What is" in shown
    assert "said: Answer:" in shown and "wanted:" in shown
    assert "0: " in shown and "reasoning" in shown


@pytest.mark.parametrize(
    "script",
    [
        lambda request: "I would suggest to think harder.",
        lambda request: say(proposals="none"),
        lambda request: say(proposals=[{"edit": 10**6}, {"edit": "0"}, {"code": "import os"}]),
        lambda request: say(proposals=[{"texts": {"direct.ask": ""}}, {"texts": {"no.such": "x"}}]),
        lambda request: say(proposals=[{"texts": {"direct.ask": "{question}"}}, {"at": []}]),
        lambda request: "[" * 100_000,
        lambda request: say(proposals=[{"agent": {"promise": "x", "tools": ["/bin/sh"]}}]),
        lambda request: say(proposals=[{"agent": {"promise": "x"}, "at": ["0"]}]),
    ],
)
def test_nonsense_changes_nothing_but_the_notes(
    models: Models, tmp_path: Path, script: Script
) -> None:
    """The search goes on with its own edits to its end; the notes say what was refused."""
    models.add("adviser", script)
    settings = {**SMALL, "evals": 18, "confirm": 8, "test_tasks": 8}
    run = optimize(SUMS, proposer="adviser", out=tmp_path / "run", **settings)
    assert len(run.evaluations) == 18
    assert all(e.by == "mcts" for e in run.evaluations)
    record = run.summary()["proposer"]
    assert record["refused"] and not record["designs"]
    assert any("refused" in note for note in run.notes)


def test_a_proposer_that_fails_is_counted_and_fails_again_on_resume(
    models: Models, tmp_path: Path
) -> None:
    """Every second call fails; the search ends, says so, and is told the same when resumed."""
    calls = iter(range(10_000))

    def shaky(request: Request) -> str:
        if next(calls) % 2:
            raise CallFailure("server", "down")
        return say(proposals=[{"texts": {"direct.ask": CAREFUL}}])

    adviser = models.add("adviser", shaky)
    run = optimize(SUMS, proposer="adviser", out=tmp_path / "run", **SMALL)
    record = run.summary()["proposer"]
    assert record["failed"]["server"] == len(adviser.seen) // 2
    assert any("of no use (server" in note for note in run.notes)
    before, asked = told(run), len(adviser.seen)
    again = resume(tmp_path / "run", benchmark=SUMS)
    assert told(again) == before
    assert len(adviser.seen) == asked, "answers come from the journal, failures from the record"
    assert again.summary()["proposer"] == record


def test_a_longer_resume_is_what_one_run_would_have_been(models: Models, tmp_path: Path) -> None:
    """14 evaluations and then 22 give what 22 give at once."""
    texts = {"chain_of_thought.think": f"{CAREFUL}{{tools}}"}
    models.add("adviser", proposals({"edit": 1}, {"texts": texts}))
    settings = {**SMALL, "parallel": 1}
    whole = optimize(SUMS, proposer="adviser", out=tmp_path / "whole", **settings)
    optimize(SUMS, proposer="adviser", out=tmp_path / "part", **{**settings, "evals": 14})
    part = resume(tmp_path / "part", benchmark=SUMS, evals=22)
    assert told(part)[:14] == told(whole)[:14]
    assert {e.by for e in part.evaluations} == {"mcts", "proposer"}


def test_caps_hold_with_a_proposer(models: Models, tmp_path: Path) -> None:
    """A cap on calls counts advice as well; one that leaves no room for it is no crash."""
    models.add("adviser", proposals({"edit": 0}))
    for calls in (60, 200, 900):
        run = optimize(SUMS, proposer="adviser", out=tmp_path / f"{calls}", calls=calls, **SMALL)
        assert run.spent.calls <= calls
        assert sum(int(p["calls"] or 0) for p in run.spent.by_purpose.values()) == run.spent.calls
    tiny = optimize(SUMS, proposer="adviser", out=tmp_path / "usd", usd=0.004, **SMALL)
    assert (tiny.spent.usd or 0) <= 0.004


def test_a_sub_agent_of_the_models_making_runs_and_is_exported(
    models: Models, tmp_path: Path
) -> None:
    """Its description becomes a part of the space, of the run's settings and of the config file."""
    body = {
        "name": "Careful Adder!",
        "promise": "adds carefully",
        "prompt": "You add carefully.",
        "reasoning": "chain_of_thought",
    }
    models.add("adviser", proposals({"agent": body}))
    run = optimize(SUMS, proposer="adviser", out=tmp_path / "run", **SMALL)
    best = run.best().design
    (name,) = {a.subagent.name for _, a in best.agents() if a.subagent is not None}
    assert name.startswith("careful_adder_")
    assert run.best().point.test is not None and run.best().point.test.score == 1.0
    assert run.config["inventory"]["subagents"][name]["prompt"] == "You add carefully."
    text = run.config_path(best).read_text(encoding="utf-8")
    assert "adds carefully" in text and name in text
    components.unregister(name)
    assert run.best().ask("What is 3 + 4?") == "7"


def test_who_cannot_propose_is_refused_in_one_line(models: Models) -> None:
    """Pocket models follow no instructions; unknown names have a nearest one; a judge needs a
    model; a model without a price and a cap in dollars do not go together."""
    with pytest.raises(UsageError, match="pocket-m does not follow free instructions"):
        optimize("pocket", proposer="pocket-m")
    with pytest.raises(UsageError, match="proposer: no model is called 'pocket-x'"):
        optimize("pocket", proposer="pocket-x")
    with pytest.raises(UsageError, match="give --proposer MODEL"):
        optimize("pocket", searcher="bandit", options={"credit": "judge"})
    free = ScriptedModel(solver, name="dear", price=Price())
    components.register(
        Component(
            "dear", "model", "no price", lambda: free, price=free.price, provides=("instruct",)
        ),
        replace=True,
    )
    with pytest.raises(UsageError, match="unknown for the proposer: dear"):
        optimize("pocket", proposer="dear", usd=1.0)


def test_the_leader_of_a_portfolio_asks(models: Models, tmp_path: Path) -> None:
    """What it suggests is run, whoever else has turns."""
    adviser = models.add("adviser", proposals({"texts": {"direct.ask": CAREFUL}}))
    run = optimize(
        SUMS, searcher="portfolio", proposer="adviser", out=tmp_path / "run",
        **{**SMALL, "evals": 26, "options": {"members": "mcts+random"}},
    )  # fmt: skip
    assert adviser.seen
    assert any(e.by == "proposer" for e in run.evaluations)


def test_a_searcher_that_asks_nothing_says_so(models: Models, tmp_path: Path) -> None:
    """Random search has no use for advice: a note, and no call."""
    adviser = models.add("adviser", proposals({"edit": 0}))
    run = optimize(
        SUMS, searcher="random", proposer="adviser", out=tmp_path / "run",
        **{**SMALL, "options": {}, "evals": 4},
    )  # fmt: skip
    assert not adviser.seen and "propose" not in run.spent.by_purpose
    assert any("asks no language model" in note for note in run.notes)


def test_a_design_of_a_file_with_its_sub_agent_is_itself(models: Models) -> None:
    """Data of a job: the sub-agent travels beside the design."""
    from paragent.inventory import design_of

    data = {"agent": {"model": "summer", "subagent": "traveller"}}
    there = {**data, "subagents": {"traveller": {"promise": "goes far"}}}
    assert design_of(there) == Design.from_data(data)
    assert components["traveller"].summary == "goes far"


@pytest.mark.parametrize("searcher", ["mcts", "bandit"])
def test_a_bug_in_reading_advice_leaves_a_run_that_resumes(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searcher: str
) -> None:
    """What is no failure of a call ends the run as any bug does; mended, the run goes on."""

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    def script(request: Request) -> str:
        if '{"agents": [...]}' in request.messages[-1].content:
            return say(agents=[{"model": "summer", "promise": "x"}])
        return say(proposals=[{"edit": 0}])

    models.add("adviser", script)
    settings = {**SMALL, "options": {}, "evals": 20}
    with monkeypatch.context() as patched:
        for name in ("read_edits", "read_arms"):
            patched.setattr(paragent.proposer, name, broken)
        with pytest.raises(RuntimeError, match="a bug"):
            optimize(SUMS, searcher=searcher, proposer="adviser", out=tmp_path / "run", **settings)
    run = resume(tmp_path / "run", benchmark=SUMS)
    assert run.summary()["proposer"]["designs"] and len(run.evaluations) == 20

"""Searches that share what they measure: what is given, what is taken, and what can go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import paragent
from paragent import share
from paragent.benchmark import ListBenchmark
from paragent.cli import main
from paragent.config import RunConfig
from paragent.design import Agent, Design, Part
from paragent.engine import Engine
from paragent.errors import UsageError
from paragent.lab.islands import WAYS, Pool, _together, report_of, run_islands
from paragent.lab.shipped import open_table
from paragent.lab.trial import Protocol
from paragent.outcome import Evaluation, Failed, Measured, Outcome, Usage
from paragent.registry import searchers
from paragent.replay import Replay
from paragent.runtime import secrets
from paragent.runtime.ledger import Caps, Ledger
from paragent.searcher import Proposal
from paragent.share import Island, check_folder, terms_of
from paragent.store import Store

TERMS = {"form": 1, "benchmark": "made up"}
TASKS = ("a", "b", "c", "d")
GOOD = Measured(1.0, Usage(1, 10, 2, 0.001, 0.5), "yes")
#: Reasonings that every installation has: as many designs as are needed.
REASONING = ("direct", "chain_of_thought", "self_refine", "self_consistency", "best_of_n")


def design(i: int) -> Design:
    """One of many."""
    which, rest = i % len(REASONING), i // len(REASONING)
    return Design(Agent(Part("pocket-s"), Part(REASONING[which]), role=f"role {rest}"))


def evaluation(i: int, outcomes: Mapping[str, Outcome] | None = None) -> Evaluation:
    """The design, measured on all tasks unless told otherwise."""
    found = outcomes if outcomes is not None else dict.fromkeys(TASKS, GOOD)
    return Evaluation(design(i), "dev", "search-eval", found, i, "mcts")


Make = Callable[..., Island]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Islands of one folder, `pool`, each with a run of its own."""
    stores: list[Store] = []

    def made(name: str, terms: Mapping[str, Any] = TERMS, **more: Any) -> Island:
        folder = tmp_path / name
        stores.append(Store(folder, write=True, create=not folder.exists()))
        given: dict[str, Any] = {"legal": lambda d: True, "remote": {}, "tasks": TASKS, **more}
        return Island(tmp_path / "pool", stores[-1], terms, **given)

    yield made
    for store in stores:
        store.close()


def test_what_one_gives_the_other_takes_once(make: Make) -> None:
    """The same outcomes, with the giver's name; nobody takes their own, nothing comes twice."""
    one, two = make("one"), make("two")
    one.give(evaluation(0))
    one.give(evaluation(0))
    (found,) = two.take(-1, set())
    assert found.design == design(0) and found.outcomes == evaluation(0).outcomes
    assert found.by == one.file.stem and found.by.startswith("one-") and found.number == -1
    assert two.take(0, set()) == [] and one.take(-1, set()) == []
    one.give(evaluation(1))
    assert [e.design for e in two.take(1, set())] == [design(1)]
    assert two.notes() == [
        "took 2 evaluations of 1 other search: what a run takes depends on when others write, so "
        "one seed gives one run no more (resuming this one gives the same again)"
    ]


def test_a_design_that_is_in_flight_here_is_not_taken(make: Make) -> None:
    """What this run has proposed it measures itself: two outcomes of one task would be a lie."""
    one, two = make("one"), make("two")
    one.give(evaluation(0))
    assert two.take(-1, {design(0).hash}) == []


def test_what_another_has_claimed_is_not_run_here(make: Make) -> None:
    """From the next look on, and again after a resume; of whole measurements only. Nobody heeds
    their own claims, or claims of parts that are others here."""
    one, two = make("one"), make("two")
    proposal = Proposal(design(0))
    one.claim(proposal)
    one.claim(proposal)
    assert one.file.read_bytes().count(b"\n") == 1
    assert not two.elsewhere(proposal)
    assert two.take(-1, set()) == [] and two.elsewhere(proposal)
    assert not two.elsewhere(Proposal(design(0), purpose="trial"))
    assert one.take(-1, set()) == [] and not one.elsewhere(proposal)
    one.give(evaluation(0))
    assert len(two.take(0, set())) == 1
    one.file.unlink()
    two._store.close()
    again = make("two")
    assert not again.elsewhere(proposal)
    again.take(-1, set())
    assert again.elsewhere(proposal)


def test_a_claim_of_other_parts_is_none(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of another price there: its evaluation could not be taken, so it is run here."""
    one, two = make("one"), make("two")
    real = share._part_digest
    monkeypatch.setattr(share, "_part_digest", lambda c, spec: "dearer" + real(c, spec))
    one.claim(Proposal(design(0)))
    monkeypatch.undo()
    two.take(-1, set())
    assert not two.elsewhere(Proposal(design(0)))


def test_two_others_with_the_same_design(make: Make) -> None:
    """The first in the order of names counts."""
    for name in ("b", "a"):
        make(name).give(evaluation(0))
    (found,) = make("me").take(-1, set())
    assert found.by.startswith("a-")


def test_other_terms_are_another_place(make: Make) -> None:
    """Another benchmark, version or scorer: nothing is taken, and nothing is in the way."""
    make("one", {**TERMS, "benchmark": "another"}).give(evaluation(0))
    assert make("two").take(-1, set()) == []


def test_terms_name_all_that_outcomes_depend_on() -> None:
    """A changed question, scorer, judge, option or tool gives other terms; a seed does not."""
    plain = ListBenchmark.of("b", [(f"q{i}", "1") for i in range(8)])
    other = ListBenchmark.of("b", [(f"q{i}", "2") for i in range(8)])
    config = RunConfig()
    same = terms_of(config, plain)
    assert terms_of(RunConfig(seed=5, evals=3, tasks=7), plain) == same
    assert terms_of(config, other) != same
    changes: list[dict[str, Any]] = [
        {"scorer": "exact"},
        {"judge": "m"},
        {"benchmark_options": {"level": 3}},
        {"inventory": {"tools": {"t": {}}}},
    ]
    for change in changes:
        assert terms_of(RunConfig(**change), plain) != same


def test_a_model_of_another_price_is_another_model(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line's digests of parts must be those here."""
    one, two = make("one"), make("two")
    real = share._part_digest
    monkeypatch.setattr(share, "_part_digest", lambda c, spec: "dearer" + real(c, spec))
    one.give(evaluation(0))
    monkeypatch.undo()
    assert two.take(-1, set()) == [] and two.notes() == []
    one.give(evaluation(1))
    assert len(two.take(0, set())) == 1


def test_designs_that_are_not_legal_here_stay(make: Make) -> None:
    """Another space: as if they had not been given."""
    make("one").give(evaluation(0))
    assert make("two", legal=lambda d: False).take(-1, set()) == []


def test_fresh_tasks_stay_fresh(make: Make) -> None:
    """Another run searches on more tasks than this one: only this one's are taken, so that those
    which decide its front were not searched on."""
    make("one").give(evaluation(0))
    (found,) = make("two", tasks=("c", "a")).take(-1, set())
    assert list(found.outcomes) == ["c", "a"]
    assert make("three", tasks=("z",)).take(-1, set()) == []


def test_failures_travel_unless_they_may_pass(make: Make) -> None:
    """An outage says nothing of a design; a component that breaks does. Nothing becomes a zero."""
    mixed: dict[str, Outcome] = {
        "a": GOOD,
        "b": Failed("timeout", "slow"),
        "c": Failed("component", "broke"),
    }
    one = make("one")
    one.give(evaluation(0, mixed))
    one.give(evaluation(1, {"a": Failed("component", "broke")}))
    (found,) = make("two").take(-1, set())
    assert found.outcomes == {"a": GOOD, "c": Failed("component", "broke")}
    assert found.score == 1.0 and found.failures == {"component": 1}


def test_half_a_line_waits(make: Make) -> None:
    """A writer in the middle of a line: nothing yet, and all of it once it is whole."""
    one, two = make("one"), make("two")
    one.give(evaluation(0))
    whole = one.file.read_bytes()
    for cut in (1, 20, len(whole) - 1):
        one.file.write_bytes(whole[:cut])
        assert two.take(cut, set()) == []
    one.file.write_bytes(whole)
    assert len(two.take(len(whole), set())) == 1 and two._unread == 0


def test_a_killed_writer_goes_on_with_a_new_line(make: Make) -> None:
    """Half a line stays half a line: it is left out, told, and given again."""
    one = make("one")
    one.give(evaluation(0))
    one.give(evaluation(1))
    whole = one.file.read_bytes()
    one.file.write_bytes(whole[: len(whole) - 40])
    one._store.close()
    again = make("one")
    assert again.file == one.file
    for i in (0, 1, 2):
        again.give(evaluation(i))
    two = make("two")
    assert [e.design for e in two.take(-1, set())] == [design(i) for i in (0, 1, 2)]
    (note,) = [n for n in two.notes() if "could not be read" in n]
    assert "1 lines" in note


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row["outcomes"].update(a={"is": "measured", "score": 2, "usage": [1] * 5}),
        lambda row: row["outcomes"]["a"].update(score=float("nan")),
        lambda row: row["outcomes"]["a"].update(score=True),
        lambda row: row["outcomes"]["a"].update(usage=[-1, 0, 0, 0, 0]),
        lambda row: row["outcomes"].update(a={"is": "failed", "kind": "?", "why": "", "usage": []}),
        lambda row: row["outcomes"].update(a={"is": "pruned", "why": "cheap"}),
        lambda row: row.update(purpose="final-eval"),
        lambda row: row.update(design={"agent": 5}),
        lambda row: row.update(outcomes=[1]),
        lambda row: row.pop("parts"),
    ],
)
def test_what_is_no_evaluation_is_left_out(make: Make, change: Callable[[Any], None]) -> None:
    """A right checksum over nonsense: counted, never taken; the next line is."""
    one = make("one")
    one.give(evaluation(0))
    row = json.loads(one.file.read_bytes().split(b" ", 1)[1])
    change(row)
    one.file.write_bytes(share._line(row))
    one.give(evaluation(1))
    two = make("two")
    assert [e.design for e in two.take(-1, set())] == [design(1)]
    assert two._unread == 1


def test_bytes_that_are_no_lines(make: Make, tmp_path: Path) -> None:
    """Noise, a changed digit, a deep nest, a folder with a file's name, files of other kinds."""
    one, two = make("one"), make("two")
    one.give(evaluation(0))
    line = one.file.read_bytes()
    place = one.file.parent
    (place / "noise.jsonl").write_bytes(os.urandom(500).replace(b"\n", b"") + b"\n")
    (place / "changed.jsonl").write_bytes(line.replace(b"0.001", b"0.002"))
    body = b"[" * 50_000
    (place / "deep.jsonl").write_bytes(
        hashlib.sha256(body).hexdigest()[:16].encode() + b" " + body + b"\n"
    )
    (place / "folder.jsonl").mkdir()
    (place / "notes.txt").write_text("hello")
    assert len(two.take(-1, set())) == 1 and two._unread == 3


def test_a_file_that_became_shorter_is_read_anew(make: Make) -> None:
    """Somebody emptied the folder and a run of the same name began again."""
    one, two = make("one"), make("two")
    for i in (0, 1):
        one.give(evaluation(i))
    assert len(two.take(-1, set())) == 2
    first, _ = one.file.read_bytes().splitlines(keepends=True)
    one.file.write_bytes(first)
    assert two.take(0, set()) == []
    one.give(evaluation(2))
    assert [e.design for e in two.take(1, set())] == [design(2)]


def test_a_folder_that_cannot_be_written_is_only_read(make: Make) -> None:
    """What cannot be given is told once; taking goes on."""
    one, two = make("one"), make("two")
    one.give(evaluation(0))
    two.file.mkdir()  # root may write to read-only folders, but nobody to this
    two.give(evaluation(1))
    assert len(two.take(-1, set())) == 1
    assert any("cannot be written" in note for note in two.notes())


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """Said before anything is spent, with what was given."""
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="wanted a folder"):
            check_folder(place)
    check_folder(tmp_path / "new" / "one")
    with pytest.raises(UsageError, match="wanted a folder"):
        paragent.optimize(share=str(tmp_path / "file"), out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_what_was_taken_is_taken_again(make: Make, tmp_path: Path) -> None:
    """After a resume, and with the folder gone: the same at the same places, then what is new."""
    one, two = make("one"), make("two")
    one.give(evaluation(0))
    before = [two.take(-1, set()), two.take(0, set())]
    one.give(evaluation(1))
    before.append(two.take(1, set()))
    two._store.close()
    shutil.rmtree(tmp_path / "pool")
    again = make("two")
    assert [again.take(i, set()) for i in (-1, 0, 1)] == before
    one._given.clear()
    one.give(evaluation(0))
    one.give(evaluation(2))
    assert [e.design for e in again.take(2, set())] == [design(2)]


def test_no_key_is_given_away(make: Make) -> None:
    """An answer that holds a key, a reason that does: blotted out, and the line still counts."""
    secrets.remember('planted/KEY+"7f3a9')
    try:
        one = make("one")
        told = Measured(1.0, Usage(), 'the key is planted/KEY+"7f3a9')
        one.give(evaluation(0, {"a": told, "b": Failed("scorer", 'planted/KEY+"7f3a9')}))
    finally:
        secrets.forget()
    assert b"7f3a9" not in one.file.read_bytes()
    (found,) = make("two").take(-1, set())
    assert found.measured[0].answer == f"the key is {secrets.BLOT}"


# -- many processes --------------------------------------------------------------------------------


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_share import TASKS, TERMS, evaluation
from paragent.share import Island
from paragent.store import Store

folder, number = Path(sys.argv[1]), int(sys.argv[2])
with Store(folder / f"run{number}", write=True, create=True) as store:
    mine = Island(folder / "pool", store, TERMS, legal=lambda d: True, remote={}, tasks=TASKS)
    for i in range(40):
        mine.give(evaluation(number * 1000 + i))
        mine.take(i, set())
"""


def test_processes_at_once_and_killed_ones(tmp_path: Path) -> None:
    """Four processes write and read at once, one is killed in the middle: whatever it is, nobody
    reads anything twice, wrong, or of themselves; a later reader gets all of the living."""
    here = Path(__file__).parent
    env = {**os.environ, "PYTHONPATH": str(here.parent)}
    crew = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n), str(here)], env=env)
        for n in range(4)
    ]
    while not list((tmp_path / "pool").glob("*/run0-*.jsonl")) and crew[0].poll() is None:
        time.sleep(0.005)
    crew[0].send_signal(signal.SIGKILL)
    assert [each.wait(120) for each in crew[1:]] == [0, 0, 0]
    crew[0].wait(60)
    with Store(tmp_path / "late", write=True, create=True) as store:
        late = Island(tmp_path / "pool", store, TERMS, legal=lambda d: True, remote={}, tasks=TASKS)
        found = late.take(-1, set())
    hashes = [e.design.hash for e in found]
    assert len(set(hashes)) == len(hashes)
    wanted = {design(n * 1000 + i).hash for n in (1, 2, 3) for i in range(40)}
    assert wanted <= set(hashes) <= wanted | {design(i).hash for i in range(40)}
    assert all(e.outcomes == evaluation(0).outcomes for e in found)


# -- the search ------------------------------------------------------------------------------------


def _search(
    folder: Path, pool: Path, seed: int, evals: int, stop_at: int = -1
) -> tuple[list[str], list[str], int]:
    """A search of a shipped table; hashes of what was told and taken, and tasks that were run."""
    table = open_table("pocket-facts")
    replay = Replay(table, "recorded", seed=0)
    told: list[str] = []

    def watch(kind: str, e: Evaluation | None) -> None:
        assert e is not None
        if kind == "told":
            told.append(e.design.hash)
        if len(told) == stop_at:
            raise RuntimeError("stopped")

    config = RunConfig(evals=evals, tasks=50, parallel=3, seed=seed)
    with Store(folder, write=True, create=not folder.exists()) as store:
        tasks = [t.id for t in replay.tasks("dev")[:50]]
        mine = Island(pool, store, TERMS, legal=lambda d: True, remote={}, tasks=tasks)
        searcher = searchers["mcts"].make(table.space, seed=seed)
        engine = Engine(config, replay, searcher, replay, store, Ledger(Caps()), watch, share=mine)
        with contextlib.suppress(RuntimeError):
            asyncio.run(engine.search())
        return told, [e.design.hash for e in engine.taken], replay.tasks_run


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table's designs are made of factors, which are no components."""
    monkeypatch.setattr(share, "parts_of", lambda design, remote: {})


@pytest.mark.usefixtures("parts")
def test_shared_designs_are_told_and_not_paid_for(tmp_path: Path) -> None:
    """The second search takes all that the first measured, runs its own number of designs, and
    none of them again."""
    first, nothing, ran = _search(tmp_path / "one", tmp_path / "pool", 1, 8)
    second, taken, also = _search(tmp_path / "two", tmp_path / "pool", 2, 8)
    assert nothing == [] and sorted(taken) == sorted(first) and ran == also == 8 * 50
    assert len(second) == 8 and not set(second) & set(taken)


@pytest.mark.usefixtures("parts")
def test_a_resumed_search_takes_the_same_again(tmp_path: Path) -> None:
    """Stopped after four designs, resumed when the folder has more: what was told and taken before
    is the same, nothing is run twice, and at its end it has taken what is new."""
    pool = tmp_path / "pool"
    first, _, _ = _search(tmp_path / "one", pool, 1, 6)
    told, taken, ran = _search(tmp_path / "two", pool, 2, 10, stop_at=4)
    third, _, _ = _search(tmp_path / "three", pool, 3, 6)
    again, more, rest = _search(tmp_path / "two", pool, 2, 10)
    assert again[:4] == told and len(again) == 10
    assert more[: len(taken)] == taken and sorted(taken) == sorted(first)
    assert set(more) <= set(first) | set(third) and len(more) > len(taken)
    assert rest <= 10 * 50 - 4 * 50 < ran + rest


SMALL: dict[str, Any] = {
    "evals": 3,
    "tasks": 6,
    "confirm": 2,
    "test_tasks": 4,
    "finalists": 2,
    "models": ("pocket-s",),
    "max_calls_per_task": 2,
}


def test_runs_share_through_a_folder(tmp_path: Path) -> None:
    """Two whole runs: the second says what it took and from whom, pays for its own alone, may
    choose a taken design as a finalist, and says that one seed is one run no more."""
    pool = str(tmp_path / "pool")
    one = paragent.optimize("pocket", **SMALL, share=pool, seed=1, out=tmp_path / "one")
    two = paragent.optimize("pocket", **SMALL, share=pool, seed=2, out=tmp_path / "two")
    assert one.taken == [] and one.summary()["taken"] == 0
    assert {e.design.hash for e in two.taken} == {e.design.hash for e in one.evaluations}
    assert {e.by.rsplit("-", 1)[0] for e in two.taken} == {"one"}
    assert [e.outcomes for e in two.taken] == [e.outcomes for e in one.evaluations]
    assert len(two.evaluations) == two.summary()["evaluations"] == 3
    assert any("one seed gives one run no more" in note for note in two.notes)
    label = two.spent.by_purpose["label"]
    own = sum(o.usage.tokens for e in two.evaluations for o in e.measured)
    assert 0 < label["tokens"] <= own  # calls that are equal were made once


# -- the lab ---------------------------------------------------------------------------------------


def test_searches_that_share_measure_nothing_twice() -> None:
    """Three searches of one table in turns: alone they know a third each, sharing each knows all
    but what the others measured last; with claims no design is measured twice. The same arguments
    give the same trial."""
    table = open_table("pocket-facts")
    protocol = Protocol(noise="recorded", evals=6, per_eval=20)
    found = {w: run_islands(table, "random", w, 3, 3, protocol) for w in WAYS}
    assert found["sharing"]["distinct"][-1] == found["one"]["distinct"][-1] == 18
    assert found["sharing"]["each"][-1] == pytest.approx(found["sharing"]["hv"][-1], abs=0.01)
    assert found["alone"]["each"][-1] < found["alone"]["hv"][-1]
    assert run_islands(table, "random", "sharing", 3, 3, protocol) == found["sharing"]
    rows = report_of({w: [f, f] for w, f in found.items()}, 6)
    assert {r["evaluations"] for r in rows} == {5, 6}
    (one,) = [
        r
        for r in rows
        if (r["figure"], r["evaluations"], r["way"]) == ("different designs", 6, "one")
    ]
    assert one["minus_alone"] == 18 - found["alone"]["distinct"][-1]


def test_members_take_turns() -> None:
    """Evaluation by evaluation: none is ever two ahead, so sharing means the same for all."""
    pool, table = Pool(), open_table("pocket-facts")
    protocol = Protocol(noise="recorded", evals=5, per_eval=10)
    together = _together(table, "random", 0, 3, 5, protocol, pool, parallel=1)
    asyncio.run(together)
    assert [number for number, _ in pool.given] == [0, 1, 2] * 5


@pytest.mark.parametrize("name", ["mcts", "random", "tpe", "nsga2", "portfolio", "gp", "greedy"])
def test_every_searcher_can_share(name: str) -> None:
    """Told of what is claimed elsewhere, then of what came of it there: all go on."""
    protocol = Protocol(noise="recorded", evals=5, per_eval=10)
    found = run_islands(open_table("pocket-facts"), name, "sharing", 1, 2, protocol)
    assert found["distinct"][-1] == 10


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure, every way; one seed has no interval."""
    words = "lab islands --table pocket-facts --searcher random --islands 2 --evals 3 --seeds 1"
    assert main([*words.split(), "--jobs", "1"]) == 0
    text = capsys.readouterr().out
    assert "| different designs | 3 | sharing | 6.000 |  |" in text
    assert main([*words.split(), "--jobs", "1", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 20
    for wrong in (["--islands", "1"], ["--searcher", "best_arm"], ["--searcher", "mctss"]):
        assert main(["lab", "islands", "--table", "pocket-facts", *wrong]) == 2

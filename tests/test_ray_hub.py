"""The driver's side of workers' calls, without Ray: scripted workers, real ledger and journal."""

from __future__ import annotations

import asyncio
import pickle
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from paragent.benchmark import ListBenchmark
from paragent.cluster.hub import Hub, Line
from paragent.cluster.messages import failure_from, failure_to_data
from paragent.cluster.parcel import Ready, _unpacked, pack
from paragent.cluster.session import own_settings
from paragent.cluster.worker import Worker
from paragent.config import RunConfig
from paragent.errors import CallFailure
from paragent.registry import benchmark_of
from paragent.runtime.journal import Journal, completion_to_json
from paragent.runtime.ledger import Caps, Ledger
from paragent.runtime.model import Completion
from paragent.runtime.retry import BilledFailure, UnsentFailure
from paragent.runtime.session import Session

#: A model of one dollar per token, at most two calls at once over all workers.
MODEL = {
    "name": "m",
    "endpoint": "http://m",
    "price": [1e6, 1e6, None, 0.0],
    "limits": [None, None, 2],
    "retry": [1, 0.5, 30.0, 3, 120.0],
}
WORST = [2, 3]  # tokens, so five dollars
USED = Completion("yes", 2, 1, 0.1)  # three dollars


class ScriptedWorker:
    """Collects what the driver says."""

    def __init__(self) -> None:
        self.heard: list[list[Any]] = []
        self.line = Line(lambda *message: self.heard.append(list(message)))
        self.line.models[0] = MODEL
        self.calls = 0

    def ask(self, hub: Hub, key: bytes) -> int:
        """A task's call."""
        self.calls += 1
        hub.take(self.line, ["call", self.calls, 1, 0, key, "search-eval", WORST, 5])
        return self.calls

    def told(self, word: str) -> list[Any]:
        """The numbers of the calls of which the driver said this."""
        return [message[1] for message in self.heard if message[0] == word]


class World:
    """A hub with its session and journal, on an event loop of its own."""

    def __init__(self, caps: Caps = Caps()) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)  # messages are taken between its turns
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "calls.db"
        self.broken: list[Exception] = []
        self.caps = caps
        self.open()

    def open(self) -> None:
        """Begin, or go on from what the journal holds."""
        self.journal = Journal(self.path)
        self.ledger = Ledger(self.caps, self.journal.entries())
        self.session = Session(self.ledger, self.journal)
        self.hub = Hub(self.session, self.broken.append)

    def settle(self) -> None:
        """Let everything happen that can, however long the journal's commits take."""
        self.loop.run_until_complete(self._calm())

    async def _calm(self) -> None:
        while True:
            quiet = self.journal._timer is None
            for _ in range(50):  # turns of the loop
                await asyncio.sleep(0)
            if quiet and self.journal._timer is None:  # no commit came due during these turns
                return
            await asyncio.sleep(0.001)

    def close(self) -> None:
        """End with calls in flight, as a killed driver does."""
        self.loop.run_until_complete(self.session.aclose())
        self.journal.close()

    def end(self) -> None:
        """The same, and nothing is left."""
        self.close()
        asyncio.set_event_loop(None)
        self.loop.close()
        self.folder.cleanup()


def test_equal_calls_of_two_workers_are_one() -> None:
    """The first is told to go; the second gets the recorded answer; one call is paid."""
    world, one, two = World(), ScriptedWorker(), ScriptedWorker()
    one.ask(world.hub, b"k")
    two.ask(world.hub, b"k")
    world.settle()
    assert (one.heard, two.heard) == ([["go", 1]], [])
    world.hub.take(one.line, ["landed", 1, completion_to_json(USED)])
    world.settle()
    assert one.told("done") == [1]
    assert two.heard == [["known", 1, completion_to_json(USED)]]
    assert world.ledger.spent().calls == 1
    world.end()


def test_an_answer_is_on_disk_before_the_worker_may_use_it() -> None:
    """When "done" is said, a second connection to the journal finds the completion."""
    world, worker = World(), ScriptedWorker()
    seen: list[object] = []

    def say(*message: Any) -> None:
        worker.heard.append(list(message))
        if message[0] == "done":
            other = Journal(world.path)
            seen.append(other.get(b"k"))
            other.close()

    worker.line.say = say
    worker.ask(world.hub, b"k")
    world.settle()
    world.hub.take(worker.line, ["landed", 1, completion_to_json(USED)])
    world.settle()
    assert seen == [USED]
    world.end()


def test_a_lost_worker_leaves_its_call_unsure_and_another_makes_it_anew() -> None:
    """Its worst case stays counted; who waited for it is told to go; nothing becomes a failure."""
    world, one, two = World(), ScriptedWorker(), ScriptedWorker()
    one.ask(world.hub, b"k")
    two.ask(world.hub, b"k")
    world.settle()
    one.line.lose()
    world.settle()
    assert two.told("go") == [1]
    world.hub.take(two.line, ["landed", 1, completion_to_json(USED)])
    world.settle()
    assert two.told("done") == [1]
    spent = world.ledger.spent()
    assert (spent.calls, spent.usd, spent.unsure_calls, spent.unsure_usd) == (1, 3.0, 1, 5.0)
    world.end()


def test_a_models_limit_holds_for_all_workers_together() -> None:
    """Two at once, whoever asks: of four calls of two workers two go, then one for each landed."""
    world, workers = World(), [ScriptedWorker(), ScriptedWorker()]
    for i, worker in enumerate(workers):
        for j in range(2):
            worker.ask(world.hub, b"%d%d" % (i, j))
    world.settle()
    assert sum(len(w.told("go")) for w in workers) == 2
    first = next(w for w in workers if w.told("go"))
    world.hub.take(first.line, ["landed", first.told("go")[0], completion_to_json(USED)])
    world.settle()
    assert sum(len(w.told("go")) for w in workers) == 3
    world.end()


def test_a_dropped_call_stops_in_flight_unless_another_waits_for_it() -> None:
    """Its attempt is stopped; with a second caller of the same key it goes on."""
    world, one, two = World(), ScriptedWorker(), ScriptedWorker()
    one.ask(world.hub, b"k")
    one.ask(world.hub, b"shared")
    two.ask(world.hub, b"shared")
    world.settle()
    world.hub.take(one.line, ["gone", 1])
    world.hub.take(one.line, ["gone", 2])
    world.settle()
    assert one.told("stop") == [1]
    world.hub.take(one.line, ["landed", 2, completion_to_json(USED)])
    world.settle()
    assert two.told("known") == [1]
    world.end()


def test_a_cap_is_told_and_nothing_is_sent() -> None:
    """Five dollars of worst case do not fit under four."""
    world, worker = World(Caps(usd=4.0)), ScriptedWorker()
    worker.ask(world.hub, b"k")
    world.settle()
    assert [m[:3] for m in worker.heard] == [["cap", 1, "usd"]]
    world.end()


def test_a_failed_attempt_keeps_its_kind_and_bill() -> None:
    """A refused reply was billed: the failure reaches the task, the bill the ledger."""
    world, worker = World(), ScriptedWorker()
    worker.ask(world.hub, b"k")
    world.settle()
    refused = BilledFailure("refused", "no", 2, 2)
    world.hub.take(worker.line, ["lost", 1, failure_to_data(refused)])
    world.settle()
    assert worker.heard[-1] == ["fail", 1, "refused", "no"]
    assert world.ledger.spent().usd == 4.0
    world.end()


def test_a_worker_that_finishes_removes_what_it_unpacked(tmp_path: Path) -> None:
    """The files of the run that travelled to it; a node is left as it was."""
    worker, folder = Worker(), tmp_path / "unpacked"
    folder.mkdir()
    (folder / "mine.py").write_text("x = 1\n")
    worker._ready = Ready(
        ListBenchmark.of("b", [(f"q{i}", "a") for i in range(40)]), {}, "", folder
    )
    asyncio.run(worker.finish())
    assert not folder.exists()


def test_workers_of_a_ray_of_ours_unpack_below_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is removed with that Ray, also where a worker was killed and could not tidy up."""
    for name, value in own_settings(tmp_path).items():
        monkeypatch.setenv(name, value)
    config = RunConfig.from_data({"benchmark": "pocket", "models": ["pocket-s"]})
    parcel = pickle.loads(pack(config, benchmark_of(config), ["pocket-s"], own=False))
    folder = _unpacked(parcel)
    assert folder.parent == tmp_path and (folder / "models.yaml").is_file()
    assert _unpacked(parcel) == folder, "another worker of the node finds it"


def test_a_call_never_handed_to_a_dead_worker_is_not_held_for_billed() -> None:
    """Two calls were in flight and stay unsure; the third waited for its turn, for two workers:
    it is made on the other and charged once."""
    world, one, two = World(Caps(usd=60.0)), ScriptedWorker(), ScriptedWorker()
    for key in (b"a", b"b", b"c"):
        one.ask(world.hub, key)  # two may run at once
    two.ask(world.hub, b"c")
    world.settle()
    one.line.lose()
    world.settle()
    assert two.heard == [["go", 1]]
    assert world.ledger.left("final-eval")["usd"] == 60.0 - 2 * 5.0 - 5.0
    world.end()


@pytest.mark.parametrize(
    "failure",
    [
        CallFailure("rate-limit", "slow", retry_after_s=2.0),
        UnsentFailure("connection", "no route"),
        BilledFailure("empty", "nothing", 3, 1, 2),
    ],
)
def test_failures_travel_whole(failure: CallFailure) -> None:
    """Type, kind, reason, wait and bill come back as they were."""
    back = failure_from(failure_to_data(failure))
    assert type(back) is type(failure)
    assert vars(back) == vars(failure)


class Cluster(RuleBasedStateMachine):
    """Workers ask, land, fail, drop and die in any order, the driver dies and resumes: the caps
    hold by a count of everything that was ever sent, and no answered key is sent again."""

    CAPS = Caps(usd=60.0, calls=15)

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.CAPS)
        self.workers = [ScriptedWorker(), ScriptedWorker()]
        self.keys: dict[tuple[int, int], bytes] = {}  # (id of worker, call) -> key
        self.flying: list[tuple[ScriptedWorker, int]] = []
        self.answered: Counter[bytes] = Counter()
        self.dollars = self.sent = 0  # settled, or the worst case of what is unsure or in flight

    def teardown(self) -> None:
        self.world.end()

    def hear(self) -> None:
        """Take note of every attempt that the driver has ordered or stopped since."""
        self.world.settle()
        for worker in self.workers:
            for word, number, *_ in worker.heard:
                if word == "go":
                    assert not self.answered[self.keys[id(worker), number]], "paid twice"
                    self.flying.append((worker, number))
                    self.sent += 1
                    self.dollars += 5
                elif word == "stop" and (worker, number) in self.flying:
                    self.flying.remove((worker, number))  # unsure for ever
            worker.heard.clear()

    @rule(who=st.integers(0, 1), key=st.integers(0, 11))
    def ask(self, who: int, key: int) -> None:
        worker = self.workers[who]
        self.keys[id(worker), worker.calls + 1] = b"%d" % key
        worker.ask(self.world.hub, b"%d" % key)
        self.hear()

    @precondition(lambda self: bool(self.flying))
    @rule(data=st.data(), how=st.sampled_from(["landed", "unsent", "gone"]))
    def land(self, data: st.DataObject, how: str) -> None:
        worker, number = self.flying[data.draw(st.integers(0, len(self.flying) - 1))]
        if how == "gone":
            self.world.hub.take(worker.line, ["gone", number])
        elif how == "landed":
            self.flying.remove((worker, number))
            self.answered[self.keys[id(worker), number]] += 1
            self.dollars -= 2
            self.world.hub.take(worker.line, ["landed", number, completion_to_json(USED)])
        else:
            self.flying.remove((worker, number))
            self.dollars, self.sent = self.dollars - 5, self.sent - 1
            facts = failure_to_data(UnsentFailure("connection", "no route"))
            self.world.hub.take(worker.line, ["lost", number, facts])
        self.hear()

    @rule(who=st.integers(0, 1))
    def die(self, who: int) -> None:
        gone, new = self.workers[who], ScriptedWorker()
        gone.line.lose()
        self.flying = [(w, n) for w, n in self.flying if w is not gone]
        self.workers[who] = new
        self.kept = gone  # its id must not come again
        self.keys = {k: v for k, v in self.keys.items() if k[0] != id(new)}
        self.hear()

    @rule()
    def driver_dies(self) -> None:
        self.world.close()
        self.flying.clear()
        self.workers = [ScriptedWorker(), ScriptedWorker()]
        self.keys.clear()
        self.world.open()
        self.hear()

    @invariant()
    def caps_hold(self) -> None:
        assert self.dollars <= 60
        assert self.sent <= 15
        assert not self.world.broken
        assert all(n == 1 for n in self.answered.values())
        spent = self.world.ledger.spent()
        assert spent.usd == 3 * len(self.answered)
        assert 60 - self.world.ledger.left("final-eval")["usd"] == self.dollars


Cluster.TestCase.settings = settings(max_examples=10, stateful_step_count=15, deadline=None)
test_caps_and_single_payment_hold_in_any_history = Cluster.TestCase

"""The ledger's invariant: settled + reserved never exceeds a cap, whatever happens to the calls."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from paragent.errors import CapReached, UsageError
from paragent.outcome import PURPOSES, Purpose
from paragent.runtime.ledger import Caps, Entry, Ledger, Reservation


@pytest.mark.parametrize("cap", ["usd", "tokens", "calls", "evaluations", "minutes"])
@pytest.mark.parametrize("given", [0, -1, math.nan, math.inf, True, "5"])
def test_senseless_caps_are_refused(cap: str, given: Any) -> None:
    """A cap of 0, below 0, NaN, infinity or no number at all is misuse, told with its name."""
    with pytest.raises(UsageError, match=cap) as told:
        Caps(**{cap: given})
    assert told.value.exit_code == 2
    assert "\n" not in str(told.value)


def test_whole_caps_must_be_whole() -> None:
    """Half a call cannot be capped."""
    with pytest.raises(UsageError, match=r"calls must be a whole number, got 2\.5"):
        Caps(calls=2.5)  # type: ignore[arg-type]


def test_one_call_by_hand() -> None:
    """A reservation holds its worst case until it is settled with less."""
    ledger = Ledger(Caps(usd=1.0, tokens=100))
    held = ledger.reserve("trial", 40, 20, 0.75)
    assert ledger.left("trial") == {"usd": 0.25, "tokens": 40.0}
    assert ledger.spent().tokens == 0
    ledger.settle(held, 40, 5, 0.5)
    spent = ledger.spent()
    assert (spent.usd, spent.tokens, spent.calls) == (0.5, 45, 1)
    assert dict(spent.by_purpose["trial"]) == {"usd": 0.5, "tokens": 45, "calls": 1}
    assert ledger.left("trial") == {"usd": 0.5, "tokens": 55.0}


def test_refusal_spends_nothing_and_names_the_cap() -> None:
    """What would not fit is refused whole, with the cap's name and what is left."""
    ledger = Ledger(Caps(usd=1.0, calls=2))
    ledger.reserve("trial", 1, 1, 0.9)
    with pytest.raises(CapReached, match=r"usd is reached: 0\.1 of 1 left") as told:
        ledger.reserve("trial", 1, 1, 0.2)
    assert told.value.cap == "usd" == ledger.reached
    ledger.reserve("trial", 1, 1, 0.1)
    with pytest.raises(CapReached) as told:
        ledger.reserve("trial", 1, 1, 0.0)
    assert ledger.spent().calls == 0


def test_worst_cases_in_flight_are_waited_for() -> None:
    """Where only worst cases in flight are in the way, `try_reserve` says "not now" (None)."""
    ledger = Ledger(Caps(tokens=100))
    first = ledger.reserve("trial", 50, 50, None)
    assert ledger.try_reserve("trial", 10, 10, None) is None
    assert ledger.reached is None
    ledger.settle(first, 50, 3, None)
    second = ledger.try_reserve("trial", 10, 10, None)
    assert second is not None
    ledger.settle(second, 10, 10, None)
    with pytest.raises(CapReached):
        ledger.try_reserve("trial", 20, 20, None)
    assert ledger.reached == "tokens"


def test_unknown_price_never_passes_a_dollar_cap() -> None:
    """None is not 0: under a dollar cap such a call is refused, without one it makes usd None."""
    with pytest.raises(UsageError, match=r"price is unknown.*models\.yaml"):
        Ledger(Caps(usd=5.0)).reserve("trial", 1, 1, None)
    ledger = Ledger(Caps(tokens=100))
    ledger.settle(ledger.reserve("label", 1, 1, 0.25), 1, 1, 0.25)
    ledger.settle(ledger.reserve("trial", 1, 1, None), 1, 1, None)
    spent = ledger.spent()
    assert spent.usd is None
    assert spent.by_purpose["label"]["usd"] == 0.25
    assert spent.by_purpose["trial"]["usd"] is None


def test_ten_thousand_cents_leave_no_rounding() -> None:
    """0.01 dollars, ten thousand times reserved and settled, are exactly a cap of 100."""
    ledger = Ledger(Caps(usd=100.0))
    for _ in range(10_000):
        ledger.settle(ledger.reserve("trial", 0, 0, 0.01), 0, 0, 0.01)
    assert ledger.spent().usd == 100.0
    assert ledger.reached == "usd"
    with pytest.raises(CapReached):
        ledger.reserve("trial", 0, 0, 1e-9)


def test_held_share_is_for_the_final_evaluation() -> None:
    """With a quarter held, the search sees three quarters; the final evaluation the rest."""
    ledger = Ledger(Caps(usd=1.0, tokens=1000, calls=8))
    ledger.hold(0.25)
    assert ledger.left("search-eval") == {"usd": 0.75, "tokens": 750.0, "calls": 6.0}
    for _ in range(6):
        ledger.settle(ledger.reserve("search-eval", 50, 50, 0.1), 50, 50, 0.1)
    with pytest.raises(CapReached) as told:
        ledger.reserve("judge", 1, 1, 0.01)
    assert told.value.cap == "calls"
    ledger.settle(ledger.reserve("final-eval", 200, 100, 0.2), 200, 100, 0.2)
    assert ledger.left("final-eval")["calls"] == 1.0
    ledger.free()
    ledger.reserve("search-eval", 1, 1, 0.01)
    with pytest.raises(CapReached):
        ledger.reserve("final-eval", 1, 1, 0.01)


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
def test_held_share_is_a_share(share: float) -> None:
    """Holding everything, or less than nothing, is misuse."""
    with pytest.raises(UsageError):
        Ledger().hold(share)


def test_minutes_run_on_the_given_clock() -> None:
    """Time of earlier parts of the run counts; after the last second no call starts."""
    now = [100.0]
    ledger = Ledger(Caps(minutes=2.0), seconds_before=60.0, clock=lambda: now[0])
    ledger.hold(0.25)
    now[0] += 20
    ledger.release(ledger.reserve("trial", 1, 1, None))
    now[0] += 11  # 91 s of the 90 s that are not held
    assert ledger.reached == "minutes"
    with pytest.raises(CapReached, match="minutes"):
        ledger.reserve("trial", 1, 1, None)
    ledger.release(ledger.reserve("final-eval", 1, 1, None))
    now[0] += 30
    with pytest.raises(CapReached, match="minutes"):
        ledger.reserve("final-eval", 1, 1, None)
    assert ledger.spent().seconds == 121.0


def test_evaluations_are_counted_to_their_cap() -> None:
    """The cap on evaluations stops the next one, those of earlier parts included."""
    ledger = Ledger(Caps(evaluations=3), evaluations_before=1)
    ledger.count_evaluation()
    told = [ledger.reached]
    ledger.count_evaluation()
    told.append(ledger.reached)
    assert told == [None, "evaluations"]
    with pytest.raises(CapReached, match="evaluations"):
        ledger.count_evaluation()
    assert ledger.evaluations == 3


def test_overshoot_is_recorded_truthfully() -> None:
    """A server that reports more than the worst case is believed, and the excess shows."""
    ledger = Ledger(Caps(tokens=100))
    ledger.settle(ledger.reserve("trial", 10, 10, 0.5), 70, 50, 2.0)
    spent = ledger.spent()
    assert (spent.tokens, spent.usd) == (120, 2.0)
    assert (spent.overshoot_tokens, spent.overshoot_usd) == (100, 1.5)
    assert ledger.reached == "tokens"
    assert ledger.left("trial")["tokens"] == 0.0


def test_unsure_bills_count_against_caps_but_not_as_spent() -> None:
    """A call that may have been billed keeps its worst case, told apart from what is sure."""
    ledger = Ledger(Caps(usd=1.0))
    ledger.abandon(ledger.reserve("trial", 5, 5, 0.6))
    spent = ledger.spent()
    assert (spent.usd, spent.calls, spent.unsure_calls, spent.unsure_usd) == (0.0, 0, 1, 0.6)
    with pytest.raises(CapReached):
        ledger.reserve("trial", 1, 1, 0.5)


def test_a_reservation_closes_once() -> None:
    """Settling twice would give money back that was spent: it is an error."""
    ledger = Ledger()
    held = ledger.reserve("trial", 1, 1, 0.1)
    ledger.release(held)
    with pytest.raises(ValueError, match="closed already"):
        ledger.settle(held, 1, 1, 0.1)


@given(cap=st.floats(1e-9, 1e6), prices=st.lists(st.floats(0, 1e6), max_size=8))
def test_spent_dollars_never_exceed_the_cap_as_floats(cap: float, prices: list[float]) -> None:
    """What is shown (`spent.usd`) is at most the cap that was typed, to the last bit."""
    ledger = Ledger(Caps(usd=cap))
    for price in [*prices, cap]:
        try:
            ledger.settle(ledger.reserve("trial", 0, 0, price), 0, 0, price)
        except CapReached:
            continue
    usd = ledger.spent().usd
    assert usd is not None and usd <= cap


def test_threads_share_one_ledger() -> None:
    """Eight threads that reserve and settle at once leave exactly their sum, within the cap."""
    ledger = Ledger(Caps(calls=3000))
    refused = []

    def work() -> None:
        for _ in range(500):
            try:
                ledger.settle(ledger.reserve("trial", 1, 1, 0.0), 1, 1, 0.0)
            except CapReached:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.spent().calls == 3000
    assert len(refused) == 1000


AMOUNTS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 500))


class LedgerMachine(RuleBasedStateMachine):
    """Calls come and go in any order, the process dies and resumes; a brute-force sum watches."""

    CAPS = Caps(usd=5.0, tokens=2000, calls=60)

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(self.CAPS)
        self.flying: list[tuple[Reservation, Purpose, tuple[int, int, int]]] = []
        self.disk: list[Entry] = []  # what a journal would remember
        self.held = 0.0

    @rule(purpose=st.sampled_from(PURPOSES), worst=AMOUNTS, many=st.integers(1, 256))
    def send(self, purpose: Purpose, worst: tuple[int, int, int], many: int) -> None:
        prompt, completion, cents = worst
        for _ in range(many):
            try:
                held = self.ledger.reserve(purpose, prompt, completion, cents / 100)
            except CapReached:
                break
            self.flying.append((held, purpose, worst))

    @precondition(lambda self: bool(self.flying))
    @rule(data=st.data())
    def land(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.flying) - 1))
        held, purpose, (prompt, completion, cents) = self.flying.pop(index)
        how = data.draw(st.sampled_from(["settle", "release", "abandon"]))
        if how == "settle":
            drawn = data.draw(st.integers(0, completion))
            usd = data.draw(st.integers(0, cents)) / 100
            self.ledger.settle(held, prompt, drawn, usd)
            self.disk.append(Entry(purpose, prompt, drawn, usd))
        elif how == "release":
            self.ledger.release(held)
        else:
            self.ledger.abandon(held)
            self.disk.append(Entry(purpose, prompt, completion, cents / 100, unsure=True))

    @rule()
    def crash_and_resume(self) -> None:
        """What was in flight may have been billed: the journal knows it as unsure."""
        for _, purpose, (prompt, completion, cents) in self.flying:
            self.disk.append(Entry(purpose, prompt, completion, cents / 100, unsure=True))
        self.flying.clear()
        self.ledger = Ledger(self.CAPS, self.disk)
        self.held = 0.0

    @rule(share=st.sampled_from([0.0, 0.2, 0.5]))
    def hold(self, share: float) -> None:
        self.ledger.hold(share)
        self.held = share

    @rule()
    def free(self) -> None:
        self.ledger.free()

    @invariant()
    def caps_hold(self) -> None:
        cents, tokens, calls = 0, 0, 0
        for entry in self.disk:
            assert entry.usd is not None
            cents += round(entry.usd * 100)
            tokens += entry.prompt_tokens + entry.completion_tokens
            calls += 1
        sure = sum(1 for e in self.disk if not e.unsure)
        for _, _, (prompt, completion, worst) in self.flying:
            cents, tokens, calls = cents + worst, tokens + prompt + completion, calls + 1
        assert cents <= 500
        assert tokens <= 2000
        assert calls <= 60
        spent = self.ledger.spent()
        assert spent.calls == sure
        left = self.ledger.left("final-eval")
        assert left["calls"] == 60 - calls
        assert left["tokens"] == 2000 - tokens
        assert round(left["usd"] * 100) == 500 - cents


LedgerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_caps_hold_in_any_history = LedgerMachine.TestCase

"""Limits hold to the second, designs take turns; waits between attempts are bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paragent.errors import CallFailure, UsageError
from paragent.outcome import FAILURE_KINDS
from paragent.runtime.limits import Limiter, Limits, turns_of
from paragent.runtime.retry import MAYBE_BILLED, TRANSIENT, BilledFailure, RetryPolicy


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer: minutes pass in no time."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if not self._ready and scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, min(t.when() for t in scheduled))
        super()._run_once()  # type: ignore[misc]


def simulate(main: Any) -> Any:
    """Run a coroutine function of one argument, the clock, on simulated time."""
    loop = ClockLoop()
    try:
        return loop.run_until_complete(main(loop.time))
    finally:
        loop.close()


def started(limits: Limits, calls: int, tokens: float = 0.0, seconds: float = 0.0) -> list[float]:
    """When each of `calls` equal calls, all there at 0, is let through."""

    async def main(clock: Any) -> list[float]:
        limiter = Limiter(limits, clock=clock)
        times: list[float] = []

        async def call() -> None:
            async with limiter.slot(tokens):
                times.append(clock())
                await asyncio.sleep(seconds)

        await asyncio.gather(*(call() for _ in range(calls)))
        assert limiter.inside == 0
        return times

    found: list[float] = simulate(main)
    return found


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute", "concurrency"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), True, "many"])
def test_senseless_limits_are_refused(name: str, value: Any) -> None:
    """A limit of nothing is misuse."""
    with pytest.raises(UsageError, match=name):
        Limits(**{name: value})


def test_requests_per_minute_by_hand() -> None:
    """60 a minute: a burst of ten (a sixth of a minute's), then one each second."""
    times = started(Limits(requests_per_minute=60), 15)
    assert times[:10] == [0.0] * 10
    assert times[10:] == pytest.approx([1.0, 2.0, 3.0, 4.0, 5.0])


def test_tokens_per_minute_by_hand() -> None:
    """6,000 a minute hold 1,000 at once and fill 100 a second: calls of 500 come every 5 s."""
    times = started(Limits(tokens_per_minute=6000), 5, tokens=500)
    assert times == pytest.approx([0.0, 0.0, 5.0, 10.0, 15.0])


def test_a_call_larger_than_the_bucket_passes_when_it_is_full() -> None:
    """It is not stuck for ever; its debt delays the next."""
    times = started(Limits(tokens_per_minute=600), 2, tokens=200)
    assert times == pytest.approx([0.0, 20.0])


@given(
    rpm=st.integers(6, 600),
    calls=st.integers(1, 60),
    concurrency=st.integers(1, 8),
    seconds=st.floats(0, 3),
)
def test_no_minute_holds_more_than_a_minute_and_its_burst(
    rpm: int, calls: int, concurrency: int, seconds: float
) -> None:
    """In any window of a minute at most 7/6 of the limit start; all start in the end."""
    times = started(Limits(requests_per_minute=rpm, concurrency=concurrency), calls, 0.0, seconds)
    assert len(times) == calls
    for begin in times:
        inside = sum(1 for t in times if begin <= t < begin + 60)
        assert inside <= rpm * 7 / 6 + 1


def test_first_come_first_served() -> None:
    """A small call does not overtake a large one that came before it."""

    async def main(clock: Any) -> list[str]:
        limiter = Limiter(Limits(tokens_per_minute=600), clock=clock)
        order: list[str] = []

        async def call(name: str, tokens: float) -> None:
            async with limiter.slot(tokens):
                order.append(name)

        await asyncio.gather(call("a", 100), call("large", 90), call("small", 1))
        return order

    assert simulate(main) == ["a", "large", "small"]


def test_designs_take_turns_whatever_they_ask_for() -> None:
    """Two places, two hundred calls of one design before three of another: by hand, the calls let
    through are big's first two, then one of each in turn until small has none left."""

    async def main(clock: Any) -> list[str]:
        limiter = Limiter(Limits(concurrency=2), clock=clock)
        order: list[str] = []

        async def call(name: str) -> None:
            turns_of.set(name)
            async with limiter.slot():
                order.append(name)
                await asyncio.sleep(1.0)

        await asyncio.gather(*(call("big") for _ in range(200)), *(call("small") for _ in range(3)))
        return order

    order = simulate(main)
    assert order[:10] == ["big", "big", *["big", "small"] * 3, "big", "big"]
    assert len(order) == 203


def test_a_slow_design_does_not_keep_others_out() -> None:
    """One place, one design whose calls take a hundred seconds: another's ten short calls wait for
    one of its calls each, never for all thirty."""

    async def main(clock: Any) -> dict[str, float]:
        limiter = Limiter(Limits(concurrency=1), clock=clock)
        done: dict[str, float] = {}

        async def call(name: str, seconds: float) -> None:
            turns_of.set(name)
            async with limiter.slot():
                await asyncio.sleep(seconds)
            done[name] = clock()

        slow = [call("slow", 100.0) for _ in range(30)]
        await asyncio.gather(*slow, *(call("quick", 1.0) for _ in range(10)))
        return done

    done = simulate(main)
    assert done["quick"] <= 11 * 100 + 10
    assert done["slow"] == pytest.approx(30 * 100 + 10)


@given(calls=st.lists(st.sampled_from("abcd"), min_size=1, max_size=40), places=st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_every_call_has_its_turn_once(calls: list[str], places: int) -> None:
    """Whoever asks in whatever order: all pass, each once, and never more at once than allowed."""

    async def main(clock: Any) -> tuple[list[int], int]:
        limiter = Limiter(Limits(concurrency=places), clock=clock)
        order: list[int] = []
        most = 0

        async def call(number: int, name: str) -> None:
            nonlocal most
            turns_of.set(name)
            async with limiter.slot():
                order.append(number)
                most = max(most, limiter.inside)
                await asyncio.sleep(0.1)

        await asyncio.gather(*(call(i, name) for i, name in enumerate(calls)))
        return order, most

    order, most = simulate(main)
    assert sorted(order) == list(range(len(calls)))
    assert most <= places


def test_a_cancelled_wait_takes_nothing_and_blocks_nobody() -> None:
    """Who gives up while waiting leaves the queue whole."""

    async def main(clock: Any) -> list[float]:
        limiter = Limiter(Limits(concurrency=1), clock=clock)
        times: list[float] = []

        async def call() -> None:
            async with limiter.slot():
                times.append(clock())
                await asyncio.sleep(1)

        calls = [asyncio.ensure_future(call()) for _ in range(4)]
        await asyncio.sleep(0.5)
        calls[1].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert limiter.inside == 0
        return times

    assert simulate(main) == [0.0, 1.0, 2.0]


def test_cancelled_in_the_moment_of_its_turn() -> None:
    """A call cancelled just as it was let through gives its place to the next."""

    async def main(clock: Any) -> int:
        limiter = Limiter(Limits(concurrency=1), clock=clock)
        await limiter.enter()
        second = asyncio.ensure_future(limiter.enter())
        third = asyncio.ensure_future(limiter.enter())
        await asyncio.sleep(0)
        limiter.leave()
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await third
        return limiter.inside

    assert simulate(main) == 1


def test_a_429_closes_the_gate_and_halves_what_passes() -> None:
    """After Retry-After: 7, nothing starts for 7 s; then half as many at once, then more again."""

    async def main(clock: Any) -> tuple[list[float], list[float]]:
        limiter = Limiter(Limits(concurrency=8), clock=clock)
        windows = [limiter.window]
        for _ in range(8):
            await limiter.enter()
        for _ in range(8):  # calls in flight together fail together: one halving
            limiter.rejected(7.0)
        windows.append(limiter.window)
        for _ in range(8):
            limiter.leave()
        times: list[float] = []

        async def call() -> None:
            async with limiter.slot():
                times.append(clock())
                await asyncio.sleep(1)
                limiter.succeeded()

        await asyncio.gather(*(call() for _ in range(9)))
        windows.append(limiter.window)
        return windows, times

    windows, times = simulate(main)
    # Four at once; their success makes it five, and that of the five makes it six.
    assert windows == [8, 4, 6]
    assert times == [7.0] * 4 + [8.0] * 5


def test_without_a_limit_a_429_still_slows_down() -> None:
    """A model without a concurrency limit learns one from the server."""

    async def main(clock: Any) -> float:
        limiter = Limiter(clock=clock)
        for _ in range(100):
            await limiter.enter()
        limiter.rejected(None)
        return limiter.window

    assert simulate(main) == 50


def test_every_passing_kind_is_a_known_failure() -> None:
    """The words of retries are words of FAILURE_KINDS."""
    assert set(FAILURE_KINDS) >= TRANSIENT >= MAYBE_BILLED


@given(
    kind=st.sampled_from(sorted(TRANSIENT)),
    attempt=st.integers(1, 5),
    seed=st.text(max_size=5),
)
def test_waits_grow_within_their_bounds(kind: str, attempt: int, seed: str) -> None:
    """0.5 s doubled per attempt and capped at 2 s here, jittered into its upper half, seeded."""
    policy = RetryPolicy(attempts=6, first_wait_s=0.5, longest_wait_s=2.0)
    wait = policy.wait_s(CallFailure(kind, "x"), attempt, seed)
    bound = [0.5, 1.0, 2.0, 2.0, 2.0][attempt - 1]
    assert wait is not None and bound / 2 <= wait <= bound
    assert wait == policy.wait_s(CallFailure(kind, "x"), attempt, seed)


def test_attempts_end() -> None:
    """The last attempt, a lasting failure and a long Retry-After are not waited for."""
    policy = RetryPolicy(attempts=3, billed_attempts=2, longest_retry_after_s=60)
    assert policy.wait_s(CallFailure("server", "x"), 2, "") is not None
    assert policy.wait_s(CallFailure("server", "x"), 3, "") is None
    assert policy.wait_s(CallFailure("auth", "x"), 1, "") is None
    assert policy.wait_s(BilledFailure("empty", "x", 1, 1), 1, "") is not None
    assert policy.wait_s(BilledFailure("empty", "x", 1, 1), 2, "") is None
    asked = CallFailure("rate-limit", "x", retry_after_s=3600)
    assert policy.wait_s(asked, 1, "") is None


def test_retry_after_is_honoured() -> None:
    """At least what the server asked for, with a little jitter on top."""
    failure = CallFailure("rate-limit", "x", retry_after_s=10.0)
    wait = RetryPolicy(first_wait_s=0.5).wait_s(failure, 1, "seed")
    assert wait is not None and 10.0 < wait <= 10.5

"""The session: nothing is paid twice, nothing slips past a cap, nothing mutable is shared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from scripted import ScriptedModel

from paragent.component import Price
from paragent.errors import CallFailure, CapReached, UsageError
from paragent.runtime.journal import Journal
from paragent.runtime.ledger import Caps, Ledger
from paragent.runtime.limits import Limits
from paragent.runtime.model import Completion, Message, Request
from paragent.runtime.retry import BilledFailure, RetryPolicy, UnsentFailure
from paragent.runtime.session import Session


def ask(text: str, **options: object) -> Request:
    return Request((Message("user", text),), **options)  # type: ignore[arg-type]


@dataclass
class Remote(ScriptedModel):
    """A scripted model with a network before it: `plan` says what each attempt does."""

    plan: Callable[[int], Awaitable[None]] | None = None
    limits: Limits = Limits()
    retry: RetryPolicy = RetryPolicy(attempts=4, first_wait_s=0.001, longest_wait_s=0.002)
    attempts: int = 0
    inside: int = 0
    most: int = 0
    endpoint: str = "http://there"
    waits: list[float] = field(default_factory=list)

    async def attempt(self, request: Request) -> Completion:
        self.attempts += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            if self.plan is not None:
                await self.plan(self.attempts)
            return await self.complete(request)
        finally:
            self.inside -= 1

    def likely_tokens(self, request: Request) -> int:
        return 1


def failing(*failures: Exception) -> Callable[[int], Awaitable[None]]:
    """The first attempts raise these, later ones pass."""

    async def plan(attempt: int) -> None:
        await asyncio.sleep(0)
        if attempt <= len(failures):
            raise failures[attempt - 1]

    return plan


def test_a_rerun_pays_nothing_and_keeps_the_original_usage(tmp_path: Path) -> None:
    """Asked again, also by another process's session, the answer and its usage come from disk."""
    model = ScriptedModel(lambda r: "four words are here")

    async def once() -> tuple[Completion, Ledger]:
        journal = Journal(tmp_path / "calls.db")
        ledger = Ledger(Caps(), journal.entries())
        session = Session(ledger, journal, seed=0)
        completion = await session.call(model, ask("say four"), "trial")
        journal.close()
        return completion, ledger

    first, ledger = asyncio.run(once())
    second, again = asyncio.run(once())
    assert first == second
    assert (second.prompt_tokens, second.completion_tokens, second.latency_s) == (2, 4, 1.0)
    assert len(model.seen) == 1
    # 2 tokens in at $1 and 4 out at $2 per million.
    assert ledger.spent().usd == again.spent().usd == pytest.approx(10e-6)
    assert again.spent().calls == 1


def test_five_samples_are_five_calls(tmp_path: Path) -> None:
    """Above temperature 0 each sample is drawn; the second round of five comes from the cache."""
    count = iter(range(100))
    model = ScriptedModel(lambda r: f"draw {next(count)}")

    async def main() -> tuple[list[str], list[str]]:
        session = Session(Ledger(), Journal(tmp_path / "calls.db"))
        rounds = []
        for _ in range(2):
            calls = (
                session.call(model, ask("x", temperature=1.0, sample=str(i), seed=i), "trial")
                for i in range(5)
            )
            rounds.append([c.text for c in await asyncio.gather(*calls)])
        return rounds[0], rounds[1]

    first, second = asyncio.run(main())
    assert len(set(first)) == 5
    assert first == second


def test_equal_calls_in_flight_share_one() -> None:
    """A hundred equal calls at once reach the model once, and each caller owns its reply."""

    async def slow(attempt: int) -> None:
        await asyncio.sleep(0.01)

    model = Remote(lambda r: Completion("a", 1, 1, 0.1, extra={"list": []}), plan=slow)

    async def main() -> list[Completion]:
        session = Session(Ledger(), None)
        return await asyncio.gather(*(session.call(model, ask("x"), "trial") for _ in range(100)))

    replies = asyncio.run(main())
    assert model.attempts == 1
    assert len({id(r.extra["list"]) for r in replies}) == 100


def test_a_cancelled_caller_does_not_take_the_others_along() -> None:
    """The call goes on for who still waits, and is cancelled with the last of them."""

    async def main() -> tuple[str, int]:
        gate = asyncio.Event()

        async def plan(attempt: int) -> None:
            await gate.wait()

        model = Remote(lambda r: "said", plan=plan)
        ledger = Ledger()
        session = Session(ledger, None)
        first, second = (
            asyncio.ensure_future(session.call(model, ask("x"), "trial")) for _ in "ab"
        )
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0.01)
        gate.set()
        said = (await second).text
        gate.clear()
        third = asyncio.ensure_future(session.call(model, ask("y"), "trial"))
        await asyncio.sleep(0.01)
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)
        await asyncio.sleep(0.01)
        assert model.inside == 0
        return said, ledger.spent().unsure_calls

    # The second call was sent and then given up: it may have been billed.
    assert asyncio.run(main()) == ("said", 1)


def test_a_caller_that_comes_while_a_call_is_being_cancelled_makes_its_own() -> None:
    """Else it would be cancelled with a call it never shared, and its whole run with it."""

    async def main() -> str:
        async def plan(attempt: int) -> None:
            if attempt == 1:
                try:
                    await asyncio.sleep(60)
                finally:
                    await asyncio.sleep(0.01)  # a connection takes time to close

        session = Session(Ledger(), None)
        model = Remote(lambda r: "said", plan=plan)
        first = asyncio.ensure_future(session.call(model, ask("x"), "trial"))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0)
        return (await session.call(model, ask("x"), "trial")).text

    assert asyncio.run(main()) == "said"


def test_a_switched_off_cache_asks_again_but_still_records(tmp_path: Path) -> None:
    """`cache=False`: every call is made and every call is paid and remembered."""
    model = ScriptedModel(lambda r: "said")

    async def main() -> int:
        journal = Journal(tmp_path / "calls.db")
        session = Session(Ledger(), journal, cache=False)
        for _ in range(3):
            await session.call(model, ask("x"), "trial")
        return int(journal.stats()["paid"])

    assert asyncio.run(main()) == 3 == len(model.seen)


def test_the_users_cache_serves_other_runs_of_endpoint_models_only(tmp_path: Path) -> None:
    """A second run finds the endpoint's answer there and pays nothing; pocket models are rerun."""
    remote, pocket = Remote(lambda r: "far"), ScriptedModel(lambda r: "near")

    async def run(name: str) -> int:
        journal = Journal(tmp_path / name)
        shared = Journal(tmp_path / "cache.db")
        ledger = Ledger()
        session = Session(ledger, journal, shared=shared)
        for model in (remote, pocket):
            await session.call(model, ask("x"), "trial")
        assert Ledger(Caps(), journal.entries()).spent().calls == ledger.spent().calls
        return ledger.spent().calls

    assert asyncio.run(run("first.db")) == 2
    assert asyncio.run(run("second.db")) == 1
    assert (remote.attempts, len(pocket.seen)) == (1, 2)


def test_two_hundred_and_fifty_six_in_flight_cannot_pass_a_cap() -> None:
    """Worst cases are 4 times what is used: the cap is used well, and never exceeded."""

    async def slow(attempt: int) -> None:
        await asyncio.sleep(0.001)

    model = Remote(lambda r: Completion("a", 1, 5, 0.1), plan=slow)
    ledger = Ledger(Caps(tokens=600))

    async def main() -> list[Completion | BaseException]:
        session = Session(ledger, None)
        calls = (session.call(model, ask(f"{i}", max_tokens=23), "trial") for i in range(256))
        return await asyncio.gather(*calls, return_exceptions=True)

    done = asyncio.run(main())
    refused = [d for d in done if isinstance(d, CapReached)]
    # 6 tokens a call: 97 use 582 tokens; then a call that may need 24 does not fit in 18.
    assert len(done) - len(refused) == 97
    assert ledger.spent().tokens == 582
    assert ledger.reached == "tokens"


def test_unpriced_models_are_refused_by_name_under_a_dollar_cap() -> None:
    """The line says which model and what to do, before the run and at the call."""
    model = replace(Remote(lambda r: "said", name="mystery"), price=Price())
    session = Session(Ledger(Caps(usd=1.0)), None)
    with pytest.raises(UsageError, match=r"mystery is unknown.*models\.yaml"):
        session.check_prices([model])
    with pytest.raises(UsageError, match="mystery"):
        asyncio.run(session.call(model, ask("x"), "trial"))
    assert model.attempts == 0


def test_passing_failures_are_tried_again_each_on_its_own_reservation() -> None:
    """Two failures and a success: three attempts, one charge; what may be billed stays counted."""
    model = Remote(
        lambda r: "said", plan=failing(CallFailure("server", "x"), CallFailure("timeout", "x"))
    )
    ledger = Ledger()
    session = Session(ledger, None)
    assert asyncio.run(session.call(model, ask("x"), "trial")).text == "said"
    assert model.attempts == 3
    assert ledger.spent().calls == 1
    assert ledger.spent().unsure_calls == 1  # the timeout; a 500 is not billed
    assert dict(session.counts.failed_attempts) == {"server": 1, "timeout": 1}


def test_what_never_left_is_not_counted() -> None:
    """A refused connection cannot have been billed."""
    model = Remote(lambda r: "said", plan=failing(UnsentFailure("connection", "refused")))
    ledger = Ledger()
    asyncio.run(Session(ledger, None).call(model, ask("x"), "trial"))
    assert ledger.spent().unsure_calls == 0


@pytest.mark.parametrize("kind", ["auth", "refused", "context-overflow", "bad-request"])
def test_lasting_failures_are_raised_at_once(kind: str) -> None:
    """Nobody asks again what will fail again."""
    model = Remote(lambda r: "said", plan=failing(CallFailure(kind, "x")))
    with pytest.raises(CallFailure) as told:
        asyncio.run(Session(Ledger(), None).call(model, ask("x"), "trial"))
    assert (told.value.kind, model.attempts) == (kind, 1)


def test_retries_are_bounded_and_the_last_failure_is_raised() -> None:
    """Four attempts are four; the caller gets the typed failure and nothing is cached."""
    model = Remote(lambda r: "said", plan=failing(*[CallFailure("rate-limit", "x")] * 4))
    session = Session(Ledger(), None)
    with pytest.raises(CallFailure, match="rate-limit"):
        asyncio.run(session.call(model, ask("x"), "trial"))
    assert model.attempts == 4
    assert session.ledger.spent().calls == 0


def test_billed_failures_are_charged_and_remembered(tmp_path: Path) -> None:
    """A refused reply with usage is paid; a resumed ledger still knows it; no answer is cached."""
    model = Remote(lambda r: "said", plan=failing(BilledFailure("refused", "x", 100, 50)))

    async def main() -> tuple[float | None, float | None]:
        journal = Journal(tmp_path / "calls.db")
        ledger = Ledger()
        with pytest.raises(BilledFailure):
            await Session(ledger, journal).call(model, ask("x"), "trial")
        resumed = Ledger(Caps(), journal.entries())
        return ledger.spent().usd, resumed.spent().usd

    # 100 tokens in at $1 and 50 out at $2 per million.
    assert asyncio.run(main()) == (200e-6, 200e-6)


def test_a_call_in_flight_when_the_process_dies_counts_as_unsure(tmp_path: Path) -> None:
    """It is noted before it is sent: resumption counts its worst case against the caps."""

    async def main() -> int:
        sent = asyncio.Event()

        async def plan(attempt: int) -> None:
            sent.set()
            await asyncio.Event().wait()

        journal = Journal(tmp_path / "calls.db")
        call = asyncio.ensure_future(
            Session(Ledger(), journal).call(Remote(lambda r: "", plan=plan), ask("x"), "trial")
        )
        await sent.wait()
        # What another process would find on the disk in this moment:
        found = Ledger(Caps(), Journal(tmp_path / "calls.db").entries()).spent().unsure_calls
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return found

    assert asyncio.run(main()) == 1


def test_limits_of_a_model_hold_in_a_session() -> None:
    """With a concurrency of 3, forty calls are never more than three at once."""

    async def slow(attempt: int) -> None:
        await asyncio.sleep(0.001)

    model = Remote(lambda r: "said", plan=slow, limits=Limits(concurrency=3))

    async def main() -> None:
        session = Session(Ledger(), None)
        await asyncio.gather(*(session.call(model, ask(f"{i}"), "trial") for i in range(40)))

    asyncio.run(main())
    assert (model.attempts, model.most) == (40, 3)


def test_waiting_for_limits_is_no_latency() -> None:
    """A completion's latency is the model's own, however long its turn took to come."""
    model = Remote(lambda r: "said", limits=Limits(concurrency=1))

    async def main() -> list[Completion]:
        session = Session(Ledger(), None)
        return await asyncio.gather(*(session.call(model, ask(f"{i}"), "trial") for i in range(9)))

    assert {c.latency_s for c in asyncio.run(main())} == {1.0}


def test_a_bug_of_a_model_is_raised_and_holds_nothing() -> None:
    """Whatever a local model raises passes through, and its reservation goes back."""

    def broken(request: Request) -> str:
        raise ZeroDivisionError

    ledger = Ledger(Caps(calls=1))
    session = Session(ledger, None)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            asyncio.run(session.call(ScriptedModel(broken), ask("x"), "trial"))
    assert ledger.left("trial")["calls"] == 1.0

"""The one way from components to models.

    journal look-up -> one flight for equal calls -> reserve -> limiter -> model -> settle
        -> journal -> the caller

Each attempt of a call has its own turn at the limiter and its own reservation, so retries pay like
any other call and cannot slip past a cap. A session belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeGuard

from paragent.errors import CallFailure, UsageError
from paragent.outcome import Purpose
from paragent.runtime.journal import Journal, Row, call_key
from paragent.runtime.ledger import Ledger, Reservation
from paragent.runtime.limits import Limiter, Limits
from paragent.runtime.model import Completion, LanguageModel, Request
from paragent.runtime.retry import MAYBE_BILLED, BilledFailure, NotSent, RetryPolicy


class RemoteModel(LanguageModel, Protocol):
    """What a model behind a network offers beyond `LanguageModel`."""

    @property
    def limits(self) -> Limits: ...
    @property
    def retry(self) -> RetryPolicy: ...

    async def attempt(self, request: Request) -> Completion:
        """One try, without retries; raises CallFailure."""

    def likely_tokens(self, request: Request) -> int:
        """About how many tokens the call will use, for limits in tokens per minute."""


def is_remote(model: LanguageModel) -> TypeGuard[RemoteModel]:
    """Whether the session may retry and limit it (isinstance on a protocol would cost more)."""
    return hasattr(model, "attempt")


@dataclass
class Counts:
    """What happened in a session, for the report; calls by model, failures by kind."""

    cached: int = 0
    shared: int = 0
    joined: int = 0  # calls that waited for an equal one in flight
    sent: Counter[str] = field(default_factory=Counter)
    failed_attempts: Counter[str] = field(default_factory=Counter)
    retries: int = 0


class Session:
    """Makes the calls of one run; the only user of its ledger's reservations. Raises
    CallFailure, CapReached and StoreError.

    `journal` None keeps nothing (equal calls in flight still share one). `cache=False` records but
    never looks up: every call is made. `shared` is a second journal, of the user, for models with
    an endpoint; what it knows costs this run nothing. `seed` only feeds the jitter of retries.
    """

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal | None,
        *,
        seed: int = 0,
        shared: Journal | None = None,
        cache: bool = True,
    ) -> None:
        self.ledger, self.journal, self.shared = ledger, journal, shared
        self.counts = Counts()
        self._seed, self._cache = seed, cache
        self._flights: dict[bytes, _Flight] = {}
        self._limiters: dict[tuple[str, str], Limiter] = {}
        self._room: deque[asyncio.Future[None]] = deque()
        self._models: dict[tuple[str, str], LanguageModel] = {}

    async def call(self, model: LanguageModel, request: Request, purpose: Purpose) -> Completion:
        """One completion, from the cache or from the model.

        A cached completion keeps the usage and latency of the call that made it; the ledger is
        charged once. Every caller gets objects of its own.
        """
        return await self.call_keyed(model, request, purpose, call_key(model, request))

    async def call_keyed(
        self, model: LanguageModel, request: Request, purpose: Purpose, key: bytes
    ) -> Completion:
        """As `call`, for a key that was worked out elsewhere (a worker of a cluster)."""
        if not self._cache:
            return await self._make(model, request, purpose, key)
        known = self._look_up(model, key)
        if known is not None:
            return known
        known = await self._look_up_shared(model, key, purpose)
        if known is not None:
            return known
        flight = self._flights.get(key)
        if flight is None or flight.task.cancelling():
            task = asyncio.ensure_future(self._make(model, request, purpose, key))
            flight = self._flights[key] = _Flight(task)
            task.add_done_callback(lambda done: self._landed(key, done))
        else:
            self.counts.joined += 1
        return await flight.join()

    def _landed(self, key: bytes, done: asyncio.Task[Completion]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.task is done:  # a cancelled one may have a successor
            del self._flights[key]

    @property
    def in_flight(self) -> int:
        """Different calls under way now, waiting for their turn included."""
        return len(self._flights)

    def limiter(self, model: LanguageModel) -> Limiter | None:
        """The model's limiter in this session; None for models without a network."""
        if not is_remote(model):
            return None
        where = (model.name, model.endpoint)
        if where not in self._limiters:
            self._limiters[where] = Limiter(model.limits)
        return self._limiters[where]

    def check_prices(self, models: Iterable[LanguageModel]) -> None:
        """Raises UsageError before a run whose cap on dollars cannot be kept."""
        if self.ledger.caps.usd is None:
            return
        unknown = sorted({m.name for m in models if m.price.usd(1, 1) is None})
        if unknown:
            raise UsageError(
                f"a cap on dollars needs prices, and that of {', '.join(unknown)} is unknown; "
                "give it in models.yaml or cap tokens or calls instead"
            )

    async def aclose(self) -> None:
        """Cancel what is in flight and close the models that were used (not the journals)."""
        flights = [f.task for f in self._flights.values()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        for model in self._models.values():
            await model.aclose()
        self._models.clear()

    # -- look-ups ---------------------------------------------------------------------------------

    def _look_up(self, model: LanguageModel, key: bytes) -> Completion | None:
        known = self.journal.get(key) if self.journal else None
        if known is not None:
            self.counts.cached += 1
        return known

    async def _look_up_shared(
        self, model: LanguageModel, key: bytes, purpose: Purpose
    ) -> Completion | None:
        if self.shared is None or not is_remote(model):
            return None
        known = self.shared.get(key)
        if known is None:
            return None
        self.counts.shared += 1
        if self.journal is not None:
            await self.journal.put(_row(model, key, purpose, known, paid=False))
        return known

    # -- a call that is really made ---------------------------------------------------------------

    async def _make(
        self, model: LanguageModel, request: Request, purpose: Purpose, key: bytes
    ) -> Completion:
        self._models.setdefault((model.name, model.endpoint), model)
        if not is_remote(model):
            return await self._attempt(model, request, purpose, key)
        limiter = self.limiter(model)
        assert limiter is not None
        attempt = 0
        while True:
            attempt += 1
            try:
                completion = await self._attempt(model, request, purpose, key, limiter)
            except CallFailure as failure:
                self.counts.failed_attempts[failure.kind] += 1
                if failure.kind == "rate-limit":
                    limiter.rejected(failure.retry_after_s, model.retry.first_wait_s)
                wait = model.retry.wait_s(failure, attempt, f"{self._seed}:{key.hex()}")
                if wait is None:
                    raise
                self.counts.retries += 1
                await asyncio.sleep(wait)
            else:
                limiter.succeeded()
                return completion

    async def _attempt(
        self,
        model: LanguageModel,
        request: Request,
        purpose: Purpose,
        key: bytes,
        limiter: Limiter | None = None,
    ) -> Completion:
        worst = model.worst_case(request)
        if limiter is None or not is_remote(model):
            return await self._pay(model, request, purpose, key, worst)
        async with limiter.slot(model.likely_tokens(request)):
            return await self._pay(model, request, purpose, key, worst)

    async def _pay(
        self,
        model: LanguageModel,
        request: Request,
        purpose: Purpose,
        key: bytes,
        worst: tuple[int, int],
    ) -> Completion:
        usd = model.price.usd(*worst)
        reservation = await self._reserve(model, purpose, worst, usd)
        flight: int | None = None
        try:
            if is_remote(model):
                if self.journal is not None:
                    flight = await self.journal.take_off(purpose, *worst, usd)
                self.counts.sent[model.name] += 1
                completion = await model.attempt(request)
            else:
                self.counts.sent[model.name] += 1
                completion = await model.complete(request)
        except BilledFailure as failure:
            prompt, drawn = failure.prompt_tokens, failure.completion_tokens
            usd = model.price.usd(prompt, drawn, failure.cached_tokens)
            row = Row(key, model.name, purpose, None, usd, prompt, drawn, failure.kind)
            await self._settle(reservation, row, flight)
            raise
        except CallFailure as failure:
            unsure = failure.kind in MAYBE_BILLED and not isinstance(failure, NotSent)
            self._let_go(reservation, flight, unsure=unsure and is_remote(model))
            raise
        except BaseException as error:  # cancelled in mid-call, or a bug of the model's
            unsure = is_remote(model) and not isinstance(error, NotSent)
            self._let_go(reservation, flight, unsure=unsure)
            raise
        row = _row(model, key, purpose, completion)
        await self._settle(reservation, row, flight)
        if self.shared is not None and is_remote(model):
            await self.shared.put(row)
        return completion

    async def _settle(self, reservation: Reservation, row: Row, flight: int | None) -> None:
        self.ledger.settle(reservation, row.prompt_tokens, row.completion_tokens, row.usd)
        self._wake()
        if self.journal is not None:
            await self.journal.put(row, flight)

    # -- budget -----------------------------------------------------------------------------------

    async def _reserve(
        self,
        model: LanguageModel,
        purpose: Purpose,
        worst: tuple[int, int],
        usd: float | None,
    ) -> Reservation:
        """Reserve; wait where calls in flight hold worst cases that they may not need."""
        if usd is None and self.ledger.caps.usd is not None:
            self.check_prices([model])
        if self._room:
            await self._wait_for_room()
        while True:
            reservation = self.ledger.try_reserve(purpose, *worst, usd)
            if reservation is not None:
                return reservation
            await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room.append(turn)
        try:
            await turn
        finally:
            if not turn.done():
                turn.cancel()

    def _let_go(self, reservation: Reservation, flight: int | None, *, unsure: bool) -> None:
        """No usage came back. Where it may have been billed, its flight stays noted as well."""
        if unsure:
            self.ledger.abandon(reservation)
        else:
            self.ledger.release(reservation)
            if flight is not None and self.journal is not None:
                self.journal.land(flight)
        self._wake()

    def _wake(self) -> None:
        """Something settled: whoever waits for room tries again, in order of arrival."""
        waiting, self._room = self._room, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)


class _Flight:
    """One call that several callers may wait for; cancelled only when all of them are."""

    def __init__(self, task: asyncio.Task[Completion]) -> None:
        self.task = task
        self._callers = 0
        self._first = True

    async def join(self) -> Completion:
        first, self._first = self._first, False
        self._callers += 1
        try:
            completion = await asyncio.shield(self.task)
        except asyncio.CancelledError:
            if self._callers == 1 and not self.task.done():
                self.task.cancel()
            raise
        finally:
            self._callers -= 1
        if first or not completion.extra:
            return completion
        return replace(completion, extra=_copy(completion.extra))


def _copy(extra: Mapping[str, Any]) -> dict[str, Any]:
    import copy

    return copy.deepcopy(dict(extra))


def _row(
    model: LanguageModel, key: bytes, purpose: Purpose, c: Completion, *, paid: bool = True
) -> Row:
    usd = model.price.usd(c.prompt_tokens, c.completion_tokens, c.cached_tokens)
    return Row(key, model.name, purpose, c, usd, c.prompt_tokens, c.completion_tokens, paid=paid)

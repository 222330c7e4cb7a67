"""How fast a model may be called: requests and tokens per minute, calls at once; fair to designs.

Whoever waits takes turns with the others who wait: round robin by the name in `turns_of` (a
design's hash), within one name in order of arrival. So a design of a thousand calls delays one of
ten by ten calls. A limiter belongs to one model and one event loop. After a 429 it closes for a
while and halves how many calls it lets through at once; each full round without one opens it by one
again (additive increase, multiplicative decrease). Time spent waiting here is no latency of any
design.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields

from paragent.errors import UsageError

#: Whose turn a call takes. Set once per task of a design; calls made inside inherit it.
turns_of: ContextVar[str] = ContextVar("turns_of", default="")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one model; None is no limit. Raises UsageError for what is not above 0."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            given = getattr(self, each.name)
            if given is None:
                continue
            if not isinstance(given, int | float) or isinstance(given, bool) or not given > 0:
                raise UsageError(f"the limit {each.name} must be above 0, got {given!r}")


class _Bucket:
    """A token bucket that fills `per_minute` a minute and holds at most a sixth of a minute.

    One amount above its size is let through when it is full, and leaves a debt.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._rate, self._clock = per_minute / 60.0, clock
        self._size = max(1.0, per_minute / 6.0)
        self._level, self._at = self._size, clock()

    def wait_s(self, amount: float) -> float:
        """Seconds until `amount` may pass; 0.0 now."""
        now = self._clock()
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        short = min(amount, self._size) - self._level
        # A hair below the mark is the clock's rounding, not a reason for another turn.
        return 0.0 if short <= 1e-9 * self._size else short / self._rate

    def take(self, amount: float) -> None:
        self._level -= amount


class Limiter:
    """Gate before one model. `clock` gives monotonic seconds."""

    def __init__(
        self, limits: Limits = Limits(), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self._clock = clock
        rpm, tpm = limits.requests_per_minute, limits.tokens_per_minute
        self._requests = _Bucket(rpm, clock) if rpm else None
        self._tokens = _Bucket(tpm, clock) if tpm else None
        self._most: float = limits.concurrency or float("inf")
        self._window = self._most  # how many at once now; shrinks after 429
        self._calm = 0
        self._closed_until = 0.0
        self._inside = 0
        #: Who waits, by name, in the order of their turns; the first name is served next.
        self._queues: dict[str, deque[tuple[float, asyncio.Future[None]]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        #: Times the server said 429.
        self.rejections = 0

    @property
    def inside(self) -> int:
        """Calls let through and not yet back."""
        return self._inside

    @property
    def window(self) -> float:
        """How many calls may be inside at once now."""
        return self._window

    @asynccontextmanager
    async def slot(self, tokens: float = 0.0) -> AsyncIterator[None]:
        """Wait for the turn of a call of about `tokens` tokens; leave when it is back."""
        await self.enter(tokens)
        try:
            yield
        finally:
            self.leave()

    async def enter(self, tokens: float = 0.0) -> None:
        """The waiting half of `slot`; a cancelled wait takes nothing."""
        if not self._queues and self._ready_in(tokens) == 0.0:
            self._pass(tokens)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(turns_of.get(), deque()).append((tokens, turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # let through in the moment it was cancelled
            else:
                self._serve()
            raise

    def leave(self) -> None:
        """The call is back."""
        self._inside -= 1
        if self._queues:
            self._serve()

    def rejected(self, retry_after_s: float | None, otherwise_s: float = 1.0) -> None:
        """The server said 429: close for as long as it asked (at most 60 s) and let fewer in."""
        self.rejections += 1
        now = self._clock()
        if now >= self._closed_until:  # one halving per closure: calls in flight fail together
            at_once = self._window if self._window != float("inf") else max(1, self._inside)
            self._window = max(1.0, at_once // 2)
            self._calm = 0
        self._closed_until = max(self._closed_until, now + min(retry_after_s or otherwise_s, 60.0))

    def succeeded(self) -> None:
        """A call came back well: after a full round of them, one more may go at once."""
        if self._window < self._most:
            self._calm += 1
            if self._calm >= self._window:
                self._calm = 0
                self._window += 1
                if self._most == float("inf") and self._window > 4096:
                    self._window = self._most

    def _ready_in(self, tokens: float) -> float:
        """Seconds until the next call may pass; 0.0 now, inf: when another leaves."""
        if self._inside >= self._window:
            return float("inf")
        wait = max(0.0, self._closed_until - self._clock())
        if self._requests:
            wait = max(wait, self._requests.wait_s(1.0))
        if self._tokens:
            wait = max(wait, self._tokens.wait_s(tokens))
        return wait

    def _pass(self, tokens: float) -> None:
        self._inside += 1
        if self._requests:
            self._requests.take(1.0)
        if self._tokens:
            self._tokens.take(tokens)

    def _serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queues:
            who, queue = next(iter(self._queues.items()))
            while queue and queue[0][1].done():
                queue.popleft()
            if not queue:
                del self._queues[who]
                continue
            tokens, turn = queue[0]
            wait = self._ready_in(tokens)
            if wait == 0.0:
                queue.popleft()
                self._queues[who] = self._queues.pop(who)  # to the end of the round
                self._pass(tokens)
                turn.set_result(None)
                continue
            if wait != float("inf"):
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(wait, self._serve)
            return

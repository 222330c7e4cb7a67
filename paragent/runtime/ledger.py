"""The ledger guards one invariant: **settled + reserved never exceeds a cap**.

Every model call of a run, whatever its purpose, first reserves its worst case (`reserve`), and is
settled with what it really used, or released when nothing was billed. A call whose bill is unknown
(it timed out, the line broke in mid-reply) is abandoned: its worst case stays counted against the
caps, but is told apart from what was surely spent.

Dollars are kept as whole pico-dollars (1e-12 USD), so that ten thousand reservations and releases
leave no rounding behind. The ledger is safe to use from several threads; it never waits.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from types import MappingProxyType

from paragent.errors import CapReached, UsageError
from paragent.outcome import Purpose

#: Pico-dollars per dollar.
PICO = 10**12

#: The only purpose that may use what `Ledger.hold` keeps back.
HELD_FOR: Purpose = "final-eval"


@dataclass(frozen=True, slots=True)
class Caps:
    """Hard limits of a run; None is no limit. Raises UsageError for 0, negative or NaN."""

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None
    evaluations: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            given = getattr(self, each.name)
            if given is None:
                continue
            number = isinstance(given, int | float) and not isinstance(given, bool)
            if not number or not given > 0:
                raise UsageError(f"the cap on {each.name} must be above 0, got {given!r}")
            if math.isinf(given):
                raise UsageError(f"the cap on {each.name} must be finite; leave it out for no cap")
            if each.name in ("tokens", "calls", "evaluations") and given != int(given):
                raise UsageError(f"the cap on {each.name} must be a whole number, got {given!r}")


@dataclass(frozen=True, slots=True)
class Entry:
    """Earlier spending of one purpose, as a run folder remembers it. `usd` None: unknown.

    `unsure`: calls that were sent and never settled (the process died, the line broke); the
    amounts are their worst cases.
    """

    purpose: str
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    calls: int = 1
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used until now.

    `usd` is None once a call of unknown price was settled; `seconds` is wall time. `by_purpose`
    maps purpose -> {"usd": float | None, "tokens": int, "calls": int}. `overshoot_*` is what
    servers reported beyond the reserved worst case (0 unless a server breaks its promise);
    `unsure_*` is the worst case of calls that may have been billed although no reply came.
    """

    usd: float | None
    tokens: int
    calls: int
    seconds: float
    by_purpose: Mapping[str, Mapping[str, float | int | None]] = field(
        default_factory=dict, hash=False
    )
    overshoot_tokens: int = 0
    overshoot_usd: float = 0.0
    unsure_calls: int = 0
    unsure_usd: float = 0.0


@dataclass(eq=False, slots=True)
class Reservation:
    """One call's worst case; goes back to `settle`, `release` or `abandon` exactly once."""

    purpose: Purpose
    tokens: int
    pico: int | None  # None: price unknown
    open: bool = True


@dataclass(slots=True)
class _Sum:
    """Amounts of one purpose; `pico` leaves out calls of unknown price, counted apart."""

    pico: int = 0
    tokens: int = 0
    calls: int = 0
    unpriced: int = 0


class Ledger:
    """What a run may spend, has spent and is about to spend.

    `settled` is what the run folder remembers of earlier parts of the same run; `seconds_before`
    and `evaluations_before` likewise. `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        caps: Caps = Caps(),
        settled: Iterable[Entry] = (),
        seconds_before: float = 0.0,
        *,
        evaluations_before: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.caps = caps
        self._lock = threading.Lock()
        self._clock, self._start = clock, clock()
        self._seconds_before = seconds_before
        self._evaluations = evaluations_before
        self._settled: dict[str, _Sum] = {}
        #: Amounts that count against the caps (settled, reserved and unsure), by "may use the
        #: held share": {True: final-eval, False: all else}; each [pico, tokens, calls].
        self._used: dict[bool, list[int]] = {True: [0, 0, 0], False: [0, 0, 0]}
        self._pending: dict[bool, list[int]] = {True: [0, 0, 0], False: [0, 0, 0]}
        self._held = 0.0
        self._refused: str | None = None
        self._overshoot_tokens = self._overshoot_pico = 0
        self._unsure_calls = self._unsure_pico = 0
        self._pico_cap = None if caps.usd is None else int(Fraction(caps.usd) * PICO)
        for entry in settled:
            pico = None if entry.usd is None else round(entry.usd * PICO)
            tokens = entry.prompt_tokens + entry.completion_tokens
            if entry.unsure:
                self._unsure_calls += entry.calls
                self._unsure_pico += pico or 0
            else:
                self._add_settled(entry.purpose, tokens, pico, entry.calls)
            self._count(self._used, entry.purpose, tokens, pico, entry.calls)

    # -- one call ---------------------------------------------------------------------------------

    def reserve(
        self, purpose: Purpose, prompt_tokens: int, completion_tokens: int, usd: float | None
    ) -> Reservation:
        """Set aside one call's worst case. Raises CapReached where it could exceed a cap."""
        reservation = self._reserve(purpose, prompt_tokens + completion_tokens, usd, wait=False)
        assert reservation is not None
        return reservation

    def try_reserve(
        self, purpose: Purpose, prompt_tokens: int, completion_tokens: int, usd: float | None
    ) -> Reservation | None:
        """As `reserve`, but None where it would fit once calls now in flight have settled."""
        return self._reserve(purpose, prompt_tokens + completion_tokens, usd, wait=True)

    def _reserve(
        self, purpose: Purpose, tokens: int, usd: float | None, *, wait: bool
    ) -> Reservation | None:
        pico = _pico_up(usd)
        if pico is None and self._pico_cap is not None:
            raise UsageError(
                "a cap on dollars needs prices, and a model's price is unknown; "
                "give its price in models.yaml or cap tokens or calls instead"
            )
        with self._lock:
            cap, why = self._short(purpose, tokens, pico)
            if cap:
                if wait and not self._short(purpose, tokens, pico, pending=False)[0]:
                    return None
                self._refused = self._refused or cap
                raise CapReached(cap, why)
            self._count(self._used, purpose, tokens, pico, 1)
            self._count(self._pending, purpose, tokens, pico, 1)
        return Reservation(purpose, tokens, pico)

    def settle(
        self,
        reservation: Reservation,
        prompt_tokens: int,
        completion_tokens: int,
        usd: float | None,
    ) -> None:
        """Replace the worst case by what was used; more than was reserved is recorded as such."""
        tokens = prompt_tokens + completion_tokens
        pico = None if usd is None else round(usd * PICO)
        with self._lock:
            self._close(reservation)
            self._count(self._used, reservation.purpose, tokens, pico, 1)
            self._add_settled(reservation.purpose, tokens, pico, 1)
            self._overshoot_tokens += max(0, tokens - reservation.tokens)
            if pico is not None and reservation.pico is not None:
                self._overshoot_pico += max(0, pico - reservation.pico)

    def release(self, reservation: Reservation) -> None:
        """Give the worst case back: nothing was billed."""
        with self._lock:
            self._close(reservation)

    def abandon(self, reservation: Reservation) -> None:
        """The bill is unknown: the worst case keeps counting against the caps, as unsure."""
        with self._lock:
            self._close(reservation)
            self._count(self._used, reservation.purpose, reservation.tokens, reservation.pico, 1)
            self._unsure_calls += 1
            self._unsure_pico += reservation.pico or 0

    # -- phases -----------------------------------------------------------------------------------

    def hold(self, share: float) -> None:
        """Keep `share` (0 <= share < 1) of dollars, tokens, calls and minutes for final-eval."""
        if not 0 <= share < 1:
            raise UsageError(f"the share held back must be in [0, 1), got {share!r}")
        with self._lock:
            self._held = share

    def free(self) -> None:
        """End `hold`: every purpose sees the whole caps again."""
        with self._lock:
            self._held = 0.0

    def count_evaluation(self) -> None:
        """One evaluation (a design on its tasks) begins. Raises CapReached at the cap."""
        with self._lock:
            if self.caps.evaluations is not None and self._evaluations >= self.caps.evaluations:
                self._refused = self._refused or "evaluations"
                raise CapReached("evaluations")
            self._evaluations += 1

    # -- reading ----------------------------------------------------------------------------------

    @property
    def evaluations(self) -> int:
        """Evaluations counted until now."""
        return self._evaluations

    @property
    def seconds(self) -> float:
        """Wall seconds of the run, earlier parts included."""
        return self._seconds_before + self._clock() - self._start

    @property
    def reached(self) -> str | None:
        """The cap that ends the search: one that refused a call, or has nothing left."""
        with self._lock:
            if self._refused:
                return self._refused
            if self.caps.evaluations is not None and self._evaluations >= self.caps.evaluations:
                return "evaluations"
            cap, _ = self._short("search-eval", 1, 0, pending=False)
            return cap or None

    def left(self, purpose: Purpose) -> dict[str, float]:
        """What the purpose may still reserve now, by cap ("usd", "tokens", ...); only real caps."""
        with self._lock:
            found = {
                name: max(0, limit - used) / (PICO if name == "usd" else 1)
                for name, limit, used in self._limits(purpose)
            }
        if self.caps.evaluations is not None:
            found["evaluations"] = max(0, self.caps.evaluations - self._evaluations)
        return found

    def spent(self) -> Spent:
        """A snapshot of what was settled."""
        with self._lock:
            by = {
                name: MappingProxyType(
                    {"usd": _usd(s.pico, s.unpriced), "tokens": s.tokens, "calls": s.calls}
                )
                for name, s in sorted(self._settled.items())
            }
            sums = self._settled.values()
            return Spent(
                usd=_usd(sum(s.pico for s in sums), sum(s.unpriced for s in sums)),
                tokens=sum(s.tokens for s in sums),
                calls=sum(s.calls for s in sums),
                seconds=self.seconds,
                by_purpose=MappingProxyType(by),
                overshoot_tokens=self._overshoot_tokens,
                overshoot_usd=self._overshoot_pico / PICO,
                unsure_calls=self._unsure_calls,
                unsure_usd=self._unsure_pico / PICO,
            )

    # -- inside -----------------------------------------------------------------------------------

    def _count(
        self,
        sums: dict[bool, list[int]],
        purpose: str,
        tokens: int,
        pico: int | None,
        calls: int,
    ) -> None:
        row = sums[purpose == HELD_FOR]
        row[0] += pico or 0
        row[1] += tokens
        row[2] += calls

    def _add_settled(self, purpose: str, tokens: int, pico: int | None, calls: int) -> None:
        row = self._settled.setdefault(purpose, _Sum())
        row.tokens += tokens
        row.calls += calls
        if pico is None:
            row.unpriced += calls
        else:
            row.pico += pico

    def _close(self, r: Reservation) -> None:
        if not r.open:
            raise ValueError("this reservation is closed already")
        r.open = False
        for sums in (self._used, self._pending):
            self._count(sums, r.purpose, -r.tokens, None if r.pico is None else -r.pico, -1)

    def _limits(self, purpose: str, pending: bool = True) -> list[tuple[str, float, float]]:
        """(cap, limit, used) of every cap on calls that the purpose sees, tightest view."""
        rows: list[tuple[str, float, float]] = []
        caps = self.caps
        names = ("usd", self._pico_cap), ("tokens", caps.tokens), ("calls", caps.calls)
        mine = purpose == HELD_FOR
        for i, (name, cap) in enumerate(names):
            if cap is None:
                continue
            held, others = self._used[True][i], self._used[False][i]
            if not pending:
                held -= self._pending[True][i]
                others -= self._pending[False][i]
            limit, used = cap, held + others
            if not mine and self._held:
                # Others see their own use against what is not held, whatever final-eval uses.
                share = math.floor(cap * (1 - self._held))
                if share - others < limit - used:
                    limit, used = share, others
            rows.append((name, limit, used))
        if caps.minutes is not None:
            part = 1.0 if mine else 1 - self._held
            rows.append(("minutes", caps.minutes * part, self.seconds / 60))
        return rows

    def _short(
        self, purpose: str, tokens: int, pico: int | None, pending: bool = True
    ) -> tuple[str, str]:
        """The first cap that one more such call would exceed, and a line about it; or "", ""."""
        wanted = {"usd": pico or 0, "tokens": tokens, "calls": 1, "minutes": 0}
        for name, limit, used in self._limits(purpose, pending):
            over = used >= limit if name == "minutes" else used + wanted[name] > limit
            if over or (name == "usd" and used >= limit):
                if name == "minutes":
                    return name, f"the cap on minutes is reached ({limit:g})"
                unit = PICO if name == "usd" else 1
                left = max(0, limit - used) / unit
                return name, (
                    f"the cap on {name} is reached: {left:g} of {limit / unit:g} left, "
                    f"a call may need {wanted[name] / unit:g}"
                )
        return "", ""


def _pico_up(usd: float | None) -> int | None:
    return None if usd is None else math.ceil(usd * PICO)


def _usd(pico: int, unpriced: int) -> float | None:
    return None if unpriced else pico / PICO

"""When to try a failed call again, and how long to wait before.

Only failures that may pass by themselves are tried again. The wait grows exponentially with full
jitter (each wait is uniform between half its bound and its bound), drawn from a seeded stream, and
is at least what the server asked for. Attempts and the total wait are bounded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from paragent.errors import CallFailure

#: Kinds that may pass by themselves. "malformed" and "empty" replies are drawn again too: a
#: truncated body or an empty choice is most often the server's hiccup.
TRANSIENT = frozenset({"rate-limit", "timeout", "server", "connection", "malformed", "empty"})

#: Kinds after which the server may have billed although no usage came back.
MAYBE_BILLED = frozenset({"timeout", "connection", "malformed"})


class NotSent(Exception):
    """The call never reached its server, so that nothing can have been billed."""


class UnsentFailure(CallFailure, NotSent):
    """A failed call of that kind."""


class BilledFailure(CallFailure):
    """A call that failed but was billed: its reply reported usage (refused, empty, cut off)."""

    def __init__(
        self,
        kind: str,
        why: str,
        prompt_tokens: int,
        completion_tokens: int,
        cached_tokens: int = 0,
    ) -> None:
        super().__init__(kind, why)
        self.prompt_tokens, self.completion_tokens = prompt_tokens, completion_tokens
        self.cached_tokens = cached_tokens


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` in all (1: never again); waits are in seconds."""

    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    #: A billed reply that was of no use is paid again at most this often.
    billed_attempts: int = 3
    #: A server that asks for more than this is believed to mean "not today".
    longest_retry_after_s: float = 120.0

    def wait_s(self, failure: CallFailure, attempt: int, seed: str) -> float | None:
        """Seconds before the next attempt, or None where there is none.

        `attempt` is the one that just failed, counted from 1. The same `seed` and attempt give the
        same jitter in every process.
        """
        most = self.billed_attempts if isinstance(failure, BilledFailure) else self.attempts
        if failure.kind not in TRANSIENT or attempt >= most:
            return None
        bound = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempt - 1))
        digest = hashlib.sha256(f"{seed}\x1f{attempt}".encode()).digest()
        wait = bound * (0.5 + 0.5 * int.from_bytes(digest[:4], "big") / 2**32)
        asked = failure.retry_after_s
        if asked is not None:
            if asked > self.longest_retry_after_s:
                return None
            # Jitter on top: all callers were told the same second.
            wait = asked + wait * 0.25
        return wait

"""What the driver and its workers say to one another: plain lists of texts, bytes and numbers.

Each message is a list that opens with its word. From the driver:

    design KEY DATA                     a design, once per worker
    task NO KEY TASK SPLIT PURPOSE SEED  run it
    drop NO                             nobody wants it any more
    go ID                               make this call
    stop ID                             cut it off
    known ID TEXT | done ID             its completion (as JSON), or: yours is recorded
    fail ID KIND WHY | cap ID CAP WHY   it failed for good, or would exceed a cap
    fault ID WHY                        its model raised what no model should

and from a worker:

    model M FACTS                       a model, before its first call
    call ID NO M KEY PURPOSE WORST LIKELY  a call that a task wants
    gone ID                             its task was dropped
    landed ID TEXT | lost ID FACTS      what came of a `go`
    outcome NO DATA | capped NO CAP WHY | broke NO WHY   what came of a task
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from paragent.component import Price
from paragent.errors import CallFailure
from paragent.runtime.limits import Limits
from paragent.runtime.model import LanguageModel
from paragent.runtime.retry import BilledFailure, RetryPolicy, UnsentFailure
from paragent.runtime.session import is_remote

Message = list[Any]

#: Seconds that a message waits for others to share its exchange: per task under way there, and the
#: least and the most. An exchange costs Ray about a millisecond of processor time, both sides
#: together, so a busy worker's carries dozens; with few tasks under way a wait gathers nothing.
GATHER_S, LEAST_S, MOST_S = 1e-4, 0.001, 0.02


def gather_s(under_way: int) -> float:
    """The wait, with so many tasks or calls under way on the worker."""
    return min(MOST_S, max(LEAST_S, GATHER_S * under_way))


def model_to_data(model: LanguageModel) -> dict[str, Any]:
    """What the driver must know of a model to record, price, limit and retry its calls."""
    p = model.price
    data: dict[str, Any] = {
        "name": model.name,
        "endpoint": model.endpoint,
        "price": [p.usd_per_mtok_in, p.usd_per_mtok_out, p.usd_per_mtok_cached, p.usd_per_call],
    }
    if is_remote(model):
        limits, retry = model.limits, model.retry
        data["limits"] = [
            limits.requests_per_minute,
            limits.tokens_per_minute,
            limits.concurrency,
        ]
        data["retry"] = [
            retry.attempts,
            retry.first_wait_s,
            retry.longest_wait_s,
            retry.billed_attempts,
            retry.longest_retry_after_s,
        ]
    return data


# Made once, not for each call: they check what they are given.
_price, _limits, _retry = lru_cache(Price), lru_cache(Limits), lru_cache(RetryPolicy)


def price_from(data: list[Any]) -> Price:
    """Inverse of the "price" above."""
    return _price(*data)


def limits_from(data: list[Any]) -> Limits:
    """Inverse of the "limits" above."""
    return _limits(*data)


def retry_from(data: list[Any]) -> RetryPolicy:
    """Inverse of the "retry" above."""
    return _retry(*data)


def failure_to_data(failure: CallFailure) -> list[Any]:
    """A failed attempt: kind, why, the wait asked for, tokens if billed, whether it was sent."""
    billed = None
    if isinstance(failure, BilledFailure):
        billed = [failure.prompt_tokens, failure.completion_tokens, failure.cached_tokens]
    sent = not isinstance(failure, UnsentFailure)
    return [failure.kind, failure.why, failure.retry_after_s, billed, sent]


def failure_from(data: list[Any]) -> CallFailure:
    """Inverse of `failure_to_data`."""
    kind, why, wait, billed, sent = data
    if billed is not None:
        return BilledFailure(kind, why, *billed)
    return (CallFailure if sent else UnsentFailure)(kind, why, retry_after_s=wait)

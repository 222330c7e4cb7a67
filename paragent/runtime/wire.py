"""What servers say on the wire, in our words: typed failures, rejected options, plain text."""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any

from paragent.errors import CallFailure
from paragent.runtime.retry import UnsentFailure
from paragent.runtime.secrets import redact

#: Options that may be left out, in the order in which a vague complaint is blamed on them.
OPTIONAL = (
    "logprobs",
    "seed",
    "response_format",
    "tools",
    "stop",
    "temperature",
    "max_completion_tokens",
    "max_tokens",
)

_OVERFLOW = re.compile(
    r"context.?(length|window|size)|maximum context|too many tokens|prompt is too long"
    r"|input is too long|exceeds? the (available|model)|token limit|too large for model",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content.?(filter|management|policy)|safety (system|policy)|usage polic|moderation",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(
    r"insufficient_quota|insufficient (balance|credit)|billing|exceeded your current quota",
    re.IGNORECASE,
)
_WORDS = {
    "tools": re.compile(r"\btools?\b|tool.?call|tool.?choice|function.?call", re.IGNORECASE),
    "logprobs": re.compile(r"log.?prob", re.IGNORECASE),
    "response_format": re.compile(r"response_format|json.?(mode|object)", re.IGNORECASE),
    "stop": re.compile(r"['\"`]stop['\"`]|\bstop\b", re.IGNORECASE),
}
_REJECTS = re.compile(
    r"unsupported|not support|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed|extra"
    r"|invalid|not available|not implemented|only the default|requires|cannot",
    re.IGNORECASE,
)
#: A bad value of these is the caller's mistake; only "I do not know this option" leaves them out.
_STRICT = ("stop", "temperature", "max_completion_tokens", "max_tokens")
_UNKNOWN = re.compile(
    r"unsupported|not support|unknown|unrecogni[sz]ed|unexpected|not permitted|extra (input|field)"
    r"|only the default|instead",
    re.IGNORECASE,
)


def rejected_option(error: Exception, body: Mapping[str, Any]) -> str | None:
    """Which option of `body` a 400 or 422 (or 501) complains about; None: none of them."""
    status = getattr(error, "status_code", None)
    if status not in (400, 404, 422, 501):
        return None
    text = error_text(error)
    if _OVERFLOW.search(text) or _FILTERED.search(text):
        return None
    details = _details(error)
    named = details.get("param")
    named = named.split(".")[0] if isinstance(named, str) else ""
    for option in OPTIONAL:
        words = _WORDS.get(option) or re.compile(rf"\b{option}\b", re.IGNORECASE)
        blamed = option == named or (not named and words.search(text))
        refused = (_UNKNOWN if option in _STRICT else _REJECTS).search(text)
        if option in body and blamed and refused:
            return option
    return None


def failure_of(error: Exception, model: str) -> CallFailure | None:
    """The typed failure of an exception of the client; None for what is no failed call."""
    import openai

    text = f"{model}: {redact(error_text(error))[:300]}"
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, text)
    if isinstance(error, openai.APIResponseValidationError | json.JSONDecodeError):
        return CallFailure("malformed", f"{model}: the reply is no valid JSON")
    if isinstance(error, UnicodeDecodeError):
        return CallFailure("malformed", f"{model}: the reply is no UTF-8 text")
    if isinstance(error, openai.APIConnectionError):  # time-outs are a kind of these
        return _of_line(error, model)
    if isinstance(error, openai.OpenAIError):
        return CallFailure("bad-request", text)
    if isinstance(error, OSError) or _is_transport_error(error):
        return CallFailure("connection", f"{model}: {redact(str(error) or repr(error))[:200]}")
    return None


def _of_line(error: Exception, model: str) -> CallFailure:
    """Time-out or broken line. The client's transport calls every lost line a connect time-out, so
    what really happened is read from the chain of causes."""
    causes: list[BaseException] = []
    cause = error.__cause__
    while cause is not None and len(causes) < 8:
        causes.append(cause)
        cause = cause.__cause__
    names = {t.__name__ for c in causes for t in type(c).__mro__}
    why = next((text for c in causes if (text := " ".join(str(c).split()))), "the line broke")
    text = f"{model}: {redact(why)[:200]}"
    if names & {"ClientConnectorError", "ConnectError", "ClientConnectorDNSError", "PoolTimeout"}:
        return UnsentFailure("connection", text)
    if "ConnectionTimeoutError" in names:
        return UnsentFailure("timeout", text)
    if names & {"ClientConnectionError", "ConnectionError"} and "ServerTimeoutError" not in names:
        return CallFailure("connection", text)
    timed_out = type(error).__name__ == "APITimeoutError" or "TimeoutException" in names
    return CallFailure("timeout" if timed_out else "connection", text)


def _is_transport_error(error: Exception) -> bool:
    """A broken body raised past the client (its transport's own exceptions)."""
    root = type(error).__module__.partition(".")[0]
    return root in ("httpx2", "httpx", "httpcore", "aiohttp", "h11")


def _of_status(error: Any, text: str) -> CallFailure:
    status = error.status_code
    if status in (400, 404, 413, 422, 500) and (status == 413 or _OVERFLOW.search(text)):
        return CallFailure("context-overflow", text)
    if status in (400, 403, 422) and _FILTERED.search(text):
        return CallFailure("refused", text)
    if status in (401, 403) or (status in (402, 429) and _NO_CREDIT.search(text)):
        return CallFailure("auth", text)
    if status == 429:
        wait = retry_after_s(error.response.headers)
        return CallFailure("rate-limit", text, retry_after_s=wait)
    if status == 408:
        return CallFailure("timeout", text)
    if status >= 500 or status in (409, 425):
        wait = retry_after_s(error.response.headers)
        return CallFailure("server", text, retry_after_s=wait)
    return CallFailure("bad-request", text)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: `retry-after-ms`, or `Retry-After` (seconds, a date)."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                at = email.utils.parsedate_to_datetime(value)
            except ValueError:
                continue
            seconds = at.timestamp() - time.time()
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _details(error: Exception) -> Mapping[str, Any]:
    body = getattr(error, "body", None)
    if isinstance(body, Mapping):
        inner = body.get("error")
        return inner if isinstance(inner, Mapping) else body
    return {}


def error_text(error: Exception) -> str:
    """The server's own words, on one line."""
    details = _details(error)
    parts = [str(details[k]) for k in ("message", "code", "detail") if details.get(k)]
    return " ".join((" ".join(parts) or str(error)).split())


def text_of(content: object) -> str:
    """A message's content as text: a text, or a list of parts of which the texts count."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part["text"]
            for part in content
            if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        )
    return ""

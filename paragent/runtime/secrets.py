"""Keys stay out of everything that is written: logs, errors, journals, traces, reports.

A key enters the process by the name of an environment variable. Whoever reads one (`read_key`)
has it remembered here; `redact` then blots it out of any text, also in its JSON, URL and base64
forms, together with what looks like a key or a bearer token. Nothing here writes or shows a key.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
from urllib.parse import quote

BLOT = "[redacted]"
#: Shorter values are placeholders for local servers ("none", "EMPTY"): blotting them out would
#: only spoil texts.
SHORTEST = 8

_known: set[str] = set()
_pattern: re.Pattern[str] | None = None
_LOOKS_LIKE_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|rk|pk|gsk|xai|hf)[-_]|AIza)[A-Za-z0-9_\-]{20,}"
    r"|(?<=Bearer )[^\s\"',;]{8,}"
)


def remember(value: str) -> None:
    """Blot this value out from now on; values under 8 characters are left alone."""
    global _pattern
    value = value.strip()
    if len(value) < SHORTEST or value in _known:
        return
    _known.add(value)
    forms = {
        form
        for known in _known
        for form in (
            known,
            json.dumps(known)[1:-1],
            quote(known, safe=""),
            base64.b64encode(known.encode()).decode(),
            repr(known)[1:-1],
        )
    }
    longest_first = sorted(forms, key=lambda f: (-len(f), f))
    _pattern = re.compile("|".join(map(re.escape, longest_first)))


def forget() -> None:
    """Forget every remembered value (for tests, whose keys are made up)."""
    global _pattern
    _known.clear()
    _pattern = None


def read_key(variable: str) -> str | None:
    """The value of the environment variable, remembered; None where it is not set or empty."""
    value = os.environ.get(variable, "").strip()
    if value:
        remember(value)
    return value or None


def redact(text: str) -> str:
    """The text without any remembered key and without what looks like one."""
    if _pattern is not None:
        text = _pattern.sub(BLOT, text)
    return _LOOKS_LIKE_KEY.sub(BLOT, text)


def redact_known(text: str) -> str:
    """As `redact`, but remembered keys only: for model replies, which must not change else."""
    return text if _pattern is None else _pattern.sub(BLOT, text)


class RedactingFilter(logging.Filter):
    """Blots keys out of a log record: message, arguments and traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True


_FILTER = RedactingFilter()

#: Loggers of what carries keys; a filter on a logger does not see its children's records.
_LOGGERS = ("openai", "openai._base_client", "httpx2", "httpx", "aiohttp.client", "asyncio")


def protect_logs() -> None:
    """Put the filter on the HTTP client's loggers and on every handler of the root logger."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_FILTER)

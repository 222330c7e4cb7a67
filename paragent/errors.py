"""Everything Paragent raises on purpose.

    ParagentError                 exit code 1: something failed
    ├── UsageError                exit code 2: the request cannot be carried out as written
    │   ├── UnknownName           a name nobody registered; carries the nearest right one
    │   ├── InvalidDesign         a design that cannot run; carries the path inside it
    │   └── ConfigError           a file that cannot be read; carries file, line and column
    ├── StoreError                a run folder that is locked, corrupt or from another version
    ├── CapReached                a hard cap would be exceeded; nothing was spent
    └── CallFailure               one model call failed for good; carries its kind

The command line prints `str(error)` and exits with `error.exit_code`; no traceback is shown for
any of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ParagentError(Exception):
    """Root of all our errors; the message is one clear line for the user."""

    exit_code = 1


class UsageError(ParagentError):
    """What was asked for cannot be done as written."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that is not registered; the message offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        near = nearest(name, self.known)
        text = f"no {kind} is called {name!r}"
        if where:
            text = f"{where}: {text}"
        if near:
            text += f". Did you mean {near!r}?"
        elif self.known:
            text += f". Known: {', '.join(self.known)}"
        super().__init__(text)


class InvalidDesign(UsageError):
    """A design that cannot run; `path` says where inside the tree, e.g. `team.members[1]`."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}" if path else why)


class ConfigError(UsageError):
    """A configuration file that cannot be read; the message has file, line and column."""


class StoreError(ParagentError):
    """A run folder that cannot be used: locked, corrupt, full, or of another version."""


class CapReached(ParagentError):
    """A call was refused because it could exceed a cap. `cap` names it (usd, tokens, ...)."""

    def __init__(self, cap: str, why: str = "") -> None:
        self.cap = cap
        super().__init__(why or f"the cap on {cap} is reached")


class CallFailure(ParagentError):
    """One model call failed for good, after its retries.

    `kind` is one of the words of `paragent.outcome.FAILURE_KINDS`; it is what the report counts.
    `retry_after_s` is what the server asked to wait, where it did.
    """

    def __init__(self, kind: str, why: str, *, retry_after_s: float | None = None) -> None:
        self.kind, self.why, self.retry_after_s = kind, why, retry_after_s
        super().__init__(f"{kind}: {why}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None where none is close."""
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.55)
    return found[0] if found else None

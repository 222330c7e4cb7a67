"""What a finished or running search shows to those who present it: report, tables, exports.

A `RunView` is read-only. Nothing here knows of stores or engines, so a view can as well be built
by hand (from a file of another tool, or in a test).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from paragent.design import Design
from paragent.outcome import Evaluation


@dataclass(frozen=True, slots=True)
class Point:
    """A design with its evaluations: on `dev`, which the search saw, and on the untouched `test`."""

    design: Design
    dev: Evaluation
    test: Evaluation | None = None

    @property
    def best_known(self) -> Evaluation:
        """The test evaluation where one exists, else dev."""
        return self.test or self.dev


@dataclass(frozen=True, slots=True)
class Spent:
    """What a search itself used. `usd` is None where any price is unknown.

    `by_purpose` maps a purpose (`outcome.PURPOSES`) to {"usd", "tokens", "calls"}.
    """

    usd: float | None
    tokens: int
    calls: int
    seconds: float
    by_purpose: Mapping[str, Mapping[str, float | int | None]] = field(
        default_factory=dict, hash=False
    )


class RunView(Protocol):
    """One run, as it is shown.

    `config` is what was asked (benchmark, searcher, seed, cost, caps, ...), `meta` how it was run
    (version, command, started, finished, python, platform). `evaluations` are those on dev, in the
    order of proposal; `finals` those on test. `notes` are warnings to show.
    """

    @property
    def path(self) -> Path: ...
    @property
    def name(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...
    @property
    def evaluations(self) -> Sequence[Evaluation]: ...
    @property
    def finals(self) -> Sequence[Evaluation]: ...
    @property
    def baseline(self) -> Point | None: ...
    @property
    def spent(self) -> Spent: ...
    @property
    def stopped_by(self) -> str: ...
    @property
    def notes(self) -> Sequence[str]: ...

    def front(self) -> Sequence[Point]:
        """The front, cheapest first."""

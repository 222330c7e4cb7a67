"""What the services that agents work with have in common.

A service has functions with the names, defaults and results of BFCL's function docs
(benchmarks/bfcl.py names the source). It is its public attributes: two are in the same state where
those are equal. What cannot be done raises `Fault`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, ClassVar


class Fault(Exception):
    """A function of a service cannot do what it was asked; the text says why."""


class Service:
    """What all have in common: a beginning from defaults and a scenario, and a state."""

    #: Public attributes and their values where a scenario says nothing.
    defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        for name, value in self.defaults.items():
            setattr(self, name, copy.deepcopy(scenario.get(name, value)))

    def state(self) -> dict[str, Any]:
        """A copy of the public attributes."""
        return {k: copy.deepcopy(v) for k, v in vars(self).items() if not k.startswith("_")}


def told(work: Callable[[], Any]) -> Any:
    """What a function of a service gives; raises Fault, also where its arithmetic overflows."""
    try:
        return work()
    except ArithmeticError:  # OverflowError, ZeroDivisionError and those of decimal
        raise Fault("the result is no number that can be told") from None


def day_of(text: str) -> date:
    """A date from YYYY-MM-DD; raises Fault."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise Fault(f"{text!r} is no date YYYY-MM-DD") from None

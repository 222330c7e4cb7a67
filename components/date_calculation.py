"""Exact dates (Schick et al. 2023, Toolformer, section 3, "calendar"; here without today's date, so
that the same task gets the same answer on every day).

    2024-02-28 + 2 days            2024-03-01 (Friday)
    2024-01-31 + 1 month           2024-02-29 (Thursday): the month's last day where it is shorter
    2024-03-01 - 2023-12-25        67 days
    2024-02-29                     2024-02-29 (Thursday)

Years 1 to 9999 of the Gregorian calendar. No model calls of its own. Requires "steps" and "tools".
"""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta

from paragent.component import Component, Tool

_DATE = r"(\d{1,4}-\d{1,2}-\d{1,2})"
_SHIFTED = re.compile(rf"\s*{_DATE}\s*([-+])\s*(\d{{1,7}})\s*(day|week|month|year)s?\s*", re.I)
_BETWEEN = re.compile(rf"\s*{_DATE}\s*-\s*{_DATE}\s*")
_ALONE = re.compile(rf"\s*(?:weekday\s+(?:of\s+)?)?{_DATE}\s*", re.I)


def calculate(text: str) -> str:
    """The date or the days between. Raises ValueError with what is wrong."""
    if found := _BETWEEN.fullmatch(text):
        days = (_date(found[1]) - _date(found[2])).days
        return f"{days} day{'' if abs(days) == 1 else 's'}"
    if found := _SHIFTED.fullmatch(text):
        count = int(found[3]) * (1 if found[2] == "+" else -1)
        return _told(_shifted(_date(found[1]), count, found[4].lower()))
    if found := _ALONE.fullmatch(text):
        return _told(_date(found[1]))
    raise ValueError("wanted 2024-02-28 + 2 days, 2024-03-01 - 2023-12-25, or 2024-02-29")


def _shifted(day: date, count: int, unit: str) -> date:
    try:
        if unit in ("day", "week"):
            return day + timedelta(days=count * (7 if unit == "week" else 1))
        months = day.year * 12 + day.month - 1 + count * (12 if unit == "year" else 1)
        year, month = months // 12, months % 12 + 1
        return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
    except (OverflowError, ValueError):
        raise ValueError("the date is outside the years 1 to 9999") from None


def _date(text: str) -> date:
    year, month, day = (int(part) for part in text.split("-"))
    try:
        return date(year, month, day)
    except ValueError as error:
        raise ValueError(f"{text} is no date: {error}") from None


def _told(day: date) -> str:
    return f"{day.isoformat()} ({calendar.day_name[day.weekday()]})"


TOOL = Tool(
    name="dates",
    description="Adds to a date, counts days between dates, names the weekday: "
    "2024-02-28 + 2 days; 2024-03-01 - 2023-12-25; 2024-02-29.",
    call=calculate,
    instruction=". Calculate dates by writing <<2024-02-28 + 2 days>> or "
    "<<2024-03-01 - 2023-12-25>>",
    native_instruction=". Calculate dates with the tool",
    schema={
        "type": "object",
        "properties": {"dates": {"type": "string", "description": "such as 2024-02-28 + 2 days"}},
        "required": ["dates"],
        "additionalProperties": False,
    },
    argument="dates",
)


DATE_CALCULATION = Component(
    name="date_calculation",
    kind="tool",
    summary="adds to dates, counts the days between them, names weekdays",
    build=lambda: TOOL,
    calls=lambda params, inner: 0,
    requires=("steps", "tools"),
    paper="Schick et al. 2023, Toolformer, section 3 (calendar)",
)

"""The front as a table, on a run of three designs small enough to check by hand."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from paragent.design import Agent, Design, Part, Team
from paragent.outcome import Evaluation, Failed, Measured, Outcome, Split, Usage
from paragent.run_view import Point, Spent, against, picks
from paragent.show import front_lines, front_table, money, p_text, rows, seconds, spent_line

CHEAP = Design(Agent(Part("small")))
MIDDLE = Design(Team(Part("vote"), (Agent(Part("small")), Agent(Part("small", (("t", 1),))))))
DEAR = Design(Agent(Part("large"), Part("chain_of_thought")))


def evaluation(
    design: Design, split: Split, right: int, n: int, usd: float | None, tokens: int = 100
) -> Evaluation:
    """`right` solved tasks first, of `n`, each at the same cost."""
    outcomes: dict[str, Outcome] = {
        f"{split}{i}": Measured(float(i < right), Usage(2, tokens - 10, 10, usd, 0.25))
        for i in range(n)
    }
    return Evaluation(design, split, "search-eval", outcomes)


def point(design: Design, dev: int, test: int | None, usd: float | None) -> Point:
    """A design with `dev` of 20 and `test` of 10 tasks solved."""
    return Point(
        design,
        evaluation(design, "dev", dev, 20, usd),
        None if test is None else evaluation(design, "test", test, 10, usd),
    )


@dataclass
class FakeRun:
    """A run made by hand."""

    points: Sequence[Point]
    baseline: Point | None = None
    spent: Spent = field(default_factory=lambda: Spent(0.5, 1000, 20, 133.0, {}))
    evaluations: Sequence[Evaluation] = ()
    finals: Sequence[Evaluation] = ()
    path: Path = Path("run")
    name: str = "run"
    config: Mapping[str, Any] = field(default_factory=lambda: {"cost": "usd"})
    meta: Mapping[str, Any] = field(default_factory=dict)
    stopped_by: str = "evaluations"
    notes: Sequence[str] = ()

    def front(self) -> Sequence[Point]:
        """The points given."""
        return self.points


RUN = FakeRun(
    [point(CHEAP, 4, 1, 1e-6), point(MIDDLE, 14, 6, 1e-5), point(DEAR, 16, 9, 1e-4)],
    point(Design(Agent(Part("tiny"))), 2, 1, 1e-6),
)


def test_rows_by_hand() -> None:
    """9 of 10 on test is .900 [.596, .982] by Wilson; $.0001 a task is $.10 a thousand."""
    row = rows(RUN)[2]
    assert row.cells == ("0.900 [0.596, 0.982]", "0.800", "$0.100", "100", "250 ms", "2.00")
    assert row.marks == ("best",)


def test_picks_by_hand() -> None:
    """At half the log cost the middle design has 5/6 of the gain: it is the knee."""
    assert picks(RUN.points) == {"cheapest": 0, "knee": 1, "best": 2}
    assert picks([]) == {}


def test_picks_ignore_test_scores() -> None:
    """A lucky test split must not choose: picks stay where dev scores put them."""
    lucky = [replace(p, test=evaluation(p.design, "test", 10 - i, 10, 1e-6))
             for i, p in enumerate(RUN.points)]  # fmt: skip
    assert picks(lucky) == picks(RUN.points)


def test_lines_hold_every_design_and_the_baseline() -> None:
    """One head, one line a design with its label whole, the baseline last, then the summary."""
    lines = front_lines(RUN)
    assert [p.design.label in line for p, line in zip(RUN.points, lines[1:4], strict=True)] == [
        True
    ] * 3
    assert lines[4].endswith("tiny·direct  (baseline)")
    assert lines[5].startswith("best minus baseline on the same 10 test tasks: +0.800")
    assert "p = .008 (paired)" in lines[5]  # 8 wins, no loss: 2 / 256
    assert lines[6] == (
        "the search itself spent $0.500, 1,000 tokens and 20 calls in 2 min 13 s on 0 designs"
    )


def test_a_baseline_on_the_front_is_shown_once() -> None:
    """A baseline that nothing beats at its price is marked where it stands."""
    run = FakeRun(RUN.points, RUN.points[0])
    assert [r.marks for r in rows(run)] == [("cheapest", "baseline"), ("knee",), ("best",)]
    assert against(RUN.points[0], run.baseline) is None


def test_unknown_is_a_question_mark_and_never_zero() -> None:
    """No price, no measured task, no test split: each says so."""
    unpriced = point(CHEAP, 3, None, None)
    dead = Point(DEAR, Evaluation(DEAR, "dev", "search-eval", {"a": Failed("timeout", "late")}))
    first, second = rows(FakeRun([unpriced, dead]))
    assert (first.score, first.cost) == ("not measured", "?")
    assert second.cells == ("not measured", "?", "?", "?", "?", "?")


def test_an_empty_front_says_so() -> None:
    """Nothing measured is a sentence, not an empty table."""
    assert "no design could be measured" in front_lines(FakeRun([]))[1]


@pytest.mark.parametrize("width", [80, 140])
def test_rich_table_keeps_brackets_and_numbers(width: int) -> None:
    """A label's brackets are no markup, and all columns stay whole on 80 columns."""
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(front_table(RUN, width))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for row in rows(RUN):
        assert row.label in text
        assert re.search(r" +".join(map(re.escape, row.cells)), text)
    assert text.count("baseline") == 1


def test_control_characters_cannot_reach_a_terminal() -> None:
    """A role with an escape sequence is shown without the escape."""
    nasty = Design(Agent(Part("m"), role="\x1b[31mred\nline"))
    assert "\x1b" not in "".join(front_lines(FakeRun([point(nasty, 1, 1, 0.0)])))


def test_spent_by_purpose_and_unknown_dollars() -> None:
    """Shares of tokens by purpose, largest first; unknown dollars are named as such."""
    spent = Spent(None, 100, 3, 2.0, {"final-eval": {"tokens": 25}, "search-eval": {"tokens": 75}})
    assert spent_line(spent, 7) == (
        "the search itself spent dollars unknown (a price is missing), 100 tokens and 3 calls "
        "in 2.0 s on 7 designs (search-eval 75%, final-eval 25% of the tokens)"
    )


@pytest.mark.parametrize(
    ("usd", "text"),
    [(None, "?"), (0.0, "$0"), (0.00001234, "$1.23e-05"), (0.0123, "$0.0123"), (1.0, "$1.00"),
     (1234.5, "$1,234")],
)  # fmt: skip
def test_money(usd: float | None, text: str) -> None:
    """Three digits at every size; free and unknown are told apart."""
    assert money(usd) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "?"), (0.0042, "4 ms"), (1.0, "1.0 s"), (61.2, "61.2 s"), (125, "2 min 05 s"),
     (7260, "2 h 1 min")],
)  # fmt: skip
def test_seconds(value: float | None, text: str) -> None:
    """Durations in the unit that suits them."""
    assert seconds(value) == text


def test_p_text() -> None:
    """Small p-values are a bound, not a row of zeros."""
    assert (p_text(0.0123), p_text(1e-9), p_text(1.0)) == ("p = .012", "p < .001", "p = 1.000")

"""A user's own tasks as a benchmark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.benchmark import ListBenchmark, Task, valid_score
from paragent.errors import UsageError

PAIRS = [(f"question {i}", f"answer {i}") for i in range(40)]


def test_splits_are_disjoint_complete_and_stable() -> None:
    """Every task is in one split, and adding tasks moves none."""
    small, large = ListBenchmark.of("b", PAIRS[:30]), ListBenchmark.of("b", PAIRS)
    dev, test = (
        {t.id for t in small.tasks("dev")},
        {t.id for t in small.tasks("test")},
    )
    assert not dev & test
    assert len(dev | test) == 30
    assert dev <= {t.id for t in large.tasks("dev")}


def test_the_default_scorer_ignores_case_and_blanks() -> None:
    """Blanks around it and another case still make the right answer."""
    benchmark = ListBenchmark.of("b", PAIRS)
    task = Task("x", "q", "Answer 3")
    assert benchmark.score(task, " answer 3 ") == 1.0
    assert benchmark.score(task, "answer 4") == 0.0


def test_no_tasks_one_split_or_doubles_are_refused() -> None:
    """Each with its reason."""
    with pytest.raises(UsageError, match="has no tasks"):
        ListBenchmark.of("b", [])
    with pytest.raises(UsageError, match="1 task ids occur twice"):
        ListBenchmark.of("b", [*PAIRS, PAIRS[0]])
    with pytest.raises(UsageError, match=r"leave the (dev|test) split empty"):
        ListBenchmark.of("b", PAIRS[:1])


@given(st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans()))
def test_valid_score_lets_only_the_unit_interval_pass(value: object) -> None:
    """NaN, infinities, 7, texts and None raise; everything that passes is in [0, 1]."""
    try:
        assert 0 <= valid_score(value) <= 1
    except ValueError:
        assert not (isinstance(value, int | float) and 0 <= value <= 1)

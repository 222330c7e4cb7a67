"""Counting votes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.ballot import most_confident, plurality
from paragent.component import Answer


def answers(*pairs: tuple[str, float | None]) -> list[Answer]:
    """Answers from (text, confidence)."""
    return [Answer(text, text, confidence) for text, confidence in pairs]


def test_majority_wins_whatever_the_confidence() -> None:
    """Two quiet votes beat a loud one; "A." and " a" are one answer; the share is told."""
    found = plurality(answers(("A.", 0.1), ("b", 0.99), (" a", 0.1)))
    assert found.text == "A."
    assert found.confidence == pytest.approx(2 / 3)


def test_ties_go_to_the_more_confident_then_to_the_first() -> None:
    """1 against 1: by summed confidence; without any, the first given."""
    assert plurality(answers(("a", 0.4), ("b", 0.6))).text == "b"
    assert plurality(answers(("a", None), ("b", None))).text == "a"


def test_empty_answers_have_no_vote() -> None:
    """Two empty answers lose against one text."""
    assert plurality(answers(("", 0.9), ("", 0.9), ("7", 0.1))).text == "7"
    assert plurality(answers(("", None))).text == ""
    with pytest.raises(ValueError, match="at least one"):
        plurality([])


def test_most_confident_ignores_those_without_confidence() -> None:
    """None is below every number; ties go to the first."""
    assert most_confident(answers(("a", None), ("b", 0.0), ("c", 0.0))).text == "b"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.01, 1)), min_size=1, max_size=9))
def test_the_winner_has_the_most_votes(votes: list[tuple[str, float]]) -> None:
    """Brute force: no other text was said more often."""
    winner = plurality(answers(*votes)).text
    counts = {text: sum(t == text for t, _ in votes) for text, _ in votes}
    assert counts[winner] == max(counts.values())

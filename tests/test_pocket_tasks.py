"""Pocket tasks: exact answers, splits that cannot meet, balance, answer reading."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.arithmetic import evaluate
from paragent.pocket import problems, tasks
from paragent.pocket.problems import Problem

SPLITS = ("dev", "test")


def _problem(family: str, level: int, seed: int) -> Problem:
    return problems.make(family, level, random.Random(seed))


anything = st.builds(
    _problem,
    st.sampled_from(problems.FAMILIES),
    st.sampled_from(problems.LEVELS),
    st.integers(0, 10**6),
)


@pytest.mark.parametrize("split", SPLITS)
def test_splits_are_balanced_in_every_prefix(split: str) -> None:
    """2,000 tasks, 400 a family; any 30 in a row have each (family, level) exactly once."""
    found = tasks.tasks(split)
    assert len(found) == 2000
    assert len({t.id for t in found}) == len({t.question for t in found}) == 2000
    assert set(Counter(t.family for t in found).values()) == {400}
    for start in (0, 30, 600):
        cells = Counter((t.family, t.level) for t in found[start : start + 30])
        assert set(cells.values()) == {1}


def test_no_question_is_in_two_splits() -> None:
    """The hash of the text alone decides, and the two lists keep to it."""
    dev, test = ({t.question for t in tasks.tasks(s)} for s in ("dev", "test"))
    assert not dev & test
    assert {tasks.split_of(q) for q in dev} == {"dev"}
    assert {tasks.split_of(q) for q in test} == {"test"}


def test_tasks_are_pinned() -> None:
    """Ids, questions and answers are part of every stored run: a change here invalidates them."""
    digests = [
        hashlib.sha256(
            "\n".join(t.id + t.question + t.answer for t in tasks.tasks(split)).encode()
        ).hexdigest()[:16]
        for split in SPLITS
    ]
    assert digests == ["d7408bdcff9225aa", "a6ea8435f4cbabcb"]


def test_notes_tell_every_unit_of_the_fixed_world() -> None:
    """One sentence per unit, in the form that training used most."""
    told = dict(re.findall(r"A (\w+) is worth (\d+) coins\.", "\n".join(tasks.notes())))
    assert {w: str(v) for w, v in tasks.world().items()} == told
    assert len(told) == 24


def test_unknown_split_is_refused() -> None:
    """A typing slip must not look like an empty benchmark."""
    with pytest.raises(ValueError, match="'train'"):
        tasks.tasks("train")


@given(anything)
def test_solution_ends_in_the_answer_and_every_sum_is_right(problem: Problem) -> None:
    """Each <<expression>>=result of a solution is what the calculator says."""
    text = problem.solution(calculator=True)
    for expression, result in re.findall(r"<<(.*?)>>=(\d+)", text):
        assert evaluate(expression) == result
    assert tasks.is_correct(problem.answer, text)
    assert tasks.is_correct(problem.answer, problem.solution(calculator=False))
    assert "<<" not in problem.solution(calculator=False)


@given(anything)
def test_plan_leads_to_the_answer(problem: Problem) -> None:
    """The last plan line's result is the answer, and references look backwards only."""
    assert problem.plan_results[-1] == problem.answer
    assert len(problem.plan) == len(problem.plan_results)
    for i, line in enumerate(problem.plan):
        assert all(1 <= int(k) <= i for k in re.findall(r"#(\d+)", line))
    assert not any("#" in line for line in problem.filled_plan())


@given(st.integers(0, 10**6), st.sampled_from(problems.LEVELS))
def test_facts_have_one_reading(seed: int, level: int) -> None:
    """Following the told facts by hand gives the answer; no (relation, person) is told twice."""
    problem = _problem("facts", level, seed)
    told = re.findall(r"The (\w+) of (\w+) is (\w+)\.", problem.question)
    assert len({(r, a) for r, a, _ in told}) == len(told) <= 15
    table = {(r, a): b for r, a, b in told}
    asked = problem.question.rsplit("Who is ", 1)[1].rstrip("?")
    if asked.startswith("the "):
        *relations, person = asked.removeprefix("the ").replace(" of the ", " of ").split(" of ")
        relations.reverse()
    else:
        person, *relations = asked.split("'s ")
    assert len(relations) == level
    for relation in relations:
        person = table[relation, person]
    assert person == problem.answer


@given(st.integers(0, 10**6), st.sampled_from(problems.LEVELS))
def test_schedule_can_be_worked_out_from_the_text(seed: int, level: int) -> None:
    """End = own time + end of what comes before, or the stated start."""
    problem = _problem("schedule", level, seed)
    takes = dict(re.findall(r"(\w+) takes (\d+) minutes", problem.question))
    after = dict(re.findall(r"(\w+) starts after (\w+)", problem.question))
    begin = dict(re.findall(r"(\w+) starts at minute (\d+)", problem.question))

    def end(job: str) -> int:
        return int(takes[job]) + (end(after[job]) if job in after else int(begin[job]))

    goal = re.search(r"does (\w+) end", problem.question)
    assert goal is not None
    assert str(end(goal[1])) == problem.answer


@given(st.integers(0, 10**6), st.sampled_from(problems.LEVELS))
def test_units_follow_their_world(seed: int, level: int) -> None:
    """Amounts times values, plus or minus the coins told, is the answer."""
    problem = _problem("units", level, seed)
    total = sum(
        int(count) * problem.values[word]
        for count, word in re.findall(r"(\d+) (\w+)", problem.question)
        if word in problem.values
    )
    total += sum(map(int, re.findall(r"adds (\d+) coins", problem.question)))
    total -= sum(map(int, re.findall(r"pays (\d+) coins", problem.question)))
    assert str(total) == problem.answer


@given(st.integers(0, 10**6), st.sampled_from(problems.LEVELS))
def test_lists_keep_their_numbers_distinct(seed: int, level: int) -> None:
    """So that "the number after 7" always names one place, for a small model and a reader."""
    for line in _problem("lists", level, seed).plan_results:
        numbers = line.split()
        assert 2 <= len(numbers) <= 5
        assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    ("name", "k", "after"),
    [
        ("reverse", 0, [5, 8, 3]),
        ("first to end", 0, [8, 5, 3]),
        ("last to front", 0, [5, 3, 8]),
        ("swap ends", 0, [5, 8, 3]),
        ("drop first", 0, [8, 5]),
        ("drop last", 0, [3, 8]),
        ("double", 0, [6, 16, 10]),
        ("add", 4, [7, 12, 9]),
        ("append", 4, [3, 8, 5, 4]),
        ("prepend", 4, [4, 3, 8, 5]),
    ],
)
def test_list_operations_by_hand(name: str, k: int, after: list[int]) -> None:
    """Start with 3 8 5."""
    assert problems.apply_list_op(name, k, [3, 8, 5]) == after


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 42", "42"),
        ("1+1=2\nAnswer: 2.", "2"),
        ("Answer: 3\nno, Answer:  4 ", "4"),
        ("ANSWER : Bob!", "bob"),
        ("Answer: [3, 8, 5]", "3 8 5"),
        ("Answer: 1,234", "1234"),
        ("**Answer:** $12", "12"),
        ("Answer:\n7", "7"),
        ("it is\n7", "7"),
        ("Answer:", ""),
        ("", ""),
    ],
)
def test_answers_are_read_from_what_models_write(text: str, answer: str) -> None:
    """The last mark counts; without one, the last line."""
    assert tasks.extract_answer(text) == answer


def test_a_unit_may_follow_a_number_but_nothing_else() -> None:
    """A reply of "12 coins" is 12; "12 7" is a list, and "120" is another number."""
    assert tasks.is_correct("12", "Answer: 12 coins")
    assert tasks.is_correct("Bob", "Answer: bob")
    assert not tasks.is_correct("12", "Answer: 12 7")
    assert not tasks.is_correct("12", "Answer: 120")
    assert not tasks.is_correct("12 7", "Answer: 7 12")


@given(st.text())
def test_reading_an_answer_never_fails(text: str) -> None:
    """Models write anything."""
    assert tasks.extract_answer(text) == tasks.extract_answer(text)

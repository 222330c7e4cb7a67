"""PlanBench: the validator agrees with every gold plan, and nothing a model says breaks it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data

from paragent.benchmarks.planbench import PARTS, domain_of, load, rules
from paragent.environment import Refused
from paragent.errors import UnknownName
from paragent.worlds.strips import Step, read_domain, read_plan, read_problem, valid

PROBLEM = read_problem(
    "(define (problem p) (:objects a b c) (:init (handempty) (ontable a) (ontable b) (on c b)"
    " (clear a) (clear c)) (:goal (and (on a b))))"
)
BLOCKS = domain_of("blocksworld")
PLAN: list[Step] = [("unstack", "c", "b"), ("put-down", "c"), ("pick-up", "a"), ("stack", "a", "b")]


def test_a_plan_is_simulated_step_by_step() -> None:
    """Worked by hand: c must leave b first; every other order of the four actions fails."""
    assert valid(BLOCKS, PROBLEM, PLAN)
    assert not valid(BLOCKS, PROBLEM, PLAN[:-1])
    for i in range(4):
        assert not valid(BLOCKS, PROBLEM, PLAN[:i] + PLAN[i + 1 :])
    assert not valid(BLOCKS, PROBLEM, list(reversed(PLAN)))


def test_what_an_action_lacks_is_named() -> None:
    """For a reader of traces, and for agents that act."""
    with pytest.raises(Refused, match=r"pick-up b is not possible: not \(clear b\)"):
        BLOCKS.apply(PROBLEM.init, ("pick-up", "b"))
    with pytest.raises(Refused, match="stack takes 2 objects, got 1"):
        BLOCKS.apply(PROBLEM.init, ("stack", "a"))
    with pytest.raises(Refused, match="no action 'fly'"):
        BLOCKS.apply(PROBLEM.init, ("fly",))


@pytest.mark.parametrize(
    "text",
    [
        "(unstack c b)\n(put-down c)\n(pick-up a)\n(stack a b)",
        "First (stack a b)? No.\n[PLAN]\nunstack c b\nput-down c\npick-up a\nstack a b\n[PLAN END]",
        "Answer: 1. unstack(c, b) 2. put-down(c) 3. Pick-Up a 4. stack a, b. Then done.",
    ],
)
def test_plans_are_read_as_models_write_them(text: str) -> None:
    """Brackets or none, numbered or not, thoughts before."""
    assert read_plan(text, BLOCKS, PROBLEM.objects) == PLAN


def test_the_disguised_domain_is_the_same_domain() -> None:
    """The gold plan under the other names is valid under the other names only."""
    mystery = domain_of("mystery_blocksworld")
    assert set(mystery.operators) == {"attack", "succumb", "overcome", "feast"}
    assert "craves" in rules(mystery) and "clear" not in rules(mystery)


@pytest.mark.parametrize("part", PARTS)
def test_every_gold_plan_is_valid_and_no_broken_one_is(part: str) -> None:
    """All 1,485 gold plans score 1; without their last action, or for another task, 0."""
    benchmark = load(part, real_data("benchmarks", "planbench"))
    tasks = [*benchmark.tasks("dev"), *benchmark.tasks("test")]
    assert len(tasks) == {p.name: p.rows for p in benchmark.source.parts}[part]
    assert all(benchmark.score(t, t.answer) == 1.0 for t in tasks)
    shorter = [t.answer.rpartition("\n")[0] for t in tasks]
    broken = [benchmark.score(t, s) for t, s in zip(tasks, shorter, strict=True)]
    assert sum(float(b) for b in broken if isinstance(b, float)) == 0.0


def test_an_unknown_part_is_named() -> None:
    """With the nearest right one."""
    with pytest.raises(UnknownName, match="Did you mean 'logistics'"):
        load("logistic")


@given(st.text(max_size=300) | st.text(alphabet="()-abc stackpuown\n", max_size=300))
@settings(max_examples=300)
def test_any_text_is_a_plan_or_none(text: str) -> None:
    """A list of actions of the domain, which the validator judges."""
    plan = read_plan(text, BLOCKS, PROBLEM.objects)
    assert all(step[0] in BLOCKS.operators for step in plan)
    assert valid(BLOCKS, PROBLEM, plan) in (True, False)


def test_a_huge_answer_is_read_quickly() -> None:
    """A megabyte of near-misses, cut at a thousand actions."""
    rng = random.Random(0)
    text = " ".join(rng.choice(["stack", "a", "b(", "pick-up", "(", "a"]) for _ in range(300_000))
    assert len(read_plan(text, BLOCKS, PROBLEM.objects)) <= 1000


def test_what_is_no_pddl_is_refused() -> None:
    """An open bracket, or none."""
    for text in ("", "hello", "(define (domain x)"):
        with pytest.raises(ValueError, match="no PDDL"):
            read_domain(text)

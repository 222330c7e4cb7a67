"""Planning components, worked by hand on a model that answers from a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from asking import answer, by_order, lines, planning, user
from scripted import ScriptedModel, task_run

from paragent.compile import compile_design
from paragent.design import Design

Make = Callable[..., ScriptedModel]


def test_plan_and_solve_carries_the_plan_out(scripted: Make) -> None:
    """Two calls; the agent's own reasoning sees the plan below the question."""
    model = scripted(lines("1. Add.\n2. Halve.", "so Answer: 5"))
    found = answer(planning("plan_and_solve"))
    assert found.text == "5"
    assert user(model.seen[1]) == "Q?\n\nPlan to carry out:\n1. Add.\n2. Halve."
    assert found.full == "1. Add.\n2. Halve.\n\nso Answer: 5"


def test_plan_and_solve_without_a_plan_just_solves(scripted: Make) -> None:
    """An empty plan leaves the question alone."""
    model = scripted(lines("  ", "Answer: 5"))
    assert answer(planning("plan_and_solve")).text == "5"
    assert user(model.seen[1]) == "Q?"


GRAPH = (
    "1: price of a pen (needs nothing)\n2: price of a book (needs nothing)\n3: both (needs 1, 2)"
)


def test_a_task_sees_the_results_of_what_it_needs_and_no_others(scripted: Make) -> None:
    """Pen 2, book 5, both 7: tasks 1 and 2 know nothing of one another, task 3 knows both."""
    model = scripted(
        by_order(
            ("Results of its tasks", "Answer: 7"),
            ("Solve only this task: price of a pen", "Answer: 2"),
            ("Solve only this task: price of a book", "Answer: 5"),
            ("Solve only this task: both", "Answer: 7"),
            ("", GRAPH),
        )
    )
    assert answer(planning("task_graph")).text == "7"
    asked = {user(r).rpartition(": ")[2]: user(r) for r in model.seen if "only this" in user(r)}
    assert "(none are needed)" in asked["price of a book"]
    assert "1: price of a pen -> 2\n2: price of a book -> 5" in asked["both"]
    assert len(model.seen) == 5


def test_independent_tasks_run_at_the_same_time(scripted: Make) -> None:
    """At one second a call: split, (pen, book), both, join are four seconds for five calls."""
    scripted(by_order(("only this task", "Answer: 2"), ("of its tasks", "Answer: 7"), ("", GRAPH)))
    run = task_run()
    asyncio.run(compile_design(Design(planning("task_graph"))).answer(run, "Q?"))
    assert (run.usage.calls, run.usage.latency_s) == (5, 4.0)


def test_steps_of_a_plan_that_need_nothing_run_at_the_same_time(scripted: Make) -> None:
    """1 and 2 side by side, then #1 with #2: plan, wave, wave are three seconds for four calls."""
    plan = "1: cost of pens\n2: cost of books\n3: add #1 and #2"
    scripted(by_order(("Split the problem", plan), ("", "Answer: 2")))
    run = task_run()
    asyncio.run(compile_design(Design(planning("decompose"))).answer(run, "Q?"))
    assert (run.usage.calls, run.usage.latency_s) == (4, 3.0)


def test_waves_are_the_longest_chains() -> None:
    """#3 needs 1 and 2, #4 needs nothing, #5 needs 3 and 4."""
    from paragent.components.decompose import waves

    assert waves(["a", "b of #1", "#1+#2", "d", "#3 and #4"]) == [[0, 3], [1], [2], [4]]


@pytest.mark.parametrize(
    ("text", "graph"),
    [
        ("1: a (needs nothing)\n2: b (needs 1)", [("a", ()), ("b", (0,))]),
        ("1) a\n2) b [need: 1]", [("a", ()), ("b", (0,))]),
        ("1: a\n2: b (needs 1).\n3: c (needs 1 and 2)", [("a", ()), ("b", (0,)), ("c", (0, 1))]),
        ("1: a (needs 2)\n2: b", None),
        ("1: a\n2: b (needs 2)", None),
        ("1: alone", None),
        ("nothing", None),
        ("1: a\n2: (needs 1)", None),
    ],
)
def test_graphs_are_read_strictly(
    text: str, graph: list[tuple[str, tuple[int, ...]]] | None
) -> None:
    """Only earlier tasks can be needed, so no cycle can be written; one task is no graph."""
    from paragent.components.task_graph import read_graph

    assert read_graph(text, 5) == graph


def test_an_unusable_graph_leaves_the_question_to_the_reasoning(scripted: Make) -> None:
    """Two calls: the split and the plain question."""
    model = scripted(lines("1: a (needs 2)\n2: b", "Answer: 4"))
    assert answer(planning("task_graph")).text == "4"
    assert user(model.seen[1]) == "Q?"


def test_deps_explains_a_failed_step_and_plans_anew(scripted: Make) -> None:
    """Step 2 fails; its explanation stands in the request for the new plan, whose step sees what
    step 1 gave. Calls: plan, two steps, explanation, plan, step, answer."""
    model = scripted(
        lines(
            "1: fetch wood\n2: light a fire",
            "Answer: wood",
            "FAILED: no matches",
            "There are no matches; rub sticks.",
            "1: rub sticks",
            "Answer: fire",
            "Answer: warm",
        )
    )
    assert answer(planning("deps", steps=3, replans=1)).text == "warm"
    replan = user(model.seen[4])
    assert "Done so far:\nfetch wood -> wood" in replan
    assert "light a fire -> FAILED: no matches" in replan
    assert "rub sticks." in replan
    assert user(model.seen[6]) == "Q?\n\nDone so far:\nfetch wood -> wood\nrub sticks -> fire"


def test_deps_without_replans_left_answers_with_what_is_done(scripted: Make) -> None:
    """Both plans fail at their first step: plan, step, explanation, plan, step, answer."""
    model = scripted(
        lines("1: fly", "FAILED: no", "Cannot fly.", "1: fly", "FAILED: no", "Answer: walk")
    )
    assert answer(planning("deps", steps=3, replans=1)).text == "walk"
    assert user(model.seen[-1]) == "Q?"
    assert len(model.seen) == 6


@pytest.mark.parametrize(
    ("text", "full", "bad"),
    [
        ("", "", True),
        ("FAILED: no key", "FAILED: no key", True),
        ("7", "<<1/0>>=error: division by zero", True),
        ("7", "<<1/0>>=error: division by zero\nso I divide by one\nand get it\nAnswer: 7", False),
        ("he failed the exam", "he failed the exam", False),
        ("7", "Answer: 7", False),
    ],
)
def test_a_step_fails_by_its_own_words_only(text: str, full: str, bad: bool) -> None:
    """No answer, "FAILED:", or an error of a tool at the end; an error that was mended is none."""
    from paragent.component import Answer
    from paragent.components.deps import failed

    assert failed(Answer(text, full)) is bad

"""Failures leave signs, signs choose edits: the search's refinement without any model."""

from __future__ import annotations

import pytest

from paragent.benchmark import Task
from paragent.chat import TraceStep
from paragent.cli import main
from paragent.component import Context
from paragent.design import Agent, Design, Part, Team
from paragent.lab.refining import summarise
from paragent.outcome import (
    FAILURE_KINDS,
    Evaluation,
    Failed,
    Measured,
    Usage,
    outcome_from_json,
    outcome_to_json,
)
from paragent.refine import ANSWERS, answering, changes
from paragent.registry import components
from paragent.runtime.model import Completion, Message
from paragent.search.mcts import Mcts
from paragent.signs import SIGNS, signs_of, wrong_equation
from paragent.space import DesignSpace
from paragent.testing import toy_evaluation

NOTES = Context(notes=tuple(f"A word{c} is worth {i} coins." for i, c in enumerate("abcdefgh")))
PLAIN = Agent(Part("pocket-s"))


def step(said: str, *seen: Message, finish: str = "stop") -> TraceStep:
    messages = (Message("system", "Answer."), Message("user", "Q?"), *seen)
    return TraceStep("", "m", messages, Completion(said, 1, 1, 0.1, finish=finish))


def signs(wanted: str, answer: str, *steps: TraceStep, question: str = "Q?") -> tuple[str, ...]:
    return signs_of(Task("t", question, wanted), answer, steps, NOTES)


def test_signs_by_hand() -> None:
    """One failure of each kind."""
    assert signs("4", "", step("")) == ("empty",)
    assert signs("4", "", step("", finish="length")) == ("empty", "length")
    assert signs("4", "four apples", step("four apples")) == ("format",)
    assert signs("Ann", "It is Ann, since she is\nthe boss", step("x")) == ("format",)
    assert signs("4", "5", step("so it is 5", finish="length")) == ("length",)
    assert signs("4", "5", step("2 + 2 = 5. Answer: 5")) == ("slip",)
    assert signs("4", "5", step("5", Message("tool", "error: no"))) == ("tool",)
    assert signs("4", "5", step("<<2+>>=error: what>> 5")) == ("tool",)
    assert signs("4", "5", step("5")) == ("number",)
    assert signs("Ann", "Bob", step("Bob")) == ("other",)


def test_a_note_that_was_not_shown_was_not_looked_up() -> None:
    """The sign stands where the question's rare word has a note that no prompt holds; a word that
    all notes share is not rare."""
    question = "How many coins are 3 wordc?"
    assert signs("6", "5", step("5"), question=question) == ("lookup",)
    shown = step("5", Message("user", "Notes:\nA wordc is worth 2 coins."))
    assert signs("6", "5", shown, question=question) == ("number",)
    assert signs("6", "5", step("5"), question="How many coins?") == ("number",)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("12 + 30 = 42", False),
        ("12 + 30 = 43", True),
        ("3 * (4 + 1) = 15, then 15 - 2 = 12", True),
        ("7 / 3 = 2.33", False),
        ("1,200 - 200 = 1,000", False),
        ("x = 5 and 5 = 5", False),
        ("on 2024-01-05 = the fifth", False),
        ("(" * 200 + "1 = 2", False),
    ],
)
def test_wrong_equations(text: str, wrong: bool) -> None:
    """Sums are worked out exactly; what is no sum is none."""
    assert wrong_equation(text) is wrong


def test_signs_are_stored_and_counted_beside_failures() -> None:
    """They survive the store; an evaluation counts them together with failed tasks."""
    outcome = Measured(0.0, Usage(), "5", (), ("slip", "format"))
    assert outcome_from_json(outcome_to_json(outcome)) == outcome
    found = Evaluation(
        Design(PLAIN),
        "dev",
        "search-eval",
        {"a": outcome, "b": Measured(1.0, Usage()), "c": Failed("call-bound", "x")},
    )
    assert found.signs == {"call-bound": 1, "format": 1, "slip": 1}


def test_changes_of_an_edit() -> None:
    """Slot by slot, inside teams too."""
    thinking = Agent(Part("pocket-s"), Part("chain_of_thought"), tools=(Part("calculator"),))
    assert changes(Design(PLAIN), Design(PLAIN)) == ()
    assert changes(Design(PLAIN), Design(thinking)) == (
        "+tool calculator",
        "reasoning chain_of_thought",
        "steps",
    )
    assert changes(Design(thinking), Design(PLAIN)) == ("-tool", "reasoning direct")
    noted = Agent(Part("pocket-s"), memory=Part.of("lookup", k=4))
    more = Agent(Part("pocket-s"), memory=Part.of("lookup", k=8))
    assert changes(Design(PLAIN), Design(noted)) == ("+memory lookup",)
    assert changes(Design(noted), Design(more)) == ("=memory lookup",)
    team = Design(Team(Part("vote"), (PLAIN, PLAIN)))
    assert changes(team, Design(Team(Part("vote"), (PLAIN, noted)))) == ("+memory lookup",)
    assert changes(Design(PLAIN), team) == ("topology vote",)
    assert changes(team, Design(PLAIN)) == ("members",)


def space() -> DesignSpace:
    return DesignSpace(["pocket-s", "pocket-m"], available=frozenset({"notes"}))


def test_edits_that_answer_a_sign() -> None:
    """Missing knowledge calls for a memory, a slip for a calculator."""
    here = space()
    design = here.normalise(Design(PLAIN))
    edits = here.edits(design)
    looked = answering("lookup", design, edits)
    assert looked and all("+memory lookup" in changes(design, d) for d in looked)
    counted = answering("slip", design, edits)
    assert any("+tool calculator" in changes(design, d) for d in counted)
    assert set(looked) | set(counted) < set(edits)
    assert answering("no such sign", design, edits) == []


def test_named_answers_exist() -> None:
    """Every component that answers a sign by its name is registered under it, and every sign and
    kind is one that outcomes can have."""
    named = {words[-1] for a in ANSWERS.values() for c in a if len(words := c.split()) > 1}
    assert named <= {c.name for c in components}
    assert set(ANSWERS) <= {*SIGNS, *FAILURE_KINDS}
    assert set(SIGNS) <= set(ANSWERS)


def test_a_search_refines_by_what_it_was_told() -> None:
    """Where every failure is one that a memory answers, every refining turn adds a memory; without
    signs those turns expand as always."""
    for logged in (("lookup",), ()):
        searcher = Mcts(space(), seed=4, warm_up=4, refine=2)
        for _ in range(16):
            (proposal,) = searcher.ask(1)
            plain = toy_evaluation(proposal.design)
            outcomes = {
                t: Measured(o.score, o.usage, "x", (), logged if o.score < 0.5 else ())
                for t, o in plain.outcomes.items()
                if isinstance(o, Measured)
            }
            searcher.tell(Evaluation(proposal.design, "dev", proposal.purpose, outcomes))
        refined = [n for n in searcher.tree.nodes if n.move == "refine"]
        assert bool(refined) is bool(logged)
        for node in refined:
            before = searcher.design(searcher.tree.nodes[node.parent].design)
            said = changes(before, searcher.design(node.design))
            assert any(c.startswith(("+memory", "=memory", "+tool")) for c in said)


def test_the_lab_summarises_paired_by_seed() -> None:
    """Means per mark; the difference from never refining is taken seed by seed."""
    rows = [
        {"seed": seed, "refine": refine, "scores": {8: 0.5 + 0.1 * seed + gain}}
        for seed in (0, 1, 2)
        for refine, gain in ((0, 0.0), (2, 0.05))
    ]
    never, twice = summarise(rows, [0, 2], [8])
    assert never["gap"] is None and never["score"] == pytest.approx(0.6)
    assert twice["gap"] == pytest.approx([0.05, 0.05, 0.05])


def test_the_lab_refuses_what_it_cannot_measure(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    assert main(["lab", "refine", "--benchmark", "gsm8k"]) == 2
    assert "wanted pocket or pocket_hard" in capsys.readouterr().err
    assert main(["lab", "refine", "--every", "x"]) == 2
    assert "want whole numbers" in capsys.readouterr().err


def test_refine_is_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    """The flag takes a whole number from 0 up."""
    assert main(["search", "--refine", "-1", "--dry-run"]) == 2
    assert "refine is -1; wanted a whole number" in capsys.readouterr().err

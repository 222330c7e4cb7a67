"""Memories: what is put before a question, and what is kept of the steps of long work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedModel, task_run

from paragent.chat import ModelChat
from paragent.compile import compile_design
from paragent.component import Answer, Context, Example, Memory
from paragent.components.experience import CUTS, Experience, beginning
from paragent.components.omission import Omission, blocks
from paragent.components.scratchpad import ROOM, SUMMARY_CHARACTERS, TITLE, Scratchpad
from paragent.design import Agent, Design, Part
from paragent.registry import components
from paragent.retrieval import similar
from paragent.space import DesignSpace

Make = Callable[..., ScriptedModel]


def chat_of(*replies: str, memory: Memory | None = None) -> tuple[ModelChat, ScriptedModel]:
    """A chat whose model says the replies one after the other."""
    left = iter(replies)
    model = ScriptedModel(lambda request: next(left))
    return ModelChat(task_run(), "", model, memory=memory), model


def folded(memory: Memory, steps: Sequence[str], *replies: str) -> list[str]:
    """What the memory keeps of the steps."""
    chat, _ = chat_of(*replies)
    return list(asyncio.run(memory.fold(chat, steps)))


# -- retrieval ------------------------------------------------------------------------------------


def test_words_and_pieces_see_different_likenesses() -> None:
    """By words "dogs" is not "dog"; by pieces of words it is."""
    texts = ("the black dog", "seven white swans", "an old house")
    assert similar(texts, "dogs", 1, "pieces", 0.1) == (0,)
    assert similar(texts, "dogs", 1, "words", 0.0) == ()
    assert similar(texts, "swan", 1, "pieces", 0.1) == (1,)
    assert similar(texts, "swan", 1, "words", 0.0) == ()
    assert similar(texts, "swans", 2, "words") == (1, 0)


@pytest.mark.parametrize("texts", [(), ("",), ("???", "!!!"), ("same", "same", "same", "same")])
def test_texts_with_nothing_to_compare_find_nothing_or_the_first(texts: tuple[str, ...]) -> None:
    """Empty notes, signs only, all the same: no crash, order kept."""
    for unit in ("words", "pieces"):
        found = similar(texts, "same", 2, unit)
        assert found in ((), (0, 1), (0,))


@given(st.lists(st.sampled_from(["red car", "blue car", "green boat", "big red boat"]), max_size=6))
def test_what_is_found_is_ranked_and_ties_go_to_the_earlier(texts: list[str]) -> None:
    """K = 1 is the first of k = all; equal texts come in their order."""
    ranked = similar(tuple(texts), "red boat", 99)
    assert sorted(ranked) == list(range(len(texts)))
    assert similar(tuple(texts), "red boat", 1) == ranked[:1]
    for text in set(texts):
        places = [i for i in ranked if texts[i] == text]
        assert places == sorted(places)


# -- omission -------------------------------------------------------------------------------------

STEPS = [
    "Thought: look it up\nAction: search[x]\nObservation: long text\nof two lines",
    "Thought: add\nAction: calculator[2+2]\nObservation: 4",
    "a step without labels",
    "Thought: done\nAction: finish[4]",
]


def test_a_step_is_read_by_its_labels() -> None:
    """What follows a label belongs to it; a step without any is a thought."""
    assert blocks(STEPS[0]) == [
        ("thought", "Thought: look it up"),
        ("action", "Action: search[x]"),
        ("observation", "Observation: long text\nof two lines"),
    ]
    assert blocks(STEPS[2]) == [("thought", "a step without labels")]
    assert blocks("Action Input: 3") == [("action", "Action Input: 3")]
    assert blocks("") == []


@pytest.mark.parametrize(
    ("omit", "first"),
    [
        ("observation", "Thought: look it up\nAction: search[x]\nObservation: (omitted)"),
        ("thought", "Action: search[x]\nObservation: long text\nof two lines"),
        ("both", "Action: search[x]\nObservation: (omitted)"),
    ],
)
def test_old_steps_are_shortened_and_new_ones_stay(omit: str, first: str) -> None:
    """keep=2: the first two steps lose what `omit` names, the last two stay whole."""
    kept = folded(Omission(omit, 2), STEPS)
    assert kept[0] == first
    assert kept[-2:] == STEPS[-2:]
    assert all("Action:" in step for step in kept[:2]), "what was tried stays"


def test_a_step_of_which_nothing_is_left_goes() -> None:
    """An old step that is a thought alone leaves the list; folding again changes nothing."""
    memory = Omission("thought", 1)
    kept = folded(memory, STEPS)
    assert [k[:6] for k in kept] == ["Action", "Action", "Though"]
    assert folded(memory, kept) == kept


@given(st.lists(st.text(max_size=30), max_size=8), st.sampled_from(["thought", "observation"]))
def test_omission_never_lengthens_a_history_of_thoughts(steps: list[str], omit: str) -> None:
    """Any texts: no more steps than before, the newest untouched, the same twice."""
    memory = Omission(omit, 2)
    kept = folded(memory, steps)
    assert len(kept) <= len(steps)
    assert kept[-2:] == steps[-2:]
    assert folded(memory, steps) == kept


# -- scratchpad -----------------------------------------------------------------------------------


def test_old_steps_become_one_summary_that_the_next_takes_in() -> None:
    """keep=2: five steps stay; the sixth makes a summary of the first four, and so on."""
    chat, model = chat_of("first four", "those and more")
    memory = Scratchpad(2)

    async def work() -> list[list[str]]:
        steps: Sequence[str] = []
        seen = []
        for i in range(1, 10):
            steps = await memory.fold(chat, [*steps, f"step {i}"])
            seen.append(list(steps))
        return seen

    seen = asyncio.run(work())
    assert ROOM == 3
    assert seen[4] == [f"step {i}" for i in range(1, 6)]
    assert seen[5] == [f"{TITLE}first four", "step 5", "step 6"]
    assert seen[8] == [f"{TITLE}those and more", "step 8", "step 9"]
    asked = [request.messages[1].content for request in model.seen]
    assert asked[0] == "step 1\nstep 2\nstep 3\nstep 4"
    assert asked[1].splitlines()[0] == f"{TITLE}first four"
    assert len(asked) == 2, "three steps of room between two summaries"


def test_a_summary_is_bounded_and_an_empty_one_loses_nothing() -> None:
    """A flood is cut; silence keeps the steps."""
    steps = [f"step {i}" for i in range(8)]
    assert len(folded(Scratchpad(2), steps, "word " * 5000)[0]) <= SUMMARY_CHARACTERS + len(TITLE)
    assert folded(Scratchpad(2), steps, " \n ") == steps


def test_the_scratchpad_of_a_design_stays_within_the_declared_bound(scripted: Make) -> None:
    """A reasoning that folds after each of its calls: its bound doubles, and holds."""
    from paragent.component import Component

    async def solve(chat: Any, question: str) -> Answer:
        steps: Sequence[str] = []
        for _ in range(9):
            reply = await chat.ask("Go on.", "\n".join([question, *steps]))
            steps = await chat.fold([*steps, reply.text])
        return Answer("|".join(steps))

    stepwise = Component(
        "stepwise", "reasoning", "goes by steps", lambda: solve, calls=lambda p, inner: 9,
        provides=("steps", "folds"), paper="a test",
    )  # fmt: skip
    components.register(stepwise)
    try:
        scripted(lambda request: "said")
        agent = Agent(Part("scripted"), Part("stepwise"), memory=Part.of("scratchpad", keep=2))
        run = task_run()
        system = compile_design(Design(agent))
        found = asyncio.run(system.answer(run, "Q?"))
        assert found.text == f"{TITLE}said|said|said"
        assert (run.usage.calls, system.max_calls) == (11, 18)
    finally:
        components.unregister("stepwise")


# -- experience -----------------------------------------------------------------------------------

SUMS = (Example("2 red apples and 3 red apples", "5"), Example("one blue boat", "1"))


def recalled(memory: Experience, question: str, *replies: str) -> tuple[str, ScriptedModel]:
    """What is put before the question, and the model that was asked."""
    chat, model = chat_of(*replies)
    return asyncio.run(memory.recall(chat, Context(examples=SUMS), question)), model


def test_a_right_attempt_is_kept_with_its_steps() -> None:
    """One call; its steps stand under the example's question."""
    block, model = recalled(Experience(1), "4 red apples and 1", "2 + 3 = 5\nAnswer: 5")
    assert block == (
        "What worked on similar tasks:\nQ: 2 red apples and 3 red apples\n2 + 3 = 5\nAnswer: 5"
    )
    assert len(model.seen) == 1


def test_of_a_failed_attempt_the_useful_beginning_is_kept() -> None:
    """Wrong at the end: from the first half of its steps the agent gets there, so they stay."""
    wrong = "Count the first: 2\nCount the second: 3\nMultiply: 6\nAnswer: 6"
    block, model = recalled(Experience(1), "apples that are red", wrong, "Add: 5\nAnswer: 5")
    assert block.endswith("Count the first: 2\nCount the second: 3\nAdd: 5\nAnswer: 5")
    assert model.seen[1].messages[1].content == (
        "2 red apples and 3 red apples\nSteps so far:\nCount the first: 2\nCount the second: 3"
    )


def test_what_leads_nowhere_is_left_out() -> None:
    """Wrong from the half and from the quarter too: nothing is shown, 1 + CUTS calls."""
    wrong = "a\nb\nc\nAnswer: 6"
    block, model = recalled(Experience(1), "red apples", wrong, wrong, wrong)
    assert block == ""
    assert len(model.seen) == 1 + CUTS


def test_a_question_that_is_an_example_does_not_see_itself() -> None:
    """Its own answer must not stand in its prompt."""
    block, _ = recalled(Experience(1), SUMS[0].question, "Answer: 1")
    assert "boat" in block
    assert "apples" not in block


@pytest.mark.parametrize(
    ("text", "cut", "begun"),
    [
        ("a\nb\nc\nd", 1, "a\nb"),
        ("a\nb\nc\nd", 2, "a"),
        ("First this. Then that. Last.", 1, "First this."),
        ("Answer: 6", 1, ""),
        ("", 1, ""),
    ],
)
def test_beginnings_are_halves_and_quarters_of_the_steps(text: str, cut: int, begun: str) -> None:
    """Lines are steps; a single line is cut into sentences."""
    assert beginning(text, cut) == begun


def test_experience_is_paid_by_the_design_within_its_bound(scripted: Make) -> None:
    """k=2, all attempts wrong and cut twice: 6 calls for the memory, 1 for the answer."""
    scripted(lambda request: "a\nb\nc\nd\nAnswer: 9")
    agent = Agent(Part("scripted"), memory=Part.of("experience", k=2))
    run = task_run(Context(examples=SUMS))
    system = compile_design(Design(agent))
    asyncio.run(system.answer(run, "apples or boats"))
    assert (run.usage.calls, system.max_calls) == (7, 7)


# -- where they are legal -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory", "why"),
    [
        ("scratchpad", "scratchpad requires folds, instruct"),
        ("omission", "omission requires folds"),
        ("experience", "experience requires examples, instruct"),
        ("few_shot", "few_shot requires examples"),
    ],
)
def test_memories_that_cannot_help_are_not_offered(memory: str, why: str) -> None:
    """A pocket model thinking step by step on the pocket benchmark: refused with the reason."""
    space = DesignSpace(("pocket-s",), available=frozenset({"notes"}))
    design = Design(Agent(Part("pocket-s"), Part("chain_of_thought"), memory=Part(memory)))
    assert any(why in reason for reason in space.check(design))
    assert [c.name for c in space.by_kind["memory"]] == ["lookup"]

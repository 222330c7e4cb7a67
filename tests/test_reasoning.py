"""Reasoning components, worked by hand on a model that answers from a script."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asking import answer, by_order, lines, sure, thinking, user
from scripted import ScriptedModel

from paragent.component import Component, Memory, Tool
from paragent.design import Agent, Part
from paragent.registry import components
from paragent.runtime.cages import cage_tags
from paragent.space import DesignSpace

Make = Callable[..., ScriptedModel]

needs_cage = pytest.mark.skipif(not cage_tags(), reason="no bubblewrap on this machine")


def test_step_back_reasons_from_the_principles_it_named(scripted: Make) -> None:
    """Two calls; the second sees the principles before the question."""
    model = scripted(lines("Momentum is kept.", "So 3.\nAnswer: 3"))
    assert answer(thinking("step_back"), "How fast?").text == "3"
    assert user(model.seen[0]) == "How fast?"
    assert user(model.seen[1]) == "Principles:\nMomentum is kept.\n\nQuestion: How fast?"


def test_step_back_without_principles_just_reasons(scripted: Make) -> None:
    """An empty first reply leaves the question as it is."""
    model = scripted(lines(" ", "Answer: 3"))
    assert answer(thinking("step_back"), "How fast?").text == "3"
    assert user(model.seen[1]) == "How fast?"


def test_least_to_most_shows_every_answer_to_the_next_question(scripted: Make) -> None:
    """Two simpler questions, then the problem itself with both answers in view: 4 calls."""
    model = scripted(
        lines("1: How many boxes?\n2: How many per box?", "Answer: 3", "Answer: 4", "Answer: 12")
    )
    assert answer(thinking("least_to_most"), "How many in all?").text == "12"
    assert "Q: How many boxes?\nA: 3" not in user(model.seen[1])
    assert "Q: How many boxes?\nA: 3" in user(model.seen[2])
    assert "Q: How many per box?\nA: 4" in user(model.seen[3])
    assert len(model.seen) == 4


def test_least_to_most_without_a_list_answers_the_question(scripted: Make) -> None:
    """No numbered line: two calls, the second is the plain question."""
    model = scripted(lines("no idea", "Answer: 1"))
    assert answer(thinking("least_to_most")).text == "1"
    assert user(model.seen[1]) == "Q?"


def test_least_to_most_asks_at_most_the_given_number(scripted: Make) -> None:
    """A list of nine with `questions` 3: 1 + 3 + 1 calls."""
    listed = "\n".join(f"{i}: part {i}" for i in range(1, 10))
    model = scripted(by_order(("simpler questions", listed), ("", "Answer: 1")))
    answer(thinking("least_to_most", questions=3))
    assert len(model.seen) == 5


def test_tree_of_thoughts_follows_the_vote(scripted: Make) -> None:
    """Breadth 2, depth 2: of the four thoughts on level 2 the vote's first is brought to its end.

    Level 1 proposes a and b (both kept without a vote), level 2 proposes c, d below a and e, f
    below b; "Best: 3" is b-e. Calls: 1 + 2 + 1 vote + 1 answer.
    """

    def say(request: object) -> str:
        sent = user(request)  # type: ignore[arg-type]
        if "Option 1" in sent:
            assert "Option 3:\nb\ne" in sent
            return "The third is right.\nBest: 3"
        if "Steps so far:\n(none)" in sent:
            return "1: a\n2: b"
        if "Steps so far:\na" in sent:
            return "1: c\n2: d"
        if sent.endswith("Steps so far:\nb"):
            return "1: e\n2: f"
        return "Answer: 9"

    model = scripted(say)
    assert answer(thinking("tree_of_thoughts", breadth=2, depth=2)).text == "9"
    assert user(model.seen[-1]) == "Q?\n\nSteps so far:\nb\ne"
    assert len(model.seen) == 5


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Best: 3, 1", [2, 0]),
        ("**Best:** 2 and 4", [1, 3]),
        ("Best: 9, 2", [1, 0]),
        ("no vote", [0, 1]),
        ("The best of 4 is clear", [0, 1]),
        ("Best: 1\n... Best: 4", [3, 0]),
    ],
)
def test_votes_are_read_leniently_and_filled_up(text: str, kept: list[int]) -> None:
    """Of four options two are kept: those named, then the first of the others."""
    from paragent.components.tree_of_thoughts import chosen

    assert chosen(text, 4, 2) == kept


@needs_cage
def test_program_of_thought_answers_with_what_the_program_prints_last(scripted: Make) -> None:
    """6 * 7 is computed in the cage; one call."""
    model = scripted(lines("Here:\n```python\nprint('working')\nprint(6 * 7)\n```"))
    assert answer(thinking("program_of_thought")).text == "42"
    assert len(model.seen) == 1


@needs_cage
def test_program_of_thought_mends_a_program_that_fails(scripted: Make) -> None:
    """The error goes back with the program; the second program prints 5."""
    model = scripted(lines("```python\nprint(1/0)\n```", "```python\nprint(5)\n```"))
    assert answer(thinking("program_of_thought", repairs=1)).text == "5"
    assert "ZeroDivisionError" in user(model.seen[1])
    assert "print(1/0)" in user(model.seen[1])


@needs_cage
def test_program_of_thought_gives_up_on_programs_and_thinks(scripted: Make) -> None:
    """Without repairs a silent program leads to one plain call."""
    scripted(lines("```python\nx = 1\n```", "Answer: 8"))
    assert answer(thinking("program_of_thought", repairs=0)).text == "8"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\na = 1\n```", "a = 1"),
        ("```\nfirst\n```\nand\n```py\nsecond\n```", "second"),
        ("```python\nnever closed", "never closed"),
        ("print(1)", "print(1)"),
        ("", ""),
    ],
)
def test_the_program_is_found_in_the_reply(text: str, code: str) -> None:
    """The last closed block, else an open one, else all of it."""
    from paragent.components.program_of_thought import code_of

    assert code_of(text) == code


def test_react_acts_observes_and_answers(scripted: Make) -> None:
    """The calculator gets 6*7; what the model made up after its action is cut off."""
    model = scripted(
        lines(
            "Thought: multiply.\nAction: calculator[6*7]\nObservation: 41\nAnswer: 41",
            "Thought: done.\nAnswer: 42",
        )
    )
    agent = Agent(Part("scripted"), Part("react"), tools=(Part("calculator"),))
    assert answer(agent).text == "42"
    assert user(model.seen[1]) == (
        "Q?\n\nThought: multiply.\nAction: calculator[6*7]\nObservation: 42"
    )
    assert "calculator: Exact arithmetic" in model.seen[0].messages[0].content


def test_react_reads_errors_as_observations_and_ends_by_itself(scripted: Make) -> None:
    """An unknown tool is an observation; the last of six turns has no action left."""
    model = scripted(
        lambda r: "Answer: 5" if "No action is left" in r.messages[0].content else "Action: fly[up]"
    )
    assert answer(thinking("react", steps=6)).text == "5"
    assert len(model.seen) == 6
    assert "Observation: error: there is no tool called 'fly'" in user(model.seen[1])


@pytest.mark.parametrize(
    ("text", "tool", "argument"),
    [
        ("Thought: x\nAction: search[old (red) barn]", "search", "old (red) barn"),
        ("Action 1: calculator(6*(2+5))", "calculator", "6*(2+5)"),
        ("**Action:** sql: select 1", "sql", "select 1"),
        ("Action: `look`", "look", ""),
        ('Action: convert[{"value": 3}]', "convert", '{"value": 3}'),
        ("Action: stop", "stop", ""),
    ],
)
def test_actions_are_read_in_every_common_form(text: str, tool: str, argument: str) -> None:
    """Brackets, parentheses, a colon, marks of Markdown, or a name alone."""
    from paragent.components.react import read_action

    found = read_action(text)
    assert found is not None
    assert found[1:] == (tool, argument)


def test_react_steps_pass_the_memorys_fold(scripted: Make) -> None:
    """A memory that keeps only the last step: the third turn sees the second action alone."""

    class Last(Memory):
        async def fold(self, chat: object, steps: object) -> list[str]:
            return list(steps)[-1:]  # type: ignore[call-overload, no-any-return]

    tool = Tool("echo", "says it again", lambda text: text, "", "")
    parts = (
        Component("last_only", "memory", "the last step", Last, paper="test"),
        Component("echo", "tool", "an echo", lambda: tool, paper="test"),
    )
    for part in parts:
        components.register(part)
    try:
        model = scripted(lines("Action: echo[one]", "Action: echo[two]", "Answer: 3"))
        agent = Agent(
            Part("scripted"), Part("react"), memory=Part("last_only"), tools=(Part("echo"),)
        )
        assert answer(agent).text == "3"
        assert user(model.seen[2]) == "Q?\n\nAction: echo[two]\nObservation: two"
    finally:
        for part in parts:
            components.unregister(part.name)


def test_reflexion_tries_again_with_what_it_learned(scripted: Make) -> None:
    """Try, verdict wrong, reflection, second try: the reflection stands in its question."""
    model = scripted(
        lines("Answer: 4", "2+3 is 5.\nVerdict: wrong", "I added wrongly.", "Answer: 5")
    )
    assert answer(thinking("reflexion", tries=2)).text == "5"
    assert "1. I added wrongly." in user(model.seen[3])
    assert "A check found:\n2+3 is 5." in user(model.seen[2])


def test_reflexion_stops_where_its_own_check_finds_nothing(scripted: Make) -> None:
    """A right verdict, or one that cannot be read, ends it after two calls."""
    for said in ("Verdict: right", "hm"):
        model = scripted(lines("Answer: 4", said), f"m{len(said)}")
        agent = Agent(Part(f"m{len(said)}"), Part.of("reflexion", tries=3))
        assert answer(agent).text == "4"
        assert len(model.seen) == 2


def test_reflexion_sees_cheap_signals_without_a_judge(scripted: Make) -> None:
    """With signal "cheap" an empty answer is a failure, and a good one needs no check."""
    model = scripted(lines("Answer:", "I said nothing.", "Answer: 4"))
    assert answer(thinking("reflexion", tries=3, signal="cheap")).text == "4"
    assert "No answer was given." in user(model.seen[1])
    assert len(model.seen) == 3


def test_a_tools_error_is_a_failure_signal() -> None:
    """The last error a tool told is what failed; a word "error" in a sentence is none."""
    from paragent.component import Answer
    from paragent.components.reflexion import failure_of

    assert failure_of(Answer("", "")) == "No answer was given."
    assert failure_of(Answer("3", "<<1/0>>=error: division by zero\nAnswer: 3")) == (
        "A tool reported: error: division by zero"
    )
    assert failure_of(Answer("3", "An error: no, an omission.\nAnswer: 3")) == ""


def test_recursive_reflection_answers_from_the_improved_thoughts(scripted: Make) -> None:
    """Think, reflect, improve, conclude: 4 calls; "all" shows the first thoughts too."""
    said = ("first thoughts", "the second step is wrong", "better thoughts", "Answer: 7")
    model = scripted(lines(*said, *said))
    assert answer(thinking("recursive_reflection", rounds=1, final="last")).text == "7"
    assert "first thoughts" in user(model.seen[2])
    assert "the second step is wrong" in user(model.seen[2])
    assert "first thoughts" not in user(model.seen[3])
    assert answer(thinking("recursive_reflection", rounds=1, final="all")).text == "7"
    assert "first thoughts\n\nbetter thoughts" in user(model.seen[7])


def test_iterative_decoding_refines_the_best_by_its_feedback(scripted: Make) -> None:
    """4 of 10, then 3 of 10: the first candidate stands, though the second is newer."""
    model = scripted(
        lines("Answer: 1", "Check the sum.\nScore: 4", "Answer: 2", "Worse.\nScore: 3")
    )
    assert answer(thinking("iterative_decoding", rounds=2)).text == "1"
    assert "Best solution so far:\nAnswer: 1\n\nFeedback on it:\nCheck the sum." in user(
        model.seen[2]
    )
    assert [r.temperature for r in model.seen] == [0.0, 0.0, 0.7, 0.0]


def test_iterative_decoding_keeps_the_best_of_all_rounds(scripted: Make) -> None:
    """Scores 4, 2, 9 over three rounds: the third candidate; the second never is shown."""
    model = scripted(
        lines("Answer: 1", "Score: 4", "Answer: 2", "Score: 2", "Answer: 3", "Score: 9")
    )
    assert answer(thinking("iterative_decoding", rounds=3)).text == "3"
    assert "Best solution so far:\nAnswer: 1" in user(model.seen[4])


def test_iterative_decoding_stops_at_a_full_score(scripted: Make) -> None:
    """10 of 10 in the first round: two calls."""
    model = scripted(lines("Answer: 1", "Score: 10"))
    assert answer(thinking("iterative_decoding", rounds=3)).text == "1"
    assert len(model.seen) == 2


def test_the_control_has_as_many_calls_and_no_feedback(scripted: Make) -> None:
    """Scores 3 and 8 of two: the second stands; no candidate sees another one."""
    model = scripted(
        by_order(("Solution:\nAnswer: 1", "Score: 3"), ("Solution:\nAnswer: 2", "Score: 8"))
    )
    inner, draws = model.script, iter(("Answer: 1", "Answer: 2"))
    model.script = lambda r: inner(r) if "Solution:" in user(r) else next(draws)
    assert answer(thinking("judged_best_of_n", n=2)).text == "2"
    assert {user(r) for r in model.seen if "Solution:" not in user(r)} == {"Q?"}
    refined = components["iterative_decoding"].calls({"rounds": 2, "width": 1}, [])
    assert len(model.seen) == components["judged_best_of_n"].calls({"n": 2}, []) == refined


def test_confident_decoding_mends_while_that_makes_it_surer(scripted: Make) -> None:
    """0.5, then 0.8, then 0.6: the second stands; a repair that is no surer at once ends it."""
    model = scripted(lines(sure("Answer: 1", 0.5), sure("Answer: 2", 0.8), sure("Answer: 3", 0.6)))
    assert answer(thinking("confident_decoding", rounds=3)).text == "2"
    assert user(model.seen[2]) == "Q?\nDraft: Answer: 2"
    model.script = lines(sure("Answer: 1", 0.9), sure("Answer: 2", 0.9))
    model.seen.clear()
    assert answer(thinking("confident_decoding", rounds=3)).text == "1"
    assert len(model.seen) == 2


def test_analogical_asks_once_for_problems_and_solution(scripted: Make) -> None:
    """One call that names the number of problems to recall."""
    model = scripted(lines("Problem 1 ... Answer: 5"))
    assert answer(thinking("analogical", problems=3)).text == "5"
    assert "recall 3 problems" in model.seen[0].messages[0].content


def test_buffer_of_thoughts_fetches_the_way_that_fits(scripted: Make) -> None:
    """A distilled scheduling problem gets the template for schedules."""
    model = scripted(lines("Schedule of jobs with durations; when does X end?", "Answer: 9"))
    assert answer(thinking("buffer_of_thoughts"), "When does job X end?").text == "9"
    assert "what must come before it" in user(model.seen[1])


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("How many apples are left, and what do they cost in total?", "its unit"),
        ("Reverse the list, then sort it and rotate it.", "one operation at a time"),
        ("What is the probability of two sixes with two dice?", "one outcome"),
        ("\x00", "Name every quantity"),
    ],
)
def test_the_buffer_knows_the_kinds_of_problems(problem: str, words: str) -> None:
    """The nearest way of solving; the first one for what is like none."""
    from paragent.components.buffer_of_thoughts import fetch

    assert words in fetch(problem)


def test_pocket_models_are_not_offered_what_they_cannot_follow(scripted: Make) -> None:
    """A pocket model follows no free instructions: such reasoning is illegal there, with a reason,
    and never offered; it is legal for a model that does."""
    from paragent.design import Design

    space = DesignSpace(("pocket-s",), available=frozenset({"cage"}))
    assert space.check(Design(Agent(Part("pocket-s"), Part("react")))) == [
        "root.reasoning: react requires instruct, which model pocket-s does not give"
    ]
    offered = {c.name for c in space.by_kind["reasoning"]}
    assert {"direct", "chain_of_thought"} <= offered
    assert not offered & {"react", "reflexion", "step_back", "program_of_thought"}


def test_what_helps_no_pocket_model_is_offered_only_when_named() -> None:
    """Repairs by log-probability run on pocket models and did not help there: `include` offers
    them, nothing else does."""
    from paragent.design import Design

    design = Design(Agent(Part("pocket-s"), Part("confident_decoding")))
    assert DesignSpace(("pocket-s",)).check(design) == [
        "root.reasoning: confident_decoding is not among the chosen components"
    ]
    named = DesignSpace(("pocket-s",), include=("direct", "confident_decoding"))
    assert named.check(named.normalise(design)) == []
    assert {c.name for c in named.by_kind["reasoning"]} == {"direct", "confident_decoding"}


def test_a_model_without_judgement_gets_no_judge() -> None:
    """`provides: [instruct]` in models.yaml leaves out what needs a judge or a coder."""
    from paragent.design import Design
    from paragent.runtime.models_file import component, read_models

    text = "models: {talker: {base_url: 'http://h/v1', provides: [instruct]}}"
    talker = component(read_models(text, "t")["talker"])
    components.register(talker)
    try:
        space = DesignSpace(("talker",), available=frozenset({"cage"}))
        offered = {c.name for c in space.by_kind["reasoning"]}
        assert "step_back" in offered and "best_of_n" in offered
        assert not offered & {"reflexion", "tree_of_thoughts", "program_of_thought"}
        guard = Part("verifier_gate")
        (why,) = space.check(Design(Agent(Part("talker"), Part("direct"), guard=guard)))
        assert why == "root.guard: verifier_gate requires judge, which model talker does not give"
    finally:
        components.unregister("talker")

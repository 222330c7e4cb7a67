"""What each component does, on a model that answers from a script."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable, Iterator

import pytest
from scripted import ScriptedModel, task_run

from paragent.compile import compile_design
from paragent.component import Answer, Context, Example, final_answer, together
from paragent.design import Agent, Design, Node, Part, Team
from paragent.errors import CallFailure, InvalidDesign
from paragent.runtime.model import Completion, Request

Make = Callable[..., ScriptedModel]


def answer(node: Node, question: str = "Q?", context: Context | None = None) -> Answer:
    """The design's answer to one question."""
    return asyncio.run(compile_design(Design(node)).answer(task_run(context), question))


def agent(**slots: object) -> Agent:
    """An agent on the scripted model."""
    return Agent(Part(str(slots.pop("model", "scripted"))), **slots)  # type: ignore[arg-type]


def lines(*texts: str) -> Callable[[Request], str]:
    """A script that says one text after the other."""
    left: Iterator[str] = iter(texts)
    return lambda request: next(left)


def test_direct_asks_once_and_takes_what_follows_the_mark(scripted: Make) -> None:
    """One call; the answer is the text after "Answer:"."""
    model = scripted(lambda r: "Answer: 42")
    assert answer(agent(reasoning=Part("direct"))).text == "42"
    assert model.seen[0].messages[0].content == "Answer with the final answer only."
    assert len(model.seen) == 1


def test_role_and_tools_stand_in_the_system_text(scripted: Make) -> None:
    """The role comes first, and the calculator adds its clause to a step-by-step instruction."""
    model = scripted(lambda r: "Answer: 1")
    answer(agent(reasoning=Part("chain_of_thought"), tools=(Part("calculator"),), role="solver"))
    assert model.seen[0].messages[0].content == (
        "You are the solver agent. Think step by step. Use the calculator by writing "
        "<<expression>>, then give the final answer."
    )
    assert [t.name for t in model.seen[0].tools] == ["calculator"]


def test_self_consistency_takes_the_most_frequent_answer(scripted: Make) -> None:
    """Three draws 7, 8, 7 give 7, with two thirds of the votes as confidence."""
    model = scripted(lines("Answer: 7", "Answer: 8", "Answer: 7"))
    found = answer(agent(reasoning=Part.of("self_consistency", n=3, temperature=0.7)))
    assert found.text == "7"
    assert found.confidence == pytest.approx(2 / 3)
    assert len({r.sample for r in model.seen}) == 3, "independent draws"
    assert len({r.seed for r in model.seen}) == 3


def test_best_of_n_keeps_the_most_probable_reply(scripted: Make) -> None:
    """Of three replies the one with the highest confidence stands, whatever the majority says."""
    replies = iter(
        Completion(f"Answer: {a}", 1, 1, 0.0, confidence=c)
        for a, c in (("1", 0.5), ("2", 0.9), ("1", 0.6))
    )
    scripted(lambda r: next(replies))
    assert answer(agent(reasoning=Part.of("best_of_n", n=3))).text == "2"


def test_self_refine_stops_when_nothing_changes(scripted: Make) -> None:
    """Draft 5, repair says 5 again: no second round."""
    model = scripted(lines("so Answer: 5", "Answer: 5"))
    assert answer(agent(reasoning=Part.of("self_refine", rounds=2))).text == "5"
    assert model.seen[1].messages[1].content == "Q?\nDraft: so Answer: 5"
    assert len(model.seen) == 2


def test_self_refine_takes_the_repaired_answer(scripted: Make) -> None:
    """Draft 5, repair says 6: 6 stands."""
    scripted(lines("Answer: 5", "Answer: 6"))
    assert answer(agent(reasoning=Part.of("self_refine", rounds=1))).text == "6"


def test_decompose_puts_earlier_results_into_later_steps(scripted: Make) -> None:
    """3*18 = 54 by the calculator, then the model sees "24+54" for the line 24+#1."""
    model = scripted(lines("1: 3*18\n2: 24 and #1 together", "Answer: 78"))
    found = answer(agent(planning=Part.of("decompose", by="calculator")))
    assert found.text == "78"
    assert model.seen[1].messages[1].content == "Q?\nStep: 24 and 54 together"


def test_decompose_without_a_usable_plan_falls_back_to_the_reasoning(scripted: Make) -> None:
    """A plan that refers forward is no plan: the agent answers as it would without it."""
    model = scripted(lines("1: #2 + 1\n2: 3", "Answer: 4"))
    assert answer(agent(planning=Part("decompose"))).text == "4"
    assert model.seen[1].messages[0].content == "Answer with the final answer only."


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("1: 3*18\n2: 24+#1", ["3*18", "24+#1"]),
        ("Here is my plan.\nStep 1. add\n2) take #1", ["add", "take #1"]),
        ("2: late start", None),
        ("1: a\n3: gap", None),
        ("1: #1", None),
        ("no plan", None),
        ("\n".join(f"{i}: x" for i in range(1, 10)), None),
    ],
)
def test_plans_are_read_strictly(text: str, steps: list[str] | None) -> None:
    """Numbered from 1 without gaps, backward references only, at most eight lines."""
    from paragent.components.decompose import read_plan

    assert read_plan(text) == steps


def test_lookup_puts_only_the_notes_that_bear_on_the_question(scripted: Make) -> None:
    """The plural "blicks" finds the note on a blick; an unrelated note stays out."""
    model = scripted(lambda r: "Answer: 14")
    notes = ("A blick is worth 7 coins.", "A dax is worth 3 coins.", "A wug is worth 9 coins.")
    answer(agent(memory=Part.of("lookup", k=4)), "How much are 2 blicks?", Context(notes=notes))
    assert model.seen[0].messages[1].content == (
        "Notes:\nA blick is worth 7 coins.\n\nHow much are 2 blicks?"
    )


def test_lookup_without_notes_leaves_the_question_alone(scripted: Make) -> None:
    """No notes, no block."""
    model = scripted(lambda r: "Answer: 1")
    answer(agent(memory=Part("lookup")))
    assert model.seen[0].messages[1].content == "Q?"


def test_few_shot_shows_the_nearest_example_last(scripted: Make) -> None:
    """The most similar example stands next to the question."""
    model = scripted(lambda r: "Answer: 1")
    shown = (Example("red apples", "1"), Example("blue cars", "2"), Example("blue apples", "3"))
    answer(agent(memory=Part.of("few_shot", k=3)), "blue cars?", Context(examples=shown))
    content = model.seen[0].messages[1].content
    assert content.index("Q: red apples") < content.index("Q: blue cars")
    assert content.endswith("Q: blue cars\nA: 2\n\nblue cars?")


def say(**by_model: str) -> Callable[[str], Callable[[Request], str]]:
    """A script per model name."""
    return lambda name: lambda request: by_model[name]


def test_vote_takes_the_plurality(scripted: Make) -> None:
    """Two say 3, one says 4."""
    for name, text in (("a", "3"), ("b", "4"), ("c", "3")):
        scripted(lambda r, t=text: f"Answer: {t}", name)
    team = Team(Part("vote"), tuple(agent(model=m) for m in "abc"))
    assert answer(team).text == "3"


def test_vote_by_confidence_takes_the_surest_member(scripted: Make) -> None:
    """Rule "confident": 0.9 beats two votes of 0.5."""
    scripted(lambda r: "Answer: 3", "a")
    scripted(lambda r: Completion("Answer: 4", 1, 1, 0.0, confidence=0.9), "b")
    team = Team(
        Part.of("vote", rule="confident"), (agent(model="a"), agent(model="b"), agent(model="a"))
    )
    assert answer(team).text == "4"


def test_cascade_stops_at_the_first_confident_member(scripted: Make) -> None:
    """0.95 is above the threshold 0.9: the second member is never asked."""
    scripted(lambda r: Completion("Answer: 1", 1, 1, 0.0, confidence=0.95), "a")
    second = scripted(lambda r: "Answer: 2", "b")
    team = Team(Part.of("cascade", threshold=0.9), (agent(model="a"), agent(model="b")))
    assert answer(team).text == "1"
    assert not second.seen


def test_cascade_passes_on_what_is_not_confident(scripted: Make) -> None:
    """Below the threshold the next member answers; keep=last takes it though it is less sure."""
    scripted(lambda r: Completion("Answer: 1", 1, 1, 0.0, confidence=0.8), "a")
    scripted(lambda r: "Answer: 2", "b")
    members = (agent(model="a"), agent(model="b"))
    assert answer(Team(Part.of("cascade", threshold=0.9, keep="last"), members)).text == "2"
    assert answer(Team(Part.of("cascade", threshold=0.9, keep="best"), members)).text == "1"


def test_generate_verify_repairs_only_where_the_two_differ(scripted: Make) -> None:
    """Agreement ends it after two calls; a difference sends the surer draft to the generator."""
    one = scripted(lambda r: "Answer: 1", "a")
    two = scripted(lambda r: "Answer: 1", "b")
    team = Team(Part("generate_verify"), (agent(model="a"), agent(model="b")))
    assert answer(team).text == "1"
    assert (len(one.seen), len(two.seen)) == (1, 1)
    two.script = lambda r: Completion("Answer: 2", 1, 1, 0.0, confidence=0.9)
    one.script = lines("Answer: 1", "Answer: 2")
    one.seen.clear()
    assert answer(team).text == "2"
    assert one.seen[1].messages[1].content == "Q?\nDraft: Answer: 2"


def test_orchestrator_hands_the_question_to_the_named_member(scripted: Make) -> None:
    """The lead says "facts"; the member with that role answers, the other is not asked."""
    lead = scripted(lambda r: "Answer: facts", "lead")
    sums = scripted(lambda r: "Answer: 1", "a")
    scripted(lambda r: "Answer: Ann", "b")
    team = Team(
        Part("orchestrator"),
        (agent(model="a", role="sums"), agent(model="b", role="facts")),
        lead=agent(model="lead"),
    )
    assert answer(team).text == "Ann"
    assert lead.seen[0].messages[1].content == "Agents: sums, facts\nQuestion: Q?"
    assert not sums.seen


def test_a_member_with_several_skills_is_offered_under_each() -> None:
    """facts+lists owns both names; a name two members share belongs to the first."""
    from paragent.components.orchestrator import offers

    assert offers(["sums", "facts+lists", "lists"]) == (["sums", "facts", "lists"], [0, 1, 1])


@pytest.mark.parametrize(
    ("said", "index"), [("Facts.", 1), ("fact", 1), ("", 0), ("nobody", 0), ("sums and more", 0)]
)
def test_orchestrator_reads_names_leniently(said: str, index: int) -> None:
    """Case, a full stop and a prefix do not matter; nonsense goes to the first member."""
    from paragent.components.orchestrator import choose

    assert choose(["sums", "facts"], said) == index


def test_latency_is_the_longest_chain_not_the_sum(scripted: Make) -> None:
    """Two members at one second each, side by side: one second; a cascade of two: two."""
    scripted(lambda r: "Answer: 1")
    for topology, seconds in (("vote", 1.0), ("cascade", 2.0)):
        run = task_run()
        team = Team(Part(topology), (agent(), agent()))
        asyncio.run(compile_design(Design(team)).answer(run, "Q?"))
        assert run.usage.latency_s == seconds
        assert run.usage.calls == 2


def test_usage_counts_tokens_and_dollars(scripted: Make) -> None:
    """7 + 1 prompt words at $1 and 2 completion words at $2 per million: $12e-6."""
    scripted(lambda r: "Answer: 1")
    run = task_run()
    asyncio.run(compile_design(Design(agent())).answer(run, "Q?"))
    assert (run.usage.prompt_tokens, run.usage.completion_tokens) == (7, 2)
    assert run.usage.usd == pytest.approx(11e-6)


def test_text_protocol_answers_tools_by_turns(scripted: Make) -> None:
    """A model without tool calling writes <<17*3>>, reads =51 in the next turn, and goes on."""
    model = scripted(lines("17 boxes of 3: <<17*3", " so Answer: 51"), tool_protocol="text")
    found = answer(agent(reasoning=Part("chain_of_thought"), tools=(Part("calculator"),)))
    assert found.text == "51"
    assert found.full == "17 boxes of 3: <<17*3>>=51 so Answer: 51"
    assert model.seen[1].messages[-1].content == "=51"


def test_native_tool_calls_are_answered_and_errors_are_told_to_the_model(scripted: Make) -> None:
    """A tool that raises becomes an error text for the model, never a crash."""
    from paragent.runtime.model import ToolCall

    wish = Completion(
        "", 1, 1, 0.0, tool_calls=(ToolCall("c1", "calculator", '{"expression": "1/0"}'),)
    )
    replies: Iterator[Completion | str] = iter([wish, "Answer: none"])
    model = scripted(lambda r: next(replies), tool_protocol="native")
    assert answer(agent(reasoning=Part("chain_of_thought"), tools=(Part("calculator"),))).text
    assert model.seen[1].messages[-1].content == "error: division by zero"
    assert model.seen[1].messages[-1].tool_call_id == "c1"


@pytest.mark.parametrize("cancels", [1, 2])
def test_steps_cancelled_before_they_began_are_closed(cancels: int) -> None:
    """Ctrl-C between the start of two steps and their first move leaves no warning behind."""

    async def step() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        job = asyncio.ensure_future(together([step(), step()]))
        await asyncio.sleep(0)
        for _ in range(cancels):
            job.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(job, return_exceptions=True)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        asyncio.run(main())
        gc.collect()
    assert [str(w.message) for w in said] == []


def test_more_calls_than_declared_stop_the_component(scripted: Make) -> None:
    """The task's call bound is the design's declared one; a component that loops is stopped."""
    scripted(lambda r: "Answer: 1")
    system = compile_design(Design(agent()))
    run = task_run()
    run.asks_left = 0
    with pytest.raises(CallFailure) as caught:
        asyncio.run(system.answer(run, "Q?"))
    assert caught.value.kind == "call-bound"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Answer: 42", "42"),
        ("a\nAnswer: 1\nAnswer:  2 \nmore", "2"),
        ("no mark\nlast line ", "last line"),
        ("", ""),
        ("Answer:", ""),
        ("so **Answer:** 42", "42"),
        ("**Answer: `4 * 2`**\n", "4 * 2"),
        ("it is\n**42**", "42"),
    ],
)
def test_final_answer(text: str, found: str) -> None:
    """The first line after the last mark, else the last line."""
    assert final_answer(text) == found


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            {"agent": {"model": "scripted", "reasoning": {"self_consistency": {"m": 3}}}},
            "root.reasoning: self_consistency has no parameter 'm'",
        ),
        (
            {"agent": {"model": "scripted", "reasoning": {"self_consistency": {"n": "x"}}}},
            "root.reasoning: .* cannot be built: ValueError",
        ),
        (
            {"team": {"topology": "vote", "members": [{"agent": {"model": "scripted"}}]}},
            "vote needs no lead and at least 2 members",
        ),
        (
            {
                "team": {
                    "topology": "orchestrator",
                    "members": [{"agent": {"model": "scripted"}}] * 2,
                }
            },
            "orchestrator needs a lead and at least 2 members",
        ),
    ],
)
def test_a_hand_written_design_that_cannot_run_is_told_with_its_path(
    scripted: Make, data: dict[str, object], words: str
) -> None:
    """Wrong parameters, too few members and a missing lead are the user's mistakes, not crashes."""
    scripted(lambda r: "a")
    with pytest.raises(InvalidDesign, match=words):
        compile_design(Design.from_data(data))

"""Prompts as templates: places, what a user puts for them, and where that holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from asking import answer, lines, thinking, user
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedModel, task_run

from paragent.compile import compile_design
from paragent.config import RunConfig
from paragent.design import Agent, Design, Part, Team
from paragent.errors import ConfigError, InvalidDesign, UsageError
from paragent.parts import templates
from paragent.registry import components
from paragent.space import DesignSpace
from paragent.template import Prompt, flat, in_force, nested

Make = Callable[..., ScriptedModel]

ASK = Prompt("x.ask", "Solve {question} with {tools}, then {question}.")


def test_places_are_filled_once_and_tools_stay() -> None:
    """What is filled in is not read for places again; the chat fills in the tools."""
    assert ASK.places == ("question", "tools")
    assert ASK(question="{tools}{question}") == (
        "Solve {tools}{question} with {tools}, then {tools}{question}."
    )


def test_a_text_in_force_stands_for_its_template_alone() -> None:
    """Inside it holds, outside and for other templates it does not."""
    other = Prompt("x.other", "{question}")
    with in_force([("x.ask", "Do {question}{tools}!")]):
        assert ASK(question="it") == "Do it{tools}!"
        assert other(question="it") == "it"
        with in_force([]):
            assert ASK(question="it").startswith("Solve it")
    assert ASK(question="it").startswith("Solve it")


@given(st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), st.text())))
def test_nested_and_flat_are_inverse(data: dict[str, dict[str, str]]) -> None:
    """But for components without any text, which say nothing."""
    assert nested(flat(data)) == {key: parts for key, parts in data.items() if parts}


def test_every_template_names_its_component_and_each_once() -> None:
    """Names are unique in the whole library, and no text is empty."""
    names = [p.name for prompts in templates().values() for p in prompts]
    assert len(set(names)) == len(names)
    assert all(p.text.strip() for prompts in templates().values() for p in prompts)
    assert {"direct", "step_back", "rectify_or_reject", "task_graph"} <= set(templates())


DESIGN = """
agent: {model: scripted, reasoning: chain_of_thought}
prompts:
  chain_of_thought:
    think: "Reason in French{tools}, then answer."
"""


def test_a_designs_own_texts_are_what_its_model_reads(scripted: Make) -> None:
    """They travel with the design, through its canonical form and its hash."""
    model = scripted(lambda r: "Answer: 1")
    design = Design.from_yaml(DESIGN)
    assert Design.from_data(design.to_data()) == design
    assert design.hash != Design(design.root).hash
    asyncio.run(compile_design(design).answer(task_run(), "Q?"))
    assert model.seen[0].messages[0].content == "Reason in French, then answer."


def test_designs_side_by_side_keep_their_own_texts(scripted: Make) -> None:
    """Twenty tasks of two designs on one loop: no text leaks from one to the other."""
    model = scripted(lambda r: "Answer: 1")
    systems = [compile_design(Design.from_yaml(DESIGN)), compile_design(Design(thinking("direct")))]

    async def both() -> None:
        await asyncio.gather(*(s.answer(task_run(), f"Q{i}") for i in range(10) for s in systems))

    asyncio.run(both())
    said = [r.messages[0].content for r in model.seen]
    assert said.count("Reason in French, then answer.") == 10
    assert said.count("Answer with the final answer only.") == 10


def test_questions_can_be_reworded_too(scripted: Make) -> None:
    """The template of the second question, with both of its places."""
    model = scripted(lines("facts", "Answer: 1"))
    given_text = (("step_back.question", "{question} (knowing {principles})"),)
    assert answer(thinking("step_back"), prompts=given_text).text == "1"
    assert user(model.seen[1]) == "Q? (knowing facts)"


THINK = "prompts.chain_of_thought.think: "


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        (
            {"chain_of_tought": {"think": "x"}},
            "prompts.chain_of_tought: no component with templates is called 'chain_of_tought'. "
            "Did you mean 'chain_of_thought'?",
        ),
        (
            {"chain_of_thought": {"thnk": "x"}},
            "prompts.chain_of_thought.thnk: no template of chain_of_thought is called 'thnk'. "
            "Did you mean 'think'?",
        ),
        ({"chain_of_thought": {"think": "x"}}, f"{THINK}the text leaves out {{tools}}"),
        (
            {"chain_of_thought": {"think": "x {tool}"}},
            f"{THINK}no place is called '{{tool}}'. Did you mean '{{tools}}'?",
        ),
        ({"chain_of_thought": {"think": 3}}, f"{THINK}got 3; wanted a text"),
        ({"chain_of_thought": "x"}, "prompts.chain_of_thought: got 'x'; wanted names of templates"),
        (["x"], "prompts: got ['x']; wanted names of components"),
        ({"lookup": {"x": "y"}}, "prompts.lookup: no component with templates is called 'lookup'"),
    ],
)
def test_mistakes_are_told_with_their_path_and_the_nearest_name(
    scripted: Make, prompts: object, words: str
) -> None:
    """In a design file and in the settings of a search, before anything is spent."""
    from paragent.api import check

    scripted(lambda r: "a")
    data = {"agent": {"model": "scripted"}, "prompts": prompts}
    with pytest.raises(InvalidDesign) as caught:
        compile_design(Design.from_data(data))
    assert str(caught.value).startswith(words)
    with pytest.raises(UsageError) as told:
        check(RunConfig.from_data({"prompts": prompts}))
    assert str(told.value).startswith(words)


def test_a_mistake_in_a_file_is_told_with_line_and_column(tmp_path: Path) -> None:
    """The place of the key that is wrong."""
    from paragent.commands.spec import read_spec

    spec = tmp_path / "my.yaml"
    spec.write_text("evals: 3\nprompts:\n  direct:\n    aks: Say it.\n")
    with pytest.raises(ConfigError, match=r"line 4, column 5: .*Did you mean 'ask'"):
        read_spec(spec)
    spec.write_text("evals: 3\nprompts:\n  direct:\n    ask: Say it.\n")
    assert read_spec(spec)["prompts"] == {"direct": {"ask": "Say it."}}


def test_a_space_gives_its_texts_to_the_designs_that_use_them() -> None:
    """Only texts of components in the design are attached, so others keep their hashes; a team
    and all its edits keep them."""
    prompts = (("chain_of_thought.think", "Hm{tools}."),)
    space = DesignSpace(("pocket-s",), prompts=prompts)
    plain, steps = Agent(Part("pocket-s")), Agent(Part("pocket-s"), Part("chain_of_thought"))
    assert space.normalise(Design(plain)) == DesignSpace(("pocket-s",)).normalise(Design(plain))
    assert space.normalise(Design(steps)).prompts == prompts
    team = space.normalise(Design(Team(Part("vote"), (plain, steps))))
    assert team.prompts == prompts
    assert team.replace_at("0", plain).prompts == prompts
    used = {d.prompts for d in space.edits(team) if "chain_of_thought" in d.label}
    assert used == {prompts}


def test_a_run_keeps_its_texts_in_its_settings_and_its_files(tmp_path: Path) -> None:
    """Searched, settled and written: the config can be asked again with the same words."""
    from paragent.api import optimize

    text = "Show your steps, then give the final answer."
    run = optimize(
        "pocket",
        evals=2,
        tasks=4,
        confirm=4,
        test_tasks=4,
        models=["pocket-s"],
        include=["direct"],
        max_depth=1,
        prompts={"direct": {"ask": text}},
        out=tmp_path / "run",
    )
    assert run.config["prompts"] == {"direct": {"ask": text}}
    assert {e.design.prompts for e in run.evaluations} == {(("direct.ask", text),)}
    (config,) = (tmp_path / "run" / "configs").glob("*.yaml")
    assert Design.from_yaml(config.read_text()).prompts == (("direct.ask", text),)


def test_a_component_lists_its_own_templates_only() -> None:
    """A template of another name is the author's mistake, told at once."""
    from paragent.component import Component

    with pytest.raises(ValueError, match=r"'y.ask' is not its template"):
        Component("x", "reasoning", "s", lambda: None, prompts=(Prompt("y.ask", "t"),))
    assert [p.name for p in components["decompose"].prompts] == [
        "decompose.plan",
        "decompose.step",
        "decompose.step_question",
    ]

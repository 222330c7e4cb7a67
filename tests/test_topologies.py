"""What each topology does with its members, worked by hand on models that answer from a script."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Sequence

import pytest
from scripted import task_run
from teams import Make, agent, asked, run, sure, team

from paragent.ballot import weighted_plurality
from paragent.compile import compile_design
from paragent.component import Answer
from paragent.components import layered_dag, self_organizing, supervisor
from paragent.components.debate import hears
from paragent.components.messenger import MESSAGE_LIMIT, read_messages
from paragent.components.weighted_vote import weight
from paragent.design import Design
from paragent.errors import InvalidDesign
from paragent.parts import call_bound

# -- votes ----------------------------------------------------------------------------------------


def test_a_sure_minority_outweighs_an_unsure_majority(scripted: Make) -> None:
    """log(.99/.01) = 4.6 is more than twice log(.6/.4) = 0.41; plain confidences say 1.2 > .99."""
    for name, text, confidence in (("a", "7", 0.99), ("b", "8", 0.6), ("c", "8", 0.6)):
        scripted(lambda r, t=text, c=confidence: sure(t, c), name=name)
    members = [agent(n) for n in "abc"]
    odds, _ = run(team("weighted_vote", *members, by="log-odds"))
    assert odds.text == "7"
    heavy, light = math.log(0.99 / 0.01), 2 * math.log(0.6 / 0.4)
    assert odds.confidence == pytest.approx(heavy / (heavy + light))
    assert run(team("weighted_vote", *members, by="confidence"))[0].text == "8"


def test_votes_without_confidence_weigh_the_same() -> None:
    """No confidence is 0.51, above 0 and equal for all: a plurality. 1.0 stays finite."""
    assert weight(None, "log-odds") == weight(0.2, "log-odds") == math.log(0.51 / 0.49) > 0
    assert weight(1.0, "log-odds") == pytest.approx(math.log(0.9999 / 0.0001))


def test_a_weighted_vote_by_hand() -> None:
    """Weights 1 + 1 for "b" against 1.5 for "a"; empty answers never win; the heaviest tells."""
    votes = [Answer("a"), Answer("b", "first"), Answer("B.", "second"), Answer("")]
    found = weighted_plurality(votes, [1.5, 0.9, 1.1, 9.0])
    assert (found.text, found.full) == ("B.", "second")
    assert found.confidence == pytest.approx(2.0 / 12.5)
    assert weighted_plurality([Answer("")], [1.0]).text == ""
    with pytest.raises(ValueError, match="at least one"):
        weighted_plurality([], [])


@pytest.mark.parametrize(
    ("texts", "quorum", "calls", "wins"),
    [
        (("7", "7", "8"), 2, 2, "7"),  # the first two agree: the third is not asked
        (("7", "8", "8"), 2, 3, "8"),  # the third decides
        (("7", "8", "9"), 2, 3, "9"),  # nobody agrees: the most confident, here the last
        (("", "", "8"), 2, 3, "8"),  # two empty answers are no agreement
        (("7", "7", "8"), 3, 3, "7"),  # a quorum of three asks all
    ],
)
def test_agreement_cascade(
    scripted: Make, texts: Sequence[str], quorum: int, calls: int, wins: str
) -> None:
    """Two side by side, the third only where they differ."""
    models = [
        scripted(lambda r, t=t, i=i: sure(t, 0.5 + i / 10), name=f"m{i}")
        for i, t in enumerate(texts)
    ]
    members = [agent(m.name) for m in models]
    found, usage = run(team("agreement_cascade", *members, quorum=quorum))
    assert (found.text, usage.calls) == (wins, calls)


# -- one member, several times --------------------------------------------------------------------


def test_retry_warms_up_until_sure(scripted: Make) -> None:
    """Attempts at 0, 0.4 and 0.8; the second is sure enough, so the third is never made."""
    said = iter([sure("1", 0.5), sure("2", 0.95), sure("3", 0.99)])
    model = scripted(lambda r: next(said))
    node = team("retry", agent("scripted"), attempts=3, threshold=0.9, top=0.8)
    found, usage = run(node)
    assert (found.text, usage.calls) == ("2", 2)
    assert [r.temperature for r in model.seen] == [0.0, pytest.approx(0.4)]
    assert model.seen[0].sample != model.seen[1].sample


def test_retry_without_confidence_ends_when_two_attempts_agree(scripted: Make) -> None:
    """1, 2, 1: the third repeats the first. Never sure and never the same: the surest of all."""
    said = iter([sure("1", None), sure("2", None), sure("1", None)])
    scripted(lambda r: next(said))
    node = team("retry", agent("scripted"), attempts=5, threshold=0.9, top=0.8)
    found, usage = run(node)
    assert (found.text, usage.calls) == ("1", 3)

    unsure = iter([sure("1", 0.2), sure("2", 0.6), sure("3", 0.4)])
    scripted(lambda r: next(unsure), name="unsure")
    node = team("retry", agent("unsure"), attempts=3, threshold=0.9, top=0.8)
    assert run(node)[0].text == "2"


def test_draws_inside_a_retried_team_are_told_apart(scripted: Make) -> None:
    """A team that is retried: each member's sample names the path and the draw; seeds differ."""
    numbers = itertools.count()
    model = scripted(lambda r: sure(str(next(numbers)), 0.1))
    inner = team("vote", agent("scripted"), agent("scripted"))
    run(team("retry", inner, attempts=3, threshold=0.97, top=0.8))
    warm = [r.sample for r in model.seen if r.temperature > 0]
    assert sorted(warm) == ["0.0/1.0", "0.0/2.0", "0.1/1.0", "0.1/2.0"]
    assert len({r.seed for r in model.seen if r.temperature > 0}) == 4


def test_a_role_chain_speaks_in_turn_in_one_context(scripted: Make) -> None:
    """Three calls of one model; the checker reads planner and solver, and its answer stands."""
    said = iter(["first add", "Answer: 4", "Answer: 5"])
    model = scripted(lambda r: next(said))
    found, _ = run(team("role_chain", agent("scripted"), roles="plan-solve-check"))
    assert found.text == "5"
    last = asked(model)[-1]
    assert last.index("The planner said:\nfirst add") < last.index("The solver said:\nAnswer: 4")
    assert "You now speak as the checker." in last


# -- members that read each other -----------------------------------------------------------------


def test_debate_ends_once_all_agree(scripted: Make) -> None:
    """1 against 2; in round one "b" is convinced; a second round is not needed: 4 calls of 6."""
    a = scripted(lambda r: "Answer: 1", name="a")
    b = scripted(lambda r: "Answer: 1" if "Other agents" in r.messages[-1].content else "Answer: 2",
                 name="b")  # fmt: skip
    node = team("debate", agent("a"), agent("b"), rounds=2, neighbours="all")
    found, usage = run(node)
    assert (found.text, usage.calls) == ("1", 4)
    assert usage.latency_s == 2.0, "members of a round speak side by side"
    assert "[a]\nAnswer: 1" in asked(b)[1] and "Answer: 2" not in asked(b)[1]
    assert "[b]\nAnswer: 2" in asked(a)[1]
    assert call_bound(node) == 6


def test_a_design_may_bring_its_own_wording(scripted: Make) -> None:
    """A template of the topology replaced in the YAML is what members read."""
    model = scripted(lambda r: f"Answer: {r.messages[0].content}")  # two roles, two answers
    data = Design(team("debate", agent("scripted", "x"), agent("scripted", "yy"))).to_data()
    data["prompts"] = {"debate": {"round": "Others: {others} -- {question}"}}
    asyncio.run(compile_design(Design.from_data(data)).answer(task_run(), "Q?"))
    assert any(text.startswith("Others: [") and text.endswith("-- Q?") for text in asked(model))
    data["prompts"]["debate"]["round"] = "Others: {others}"
    with pytest.raises(InvalidDesign, match=r"debate\.round: the text leaves out \{question\}"):
        compile_design(Design.from_data(data))


def test_a_ring_hears_two_neighbours() -> None:
    """Of five members the third hears the second and the fourth; of two each hears the other."""
    assert [hears(i, 5, "ring") for i in (0, 2, 4)] == [[1, 4], [1, 3], [0, 3]]
    assert [hears(i, 2, "ring") for i in (0, 1)] == [[1], [0]]
    assert hears(0, 1, "ring") == []
    assert hears(1, 4, "all") == [0, 2, 3]


def test_a_critique_is_read_by_the_refiner(scripted: Make) -> None:
    """Generator 5, verifier "should be 6", refiner 6; with two members the generator refines."""
    scripted(lambda r: "Answer: 5", name="gen")
    critic = scripted(lambda r: "it should be 6", name="judge")
    refiner = scripted(lambda r: "Answer: 6", name="mender")
    members = [agent(n) for n in ("gen", "judge", "mender")]
    found, usage = run(team("critique_refine", *members, votes=1))
    assert (found.text, usage.calls) == ("6", 3)
    assert "Proposed solution:\nAnswer: 5" in asked(critic)[0]
    assert "Critique:\nit should be 6" in asked(refiner)[0]
    found, usage = run(team("critique_refine", *members[:2], votes=3))
    assert (found.text, usage.calls) == ("5", 9)
    assert call_bound(team("critique_refine", *members[:2], votes=3)) == 9


def test_a_chain_hands_on(scripted: Make) -> None:
    """The second member reads the first one's words; an empty last answer does not erase them."""
    scripted(lambda r: "Answer: 5", name="first")
    second = scripted(lambda r: "", name="second")
    found, usage = run(team("chain", agent("first", "maker"), agent("second")))
    assert (found.text, usage.calls) == ("5", 2)
    assert "The maker agent before you handed on:\nAnswer: 5" in asked(second)[0]


def test_contribution_is_likeness_to_the_mean() -> None:
    """Texts a, a, b as unit bags: the mean is (2/3, 1/3), so psi = 2/sqrt(5) and 1/sqrt(5)."""
    psi = self_organizing.contributions(["a", "a", "b"])
    assert psi == pytest.approx([2 / 5**0.5, 2 / 5**0.5, 1 / 5**0.5])
    assert self_organizing.chosen(["b", "a", "a"]) == 1
    # Equal psi gives no edge; "b" shares no word with "a", so it is not alike enough either.
    assert self_organizing.teachers(["a", "a", "b"], tau=0.3) == [[], [], []]
    assert self_organizing.teachers(["a c", "a c", "b c"], tau=0.3) == [[], [], [0, 1]]


def test_the_far_member_reads_the_near_ones(scripted: Make) -> None:
    """Two say "so it is 4", one "so it is 5": only the third is asked again, and reads both."""
    for name in ("a", "b"):
        scripted(lambda r: "so it is\nAnswer: 4", name=name)
    far = scripted(
        lambda r: "so it is\nAnswer: 4" if "common view" in r.messages[-1].content
        else "so it is\nAnswer: 5", name="far")  # fmt: skip
    node = team("self_organizing", agent("a"), agent("b"), agent("far"), rounds=2, tau=0.3)
    found, usage = run(node)
    assert (found.text, usage.calls) == ("4", 4)
    assert "[a]" in asked(far)[1] and "[b]" in asked(far)[1]


# -- teams with a lead ----------------------------------------------------------------------------


def test_a_supervisor_calls_several_and_answers(scripted: Make) -> None:
    """Two calls side by side, then the answer: each sub-agent sees its request alone."""
    turns = iter(["CALL adder: 2+2?\nCALL namer: who?", "Both replied. Answer: 4 by Ann"])
    lead = scripted(lambda r: next(turns), name="lead")
    adder = scripted(lambda r: "Answer: 4", name="m1")
    scripted(lambda r: "Answer: Ann", name="m2")
    node = team("supervisor", agent("m1", "adder"), agent("m2", "namer"), lead="lead", calls=4)
    found, usage = run(node)
    assert (found.text, usage.calls) == ("4 by Ann", 4)
    assert usage.latency_s == 3.0, "lead, both members side by side, lead"
    assert asked(adder) == ["2+2?"]
    assert "adder replied: Answer: 4" in asked(lead)[1]
    assert "adder (up to $" in asked(lead)[0], "the lead sees prices"
    assert "You may make 2 more calls." in lead.seen[1].messages[0].content


def test_a_supervisor_that_never_answers_is_stopped_by_its_bound(scripted: Make) -> None:
    """Three calls in every turn: four are made, then it must answer; 3 + 4 model calls of 9."""
    said = "CALL a: go\nCALL a: go\nCALL nobody: go"
    lead = scripted(lambda r: said, name="lead")
    member = scripted(lambda r: "Answer: 1", name="a")
    other = agent("a", "other")
    node = team("supervisor", agent("a"), other, lead="lead", calls=4)
    _, usage = run(node)
    assert len(lead.seen) == 3 and len(member.seen) == 3
    assert usage.calls == 6 <= call_bound(node) == 9
    assert "no sub-agent is called 'nobody'" in asked(lead)[1]
    assert "have made all your calls" in lead.seen[-1].messages[0].content
    assert supervisor.read_calls("- CALL x : y\ncall z: w `\nCALL q:") == [("x", "y"), ("z", "w")]


def test_a_mixture_reads_layer_by_layer(scripted: Make) -> None:
    """Two layers of two members and the lead: 5 calls; an empty lead falls back on plurality."""
    member = scripted(
        lambda r: "Answer: 2" if "Reference" in r.messages[-1].content else "Answer: 1"
    )
    scripted(lambda r: "Answer: 3", name="lead")
    pair = (agent("scripted"), agent("scripted"))
    found, usage = run(team("mixture_of_agents", *pair, lead="lead", layers=2))
    assert (found.text, usage.calls) == ("3", 5)
    assert "[scripted-2]\nAnswer: 1" in asked(member)[2]
    scripted(lambda r: "", name="mute")
    assert run(team("mixture_of_agents", *pair, lead="mute", layers=2))[0].text == "2"


def test_a_messenger_tells_only_who_needs_it(scripted: Make) -> None:
    """The lead writes to "b" alone: "a" keeps its answer unasked."""
    a = scripted(lambda r: "Answer: 1", name="a")
    b = scripted(lambda r: "Answer: 1" if "units" in r.messages[-1].content else "Answer: 2",
                 name="b")  # fmt: skip
    scripted(lambda r: "**b**: check the units\nsomebody: no", name="lead")
    found, usage = run(team("messenger", agent("a"), agent("b"), lead="lead", rounds=2))
    assert (found.text, usage.calls) == ("1", 4)
    assert len(a.seen) == 1
    assert "Your answer so far: 2\nMessage from your coordinator: check the units" in asked(b)[1]


def test_messages_are_short_and_addressed() -> None:
    """The first line to a member counts, cut at the limit; empty and foreign ones are left out."""
    text = f"A: {'x' * 900}\na: again\nc:\nd: who\n- [b]: hi"
    found = read_messages(text, ["a", "b", "c"])
    assert found == {"a": "x" * MESSAGE_LIMIT, "b": "hi"}


GRAPH = """difficulty: easy
1 solver
layer 1: critic
2 checker <- solver, critic, nobody
"""


def test_a_layered_graph_is_read_as_written() -> None:
    """Two nodes side by side, a third that reads both; unknown names are left out."""
    graph = layered_dag.read_graph(GRAPH, ["solver", "critic", "checker"], 10, 0.0)
    assert graph == layered_dag.Graph("easy", ((0, 0), (0, 1), (1, 2)), ((), (), (0, 1)))
    assert layered_dag.read_graph("I would rather not.", ["solver"], 10, 0.0) is None


def test_larger_graphs_need_harder_questions() -> None:
    """Twelve nodes wished: 4, 7 and 10 by difficulty, never more than `most`; medium by default."""
    body = "".join(f"\n{i} a" for i in range(1, 13))
    for level, cap in (("easy", 4), ("medium", 7), ("hard", 10)):
        graph = layered_dag.read_graph(f"difficulty: {level}{body}", ["a"], 10, 0.0)
        assert graph is not None and len(graph.nodes) == cap
    capped = layered_dag.read_graph(f"difficulty: hard{body}", ["a"], 4, 0.0)
    silent = layered_dag.read_graph(body, ["a"], 10, 0.0)
    assert capped is not None and len(capped.nodes) == 4
    assert silent is not None and len(silent.nodes) == 7


def test_sparsity_by_hand_and_thinning() -> None:
    """4 nodes in 2 layers, easy: exp(-1) + 2 exp(-3/6) + 1 - 2/4 = 2.081 with 3 edges. Two sources
    of two sinks (4 edges, 1.895) are thinned to 3 edges for 2.0, to one source each for 9."""
    assert layered_dag.log_sparsity(4, 3, 2, "easy") == pytest.approx(2.0810, abs=1e-4)
    assert layered_dag.log_sparsity(1, 0, 1, "hard") == pytest.approx(math.exp(-0.1) + 2)
    text = "difficulty: easy\n1 a\n1 b\n2 c\n2 d"
    names = ["a", "b", "c", "d"]

    def edges(sparsity: float) -> list[int]:
        graph = layered_dag.read_graph(text, names, 10, sparsity)
        assert graph is not None
        return [len(s) for s in graph.sources]

    assert edges(0.0) == [0, 0, 2, 2]
    assert sum(edges(2.0)) == 3
    assert edges(9.0) == [0, 0, 1, 1]


def test_a_layered_team_runs_its_graph(scripted: Make) -> None:
    """Lead, two side by side, one that reads them: 4 calls, 3 seconds; no graph runs all once."""
    said = iter([GRAPH, "no graph"])
    scripted(lambda r: next(said), name="lead")
    models = {n: scripted(lambda r, n=n: f"Answer: {n}", name=n) for n in "xyz"}
    members = [agent("x", "solver"), agent("y", "critic"), agent("z", "checker")]
    node = team("layered_dag", *members, lead="lead", most=4, sparsity=0.0)
    found, usage = run(node)
    assert (found.text, usage.calls, usage.latency_s) == ("z", 4, 3.0)
    assert "[solver]\nAnswer: x\n\n[critic]\nAnswer: y" in asked(models["z"])[0]
    _, usage = run(node)
    assert usage.calls == 4 <= call_bound(node) == 5

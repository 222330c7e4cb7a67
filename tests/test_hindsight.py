"""Who helped a team: the rule, a language model behind the same interface, and their agreement;
skills and arms that a language model names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Script, ScriptedModel

from paragent import optimize
from paragent.advice import Nonsense, Seen, read_skills, read_verdicts
from paragent.component import Component, Price
from paragent.design import Agent, Design, Part, Team
from paragent.hindsight import Agreement, by_rule, shares
from paragent.outcome import Evaluation, Failed, Measured, Usage
from paragent.registry import components
from paragent.runtime.model import Request
from paragent.search.bandit import Bandit
from paragent.search.knapsack import Knapsack
from paragent.searcher import Advice, Question
from paragent.skills import skills_named
from paragent.testing import toy_space

TEAM = Design(Team(Part("vote"), tuple(Agent(Part(m)) for m in ("pocket-s", "pocket-m"))))
QUESTIONS = {
    **{f"a{i}": f"How many dollars are {i} apples and {i + 2} pears worth" for i in range(8)},
    **{f"b{i}": f"Which doctor is the teacher of cousin number {i}" for i in range(4)},
}
SMALL = {"evals": 14, "tasks": 10, "confirm": 5, "test_tasks": 5, "finalists": 2, "prune": False}


@pytest.fixture
def adviser() -> Iterator[ScriptedModel]:
    """A model that follows instructions; what it says is set by the test. New sub-agents go."""
    before = {c.name for c in components}
    model = ScriptedModel(lambda request: "no", name="adviser", price=Price(1.0, 2.0))
    components.register(
        Component("adviser", "model", "scripted", lambda: model, provides=("instruct",),
                  price=model.price)
    )  # fmt: skip
    yield model
    for name in {c.name for c in components} - before:
        components.unregister(name)


def evaluation() -> Evaluation:
    def one(score: float, *members: bool | None) -> Measured:
        return Measured(score, Usage(2, 9, 9, 1e-6), "x", members)

    return Evaluation(
        TEAM,
        "dev",
        "search-eval",
        {"a": one(1, True, False), "b": one(0, True, None), "c": Failed("timeout", "slow"),
         "d": one(1, True, True)},
    )  # fmt: skip


def test_the_rule_and_its_shares_by_hand() -> None:
    """Asked on three and two measured tasks, helped on two and one; a failed task is none."""
    verdicts = by_rule(evaluation(), 2)
    assert verdicts == {"a": (True, False), "b": (False, None), "d": (True, True)}
    assert shares(verdicts, 2) == [2 / 3, 1 / 2]
    assert shares({}, 2) == [None, None]


def test_agreement_and_kappa_by_hand() -> None:
    """Both 2, rule alone 1, model alone 1, neither 4: share 6/8, chance .53, kappa .467."""
    counted = Agreement(2, 1, 1, 4)
    assert counted.share == 0.75
    assert counted.kappa == pytest.approx((0.75 - 0.53125) / (1 - 0.53125))
    assert Agreement().kappa is None and Agreement().share is None
    assert Agreement(both=5).kappa is None, "chance alone would agree"


@settings(deadline=None)  # the first call imports scikit-learn
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    """On any verdicts; None exactly where it is not defined."""
    from sklearn.metrics import cohen_kappa_score

    counted = Agreement()
    counted.add({str(i): (a,) for i, (a, _) in enumerate(pairs)},
                {str(i): (b,) for i, (_, b) in enumerate(pairs)})  # fmt: skip
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    if len({*one, *other}) == 1:
        assert counted.kappa is None
    else:
        assert counted.kappa == pytest.approx(float(cohen_kappa_score(one, other)), abs=1e-12)


def test_verdicts_are_read_strictly() -> None:
    """One value for every member of every task; who was not asked has no verdict."""
    seen = [Seen("t7", "q", "w", "a"), Seen("t9", "q", "w", "a")]
    asked = [[True, True], [True, False]]
    text = json.dumps({"verdicts": {"0": [True, False], "1": [False, True]}})
    assert read_verdicts(text, seen, asked) == {"t7": (True, False), "t9": (False, None)}
    short, long, numbers = [True], [True, True], [1, 0]
    for wrong in ({"0": long}, {"0": short, "1": long}, {"0": numbers, "1": long}, None):
        with pytest.raises(Nonsense):
            read_verdicts(json.dumps({"verdicts": wrong}), seen, asked)
    with pytest.raises(Nonsense, match="no JSON object"):
        read_verdicts('{"verdicts": NaN}', seen, asked)


def test_a_bandit_credits_by_the_judge_and_by_the_rule_where_none_came() -> None:
    """The judge's verdicts are the credit of a team's arms; without any, the rule's are."""
    searcher = Bandit(toy_space(), credit="judge")
    for member in TEAM.root.members:  # type: ignore[union-attr]
        searcher.archive.add(Design(member))
    searcher.tell(evaluation())
    assert searcher.archive.policy.tally.n.sum() == 0, "credit waits for the judge"
    asked = [q for q in searcher.questions() if q.kind == "judge"]
    assert [q.evaluation for q in asked] == [evaluation()]
    searcher.advise(asked[0], Advice(verdicts={"a": (False, True), "d": (False, True)}))
    assert list(searcher.archive.policy.tally.mean) == [0.0, 1.0]
    searcher.tell(evaluation())
    searcher.advise(Question("judge", evaluation()), None)
    assert list(searcher.archive.policy.tally.mean) == pytest.approx([1 / 3, 3 / 4])


def judge_by_words(request: Request) -> str:
    """Names two arms when asked for some; as a judge says that everybody always helped."""
    asked = request.messages[-1].content
    if "sub-agents" in asked:
        arms = [
            {"model": "pocket-s", "name": "noted", "promise": "knows notes", "memory": "lookup"},
            {"model": "pocket-m", "promise": "thinks", "reasoning": "chain_of_thought",
             "tools": ["calculator"]},
            {"model": "gpt-99", "promise": "is not here"},
        ]  # fmt: skip
        return json.dumps({"agents": arms})
    size = int(re.findall(r"a list of (\d+) values", asked)[0])
    tasks = re.findall(r"^(\d+)\. ", asked, re.MULTILINE)
    return json.dumps({"verdicts": {i: [True] * size for i in tasks}})


def test_a_bandit_with_a_language_model(adviser: ScriptedModel, tmp_path: Path) -> None:
    """Its arms are warmed up, one of no model here is refused; its verdicts are paid as `judge`,
    and how far they agree with the rule is told."""
    adviser.script = judge_by_words
    run = optimize(
        "pocket", searcher="bandit", models=["pocket-s", "pocket-m"], proposer="adviser",
        options={"credit": "judge"}, out=tmp_path / "run", parallel=2,
        include=["direct", "chain_of_thought", "lookup", "calculator", "vote"], **SMALL,
    )  # fmt: skip
    ours = [e for e in run.evaluations if e.by == "proposer"]
    assert ours and all(e.purpose == "warm-up" for e in ours)
    assert {a.subagent.name.rpartition("_")[0] for e in ours for _, a in e.design.agents()
            if a.subagent} <= {"noted", "agent"}  # fmt: skip
    spent = run.spent.by_purpose
    assert spent["judge"]["calls"] and spent["propose"]["calls"]
    record = run.summary()["proposer"]
    assert record["asked"]["arms"] >= 1 and record["asked"]["judge"] == spent["judge"]["calls"]
    assert record["refused"] == {"an agent wants one of the models": record["asked"]["arms"]}
    agreement = record["agreement"]
    assert 0 < agreement["share"] < 1 and agreement["verdicts"] > 4
    assert any("as a judge of members it agreed with the rule" in note for note in run.notes)
    shown = next(r for r in adviser.seen if "helped the team" in r.messages[-1].content)
    assert "0 said: " in shown.messages[-1].content


def test_named_skills_get_real_tasks_as_probes() -> None:
    """Two skills: every task goes to the one whose words it has; a third, of no task, is left out
    and the weights of the others sum to 1."""
    found = skills_named(
        [("people", 1.0, "doctor teacher cousin"), ("shops", 2.0, "dollars apples pears worth"),
         ("zzz", 5.0, "qqqqqq")],
        QUESTIONS, probes=3,
    )  # fmt: skip
    assert [(s.name, s.weight) for s in found] == [("shops", 2 / 3), ("people", 1 / 3)]
    assert [len(s.probes) for s in found] == [3, 3]
    assert {p[0] for p in found[0].probes} == {"a"} and {p[0] for p in found[1].probes} == {"b"}
    assert skills_named([], QUESTIONS) == () == skills_named([("x", 1.0, "y")], {})


def skill(**changes: object) -> dict[str, object]:
    known = {"name": "shops", "description": "dollars", "weight": 1, "queries": ["apples?"]}
    return {**known, **changes}


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [skill(), skill()],
        [skill(name=f"s{i}") for i in range(7)],
        [skill(weight=0)],
        [skill(weight="1")],
        [skill(weight=True)],
        [skill(queries="apples")],
        [skill(name=" ")],
        [skill(extra=1)],
        [skill(description="qqqq", queries=[], name="xyzxyz")],
        ["shops"],
    ],
)
def test_skills_are_read_strictly(rows: list[object]) -> None:
    """At most six, of different names, weights above 0, known keys, near to some task."""
    with pytest.raises(Nonsense):
        read_skills(json.dumps({"skills": rows}), QUESTIONS, 8)


def test_a_knapsack_takes_the_skills_of_a_language_model() -> None:
    """Asked once before it begins; without an answer the clusters stand."""
    searcher = Knapsack(toy_space(), questions=QUESTIONS)
    clusters = searcher.skills
    (question,) = searcher.questions()
    searcher.advise(question, None)
    assert searcher.skills == clusters
    named = read_skills(json.dumps({"skills": [skill()]}), QUESTIONS, 8)
    searcher.advise(question, Advice(skills=named))
    assert [s.name for s in searcher.skills] == ["shops"]
    (proposal,) = searcher.ask(1)
    assert proposal.purpose == "trial" and set(proposal.tasks or ()) <= set(named[0].probes)  # type: ignore[arg-type]
    assert searcher.questions() == []


def named_skills(answer: object) -> Script:
    return lambda request: json.dumps({"skills": answer})


def test_a_knapsack_search_with_a_language_model(adviser: ScriptedModel, tmp_path: Path) -> None:
    """One call for skills, paid as `propose`; trials run on tasks of the skill that was named."""
    adviser.script = named_skills([skill(name="units", description="coins worth blick dorn fesk")])
    run = optimize(
        "pocket", searcher="knapsack", models=["pocket-s"], proposer="adviser",
        out=tmp_path / "run", **{**SMALL, "evals": 4},
    )  # fmt: skip
    assert len(adviser.seen) == 1 == run.spent.by_purpose["propose"]["calls"]
    tried = [t for e in run.evaluations if e.purpose == "trial" for t in e.outcomes]
    assert tried and sum(t.endswith("units") for t in tried) > len(tried) / 2

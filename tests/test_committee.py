"""Committees over recorded answers: every rule by hand, prices, and the penalty for selection."""

from __future__ import annotations

import itertools
import json
import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data

from paragent.cli import main
from paragent.committee import Rule, grade, smoothed_accuracy
from paragent.committee_search import candidates, choose, greedy_committee, pool, promises
from paragent.committee_space import CommitteeSpace
from paragent.errors import UsageError
from paragent.factor_space import row_design
from paragent.lab.committee_replay import halves
from paragent.recorded import AnswerMatrix, load_matrix


def matrix(answers: list[str], gold: str, **more: object) -> AnswerMatrix:
    """One string of letters per task, one letter per model ("." for none); model k costs $10^k
    per 1,000 tasks."""
    models = len(answers[0])
    right = np.array([[a == g for a in row] for row, g in zip(answers, gold, strict=True)])
    letters = "abcdefgh"
    number = np.array([[letters.index(a) if a != "." else -1 for a in row] for row in answers])
    usd = np.tile(10.0 ** np.arange(models) / 1000, (len(answers), 1))
    fields: dict[str, object] = {
        "name": "toy",
        "models": tuple(f"m{k}" for k in range(models)),
        "task_ids": tuple(f"t{i}" for i in range(len(answers))),
        "right": right,
        "answer": number.astype(np.int32),
        "usd": usd,
        "prompt_chars": np.arange(len(answers), dtype=float),
    }
    return AnswerMatrix(**{**fields, **more})  # type: ignore[arg-type]


TOY = matrix(["aab", "abb", "abc", "..c", "ba."], "abacb")
ROWS = np.arange(5)
EVEN = np.array([0.6, 0.7, 0.8])  # the dearest is the most accurate: it wins ties


def right(rule: Rule) -> list[bool]:
    """The rule on the toy matrix."""
    return [bool(r) for r in grade(TOY, rule, ROWS, EVEN).right]


def test_a_vote_by_hand() -> None:
    """aab: a. abb: b. abc: a tie, so c of the most accurate, wrong. ..c: c. ba.: a tie, a of m1,
    wrong."""
    vote = Rule("vote", (0, 1, 2))
    assert right(vote) == [True, True, False, True, False]
    assert grade(TOY, vote, ROWS, EVEN).usd_per_1k == pytest.approx(111)


def test_a_cascade_by_hand() -> None:
    """Two that agree end it; the third is paid for only where they differ or say nothing."""
    found = grade(TOY, Rule("cascade", (0, 1, 2), 2.0), ROWS, EVEN)
    assert found.calls.tolist() == [2, 3, 3, 3, 3]
    assert found.right.tolist() == [True, True, False, True, False]
    assert (found.usd * 1000).tolist() == pytest.approx([11, 111, 111, 111, 111])


def test_weights_can_outvote_a_majority() -> None:
    """ln(.95/.05) = 2.94 outweighs two voters of ln(.6/.4) = 0.41 each."""
    one_against_two = matrix(["aab"], "b")
    rule = Rule("weighted", (0, 1, 2))
    sure = np.array([0.6, 0.6, 0.95])
    assert grade(one_against_two, rule, np.arange(1), sure).right.tolist() == [True]
    close = np.array([0.6, 0.6, 0.65])
    assert grade(one_against_two, rule, np.arange(1), close).right.tolist() == [False]


def test_a_router_goes_by_length() -> None:
    """Tasks of at most one character go to m0, longer ones to m2."""
    found = grade(TOY, Rule("router", (0, 2), cut=1.0), ROWS, EVEN)
    assert found.right.tolist() == [True, False, False, True, False]
    assert (found.usd * 1000).tolist() == pytest.approx([1, 1, 100, 100, 100])


def test_answers_that_nobody_gave_are_wrong() -> None:
    """All silent, and a gold answer that no model found."""
    silent = matrix(["..", "ab"], "ac")
    for kind in ("vote", "weighted", "cascade"):
        found = grade(silent, Rule(kind, (0, 1), 2.0), np.arange(2), EVEN)
        assert found.right.tolist() == [False, False]


def test_a_cascade_that_never_stops_is_a_vote() -> None:
    """Whatever the order, with an unreachable lead."""
    for order in itertools.permutations(range(3)):
        assert right(Rule("cascade", order, math.inf)) == right(Rule("vote", (0, 1, 2)))


def test_rules_that_make_no_sense_are_refused() -> None:
    """No member, one twice, a router of three, a vote where only right and wrong are known."""
    for rule in (Rule("vote", ()), Rule("vote", (1, 1)), Rule("router", (0, 1, 2))):
        with pytest.raises(UsageError):
            grade(TOY, rule, ROWS, EVEN)
    with pytest.raises(UsageError, match="nothing can vote"):
        grade(matrix(["aa"], "a", votes=False), Rule("vote", (0, 1)), np.arange(1), EVEN)


def simulated(seed: int, tasks: int, models: int = 8) -> AnswerMatrix:
    """Models of equal skill, so that every difference among them is luck."""
    rng = np.random.default_rng(seed)
    hits = rng.random((tasks, models)) < 0.8
    wrong = rng.integers(1, 4, size=(tasks, models))
    answer = np.where(hits, 0, wrong).astype(np.int32)
    return AnswerMatrix(
        "equal", tuple(f"m{k}" for k in range(models)), tuple(map(str, range(tasks))),
        hits, answer, np.full((tasks, models), 1e-3) * (1 + np.arange(models)),
    )  # fmt: skip


def test_the_penalty_takes_luck_out_of_the_choice() -> None:
    """Of equal models, what the choice loses on fresh tasks is smaller with the penalty."""
    lost: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(4):
        m = simulated(seed, 160)
        choosing, judging = halves(160, seed)
        accuracy = smoothed_accuracy(m, choosing)
        graded = candidates(m, choosing)
        for penalty in (True, False):
            rule = choose(graded, math.inf, 8, penalty=penalty)
            assert rule is not None
            fresh = grade(m, rule, judging, accuracy).accuracy
            lost[penalty].append(graded[rule].accuracy - fresh)
    assert statistics.fmean(lost[True]) < statistics.fmean(lost[False])


def test_choices_respect_the_price() -> None:
    """Nothing dearer than the ceiling, the best under it, and None where all are dearer."""
    m = simulated(0, 60, 5)
    rows = np.arange(60)
    graded = candidates(m, rows)
    for ceiling in (1.0, 2.5, 6.0):
        rule = choose(graded, ceiling, 5, penalty=False)
        assert rule is not None and graded[rule].usd_per_1k <= ceiling
        best = max(g.accuracy for g in graded.values() if g.usd_per_1k <= ceiling)
        assert graded[rule].accuracy == best
    assert choose(graded, 0.5, 5) is None
    assert len(pool(m, rows, 3)) == 3


def test_promises_are_recovered_where_they_hold() -> None:
    """Accuracies that are a sum over members are returned nearly as they are."""
    rules = [Rule("vote", pair) for pair in itertools.combinations(range(8), 2)]
    true = np.array([0.5 + 0.02 * sum(r.members) for r in rules])
    assert np.abs(promises(rules, true, 8) - true).max() < 0.04
    assert np.corrcoef(promises(rules, true, 8), true)[0, 1] > 0.99


SPACE = CommitteeSpace(simulated(3, 40, 6), np.arange(40))


def test_a_committee_s_features_by_hand() -> None:
    """m0 and m1 agree on aab, abb is split, and on bb. they agree on a wrong answer: one pair,
    alike on two tasks of three and misled on one. m2 is asked only where they differ."""
    m = matrix(["aab", "aba", "bba"], "aaa")
    space = CommitteeSpace(m, np.arange(3))
    cascade = row_design({"rule": "cascade3", "m1": "m0", "m2": "m1", "m3": "m2", "lead": 2})
    assert not space.check(cascade)
    found = space.features(cascade)
    assert found["pair:alike"] == pytest.approx(2 / 3)
    assert found["pair:misled at once"] == pytest.approx(1 / 3)
    assert found["right:best"] == pytest.approx(2 / 3)
    assert found["right:at once"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert 10 ** found["usd:at once"] == pytest.approx(0.011)
    assert 10 ** found["usd:expected"] == pytest.approx(0.011 + 0.1 / 3)
    assert space.bounds(cascade).usd == pytest.approx(0.111)
    assert {name for name in found if name.startswith("has:")} == {"has:m0", "has:m1", "has:m2"}


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_every_move_gives_a_legal_committee(seed: int) -> None:
    """Samples, edits, children and committees chosen top down, without a model twice; an edit of
    an edit can lead back."""
    rng = random.Random(seed)
    one, other = SPACE.sample(rng), SPACE.sample(rng)
    edits = SPACE.edits(one)
    assert len(set(edits)) == len(edits) and one not in edits
    partial: tuple[str, ...] = ()
    while (decision := SPACE.next(partial)) is not None:
        assert decision.options
        partial = (*partial, rng.choice(decision.options))
    for design in (one, other, *edits, SPACE.recombine(one, other, rng), SPACE.build(partial)):
        assert SPACE.check(design) == []
        assert len(SPACE.rule(design).members) == len(set(SPACE.members(design)))


def test_every_model_answers_the_same_question_wherever_it_stands() -> None:
    """After a rule every place is called `model`, and offers whoever is not a member yet."""
    first = SPACE.next(("vote3",))
    second = SPACE.next(("vote3", "m4"))
    assert first is not None and second is not None
    assert first.name == second.name == "model"
    assert set(first.options) - set(second.options) == {"m4"}


def test_figures_of_real_answers() -> None:
    """Recorded figures: the vote of five .9750 at $8.516; the cascade .9674 at $0.232 with 130
    escalations."""
    m = load_matrix(real_data("recorded", "zeroeval-gsm8k"))
    rows = np.arange(len(m.task_ids))
    accuracy = smoothed_accuracy(m, rows)
    able = [k for k, name in enumerate(m.models) if name not in m.partial]
    top = tuple(sorted(able, key=lambda k: -accuracy[k])[:5])
    vote = grade(m, Rule("vote", top), rows, accuracy)
    assert (round(vote.accuracy, 4), round(vote.usd_per_1k, 3)) == (0.9750, 8.516)
    names = ("gemini-1.5-flash", "deepseek-chat", "Meta-Llama-3.1-405B-Instruct@hyperbolic")
    members = tuple(m.models.index(name) for name in names)
    cascade = grade(m, Rule("cascade", members, 2.0), rows, accuracy)
    assert (round(cascade.accuracy, 4), round(cascade.usd_per_1k, 3)) == (0.9674, 0.232)
    assert int((cascade.calls == 3).sum()) == 130
    assert len(greedy_committee(m, rows).members) == 5


def test_the_command_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """One split of the real matrix: the chosen design costs at most what was asked on the half it
    was chosen on, and references stand beside it."""
    folder = real_data("recorded", "zeroeval-gsm8k")
    words = ["lab", "committee", "--matrix", str(folder), "--splits", "1", "--jobs", "1", "--json"]
    words += ["--searchers", "knapsack,random", "--evals", "12"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"best single", "greedy committee", "searched, up to $1"} <= set(report["results"])
    assert report["chosen"]["accuracy"] > 0.95 and report["chosen"]["usd_per_1k"] < 1.2
    assert {"knapsack, up to $1", "random, up to $1"} <= set(report["results"])
    judged = {(v["design"], v["reference"]): v for v in report["verdicts"]}
    verdict = judged["searched, up to $1", "best single"]
    ours, best = report["results"]["searched, up to $1"], report["results"]["best single"]
    assert verdict["difference"] == pytest.approx(ours["accuracy"] - best["accuracy"])
    cheaper = ours["usd_per_1k"] <= best["usd_per_1k"]
    assert verdict["dominates"] == (cheaper and verdict["difference"] >= 0)


def test_wrong_numbers_are_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    """No splits, no dollars."""
    folder = str(real_data("recorded", "zeroeval-gsm8k"))
    for words in (["--splits", "0"], ["--usd", "0"], ["--evals", "0"], ["--searchers", "msct"]):
        assert main(["lab", "committee", "--matrix", folder, *words]) == 2
        told = capsys.readouterr().err
        assert "wanted" in told or "mcts" in told

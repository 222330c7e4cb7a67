"""Routers that read the question, and what they learn from labelled ones, worked by hand."""

from __future__ import annotations

import math

import pytest
from teams import Make, agent, run, team

from paragent.compile import compile_design
from paragent.component import Context
from paragent.components import linucb_router
from paragent.components.classifier_router import skill_of
from paragent.components.rule_router import place
from paragent.design import Design
from paragent.errors import InvalidDesign

LABELLED = tuple(
    (text, skill)
    for i in range(8)
    for text, skill in ((f"add {i} and {i + 1}", "sums"), (f"who is boss of person {i}", "facts"))
)


@pytest.mark.parametrize(
    ("question", "step", "member"),
    [
        ("one two three", "4 words", 0),
        ("one two three four", "4 words", 1),
        ("a " * 100, "4 words", 2),
        ("3 plus 1,200.5 minus 4", "2 numbers", 1),
        ("", "20 words", 0),
    ],
)
def test_rule_router_by_length(question: str, step: str, member: int) -> None:
    """Each of three members takes one step; what is longer than all goes to the last."""
    assert place(question, step, 3) == member


@pytest.mark.parametrize("step", ["", "many words", "0 words", "-1 words", "4 lines", "4"])
def test_a_rule_that_cannot_be_read_is_told_with_its_path(scripted: Make, step: str) -> None:
    """The design is refused when it is built, not wrong at run time."""
    scripted(lambda r: "x")
    pair = (agent("scripted"), agent("scripted"))
    with pytest.raises(InvalidDesign, match=r"root\.topology: .*step"):
        compile_design(Design(team("rule_router", *pair, step=step)))


@pytest.mark.parametrize("router", ["classifier_router", "linucb_router"])
def test_learned_routers_send_each_kind_to_its_owner(scripted: Make, router: str) -> None:
    """Sums go to the member whose role is sums, though it stands second; one call each."""
    scripted(lambda r: "Answer: facts", name="a")
    scripted(lambda r: "Answer: sums", name="b")
    node = team(router, agent("a", "facts"), agent("b", "sums"))
    context = Context(labelled=LABELLED)
    for question, wanted in (("add 30 and 40", "sums"), ("who is boss of Ann", "facts")):
        found, usage = run(node, question, context)
        assert (found.text, usage.calls) == (wanted, 1)
    assert run(node, "add 1 and 2")[0].text == "facts", "nothing to learn from: the first member"


def test_a_classifier_of_one_kind_needs_no_classifier() -> None:
    """scikit-learn refuses a single class; here it is the only answer there can be."""
    assert skill_of("anything", (("2+2", "sums"),)) == "sums"


def test_linucb_learns_a_theta_that_prefers_matches_and_thrift() -> None:
    """After the replay, match has a positive weight; of two owners' equals the cheaper is taken."""
    router = linucb_router.train(LABELLED, ("sums", "facts"), (1.0, 1.0), 0.2)
    assert router.theta[1] > 0
    assert router.choose("add 5 and 7") == 0 and router.choose("who is boss of Eve") == 1
    assert all(0 <= r <= 1 for r in router.reputation)
    again = linucb_router.train.__wrapped__(LABELLED, ("sums", "facts"), (1.0, 1.0), 0.2)
    assert (again.theta, again.reputation) == (router.theta, router.reputation)
    free = linucb_router.train(LABELLED, ("sums", "facts"), (0.0, None), 0.2)
    assert free.price == (1.0, 1.0), "nothing is known of an unknown price, and 0 cannot divide"


def test_linucb_formulas_by_hand() -> None:
    """beta_0 = sqrt(2 ln 20) + 1; three of four matching members pass, all where none matches."""
    assert linucb_router.beta(0) == pytest.approx(math.sqrt(2 * math.log(20)) + 1)
    assert linucb_router.screened([0.1, 0.9, 0.3, 0.2]) == [1, 2, 3]
    assert linucb_router.screened([0.0, 0.01]) == [0, 1]
    longest = linucb_router.features(1.0, 1.0, 1.0)
    assert math.fsum(x * x for x in longest) == pytest.approx(1.0)


def test_sherman_morrison_is_the_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The theta of the replay equals the ridge solution over the contexts that were chosen."""
    import numpy as np

    chosen: list[tuple[list[float], float]] = []
    seen: list[list[float]] = []
    true_features = linucb_router.features

    def spy(match: float, price: float, reputation: float) -> list[float]:
        seen.append(true_features(match, price, reputation))
        return seen[-1]

    monkeypatch.setattr(linucb_router, "features", spy)
    router = linucb_router.train.__wrapped__(LABELLED[:6], ("sums", "facts"), (1.0, 0.25), 0.2)
    # Replay with a direct inverse in place of the running one.
    gram, total = np.eye(4), np.zeros(4)
    names = ["sums", "facts"]
    rounds = [seen[i : i + 2] for i in range(0, len(seen), 2)]
    for t, ((_, skill), pair) in enumerate(zip(LABELLED[:6], rounds, strict=True)):
        inverse = np.linalg.inv(gram)
        theta = inverse @ total
        scores = [
            x @ theta + linucb_router.beta(t) * math.sqrt(x @ inverse @ x)
            for x in map(np.array, pair)
        ]
        best = int(np.argmax(scores))
        reward = float(names[best] == skill) - 0.2 * math.sqrt((1.0, 0.25)[best])
        x = np.array(pair[best])
        chosen.append((pair[best], reward))
        gram, total = gram + np.outer(x, x), total + reward * x
    assert router.theta == pytest.approx(list(np.linalg.solve(gram, total)))

"""The online composer and the knapsack searcher: verdicts, order of decisions, what is bought."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from paragent.composer import Composer, Trials
from paragent.design import Agent, Design, Part
from paragent.errors import UnknownName, UsageError
from paragent.knapsack import Threshold
from paragent.outcome import Evaluation, Failed, Measured, Outcome, Purpose, Usage
from paragent.search.knapsack import Knapsack
from paragent.searcher import TeamSpace
from paragent.skills import Skill
from paragent.testing import toy_evaluation, toy_space

ANY = Design(Agent(Part("pocket-s"), Part("direct")))
SKILLS = (
    Skill("sums", 0.5, tuple(f"s{i}" for i in range(8)), "sum"),
    Skill("facts", 0.5, tuple(f"f{i}" for i in range(8)), "fact"),
)


def trial(design: Design = ANY, purpose: Purpose = "trial", **rates: float | str) -> Evaluation:
    """Eight tasks for each of "s" and "f" that is named: a share solved, or a failure's kind."""
    outcomes: dict[str, Outcome] = {}
    for skill, rate in rates.items():
        for i in range(8):
            outcomes[f"{skill}{i}"] = (
                Failed(rate, "why") if isinstance(rate, str)
                else Measured(float(i < 8 * rate), Usage(1, 9, 9, 1e-6))
            )  # fmt: skip
    return Evaluation(design, "dev", purpose, outcomes)


def composer(order: list[int], prices: list[float], budget: float) -> Composer:
    return Composer(SKILLS, order, prices, Threshold.of(prices, [0.5, 0.5], budget), bar=0.5)


def verdict(evaluation: Evaluation, skill: int = 0) -> str:
    trials = Trials()
    trials.add(evaluation, {t: j for j, s in enumerate(SKILLS) for t in s.probes})
    return trials.verdict(skill, 0.5)


def test_three_verdicts_and_unsure() -> None:
    """8 of 8 helps, 0 of 8 does not, 4 of 8 is unsure, not tried is unsure."""
    assert verdict(trial(s=1.0)) == "helpful"
    assert verdict(trial(s=0.0)) == "not"
    assert verdict(trial(s=0.5)) == "unsure"
    assert verdict(trial(f=1.0)) == "unsure"


def test_a_part_that_raises_is_broken_and_an_outage_is_no_verdict() -> None:
    """Its own faults are remembered; timeouts and refusals of the world say nothing."""
    assert verdict(trial(s="component")) == "broken"
    assert verdict(trial(s="call-bound", f=1.0)) == "broken"
    for outage in ("timeout", "connection", "rate-limit", "server", "auth"):
        assert verdict(trial(s=outage)) == "unsure"
        assert verdict(trial(s=outage, f=1.0), skill=1) == "helpful"


def test_what_covers_is_bought_once() -> None:
    """The second part that helps with sums has nothing left to add; the one for facts does."""
    c = composer([0, 1, 2], [1.0, 1.0, 1.0], budget=3)
    assert not c.told(0, trial(s=1.0, f=0.0), last=False)
    assert c.taken == [0] and c.open == {1}
    c.told(1, trial(f=0.0), last=True)
    c.told(2, trial(f=1.0), last=True)
    assert c.taken == [0, 2] and c.done
    assert c.gate.spent == 2.0


def test_decisions_fall_in_order_whenever_trials_end() -> None:
    """The third trial ends first: nothing is bought before the first has been decided on."""
    c = composer([0, 1, 2], [1.0, 1.0, 1.0], budget=3)
    c.told(2, trial(s=1.0, f=1.0), last=True)
    assert c.taken == [] and c.decided == 0
    c.told(1, trial(s=0.0, f=0.0), last=True)
    c.told(0, trial(s=1.0, f=0.0), last=True)
    assert c.taken == [0, 2]


def test_an_unsure_part_is_tried_again_and_then_judged_by_its_mean() -> None:
    """5 of 8 asks for a second trial; with it 10 of 16 is above the bar of one half."""
    c = composer([0], [1.0], budget=2)
    assert c.told(0, trial(s=5 / 8), last=False)
    assert c.taken == []
    c.told(0, trial(s=5 / 8), last=True)
    assert c.taken == [0]


def test_broken_and_unaffordable_parts_are_not_tried() -> None:
    """A broken part is remembered for ever; one above the budget is passed over."""
    c = composer([0, 1], [1.0, 9.0], budget=3)
    c.told(0, trial(s="component"), last=True)
    assert not c.worth_trying(0) and not c.worth_trying(1)
    assert c.taken == []


def landscape(design: Design, tasks: Mapping[str, str]) -> Evaluation:
    """pocket-m solves facts, pocket-s solves sums, calculators raise."""
    agents = [agent for _, agent in design.agents()]
    if any(agent.tools for agent in agents):
        return Evaluation(design, "dev", "trial", {t: Failed("component", "boom") for t in tasks})
    able = {"pocket-s": "sum", "pocket-m": "fact"}
    words = {able[a.model.name] for a in agents}
    outcomes: dict[str, Outcome] = {
        t: Measured(float(any(w in q for w in words)), Usage(1, 9, 9, 1e-6 * len(agents)))
        for t, q in tasks.items()
    }
    return Evaluation(design, "dev", "trial", outcomes)


QUESTIONS = {
    **{f"s{i}": f"what is the sum of apples and pears {i}" for i in range(40)},
    **{f"f{i}": f"which fact about doctors holds here {i}" for i in range(40)},
}


def test_the_searcher_tries_on_probes_and_then_proposes_teams_that_cover() -> None:
    """Trials run on tasks of the given questions only; the first team covers both skills, and no
    part that raised is in it."""
    space = toy_space()
    searcher = Knapsack(space, questions=QUESTIONS, composer="online", price_budget=50.0, seed=1)
    first_team: Design | None = None
    for _ in range(60):
        (proposal,) = searcher.ask(1)
        if proposal.purpose in ("trial", "label"):
            assert isinstance(proposal.tasks, tuple) and set(proposal.tasks) <= set(QUESTIONS)
            told = landscape(proposal.design, {t: QUESTIONS[t] for t in proposal.tasks})
            told = Evaluation(told.design, "dev", proposal.purpose, told.outcomes)
        else:
            first_team = first_team or proposal.design
            told = landscape(proposal.design, QUESTIONS)
            told = Evaluation(told.design, "dev", "search-eval", told.outcomes)
        searcher.tell(told)
    assert first_team is not None
    models = {a.model.name for _, a in first_team.agents()}
    assert models == {"pocket-s", "pocket-m"}
    assert not any(a.tools for _, a in first_team.agents())


@pytest.mark.parametrize("name", ["offline", "retrieval", "identity"])
def test_other_composers_need_no_trials(name: str) -> None:
    """Their first proposal is a team or an agent; all are legal."""
    space = toy_space()
    searcher = Knapsack(space, questions=QUESTIONS, composer=name, seed=1)
    for _ in range(12):
        for proposal in searcher.ask(1):
            assert proposal.purpose == "search-eval"
            assert space.check(proposal.design) == []
            searcher.tell(toy_evaluation(proposal.design))


def test_prices_bind_what_is_bought() -> None:
    """With a budget below the cheapest part nothing is tried; the search still goes on."""
    space = toy_space()
    assert isinstance(space, TeamSpace)
    cheapest = min(1000 * (space.bounds(d).usd or 0) for d in space.agents(120))
    searcher = Knapsack(space, questions=QUESTIONS, price_budget=cheapest / 2)
    purposes = set()
    for _ in range(5):
        (proposal,) = searcher.ask(1)
        purposes.add(proposal.purpose)
        searcher.tell(toy_evaluation(proposal.design))
    assert purposes <= {"search-eval", "trial"}


def test_an_unknown_composer_is_named() -> None:
    """With the nearest right name."""
    with pytest.raises(UnknownName, match="online"):
        Knapsack(toy_space(), composer="onlin")


@pytest.mark.parametrize(
    ("option", "value"),
    [("price_budget", -1.0), ("price_budget", float("nan")), ("price_budget", float("inf")),
     ("inventory", 0), ("k", 0), ("probes", -1), ("bar", 1.0)],
)  # fmt: skip
def test_options_that_make_no_sense_are_misuse(option: str, value: float) -> None:
    """Told with the option's name before anything is composed."""
    with pytest.raises(UsageError, match=f"{option} is .*wanted"):
        Knapsack(toy_space(), **{option: value})  # type: ignore[arg-type]

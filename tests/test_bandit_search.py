"""The bandit over sub-agents: credit where it is due, growth, and the traps of its source."""

from __future__ import annotations

import json

import pytest

from paragent.bandits import new_table
from paragent.design import Agent, Design, Part, Team
from paragent.errors import UnknownName
from paragent.outcome import Evaluation, Failed, Measured, Outcome, Usage
from paragent.search.bandit import Bandit, helpfulness, missed
from paragent.searcher import Proposal
from paragent.testing import toy_evaluation, toy_space

MEMBERS = tuple(Agent(Part(m), Part("direct")) for m in ("pocket-s", "pocket-m"))
TEAM = Design(Team(Part("vote"), MEMBERS))


def told(members: list[tuple[bool | None, ...]], scores: list[float]) -> Evaluation:
    outcomes: dict[str, Outcome] = {
        f"t{i}": Measured(s, Usage(2, 9, 9, 1e-6), "x", m)
        for i, (m, s) in enumerate(zip(members, scores, strict=True))
    }
    return Evaluation(TEAM, "dev", "search-eval", outcomes)


def drive(searcher: Bandit, rounds: int) -> list[Proposal]:
    """Ask and tell; every team's last member is the one whose answer is right."""
    asked = []
    for _ in range(rounds):
        for proposal in searcher.ask(1):
            asked.append(proposal)
            plain = toy_evaluation(proposal.design)
            root = proposal.design.root
            n = len(root.members) if isinstance(root, Team) else 0
            outcomes: dict[str, Outcome] = {
                t: Measured(o.score, o.usage, "x", tuple(i == n - 1 for i in range(n)))
                for t, o in plain.outcomes.items()
                if isinstance(o, Measured)
            }
            searcher.tell(
                Evaluation(proposal.design, "dev", proposal.purpose, outcomes, by=proposal.by)
            )
    return asked


def test_helpfulness_by_hand() -> None:
    """Asked on 3, 2 and 0 tasks; an answer helps if it was the team's and right."""
    evaluation = told(
        [(True, False, None), (True, None, None), (False, True, None)], [1.0, 0.0, 1.0]
    )
    assert helpfulness(evaluation, 3) == [1 / 3, 1 / 2, None]


def test_failed_tasks_are_no_trajectories() -> None:
    """A team whose tasks failed credits nobody, against nobody."""
    failed = Evaluation(TEAM, "dev", "search-eval", {"t0": Failed("timeout", "slow")})
    assert helpfulness(failed, 2) == [None, None]
    searcher = Bandit(toy_space(), seed=1)
    drive(searcher, 12)
    before = searcher.archive.policy.tally.n.copy()
    searcher.tell(failed)
    assert (searcher.archive.policy.tally.n == before).all()


def test_what_a_team_loses_without_a_member() -> None:
    """Paired on the tasks both measured: .5 fewer right is .75; nothing in common is no credit."""
    whole = told([(True, True)] * 4, [1, 1, 1, 1])
    without = told([(True,)] * 4, [1, 0, 1, 0])
    assert missed(whole, without) == pytest.approx((1 + 0.5) / 2)
    assert missed(whole, Evaluation(TEAM, "dev", "trial", {})) is None


def test_arms_are_warmed_up_before_they_play() -> None:
    """Every member of every team was warmed up alone earlier."""
    space = toy_space()
    asked = drive(Bandit(space, seed=2), 40)
    warm: set[str] = set()
    for proposal in asked:
        if proposal.purpose == "warm-up":
            warm.add(proposal.design.hash)
        elif isinstance(proposal.design.root, Team) and proposal.by == "bandit":
            for member in proposal.design.root.members:
                assert isinstance(member, Agent)
                plain = Design(Agent(member.model, member.reasoning, member.planning,
                                     member.memory, member.tools, member.guard))  # fmt: skip
                assert plain.hash in warm
    assert len(warm) > 4


def test_credit_goes_to_who_was_right_not_to_the_company() -> None:
    """Only last members are right here: mean credit of arms differs, and stays in [0, 1]."""
    searcher = Bandit(toy_space(), seed=3)
    drive(searcher, 60)
    rows = searcher.to_data()
    means = [row["mean"] for row in rows if row["mean"] is not None]
    assert means and all(0 <= float(str(m)) <= 1 for m in means)
    assert max(map(float, map(str, means))) > min(map(float, map(str, means)))


def test_the_archive_is_saved_without_nan() -> None:
    """Arms never played are in it with mean None."""
    searcher = Bandit(toy_space(), seed=4, start=6)
    drive(searcher, 7)
    rows = json.loads(json.dumps(searcher.to_data(), allow_nan=False))
    assert len(rows) >= 6 and any(row["mean"] is None for row in rows)


def test_a_broken_arm_never_plays() -> None:
    """An arm that raises in its warm-up is in no team."""
    space = toy_space()
    searcher = Bandit(space, seed=5)
    broken: set[str] = set()
    for _ in range(40):
        for proposal in searcher.ask(1):
            if proposal.purpose == "warm-up" and len(broken) < 3:
                broken.add(proposal.design.hash)
                outcomes: dict[str, Outcome] = {"t0": Failed("component", "boom")}
                searcher.tell(Evaluation(proposal.design, "dev", "warm-up", outcomes))
                continue
            if isinstance(proposal.design.root, Team) and proposal.purpose == "search-eval":
                members = {Design(m).hash for m in proposal.design.root.members}
                assert not members & broken
            searcher.tell(
                Evaluation(proposal.design, "dev", proposal.purpose,
                           toy_evaluation(proposal.design).outcomes)
            )  # fmt: skip
    assert broken


def test_an_outage_in_the_warm_up_breaks_no_arm() -> None:
    """Timeouts are the world's: the arm may play."""
    searcher = Bandit(toy_space(), seed=6)
    (proposal,) = searcher.ask(1)
    assert proposal.purpose == "warm-up"
    searcher.tell(Evaluation(proposal.design, "dev", "warm-up", {"t0": Failed("timeout", "slow")}))
    arm = searcher.archive.arms[searcher.archive.number[proposal.design.hash]]
    assert arm.warm and not arm.broken


@pytest.mark.parametrize("credit", ["helpful", "counterfactual", "success"])
def test_every_credit_runs_and_gives_plays(credit: str) -> None:
    """Sixty rounds; under counterfactual credit teams without a member are trials."""
    searcher = Bandit(toy_space(), seed=7, credit=credit)
    asked = drive(searcher, 60)
    assert searcher.archive.policy.tally.n.sum() > 0
    assert any(p.purpose == "trial" for p in asked) == (credit == "counterfactual")


def test_both_draw_modes_grow_as_simulated() -> None:
    """The published rule adds one draw a round: from 5 arms in 20 rounds about 2.8 on average; one
    draw for each of three places adds about 3 times that at first."""
    import random

    def grown(draws: int, rounds: int, start: int, seed: int) -> int:
        rng, arms = random.Random(seed), start
        for _ in range(rounds):
            chance = new_table(1.0, arms)
            arms += sum(rng.random() < chance for _ in range(draws))
        return arms - start

    one = sum(grown(1, 20, 5, s) for s in range(400)) / 400
    three = sum(grown(3, 20, 0, s) for s in range(400)) / 400
    assert one == pytest.approx(2.8, abs=0.4)
    assert three == pytest.approx(10.7, abs=0.6)


def test_two_arms_of_like_names_never_share_credit() -> None:
    """Arms are known by the hash of their design, roles that a topology gave left out."""
    searcher = Bandit(toy_space(), seed=8)
    drive(searcher, 30)
    arms = searcher.archive.arms
    assert len({a.design.hash for a in arms}) == len(arms) == len(searcher.archive.number)


def test_unknown_options_are_named() -> None:
    """With the nearest right name."""
    for options in ({"index": "ucb"}, {"credit": "helpfull"}, {"growth": "rounds"}):
        with pytest.raises(UnknownName, match="Did you mean"):
            Bandit(toy_space(), **options)  # type: ignore[arg-type]

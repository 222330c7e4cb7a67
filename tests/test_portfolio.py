"""The portfolio of searchers: credit goes to who adds hypervolume cheaply; nothing is run twice."""

from __future__ import annotations

import pytest

from paragent.design import Design
from paragent.errors import ParagentError
from paragent.factor_space import FactorSpace, row_levels
from paragent.outcome import Evaluation, Failed, Measured, Usage
from paragent.search.portfolio import Portfolio

SPACE = FactorSpace({"a": list(range(6)), "b": list(range(6))})


def told(design: Design, usd: float = 0.1) -> Evaluation:
    """The score rises with both levels."""
    levels = row_levels(design) or {}
    score = sum(float(v) for v in levels.values()) / 10
    return Evaluation(design, "dev", "search-eval", {"t": Measured(score, Usage(1, 0, 0, usd))})


def test_no_design_is_asked_twice_and_all_are_found() -> None:
    """Three members on a table of 36: 36 proposals, all different, then none."""
    portfolio = Portfolio(SPACE, members="random+greedy+ageing_evolution")
    seen: list[Design] = []
    while proposals := portfolio.ask(3):
        seen += [p.design for p in proposals]
        for proposal in proposals:
            portfolio.tell(told(proposal.design))
    assert len(seen) == len(set(seen)) == 36
    assert sum(portfolio.shares.values()) == 36


def test_every_member_is_tried_and_credit_decides() -> None:
    """Only what greedy proposes is measured; the others' proposals fail: greedy proposes most."""
    space = FactorSpace({"a": list(range(15)), "b": list(range(15))})
    portfolio = Portfolio(space, members="random+greedy+ageing_evolution", c=0.1)
    for _ in range(60):
        for proposal in portfolio.ask(1):
            if proposal.by == "greedy":
                portfolio.tell(told(proposal.design))
            else:
                failed = {"t": Failed("timeout", "slow")}
                portfolio.tell(Evaluation(proposal.design, "dev", "search-eval", failed))
    shares = portfolio.shares
    assert min(shares.values()) >= 1
    assert shares["greedy"] > 30


def test_the_gain_by_hand() -> None:
    """Cost 1, score .2; then cost 10, score .6. The reference is (1.1, -.19)."""
    portfolio = Portfolio(SPACE, members="random")
    one, two = SPACE.design((1, 1)), SPACE.design((3, 3))
    assert portfolio._gain(told(one, 1.0)) == 0.0, "nothing to compare with"
    # (0, -.2) holds 1.1 x .01; (1, -.6) adds .1 x (.41 - .01).
    assert portfolio._gain(told(two, 10.0)) == pytest.approx(0.1 * 0.4 / (10 / 5.5))


@pytest.mark.parametrize("members", ["", "portfolio", "random+portfolio", "nobody"])
def test_members_that_are_none_are_refused(members: str) -> None:
    """None, itself, or an unknown name."""
    with pytest.raises(ParagentError, match=r"portfolio|nobody"):
        Portfolio(SPACE, members=members)

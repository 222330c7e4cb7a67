"""Published rules of other searchers, on values worked out by hand."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from paragent.design import Design
from paragent.errors import UsageError
from paragent.factor_space import FactorSpace, row_levels
from paragent.outcome import Evaluation, Measured, Usage
from paragent.pareto import hypervolume
from paragent.registry import searchers
from paragent.search.aflow import chances
from paragent.search.ageing_evolution import AgeingEvolution
from paragent.search.agentsquare import AgentSquare, distance
from paragent.search.exhaustive import Exhaustive, walk
from paragent.search.gp import Gp, below, ehvi, posterior
from paragent.search.greedy import Greedy
from paragent.searcher import Searcher

SPACE = FactorSpace({"a": list(range(6)), "b": list(range(6)), "c": [0, 1]})
PEERS = ("ageing_evolution", "aflow", "agentsquare", "boad", "greedy", "gp")


def told(design: Design, score: float, usd: float = 0.1) -> Evaluation:
    """Ten tasks, all alike."""
    outcomes = {f"t{i}": Measured(score, Usage(1, 1, 1, usd)) for i in range(10)}
    return Evaluation(design, "dev", "search-eval", outcomes)


def value(design: Design) -> float:
    """A slope with its top at (5, 5, 1)."""
    levels = row_levels(design) or {}
    return sum(float(v) for v in levels.values()) / 11


def drive(
    searcher: Searcher, rounds: int, score: Callable[[Design], float] = value
) -> list[Design]:
    """Ask one, tell one."""
    asked = []
    for _ in range(rounds):
        for proposal in searcher.ask(1):
            asked.append(proposal.design)
            searcher.tell(told(proposal.design, score(proposal.design)))
    return asked


def test_aflow_s_distribution_by_hand() -> None:
    """Scores .8, .7, .6, .5, .4 with alpha .2, lambda .3: softmax weights 1, e^-2, e^-4, …"""
    got = chances((0.8, 0.7, 0.6, 0.5, 0.4), 0.3, 0.2)
    assert got == pytest.approx([0.665, 0.142, 0.071, 0.062, 0.060], abs=1e-3)
    assert sum(got) == pytest.approx(1)
    assert chances((0.2, 0.9), 1.0, 0.2) == pytest.approx([0.5, 0.5]), "lambda 1 is uniform"


def test_an_edit_of_ageing_evolution_is_of_the_tournament_s_winner() -> None:
    """With a tournament of all, every child is one edit from the best that is alive."""
    searcher = AgeingEvolution(SPACE, seed=1, population=4, tournament=4)
    alive = drive(searcher, 4)
    for _ in range(6):
        best = max(alive[-4:], key=value)
        (proposal,) = searcher.ask(1)
        near = {d for d in SPACE.edits(best)}
        assert proposal.design in near
        searcher.tell(told(proposal.design, value(proposal.design)))
        alive.append(proposal.design)


def test_the_oldest_dies_however_good() -> None:
    """The best came first; after four others the parent is the best of those four."""
    searcher = AgeingEvolution(SPACE, seed=0, population=4, tournament=4)
    drive(searcher, 4, lambda d: 0.0)
    searcher.tell(told(SPACE.design((0, 0, 0)), 1.0))
    for k, score in enumerate((0.4, 0.1, 0.2, 0.3)):
        searcher.tell(told(SPACE.design((5, k + 1, 1)), score))
    (proposal,) = searcher.ask(1)
    assert proposal.design in set(SPACE.edits(SPACE.design((5, 1, 1))))
    assert proposal.design not in set(SPACE.edits(SPACE.design((0, 0, 0))))


def test_agentsquare_s_distance_by_hand() -> None:
    """{x, y} and {y, z} share one of three features."""
    assert distance({"x": 1, "y": 1}, {"y": 1, "z": 1, "w": 0}) == pytest.approx(2 / 3)
    assert distance({}, {}) == 0.0


def test_agentsquare_measures_what_its_neighbours_promise() -> None:
    """All designs with c = 1 scored 1, all others 0: the next one proposed has c = 1."""
    searcher = AgentSquare(SPACE, seed=0, startup=4, candidates=50, neighbours=1)
    for a, b, c in ((0, 0, 1), (3, 3, 0), (5, 1, 1), (1, 5, 0)):
        searcher.tell(told(SPACE.design((a, b, c)), float(c)))
    for proposal in searcher.ask(4):
        assert (row_levels(proposal.design) or {})["c"] == 1


def test_greedy_goes_on_from_what_is_better_and_begins_again_at_a_top() -> None:
    """Each proposal is an edit of the best since the last start, until no edit is left."""
    searcher = Greedy(SPACE, seed=3)
    best, starts = None, 0
    for _ in range(72):
        (proposal,) = searcher.ask(1)
        design = proposal.design
        if best is None or design not in set(SPACE.edits(best)):
            starts, best = starts + 1, design
        elif value(design) > value(best):
            best = design
        searcher.tell(told(design, value(design)))
    assert starts >= 2, "all 72 designs are found, some after a new start"
    assert list(searcher.ask(1)) == []


def test_exhaustive_search_is_exact_where_the_budget_pays_for_all() -> None:
    """Two choices of two and three options: six designs, each once, one branch after the other; the
    best is among them for certain, and then there is no more."""
    space = FactorSpace({"a": ["x", "y"], "b": [1, 2, 3]})
    seen = [tuple((row_levels(d) or {}).values()) for d in walk(space, random.Random(0))]
    assert sorted(map(str, seen)) == sorted(map(str, itertools.product("xy", (1, 2, 3))))
    assert len({a for a, _ in seen[:3]}) == len({a for a, _ in seen[3:]}) == 1
    searcher = Exhaustive(SPACE)
    searcher.tell(told(SPACE.design((0, 0, 1)), 0.5))
    asked = drive(searcher, 80)
    assert len(asked) == len(set(asked)) == 71, "of 72 one was told before"
    assert max(map(value, asked)) == 1.0 and searcher.ask(1) == []


def test_exhaustive_search_lists_nothing() -> None:
    """A space of 10^12 designs: the first proposals come at once."""
    huge = FactorSpace({f"f{i}": list(range(100)) for i in range(6)})
    assert len(Exhaustive(huge).ask(5)) == 5


def test_a_process_returns_what_it_saw_and_falls_back_far_away() -> None:
    """At observed points nearly the observation, with little doubt; far away the mean."""
    x = np.arange(8.0)[:, None]
    y = np.sin(x[:, 0])
    mean, deviation = posterior(x, y, np.array([[0.0], [2.0], [50.0]]))
    assert mean[:2] == pytest.approx([0.0, math.sin(2.0)], abs=0.2)
    assert deviation[0] < 0.5 * deviation[2]
    assert mean[2] == pytest.approx(y.mean(), abs=1e-6)


def gains(front: Sequence[tuple[float, float]], at: tuple[float, float], sd: float) -> float:
    """Expected gain by drawing 20,000 points."""
    rng = np.random.default_rng(0)
    reference = (1.0, 1.0)
    now = hypervolume(list(front), reference)
    drawn = rng.normal(at, sd, size=(20_000, 2))
    return float(np.mean([hypervolume([*front, tuple(p)], reference) - now for p in drawn]))


@pytest.mark.parametrize("front", [[], [(0.5, 0.5)], [(0.2, 0.8), (0.5, 0.4), (0.9, 0.1)]])
def test_expected_hypervolume_improvement_agrees_with_drawing(
    front: list[tuple[float, float]],
) -> None:
    """Exact against Monte Carlo, for a point inside, beyond and behind the front."""
    for at, sd in itertools.product(((0.4, 0.4), (0.1, 0.9), (0.8, 0.8)), (0.05, 0.3)):
        exact = ehvi(
            front, (1.0, 1.0), (np.array([at[0]]), np.array([at[1]])), (np.array([sd]),) * 2
        )
        assert float(exact[0]) == pytest.approx(gains(front, at, sd), abs=0.006)


def test_a_certain_point_gains_its_rectangle() -> None:
    """Without doubt, (0.5, 0.5) within reference (1, 1) gains 0.25; nothing where dominated."""
    sure = (np.array([1e-9]), np.array([1e-9]))
    point = (np.array([0.5]), np.array([0.5]))
    assert float(ehvi([], (1.0, 1.0), point, sure)[0]) == pytest.approx(0.25)
    assert float(ehvi([(0.4, 0.4)], (1.0, 1.0), point, sure)[0]) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", ["tpe", "nsga2", "gp"])
def test_with_the_score_alone_costs_change_nothing(name: str) -> None:
    """Rising or falling prices: the same designs in the same order; with both aims they matter."""

    def designs(price: float, **options: str) -> list[str]:
        made = searchers[name].make(SPACE, seed=2, cost="usd", **options)
        found = []
        for _ in range(45):
            (proposal,) = made.ask(1)
            usd = 10 ** (price * value(proposal.design))
            made.tell(told(proposal.design, value(proposal.design), usd))
            found.append(proposal.design.hash)
        return found

    alone = designs(3, objectives="score")
    assert alone == designs(-3, objectives="score")
    assert designs(3) != designs(-3)
    with pytest.raises(UsageError, match="objectives is 'cost'; wanted both or score"):
        searchers[name].make(SPACE, seed=0, cost="usd", objectives="cost")


def test_expected_improvement_by_hand() -> None:
    """A standard normal below 0: its density at 0, 0.3989; a sure 0.2 below 0.5: 0.3."""
    found = below(0.0, np.array([0.0]), np.array([1.0]))
    assert float(found[0]) == pytest.approx(0.39894, abs=1e-5)
    assert float(below(0.5, np.array([0.2]), np.array([1e-9]))[0]) == pytest.approx(0.3)


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_beats_random_on_a_slope(name: str) -> None:
    """After 25 of 72 designs, mean best over ten seeds."""

    def best(which: str) -> float:
        runs = [drive(searchers[which].make(SPACE, seed=s, cost="usd"), 25) for s in range(10)]
        return sum(max(map(value, run)) for run in runs) / len(runs)

    assert best(name) > best("random")


def test_the_gp_s_free_design_is_a_point() -> None:
    """A cost of zero has a logarithm here: one decade below the rest; the search goes on."""
    searcher = Gp(SPACE, seed=0, startup=3)
    rng = random.Random(0)
    for usd in (0.1, 0.0, 1.0, 0.5):
        searcher.tell(told(SPACE.sample(rng), rng.random(), usd))
    assert len(searcher.ask(3)) == 3
    assert math.isfinite(value(searcher.ask(1)[0].design))

"""Racing: evidence under optional stopping, by hand, by simulation, and around a searcher."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.design import Design
from paragent.factor_space import FactorSpace
from paragent.outcome import Evaluation, Measured, Usage
from paragent.racing import STAKES, Entrant, Pair, Race, Raced, log_evidence
from paragent.registry import searchers
from paragent.searcher import Proposal


def test_evidence_by_hand() -> None:
    """One win multiplies the wealth at stake s by 1 + s, a loss by 1 - s, a tie by 1."""
    assert log_evidence([]) == pytest.approx(0.0)
    assert log_evidence([0.0, 0.0]) == pytest.approx(0.0)
    assert log_evidence([1.0]) == pytest.approx(math.log(1 + sum(STAKES) / len(STAKES)))
    both = sum((1 + s) * (1 - s) for s in STAKES) / len(STAKES)
    assert log_evidence([1.0, -1.0]) == pytest.approx(math.log(both))
    with pytest.raises(ValueError, match="outside"):
        log_evidence([1.5])


@given(st.lists(st.floats(-1, 1), max_size=30))
def test_the_running_pair_agrees(differences: list[float]) -> None:
    """Added one by one or all at once, and `highest` never falls."""
    pair = Pair()
    highest = [pair.add([d]) for d in differences]
    assert highest == sorted(highest)
    ends = [log_evidence(differences[: i + 1]) for i in range(len(differences))]
    assert pair.highest == pytest.approx(max([0.0, *ends]), abs=1e-9)


def test_equal_designs_are_rarely_told_apart_however_often_one_looks() -> None:
    """2,000 pairs of equal success, looked at after every one of 300 tasks: Ville's bound."""
    rng = random.Random(0)
    false = 0
    for _ in range(2000):
        p = rng.uniform(0.2, 0.9)
        pair = Pair()
        pair.add([float(rng.random() < p) - float(rng.random() < p) for _ in range(300)])
        false += pair.highest >= math.log(1 / 0.05)
    assert false / 2000 < 0.05


def race(
    true: list[tuple[float, float]], rng: random.Random, tasks: int, alpha: float = 0.05
) -> Race:
    """Designs of (score, cost), block by block of 25 tasks, difficulty shared between them."""
    found = Race(alpha)
    luck = [rng.random() for _ in range(tasks)]
    own = [[rng.random() for _ in range(tasks)] for _ in true]
    for i, (score, cost) in enumerate(true):
        drawn = {f"t{t}": float((luck[t] if t % 2 else own[i][t]) < score) for t in range(tasks)}
        for end in range(25, tasks + 1, 25):
            part = dict(list(drawn.items())[:end])
            if found.add(f"d{i}", part, cost):
                break
    return found


def test_a_design_of_the_true_front_is_lost_in_few_runs() -> None:
    """120 runs of 15 random designs: in under 5 % of them any non-dominated one was dropped."""
    rng = random.Random(1)
    lost = dropped = 0
    for _ in range(120):
        true = [(rng.uniform(0.3, 0.9), rng.uniform(1, 10)) for _ in range(15)]
        on = [
            i
            for i, (s, c) in enumerate(true)
            if not any(s2 >= s and c2 <= c and (s2, c2) != (s, c) for s2, c2 in true)
        ]
        found = race(true, rng, 200)
        dropped += len(found.dropped)
        lost += any(f"d{i}" in found.dropped for i in on)
    assert lost / 120 < 0.05
    assert dropped / 120 > 3, "and it does drop what is surely dominated"


def test_only_a_rival_that_is_no_dearer_can_drop() -> None:
    """All wrong against all right: dropped by the cheap rival, never by a dear one."""
    right, wrong = {f"t{i}": 1.0 for i in range(60)}, {f"t{i}": 0.0 for i in range(60)}
    found = Race()
    assert found.add("dear", right, 2.0) is None
    assert found.add("cheap and bad", wrong, 1.0) is None
    assert found.add("dearer and bad", wrong, 3.0) == "dear"
    assert found.dropped == {"dearer and bad": "dear"}


class Listed:
    """Proposes the given designs in order, and notes what it is told."""

    def __init__(self, designs: list[Design]) -> None:
        self._left, self.told = list(designs), list[tuple[str, int]]()

    def ask(self, n: int) -> list[Proposal]:
        """The next ones."""
        found, self._left = self._left[:n], self._left[n:]
        return [Proposal(design) for design in found]

    def tell(self, evaluation: Evaluation) -> None:
        """Hash and number of tasks."""
        self.told.append((evaluation.design.hash, evaluation.n))


def evaluation(design: Design, tasks: int, score: float) -> Evaluation:
    """All tasks scored alike, all designs at one price."""
    outcomes = {f"t{i}": Measured(score, Usage(1, 1, 1, 0.1)) for i in range(tasks)}
    return Evaluation(design, "dev", "search-eval", outcomes)


def test_a_raced_searcher_grows_and_leaves() -> None:
    """A good design runs all its 50 tasks in blocks; a bad one after it is left early."""
    space = FactorSpace({"model": ["good", "bad"]})
    good, bad = space.design(("good",)), space.design(("bad",))
    inner = Listed([good, bad])
    raced = Raced(inner, most=50)
    asked: dict[str, list[int]] = {}
    while proposals := raced.ask(1):
        design, tasks = proposals[0].design, proposals[0].tasks
        assert isinstance(tasks, int)
        asked.setdefault(design.hash, []).append(tasks)
        raced.tell(evaluation(design, tasks, 1.0 if design == good else 0.0))
    assert asked == {good.hash: [10, 20, 30, 40, 50], bad.hash: [10]}
    assert inner.told == [(good.hash, 50), (bad.hash, 10)], "the searcher inside: once per design"


@pytest.mark.parametrize("name", ["random", "nsga2", "tpe"])
def test_any_searcher_can_be_raced(name: str) -> None:
    """Each design of a small table is asked for in growing blocks, and then there is no more."""
    space = FactorSpace({"model": ["a", "b"], "n": [1, 2]})
    raced = Raced(searchers[name].make(space, seed=0, cost="usd"), most=20)
    asked: dict[str, list[int]] = {}
    while proposals := raced.ask(1):
        tasks = proposals[0].tasks
        assert isinstance(tasks, int)
        asked.setdefault(proposals[0].design.hash, []).append(tasks)
        raced.tell(evaluation(proposals[0].design, tasks, 0.5))
    assert list(asked.values()) == [[10, 20]] * 4


def entrants(
    true: list[tuple[float, float]], rng: random.Random, tasks: int
) -> tuple[set[int], int]:
    """Designs of (score, cost) raced as in a run: eight in flight, so each meets those told when it
    began, in blocks of 10 tasks. Which were left, and how many tasks were run."""
    luck = [rng.random() for _ in range(tasks)]
    told: list[tuple[dict[str, float], float]] = []
    waiting: list[tuple[dict[str, float], float]] = []
    left, run = set(), 0
    for i, (score, cost) in enumerate(true):
        if len(waiting) == 8:
            told.append(waiting.pop(0))
        one = Entrant(tuple(told))
        drawn = {f"t{t}": float((luck[t] if t % 2 else rng.random()) < score) for t in range(tasks)}
        for end in range(10, tasks + 1, 10):
            part = dict(list(drawn.items())[:end])
            if one.lost(part, cost):
                left.add(i)
                break
        else:
            waiting.append((drawn, cost))
        run += len(part)
    return left, run


def test_an_engine_loses_a_design_of_the_true_front_in_few_runs() -> None:
    """60 runs of 60 random designs on 50 tasks: in under 5 % of them one of the front is left, and
    tasks are saved."""
    rng = random.Random(2)
    lost = run = 0
    for _ in range(60):
        true = [(rng.uniform(0.05, 0.95), rng.uniform(1, 10)) for _ in range(60)]
        on = {
            i
            for i, (s, c) in enumerate(true)
            if not any(s2 >= s and c2 <= c and (s2, c2) != (s, c) for s2, c2 in true)
        }
        left, tasks = entrants(true, rng, 50)
        lost, run = lost + bool(left & on), run + tasks
    assert lost / 60 < 0.05
    assert run < 0.9 * 60 * 60 * 50, "and it saves tasks"


def test_an_entrant_by_hand() -> None:
    """No rival: never lost. Ten losses to one rival at its price: the mean wealth of the stakes is
    above 20. The same rival at a higher price, or beside 99 dear ones, is no reason."""
    mine, theirs = {f"t{i}": 0.0 for i in range(10)}, {f"t{i}": 1.0 for i in range(10)}
    wealth = sum((1 + s) ** 10 for s in STAKES) / len(STAKES)
    assert 20 < wealth < 20 * 100
    assert not Entrant(()).lost(mine, 1.0)
    assert Entrant(((theirs, 1.0),)).lost(mine, 1.0)
    assert not Entrant(((theirs, 2.0),)).lost(mine, 1.0)
    assert not Entrant(((theirs, 1.0), *[(theirs, 2.0)] * 99)).lost(mine, 1.0)
    assert not Entrant(((mine, 1.0),)).lost(theirs, 1.0)

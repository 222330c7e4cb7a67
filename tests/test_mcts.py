"""The tree search: its rules on hand-worked values, its tree pinned whole, its manners."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from paragent.errors import UsageError
from paragent.factor_space import FactorSpace, row_levels
from paragent.outcome import Evaluation, Measured, Usage
from paragent.search.mcts import Mcts
from paragent.search_tree import Owned, Tree
from paragent.selection import Weighting, mixed_probabilities, ucb, widened
from paragent.stats import variance_of_mean
from paragent.testing import drive, toy_evaluation, toy_space
from paragent.value.surrogate import Belief

AIMS = ("hypervolume", "scalarised")
HALF = Weighting(0.5, -6.0, -4.0)
GOLDEN = Path(__file__).parent / "golden" / "mcts_tree.json"


def test_a_weighting_mixes_score_and_cheapness() -> None:
    """Score 0.8 at the middle of two decades: 0.5 * 0.8 + 0.5 * 0.5."""
    assert HALF.value(0.8, -5.0) == pytest.approx(0.65)
    assert Weighting(1.0, -5.0, -5.0).value(0.8, -5.0) == 0.8, "one cost only: no division by zero"


def test_ucb_on_hand_worked_values() -> None:
    """Mean value 0.65, 3 visits of 10: 0.65 + 0.5 sqrt(ln 10 / 3); in flight only: no mean."""
    assert ucb(0.65, 3, 10, 0.5) == pytest.approx(0.65 + 0.5 * math.sqrt(math.log(10) / 3))
    assert ucb(None, 1, 10, 0.5) == pytest.approx(0.5 * math.sqrt(math.log(10)))


def test_a_node_widens_with_the_root_of_its_visits() -> None:
    """With k = 2 and a = 1/2: one visit allows 2 children, four allow 4, nine allow 6."""
    assert [widened(n, 2.0, 0.5) for n in (0, 1, 4, 9)] == [1, 2, 4, 6]


def test_the_mixed_rule_works_in_percent() -> None:
    """Scores .8 .7 .6 .5 .4 with lambda .3, alpha .2, beta 0 give .67 .14 .07 .06 .06; without
    the factor of 100 it would be nearly uniform."""
    scores = [0.8, 0.7, 0.6, 0.5, 0.4]
    found = mixed_probabilities(scores, [0.0] * 5, lam=0.3, alpha=0.2, beta=0.0)
    assert [round(p, 2) for p in found] == [0.67, 0.14, 0.07, 0.06, 0.06]
    assert sum(found) == pytest.approx(1.0)


def test_a_surprising_design_is_drawn_more_often() -> None:
    """Of two equal scores the one that the model had misjudged is preferred, as beta says."""
    one, other = mixed_probabilities([0.5, 0.5], [0.2, 0.0], lam=0.3, alpha=0.2, beta=0.5)
    share = 1 / (1 + math.exp(-0.2 * 100 * 0.5 * 0.2))
    assert one == pytest.approx(0.15 + 0.7 * share)
    assert one + other == pytest.approx(1.0)


def test_measured_nodes_stand_in_order_whatever_came_first() -> None:
    """Node 4 before node 2, and node 2 again: two entries, the latest figures."""
    owned = Owned()
    for number, score in ((4, 0.4), (2, 0.1), (2, 0.2)):
        owned.note(number, score, -3.0, 0.0)
    assert (owned.numbers, owned.scores, owned.log_costs) == ([2, 4], [0.2, 0.4], [-3.0, -3.0])


def test_a_tree_counts_and_sums_up_to_its_root() -> None:
    """Root, a child, a grandchild: measuring the grandchild reaches all three, nobody else."""
    empty = Tree()
    tree = empty.grown("a", "A", 0, "seed").grown("b", "B", 1, "mutate").grown("c", "C", 0, "seed")
    told = tree.backed_up(2, 0.5, -3.0, 0.1)
    assert len(empty.nodes) == 1, "a tree is frozen"
    assert [n.visits for n in told.nodes] == [3, 2, 1, 1]
    assert [n.measured for n in told.nodes] == [1, 1, 1, 0]
    assert told.path(2) == [2, 1, 0]
    assert told.nodes[2].own == (0.5, -3.0) and told.nodes[1].own is None
    assert told.show().splitlines() == [
        "root  visits 3  own -  mean 0.500",
        "  seed A  visits 2  own -  mean 0.500",
        "    mutate B  visits 1  own 0.500  mean 0.500",
        "  seed C  visits 1  own -  mean -",
    ]


@pytest.mark.parametrize("selection", ["mixed", "uct"])
def test_every_proposal_is_a_node_below_the_one_it_was_made_from(selection: str) -> None:
    """30 rounds: 30 nodes beside the root, visits add up, edits have measured parents."""
    searcher = Mcts(toy_space(), seed=1, selection=selection)
    asked = drive(searcher, 30)
    nodes = searcher.tree.nodes
    assert [n.design for n in nodes[1:]] == asked
    assert nodes[0].visits == nodes[0].measured == 30
    for number, node in enumerate(nodes[1:], 1):
        assert number in nodes[node.parent].children
        assert 0 <= node.parent < number
    assert {n.move for n in nodes[1:13]} == {"seed"}
    assert {n.move for n in nodes[13:]} & {"mutate", "recombine", "climb"}


def test_seeds_are_labels_and_show_every_level() -> None:
    """Nine levels of two factors: the first nine designs show each level once or twice."""
    space = FactorSpace({"a": [f"a{i}" for i in range(9)], "b": [f"b{i}" for i in range(9)]})
    searcher = Mcts(space, seed=0)
    proposals = searcher.ask(6)
    assert {p.purpose for p in proposals} == {"label"}
    levels = [row_levels(p.design) or {} for p in proposals]
    assert len({row["a"] for row in levels}) == len({row["b"] for row in levels}) == 6


def table() -> FactorSpace:
    """Five planners and five solvers."""
    return FactorSpace({"planner": [f"p{i}" for i in range(5)], "solver": list("vwxyz")})


def told(searcher: Mcts, rounds: int, score_of: dict[str, float]) -> list[str]:
    """Ask and tell noise-free scores and costs; the labels in order."""
    labels = []
    for _ in range(rounds):
        for proposal in searcher.ask(1):
            row = row_levels(proposal.design) or {}
            solver, planner = str(row["solver"]), str(row["planner"])
            score = score_of[solver] + 0.01 * int(planner[1])
            outcome = Measured(score, Usage(usd=1e-4 * (1 + "vwxyz".index(solver))))
            searcher.tell(Evaluation(proposal.design, "dev", "search-eval", {"t": outcome}))
            labels.append(f"{planner}{solver}")
    return labels


def test_an_additive_table_is_solved_within_half_of_it() -> None:
    """25 designs, one solver far ahead: the best of all is among the first twelve asked."""
    scores = dict(zip("vwxyz", (0.3, 0.4, 0.35, 0.7, 0.2), strict=True))
    labels = told(Mcts(table(), seed=2), 12, scores)
    assert "p4y" in labels
    assert len(set(labels)) == 12


def test_designs_in_flight_are_not_crowded() -> None:
    """Eight asked at once after ten told: eight different designs, none told."""
    scores = dict(zip("vwxyz", (0.3, 0.4, 0.35, 0.7, 0.2), strict=True))
    searcher = Mcts(table(), seed=2)
    known = told(searcher, 10, scores)
    asked = {p.design.label for p in searcher.ask(8)}
    assert len(asked) == 8 and not asked & set(known)


def test_the_variance_of_a_mean_is_never_zero_for_few_answers() -> None:
    """Four of four right: p = 6/8, so 0.1875 / 4; one task alone, or equal fractions, tell 0."""
    assert variance_of_mean([1.0] * 4) == pytest.approx(0.75 * 0.25 / 4)
    assert variance_of_mean([0.7]) == variance_of_mean([]) == variance_of_mean([0.3, 0.3]) == 0.0
    assert variance_of_mean([0.2, 0.4]) == pytest.approx(0.01)


def test_a_weighted_sum_of_beliefs_by_hand() -> None:
    """Score .6 +- .1 and log cost -3 +- .5 between -4 and -2; the score weighs a third."""
    belief = Belief((np.array([0.6]), np.array([0.1])), (np.array([-3.0]), np.array([0.5])))
    weighting = Weighting(1 / 3, -4.0, -2.0)
    mean, spread = weighting.believed(belief)
    assert mean == pytest.approx([0.2 + 2 / 3 * 0.5])
    assert weighting.value(0.6, -3.0) == pytest.approx(mean[0])
    assert spread == pytest.approx([np.hypot(0.1 / 3, 2 / 3 * 0.25)])


def test_a_scalarised_aim_climbs_another_way() -> None:
    """A trade-off drawn for each iteration: another order of designs, none of them twice."""
    found = {aim: drive(Mcts(toy_space(), seed=2, aim=aim), 30) for aim in AIMS}
    assert found["hypervolume"] != found["scalarised"]
    assert len(set(found["scalarised"])) == 30
    with pytest.raises(UsageError, match="aim is 'both'; wanted hypervolume or scalarised"):
        Mcts(toy_space(), aim="both")


def test_a_misspelt_selection_is_refused() -> None:
    """One clear line."""
    with pytest.raises(UsageError, match="selection is 'utc'; wanted mixed or uct"):
        Mcts(toy_space(), selection="utc")


def test_a_free_design_stands_a_decade_below_the_cheapest() -> None:
    """A cost of zero has no logarithm; told first, it does not stretch the axis."""
    searcher = Mcts(toy_space(), seed=0)
    (one,) = searcher.ask(1)
    searcher.tell(toy_evaluation(one.design))
    cheapest = min(searcher.model.costs)
    (two,) = searcher.ask(1)
    free = Measured(1.0, Usage(usd=0.0))
    searcher.tell(Evaluation(two.design, "dev", "search-eval", {"t": free}))
    assert searcher.model.costs[-1] == pytest.approx(cheapest - 1)


def test_the_tree_of_a_seeded_search_is_pinned() -> None:
    """Config and tree in one file. After a change that is meant: delete the file, run this test
    once (it writes the file and fails), read the difference, commit it."""
    config = {"seed": 7, "rounds": 24, "selection": "uct"}
    space = FactorSpace({f"f{k}": list("abcde") for k in range(5)})
    searcher = Mcts(space, seed=7, selection="uct")
    for _ in range(24):
        (proposal,) = searcher.ask(1)
        levels = ["abcde".index(str(v)) for v in (row_levels(proposal.design) or {}).values()]
        outcome = Measured(sum(levels) / 20, Usage(usd=1e-4 * (1 + levels[0])))
        searcher.tell(Evaluation(proposal.design, "dev", "search-eval", {"t": outcome}))
    found = {"config": config, "tree": searcher.tree.show(depth=9).splitlines()}
    if not GOLDEN.exists():
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
        pytest.fail(f"{GOLDEN.name} was not there and is written; look at it")
    assert found == json.loads(GOLDEN.read_text("utf-8"))

"""A flat table of factors as a space: full, with conditional factors, and with rows listed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.design import Design, Param
from paragent.errors import UsageError
from paragent.factor_space import FactorSpace, row_levels
from paragent.searcher import Partial, Space

FACTORS: dict[str, Sequence[Param]] = {"model": ["s", "m"], "n": [1, 3, 5], "memory": ["none", "k"]}
ROWS: list[tuple[Param, ...]] = [
    ("s", 1, "none"),
    ("s", 3, "none"),
    ("m", 1, "none"),
    ("m", 5, "k"),
]


def walk(space: Space, partial: Partial = ()) -> list[Design]:
    """All designs by top-down decisions: the oracle of `all`."""
    decision = space.next(partial)
    if decision is None:
        return [space.build(partial)]
    assert len(decision.options) > 1, "a choice of one is no decision"
    return [d for option in decision.options for d in walk(space, (*partial, option))]


def spaces() -> list[FactorSpace]:
    """One of each kind."""
    return [
        FactorSpace(FACTORS),
        FactorSpace(FACTORS, rows=ROWS),
        FactorSpace(FACTORS, when={"n": ("model", ["m"]), "memory": ("n", [3, 5])}),
    ]


@pytest.mark.parametrize("space", spaces(), ids=["full", "rows", "conditional"])
def test_all_size_and_the_tree_agree(space: FactorSpace) -> None:
    """`all` lists what the decisions reach, once each; `size` counts it; all are legal."""
    designs = space.all()
    assert designs is not None
    assert designs == walk(space)
    assert len({d.hash for d in designs}) == len(designs) == space.size()
    assert all(space.check(d) == [] for d in designs)
    assert space.all(len(designs) - 1) is None


def test_sizes_by_hand() -> None:
    """2 x 3 x 2 combinations; four rows; and s, or m with n=1, or m with n in 3, 5 and memory."""
    assert [space.size() for space in spaces()] == [12, 4, 1 + 1 + 2 * 2]


@pytest.mark.parametrize("space", spaces(), ids=["full", "rows", "conditional"])
def test_moves_stay_inside_and_reach_everything(space: FactorSpace) -> None:
    """Edits and recombinations are legal and new; edits alone connect the whole table."""
    designs = space.all() or []
    rng = random.Random(0)
    reached, pending = {designs[0]}, [designs[0]]
    while pending:
        design = pending.pop()
        edits = space.edits(design)
        assert len(set(edits)) == len(edits) and design not in edits
        assert all(space.check(e) == [] for e in edits)
        pending += [e for e in edits if e not in reached]
        reached.update(edits)
    assert reached == set(designs)
    for one, other in itertools.product(designs, repeat=2):
        assert space.check(space.recombine(one, other, rng)) == []


def test_an_edit_repairs_what_a_level_forces() -> None:
    """From (s, 1, none) the level n=5 exists only as (m, 5, k): that is the edit towards it."""
    space = FactorSpace(FACTORS, rows=ROWS)
    levels = [row_levels(e) for e in space.edits(space.design(("s", 1, "none")))]
    assert levels == [
        {"model": "m", "n": 1, "memory": "none"},
        {"model": "s", "n": 3, "memory": "none"},
        {"model": "m", "n": 5, "memory": "k"},
    ]


def test_a_full_table_has_every_single_change() -> None:
    """1 + 2 + 1 other levels."""
    space = FactorSpace(FACTORS)
    assert len(space.edits(space.design(("s", 1, "none")))) == 4


def test_features_are_one_hot_and_numeric() -> None:
    """Each level taken is 1; n, whose levels are numbers, is there as a number too."""
    space = FactorSpace({**FACTORS, "fixed": ["only"]})
    assert space.features(space.design(("m", 3, "k", "only"))) == {
        "model=m": 1.0,
        "n=3": 1.0,
        "n": 3.0,
        "memory=k": 1.0,
    }


def test_a_design_is_plain_data() -> None:
    """It survives the canonical form, keeps number levels numbers, and reads well."""
    space = FactorSpace(FACTORS)
    design = space.design(("m", 3, "k"))
    assert Design.from_data(design.to_data()) == design
    assert Design.from_yaml(design.to_yaml()).hash == design.hash
    assert design.label == "recorded·row(memory=k, model=m, n=3)"


@given(st.integers(0, 2**32), st.sampled_from([0, 1, 2]))
def test_samples_are_legal_and_seeded(seed: int, kind: int) -> None:
    """One seed, one draw; every draw is of the table."""
    space = spaces()[kind]
    design = space.sample(random.Random(seed))
    assert space.check(design) == []
    assert space.sample(random.Random(seed)) == design


def test_designs_that_are_not_of_the_table_are_named() -> None:
    """A missing combination, a foreign level and a foreign design each get their reason."""
    space = FactorSpace(FACTORS, rows=ROWS)
    full = FactorSpace({**FACTORS, "n": [1, 3, 5, 7], "more": ["x"]})
    assert "no design" in space.check(FactorSpace(FACTORS).design(("s", 5, "k")))[0]
    reasons = space.check(full.design(("s", 7, "k", "x")))
    assert reasons == ["root: the table has no factor 'more'", "root.n: 7 is no level of it"]
    from paragent.testing import toy_space

    assert "is no row" in space.check(toy_space().sample(random.Random(0)))[0]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"factors": {}}, "at least one factor"),
    ({"factors": {"a": []}}, "no levels"),
    ({"factors": {"a": ["1", 1]}}, "twice"),
    ({"factors": {"a": [1, True]}}, "twice"),
    ({"factors": FACTORS, "rows": []}, "at least one row"),
    ({"factors": FACTORS, "rows": [ROWS[0], ROWS[0]]}, "same levels"),
    ({"factors": FACTORS, "rows": [("s", 1)]}, "2 levels for 3"),
    ({"factors": FACTORS, "rows": [("s", 2, "k")]}, "2 is no level of factor 'n'"),
    ({"factors": FACTORS, "when": {"x": ("model", ["s"])}}, "no factor"),
    ({"factors": FACTORS, "when": {"model": ("n", [1])}}, "must come before"),
    ({"factors": FACTORS, "rows": ROWS, "when": {"n": ("model", ["s"])}}, "not both"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[m for _, m in BAD])
def test_bad_tables_are_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    """What was given and what is wrong with it."""
    with pytest.raises(UsageError, match=message):
        FactorSpace(**arguments)


def test_wrong_choices_are_refused() -> None:
    """An option that is not offered, and a design that is not complete."""
    space = FactorSpace(FACTORS)
    with pytest.raises(ValueError, match="no option"):
        space.next(("xl",))
    with pytest.raises(ValueError, match="still open"):
        space.build(("s",))

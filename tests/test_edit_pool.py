"""Edits that show a few at a time: none is lost, none is made up, and the order is the seed's."""

from __future__ import annotations

import random

from paragent.design import Agent
from paragent.edit_pool import AROUND, MORE, EditPool
from paragent.factor_space import FactorSpace
from paragent.space import DesignSpace

SPACE = DesignSpace(["pocket-s", "pocket-m"], available=frozenset({"notes", "examples"}))


def test_a_design_that_is_often_looked_at_shows_every_edit() -> None:
    """`MORE` at a time, each once, until they are exactly the edits of the space."""
    design = SPACE.sample(random.Random(3))
    edits = {d.hash for d in SPACE.edits(design)}
    assert len(edits) > MORE, "else the test says nothing"
    pool = EditPool(SPACE, seed=0)
    assert len(pool.more(design)) == MORE
    assert len(pool.more(design)) == min(2 * MORE, len(edits))
    for _ in range(len(edits) // MORE):
        shown = [d.hash for d in pool.more(design)]
    assert len(shown) == len(set(shown)) and set(shown) == edits


def test_a_single_agent_shows_all_its_edits_at_once() -> None:
    """The calculator that a good agent lacks is a candidate at the first look."""
    rng = random.Random(0)
    agent = next(d for d in iter(lambda: SPACE.sample(rng), None) if isinstance(d.root, Agent))
    pool = EditPool(SPACE, seed=0)
    edits = SPACE.edits(agent)
    assert pool.more(agent) == pool.around(agent) == edits
    assert any(isinstance(d.root, Agent) and d.root.tools for d in edits)


def test_what_shows_first_follows_from_the_seed_and_the_design_alone() -> None:
    """Other designs looked at before change nothing; another seed does."""
    one, other = (SPACE.sample(random.Random(k)) for k in (3, 4))
    fresh, used = EditPool(SPACE, seed=0), EditPool(SPACE, seed=0)
    used.more(other)
    assert list(fresh.more(one)) == list(used.more(one))
    assert list(EditPool(SPACE, seed=1).more(one)) != list(fresh.more(one))[:MORE]
    around = fresh.around(one)
    assert 0 < len(around) <= AROUND and {d.hash for d in around} <= {
        d.hash for d in SPACE.edits(one)
    }


def test_a_space_that_makes_edits_only_all_at_once_shows_them_so() -> None:
    """Five factors of five levels: 20 edits at the first look, in the space's order."""
    space = FactorSpace({f"f{k}": list("abcde") for k in range(5)})
    design = space.sample(random.Random(0))
    pool = EditPool(space, seed=0)
    assert pool.more(design) == pool.all(design) == pool.around(design) == space.edits(design)
    assert len(pool.all(design)) == 20

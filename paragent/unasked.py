"""A random design that was not asked for before: where every searcher begins, and ends."""

from __future__ import annotations

import random
from collections.abc import Container

from paragent.design import Design
from paragent.searcher import Space

#: Draws in a row that are known already before a space counts as exhausted.
PATIENCE = 500


def random_unasked(space: Space, rng: random.Random, asked: Container[str]) -> Design | None:
    """A design whose hash is not in `asked`, or None where 500 draws give none."""
    for _ in range(PATIENCE):
        design = space.sample(rng)
        if design.hash not in asked:
            return design
    return None

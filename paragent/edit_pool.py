"""The edits of the designs a search grows from, as many as it can afford.

In a space of many designs a design has hundreds of edits, and making one costs more than judging
it. So where a space makes them one by one (`paragent.searcher.Unfolds`), a design shows a few more
whenever it is looked at: one that is often selected shows them all in the end, one selected once
costs a few. A single agent shows all of its own at once: they are cheap to make, and the one part
that a good agent lacks must not wait for its turn among them. So do tables of factors.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice

from paragent.design import Agent, Design
from paragent.searcher import Space, Unfolds

#: Edits that a design shows more at a time; those of a design that is looked at once.
MORE, AROUND = 12, 24
#: Designs whose edits are kept.
KEPT = 256


class EditPool:
    """Edits of one space's designs. Which show first follows from the seed and the design alone."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._unfolds = space if isinstance(space, Unfolds) else None
        self._all: dict[str, Sequence[Design]] = {}
        self._shown: dict[str, tuple[Iterator[Design], list[Design]]] = {}

    def all(self, design: Design) -> Sequence[Design]:
        """Every edit."""
        if design.hash not in self._all:
            if len(self._all) >= KEPT:
                self._all.clear()
            self._all[design.hash] = self._space.edits(design)
        return self._all[design.hash]

    def more(self, design: Design) -> Sequence[Design]:
        """Those that were shown before and `MORE` others; of a single agent all."""
        if self._at_once(design):
            return self.all(design)
        if design.hash not in self._shown:
            if len(self._shown) >= KEPT:
                self._shown.clear()
            self._shown[design.hash] = self._unfolded(design), []
        rest, shown = self._shown[design.hash]
        shown += islice(rest, MORE)
        return shown

    def around(self, design: Design) -> Sequence[Design]:
        """Those of a design that is looked at once: of a team at most `AROUND`."""
        if self._at_once(design):
            return self.all(design)
        return list(islice(self._unfolded(design), AROUND))

    def _at_once(self, design: Design) -> bool:
        return self._unfolds is None or isinstance(design.root, Agent)

    def _unfolded(self, design: Design) -> Iterator[Design]:
        assert self._unfolds is not None
        return self._unfolds.unfold(design, random.Random(f"{self._seed} {design.hash}"))

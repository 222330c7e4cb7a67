"""A flat table of factors and levels as a `Space`: what the lab's recorded tables are searched as.

A design takes one level of every factor. Three kinds of legality are known:

    every combination     FactorSpace({"planner": [...], "solver": [...]})
    conditional factors   `when={"partner": ("topology", ("debate", "vote"))}`: the factor is there
                          only under some levels of an earlier one
    listed rows           `rows=[("gpt-4", 5), ...]`: just these combinations exist

Such a design is plain data like any other: one agent whose reasoning part is called `row` and
carries the levels as parameters, `recorded·row(planner=…, solver=…)`. It says nothing about scores.
"""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from paragent.design import Agent, Design, Param, Part
from paragent.errors import UsageError
from paragent.searcher import Bounds, Decision, Partial

MODEL, ROW = "recorded", "row"
#: Equally near designs that one edit lists where the level asked for forces other changes.
TIES = 8
#: Draws of a recombination before an edit is taken instead.
TRIES = 50
#: What stands in a row for a conditional factor that is not there.
ABSENT = -1

Levels = Mapping[str, Param]
Row = tuple[int, ...]  # one level's index per factor, or ABSENT


def row_design(levels: Levels) -> Design:
    """The design that takes these levels."""
    return Design(Agent(Part(MODEL), Part.of(ROW, **levels)))


def row_levels(design: Design) -> Levels | None:
    """The levels of a design made by `row_design`, sorted by factor; None for any other design."""
    root = design.root
    if not isinstance(root, Agent) or root.model.name != MODEL or root.reasoning.name != ROW:
        return None
    return dict(root.reasoning.params)


class FactorSpace:
    """The designs of a table of factors. All methods are pure; see the module for the arguments.

    `factors` maps each factor to its levels, in order; a level's text must be its own within the
    factor. `rows` and `when` exclude each other; a row may hold None for a factor that it does
    not have. Raises UsageError for no factors, a factor without levels, levels of equal text,
    unknown names in `when` or `rows`, a row that comes twice, or no rows.
    """

    def __init__(
        self,
        factors: Mapping[str, Sequence[Param]],
        *,
        rows: Sequence[Sequence[Param | None]] | None = None,
        when: Mapping[str, tuple[str, Sequence[Param]]] | None = None,
    ) -> None:
        if not factors:
            raise UsageError("a table needs at least one factor")
        self.factors: Mapping[str, tuple[Param, ...]] = {k: tuple(v) for k, v in factors.items()}
        self._names = tuple(self.factors)
        self._texts: list[tuple[str, ...]] = []
        for name, levels in self.factors.items():
            texts = tuple(map(str, levels))
            if not texts:
                raise UsageError(f"factor {name!r} has no levels")
            if len(set(texts)) < len(texts):
                twice = next(t for t in texts if texts.count(t) > 1)
                raise UsageError(f"factor {name!r} has the level {twice!r} twice")
            if len(set(levels)) < len(levels):  # 1, 1.0 and True are one value in Python
                raise UsageError(f"factor {name!r} has one value twice: {', '.join(texts)}")
            self._texts.append(texts)
        self._index = [{level: i for i, level in enumerate(v)} for v in self.factors.values()]
        if rows is not None and when:
            raise UsageError("a table has listed rows or conditional factors, not both")
        self._when = self._conditions(when or {})
        self._rows = None if rows is None else self._sorted_rows(rows)

    def _conditions(
        self, when: Mapping[str, tuple[str, Sequence[Param]]]
    ) -> dict[int, tuple[int, frozenset[int]]]:
        found = {}
        for child, (parent, levels) in when.items():
            for name in (child, parent):
                if name not in self.factors:
                    raise UsageError(f"a condition names {name!r}, which is no factor")
            c, p = self._names.index(child), self._names.index(parent)
            if p >= c:
                raise UsageError(f"factor {child!r} depends on {parent!r}, which must come before")
            found[c] = (p, frozenset(self._level(p, level) for level in levels))
        return found

    def _level(self, factor: int, level: Param) -> int:
        found = self._index[factor].get(level)
        if found is None:
            raise UsageError(f"{level!r} is no level of factor {self._names[factor]!r}")
        return found

    def _sorted_rows(self, rows: Sequence[Sequence[Param | None]]) -> list[Row]:
        width = len(self._names)
        found: list[Row] = []
        for row in rows:
            if len(row) != width:
                raise UsageError(f"a row has {len(row)} levels for {width} factors: {row!r}")
            found.append(
                tuple(ABSENT if v is None else self._level(k, v) for k, v in enumerate(row))
            )
        found.sort()
        if not found:
            raise UsageError("a table needs at least one row")
        for one, other in itertools.pairwise(found):
            if one == other:
                raise UsageError(f"two rows take the same levels: {self._design(one).label}")
        return found

    # -- sizes and lists -------------------------------------------------------------------------

    def size(self) -> int:
        """How many designs there are."""
        if self._rows is not None:
            return len(self._rows)

        def below(factor: int) -> int:
            children = [c for c, (p, _) in self._when.items() if p == factor]
            total = 0
            for level in range(len(self._texts[factor])):
                ways = 1
                for child in children:
                    ways *= below(child) if level in self._when[child][1] else 1
                total += ways
            return total

        total = 1
        for factor in range(len(self._names)):
            total *= below(factor) if factor not in self._when else 1
        return total

    def all(self, limit: int | None = None) -> list[Design] | None:
        """Every design, in the order of the factors and levels; None where more than `limit`."""
        if limit is not None and self.size() > limit:
            return None
        return [self._design(row) for row in self._every()]

    def _every(self, prefix: Row = ()) -> Iterator[Row]:
        if self._rows is not None:
            yield from self._rows
            return
        if len(prefix) == len(self._names):
            yield prefix
            return
        for level in self._options(prefix):
            yield from self._every((*prefix, level))

    def design(self, levels: Sequence[Param | None]) -> Design:
        """The design of one level per factor, in their order; None for a factor not there.

        Raises UsageError for a level or a combination that the table does not have.
        """
        row = tuple(ABSENT if v is None else self._level(k, v) for k, v in enumerate(levels))
        if not self._has(row):
            raise UsageError(f"the table has no design {self._design(row).label}")
        return self._design(row)

    # -- rows and designs ------------------------------------------------------------------------

    def _design(self, row: Row) -> Design:
        values = self.factors.values()
        names = zip(self._names, row, values, strict=True)
        return row_design({name: levels[i] for name, i, levels in names if i != ABSENT})

    def _row(self, design: Design) -> Row:
        """The design's row; ValueError where it is not of this table."""
        reasons = self.check(design)
        if reasons:
            raise ValueError(reasons[0])
        levels = row_levels(design) or {}
        return tuple(
            self._index[k][levels[name]] if name in levels else ABSENT
            for k, name in enumerate(self._names)
        )

    def _has(self, row: Row) -> bool:
        if self._rows is not None:
            at = bisect_left(self._rows, row)
            return at < len(self._rows) and self._rows[at] == row
        return len(row) == len(self._names) and all(
            level in self._options(row[:k]) for k, level in enumerate(row)
        )

    def _options(self, prefix: Row) -> list[int]:
        """The levels that the next factor can take after these."""
        factor = len(prefix)
        if self._rows is None:
            if factor in self._when:
                parent, levels = self._when[factor]
                if prefix[parent] not in levels:
                    return [ABSENT]
            return list(range(len(self._texts[factor])))
        found = []
        at = bisect_left(self._rows, prefix)
        while at < len(self._rows) and self._rows[at][:factor] == prefix:
            level = self._rows[at][factor]
            found.append(level)
            at = bisect_left(self._rows, (*prefix, level + 1), lo=at)
        return found

    # -- top down --------------------------------------------------------------------------------

    def next(self, partial: Partial) -> Decision | None:
        """The first factor left with more than one level to choose from; None when complete.

        Raises ValueError for an option not offered.
        """
        found = self._replay(partial)
        return found if isinstance(found, Decision) else None

    def build(self, partial: Partial) -> Design:
        """The design of a complete sequence of choices."""
        found = self._replay(partial)
        if isinstance(found, Decision):
            raise ValueError(f"the choice {found.name!r} is still open")
        return self._design(found)

    def _replay(self, partial: Partial) -> Decision | Row:
        row: Row = ()
        left = list(reversed(partial))
        while len(row) < len(self._names):
            texts, options = self._texts[len(row)], self._options(row)
            if len(options) == 1:
                row = (*row, options[0])
                continue
            offered = tuple(texts[i] for i in options)
            if not left:
                return Decision(self._names[len(row)], offered)
            if left[-1] not in offered:
                raise ValueError(f"{left[-1]!r} is no option of {self._names[len(row)]!r}")
            row = (*row, options[offered.index(left.pop())])
        return row

    def sample(self, rng: random.Random) -> Design:
        """Top down, every option of a decision equally likely."""
        row: Row = ()
        while len(row) < len(self._names):
            row = (*row, rng.choice(self._options(row)))
        return self._design(row)

    # -- moves -----------------------------------------------------------------------------------

    def edits(self, design: Design) -> Sequence[Design]:
        """For every factor and every other level of it: the nearest designs that have that level.

        That is the design with one level changed where it exists. Else, what else must change
        with it is kept to the fewest factors; of equally near designs the first 8 are listed.
        """
        row = self._row(design)
        found: dict[Row, None] = {}
        for factor, texts in enumerate(self._texts):
            for level in range(len(texts)):
                if level != row[factor]:
                    changed = (*row[:factor], level, *row[factor + 1 :])
                    near = [changed] if self._has(changed) else self._repaired(row, factor, level)
                    found.update(dict.fromkeys(near))
        found.pop(row, None)
        return [self._design(each) for each in found]

    def _repaired(self, row: Row, factor: int, level: int) -> list[Row]:
        if self._rows is None:
            return list(itertools.islice(self._completions(row, factor, level, ()), TIES))
        with_level = np.flatnonzero(self._matrix[:, factor] == level)
        if not len(with_level):
            return []
        distance = (self._matrix[with_level] != np.array(row)).sum(axis=1)
        nearest = with_level[distance == distance.min()][:TIES]
        return [self._rows[i] for i in nearest]

    def _completions(self, row: Row, factor: int, level: int, prefix: Row) -> Iterator[Row]:
        """Rows of a conditional table that keep what they can of `row` and take the level."""
        at = len(prefix)
        if at == len(row):
            yield prefix
            return
        options = self._options(prefix)
        wanted = level if at == factor else row[at]
        if wanted in options:
            options = [wanted]
        elif at == factor:
            return  # the factor is not there under this parent
        for option in options:
            yield from self._completions(row, factor, level, (*prefix, option))

    @cached_property
    def _matrix(self) -> NDArray[np.int32]:
        """The rows, [designs, factors]; -1 where a factor is absent."""
        return np.array(self._rows, dtype=np.int32)

    def recombine(self, one: Design, other: Design, rng: random.Random) -> Design:
        """Each factor from either parent (uniform crossover); a random edit of `one` where no new
        design of the table comes of it, or `one` itself where it has none."""
        pair = self._row(one), self._row(other)
        for _ in range(TRIES if pair[0] != pair[1] else 0):
            child = tuple(rng.choice(levels) for levels in zip(*pair, strict=True))
            if child not in pair and self._has(child):
                return self._design(child)
        edits = self.edits(one)
        return rng.choice(edits) if edits else one

    # -- judging ---------------------------------------------------------------------------------

    def check(self, design: Design) -> list[str]:
        """Why the design is not of this table; empty where it is."""
        levels = row_levels(design)
        if levels is None:
            return [f"root: {design.label} is no row of a table"]
        reasons = [f"root: the table has no factor {k!r}" for k in levels if k not in self.factors]
        row = []
        for k, name in enumerate(self._names):
            value = levels.get(name)
            at = ABSENT if value is None else self._index[k].get(value)
            if at is None:
                reasons.append(f"root.{name}: {value!r} is no level of it")
            else:
                row.append(at)
        if not reasons and not self._has(tuple(row)):
            reasons.append(f"root: the table has no design {design.label}")
        return reasons

    def features(self, design: Design) -> Mapping[str, float]:
        """`factor=level` is 1 for each level taken; where the levels of a factor are numbers
        (text such as `none` beside them may be), `factor` is the number taken.

        A factor with one level says nothing and is left out.
        """
        found: dict[str, float] = {}
        for name, value in (row_levels(design) or {}).items():
            if len(self.factors.get(name, ())) > 1:
                found[f"{name}={value}"] = 1.0
                if name in self._numeric and not isinstance(value, str):
                    found[name] = float(value)
        return found

    @cached_property
    def _numeric(self) -> frozenset[str]:
        def numbers(levels: Sequence[Param]) -> int:
            return sum(isinstance(v, int | float) and not isinstance(v, bool) for v in levels)

        return frozenset(name for name, levels in self.factors.items() if numbers(levels) > 1)

    def bounds(self, design: Design) -> Bounds:
        """One call per task of unknown price: a table says nothing before it is asked."""
        return Bounds(1, None)

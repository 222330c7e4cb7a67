"""Named features of designs as arrays.

Where every row takes one level of each of some factors (names `factor=level`, value 1; a plain
`factor` beside them is its number), the rows are a table of factors and get level codes: kernels
and latent models know more about factors than about a bag of numbers. Nothing else than the names
is looked at, so any space may offer such features.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]
Row = Mapping[str, float]
#: Levels that name nothing two factors could share.
NOTHING = {"none", "absent", "true", "false"}


def _split(row: Row) -> dict[str, str] | None:
    """Factor to level, or None where the row is no row of factors."""
    levels: dict[str, str] = {}
    for name, value in row.items():
        factor, equals, level = name.partition("=")
        if not equals:
            continue
        if value != 1.0 or factor in levels:
            return None
        levels[factor] = level
    if not levels or any("=" not in name and name not in levels for name in row):
        return None
    return levels


def _filled(rows: Sequence[Row], names: Sequence[str]) -> Matrix:
    """The named values, [n, D]: row by row what is there, since most of a row is absent."""
    at = {name: k for k, name in enumerate(names)}
    where: list[int] = []
    values: list[float] = []
    start = 0
    for row in rows:
        for name, value in row.items():
            if name in at:
                where.append(start + at[name])
                values.append(value)
        start += len(names)
    x = np.zeros(len(rows) * len(names))
    x[where] = values
    return x.reshape(len(rows), len(names))


@dataclass(frozen=True)
class Table:
    """How rows become arrays; made from training rows by `of`.

    `factors` is empty for features that are no table of factors. `levels[f]` maps the level texts
    that were seen to codes 0...; an unseen level gets the next code, an absent factor -1.
    `shared[f][code]` is the level's number among all texts of all factors (-1: shared with none).
    """

    factors: tuple[str, ...]
    levels: tuple[Mapping[str, int], ...]
    shared: tuple[tuple[int, ...], ...]
    columns: tuple[str, ...]
    centre: Matrix  # [D]
    scale: Matrix  # [D]

    @staticmethod
    def of(rows: Sequence[Row]) -> Table:
        """From training rows. Raises ValueError for none."""
        if not rows:
            raise ValueError("a value model needs at least one row of features")
        known: list[dict[str, str]] = []
        for row in rows:
            levels_of = _split(row)
            if levels_of is None:
                known = []
                break  # one row that is none of factors settles it
            known.append(levels_of)
        factors = tuple(sorted(set().union(*known))) if known else ()
        levels = tuple(
            {t: i for i, t in enumerate(sorted({s[f] for s in known if f in s}))} for f in factors
        )
        texts = sorted(set().union(*levels)) if levels else []
        number = {
            t: i
            for i, t in enumerate(texts)
            if t.lower() not in NOTHING and re.search("[a-zA-Z]", t)
            and sum(t in each for each in levels) > 1
        }  # fmt: skip
        shared = tuple(tuple(number.get(t, -1) for t in each) for each in levels)
        names = sorted(set().union(*rows))
        x = _filled(rows, names)
        varies = np.ptp(x, axis=0) > 1e-12 if names else np.zeros(0, dtype=bool)
        columns = tuple(n for n, keep in zip(names, varies, strict=True) if keep)
        x = x[:, varies]
        return Table(factors, levels, shared, columns, x.mean(axis=0), x.std(axis=0))

    def matrix(self, rows: Sequence[Row]) -> Matrix:
        """Standardised features, [n, D]; a feature that never varied in training is left out."""
        scaled: Matrix = (_filled(rows, self.columns) - self.centre) / self.scale
        return scaled

    def codes(self, rows: Sequence[Row]) -> Codes:
        """Level codes, [n, F]: len(levels[f]) for an unseen level, -1 for an absent factor."""
        found = np.full((len(rows), len(self.factors)), -1, dtype=np.intp)
        at = {name: k for k, name in enumerate(self.factors)}
        for i, row in enumerate(rows):
            for name in row:
                factor, equals, level = name.partition("=")
                if equals and factor in at:
                    k = at[factor]
                    found[i, k] = self.levels[k].get(level, len(self.levels[k]))
        return found

    @property
    def sizes(self) -> list[int]:
        """Levels of each factor, one more for those never seen."""
        return [len(each) + 1 for each in self.levels]

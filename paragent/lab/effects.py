"""Measured effects of components: how two designs are compared, and the file of what was found.

`effects.json` beside this module is what `paragent lab ablate --write` measured last; `paragent
inspect component` and docs/components.md read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paragent.outcome import Evaluation, Measured
from paragent.stats import Paired, holm, paired_difference

FILE = Path(__file__).with_name("effects.json")
#: Holm-adjusted p-values below this are called an effect.
LEVEL = 0.05


def compare(one: Evaluation, other: Evaluation) -> dict[str, Any]:
    """`one - other`, paired on tasks that both measured. Costs are dollars per 1,000 tasks where
    both prices are known, else None; `p_cost` is of tokens then."""
    common = [t for t in one.scores if t in other.scores]
    mine, theirs = _usages(one), _usages(other)
    score = paired_difference(one.scores, other.scores)
    usd = [(mine[t].usage.usd, theirs[t].usage.usd) for t in common]
    tokens = [(float(mine[t].usage.tokens), float(theirs[t].usage.tokens)) for t in common]
    known = [(a, b) for a, b in usd if a is not None and b is not None]
    priced = len(known) == len(common)
    paid = known if priced else tokens
    cost = _cost_difference(paid)
    spent, spared = (math.fsum(column) for column in zip(*paid, strict=True))

    def mean(name: str, of: dict[str, Measured]) -> float:
        return math.fsum(float(getattr(of[t].usage, name)) for t in common) / len(common)

    return {
        "n": score.n,
        "score": math.fsum(mine[t].score for t in common) / len(common),
        "control_score": math.fsum(theirs[t].score for t in common) / len(common),
        "difference": score.mean,
        "low": score.low,
        "high": score.high,
        "p": score.p_value,
        "extra_calls": mean("calls", mine) - mean("calls", theirs),
        "extra_tokens": mean("tokens", mine) - mean("tokens", theirs),
        "extra_usd_per_1000": cost.mean * 1000 if priced else None,
        "extra_usd_low": cost.low * 1000 if priced else None,
        "extra_usd_high": cost.high * 1000 if priced else None,
        "cost_ratio": spent / spared if spared else None,
        "p_cost": cost.p_value,
        "extra_latency_ms": 1000 * (mean("latency_s", mine) - mean("latency_s", theirs)),
        "failed": len(one.failed),
        "control_failed": len(other.failed),
    }


def _usages(evaluation: Evaluation) -> dict[str, Measured]:
    return {t: o for t, o in evaluation.outcomes.items() if isinstance(o, Measured)}


def _cost_difference(pairs: Sequence[tuple[float, float]]) -> Paired:
    """Paired difference of costs, in their own unit; equal differences are certain."""
    highest = max((max(pair) for pair in pairs), default=0.0) or 1.0
    mine = {i: a / highest for i, (a, _) in enumerate(pairs)}
    theirs = {i: b / highest for i, (_, b) in enumerate(pairs)}
    differences = {round(mine[i] - theirs[i], 12) for i in mine}
    if len(differences) == 1:
        same = differences.pop() * highest
        p = 1.0 if same == 0 else 2.0 ** (1 - len(pairs))  # all signs alike
        return Paired(len(pairs), same, same, same, p)
    found = paired_difference(mine, theirs)
    scaled = [value * highest for value in (found.mean, found.low, found.high)]
    return Paired(found.n, scaled[0], scaled[1], scaled[2], found.p_value)


def judge(rows: Sequence[dict[str, Any]]) -> None:
    """Add Holm-adjusted p-values (scores and costs each over all rows) and the verdict in words."""
    for key in ("p", "p_cost"):
        for row, p in zip(rows, holm([row[key] for row in rows]), strict=True):
            row[f"{key}_holm"] = p
    for row in rows:
        row["verdict"] = verdict(row)


def verdict(row: dict[str, Any]) -> str:
    """What the row shows, in words."""
    if row["p_holm"] < LEVEL:
        score = "raises the score" if row["difference"] > 0 else "lowers the score"
    else:
        score = "no effect on the score shown"
    ratio = row["cost_ratio"]
    if row["p_cost_holm"] >= LEVEL or ratio is None:
        return f"{score}; no difference in cost shown"
    if ratio < 1:
        return f"{score}; saves {100 * (1 - ratio):.0f} % of the cost"
    return f"{score}; costs {ratio:.3g} times as much"


def stored() -> dict[str, Any]:
    """What was measured last: {"settings", "rows", "unmeasured", "replayed"}; {} before any."""
    if not FILE.is_file():
        return {}
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def effects_of(name: str) -> list[dict[str, Any]]:
    """The stored rows of a component, measured and replayed."""
    data = stored()
    rows = [*data.get("rows", ()), *data.get("replayed", {}).get("rows", ())]
    return [row for row in rows if row["component"] == name]


def why_unmeasured(name: str) -> str | None:
    """Why a component has no rows, where that was found out."""
    for entry in stored().get("unmeasured", ()):
        if entry["component"] == name:
            return str(entry["why"])
    return None


def write(data: dict[str, Any]) -> None:
    """Replace the stored file."""
    text = json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True)
    FILE.write_text(text + "\n", encoding="utf-8")

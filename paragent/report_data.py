"""The numbers of a report that a run does not hold itself: effects, failures, progress, gaps.

Everything is computed from the evaluations alone, so it can be checked by hand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from paragent.config import RunConfig
from paragent.design import Team
from paragent.engine import measurable
from paragent.outcome import CostName, Evaluation, Pruned
from paragent.pareto import front, score_cost_hypervolume
from paragent.runtime.secrets import BLOT, redact, redact_known
from paragent.stats import Interval, welch_interval

#: A design measured on fewer than this share of the most-measured design's tasks is listed apart.
FEW = 0.8


@dataclass(frozen=True, slots=True)
class Effect:
    """Mean dev score of designs with and without a component: an observation, not a cause.

    Means are over designs, each counted once; None where there is no design. `interval` bounds
    the difference, None where it cannot be known (fewer than two designs on a side).
    """

    slot: str
    name: str
    n_with: int
    n_without: int
    mean_with: float | None
    mean_without: float | None
    interval: Interval | None

    @property
    def gap(self) -> float | None:
        """Mean with minus mean without."""
        if self.mean_with is None or self.mean_without is None:
            return None
        return self.mean_with - self.mean_without


@dataclass(frozen=True, slots=True)
class Weak:
    """A design that was measured too little to be compared with the others, and why."""

    evaluation: Evaluation
    why: str


@dataclass(frozen=True, slots=True)
class FailureRow:
    """One kind of failure: on how many tasks of how many designs, with one message."""

    kind: str
    tasks: int
    designs: int
    example: str


@dataclass(frozen=True, slots=True)
class Progress:
    """After each evaluation: best dev score so far (None before any), and the hypervolume.

    `volumes` is empty where no two costs are known apart.
    """

    best: tuple[float | None, ...]
    volumes: tuple[float, ...]


def one_per_design(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Each design's evaluation of the most measured tasks (the first of equals)."""
    kept: dict[str, Evaluation] = {}
    for evaluation in evaluations:
        known = kept.get(evaluation.design.hash)
        if known is None or evaluation.n > known.n:
            kept[evaluation.design.hash] = evaluation
    return list(kept.values())


def components_of(evaluation: Evaluation) -> set[tuple[str, str]]:
    """(slot, name) of every component a design uses anywhere, parameters left out."""
    found = {("shape", "team")} if isinstance(evaluation.design.root, Team) else set()
    for _, node in evaluation.design.nodes():
        if isinstance(node, Team):
            found.add(("topology", node.topology.name))
        else:
            found.update((slot, part.name) for slot, part in node.parts())
    return found


def effects(evaluations: Sequence[Evaluation], config: RunConfig) -> list[Effect]:
    """One row a component that some measurable designs use and some do not; best gap first."""
    able = [e for e in one_per_design(evaluations) if measurable(e, config)]
    used = [components_of(e) for e in able]
    rows = []
    for slot, name in sorted(set().union(*used)):
        inside = [e.score or 0.0 for e, u in zip(able, used, strict=True) if (slot, name) in u]
        outside = [e.score or 0.0 for e, u in zip(able, used, strict=True) if (slot, name) not in u]
        if inside and outside:
            rows.append(
                Effect(
                    slot,
                    name,
                    len(inside),
                    len(outside),
                    sum(inside) / len(inside),
                    sum(outside) / len(outside),
                    welch_interval(inside, outside),
                )
            )
    return sorted(rows, key=lambda e: (-(e.gap or 0.0), e.slot, e.name))


def under_measured(evaluations: Sequence[Evaluation], config: RunConfig) -> list[Weak]:
    """Designs without a usable score or cost, or with far fewer tasks than the most measured."""
    most = max((e.n for e in evaluations), default=0)
    found = []
    for e in one_per_design(evaluations):
        reasons = []
        if not e.n:
            reasons.append("no task was measured")
        elif e.cost(config.cost) is None:
            reasons.append("its cost is unknown")
        if e.failure_share > config.failure_limit:
            reasons.append(f"{len(e.failed)} of {len(e.failed) + e.n} tasks failed")
        if 0 < e.n < FEW * most:
            pruned = sum(isinstance(o, Pruned) for o in e.outcomes.values())
            note = f", {pruned} pruned" if pruned else ""
            reasons.append(f"{e.n} tasks measured where others have {most}{note}")
        if reasons:
            found.append(Weak(e, "; ".join(reasons)))
    return found


def failure_rows(evaluations: Sequence[Evaluation]) -> list[FailureRow]:
    """Failures by kind, most frequent first; the example is the first message, made safe."""
    tasks: dict[str, int] = {}
    designs: dict[str, set[str]] = {}
    example: dict[str, str] = {}
    for e in evaluations:
        for failure in e.failed:
            tasks[failure.kind] = tasks.get(failure.kind, 0) + 1
            designs.setdefault(failure.kind, set()).add(e.design.hash)
            example.setdefault(failure.kind, redacted_text(failure.why)[:200])
    return [
        FailureRow(kind, tasks[kind], len(designs[kind]), example[kind])
        for kind in sorted(tasks, key=lambda k: (-tasks[k], k))
    ]


def cost_bounds(evaluations: Sequence[Evaluation], cost: CostName) -> tuple[float, float] | None:
    """Cheapest and dearest known positive cost, widened by half; None where there is none."""
    costs = [c for e in evaluations if (c := e.cost(cost))]
    return (min(costs) / 1.5, max(costs) * 1.5) if costs else None


def progress(evaluations: Sequence[Evaluation], config: RunConfig) -> Progress:
    """Best score and hypervolume after each evaluation, in the order of proposal, on dev.

    A design measured on few tasks (see `FEW`) moves neither: its score is mostly luck.
    """
    bounds = cost_bounds(evaluations, config.cost)
    best: list[float | None] = []
    volumes: list[float] = []
    kept: list[tuple[float | None, float | None]] = []
    top: float | None = None
    enough = FEW * max((e.n for e in evaluations), default=0)
    for e in evaluations:
        if measurable(e, config) and e.score is not None and e.n >= enough:
            top = e.score if top is None else max(top, e.score)
            kept.append((e.score, e.cost(config.cost)))
            kept = [kept[i] for i in front(kept)]
        best.append(top)
        if bounds:
            volumes.append(score_cost_hypervolume(kept, *bounds))
    return Progress(tuple(best), tuple(volumes))


# -- nothing secret is written ---------------------------------------------------------------------

_SECRET_NAME = re.compile(
    r"api_?key|secret|password|passwd|authorization|credential|_token$|^token$", re.IGNORECASE
)
_SECRET_ENV = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)
# No class below holds a bracket, so a match in a page never reaches over a tag.
_SECRET_TEXT = (
    re.compile(r"()\b(?:sk-|gsk_|ghp_|hf_|xai-|AKIA)[\w-]{8,}"),
    re.compile(r"(\bBearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"(://)[^/\s:@<>\"']+:[^/\s@<>\"']+(?=@)"),
    re.compile(
        r"((?:api[_-]?key|password|secret|access[_-]?token)[\"']?\s*[=:]\s*[\"']?)[\w.~+/=-]{6,}",
        re.IGNORECASE,
    ),
)


def redacted_text(text: str) -> str:
    """The text without what looks like a key, or is the value of a variable named as one."""
    return redacted_page(redact(text))


def redacted_page(page: str) -> str:
    """The same for a whole page, whose tags and scripts must stay as they are."""
    page = redact_known(page)
    for pattern in _SECRET_TEXT:
        page = pattern.sub(rf"\1{BLOT}", page)
    for name, value in sorted(os.environ.items()):
        if _SECRET_ENV.search(name) and len(value) >= 12:
            page = page.replace(value, BLOT).replace(escape(value), BLOT)
    return page


def redacted(value: Any) -> Any:
    """Plain data with secret texts, and all values under secret names, left out."""
    if isinstance(value, Mapping):
        return {
            str(k): BLOT if v and _SECRET_NAME.search(str(k)) else redacted(v)
            for k, v in value.items()
        }
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, list | tuple):
        return [redacted(v) for v in value]
    return value

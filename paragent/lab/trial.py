"""One replayed search: a searcher, a table, a seed and a budget; what it found, by true values.

The engine's own loop runs underneath, on a store in memory. A searcher sees factors and levels
only; truth (`Truth`) judges afterwards.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from paragent.config import RunConfig
from paragent.engine import Engine
from paragent.errors import UnknownName, UsageError, nearest
from paragent.lab.best_arm import ARM_RULES
from paragent.memory_store import MemoryStore
from paragent.outcome import Evaluation
from paragent.pareto import front, hypervolume, log_costs
from paragent.racing import Raced
from paragent.recommend import recommend
from paragent.recorded import DesignTable
from paragent.registry import searchers
from paragent.replay import Noise, Replay
from paragent.runtime.ledger import Caps, Ledger
from paragent.searcher import Earlier, Searcher, WarmStarts

#: Designs that a posterior is worked out for: its time grows with their cube.
JUDGED = 300


@dataclass(frozen=True)
class Protocol:
    """The terms of a comparison, the same for every searcher.

    `evals` counts evaluations, `tasks` tasks, `usd` the table's cost: hard caps, None for no cap.
    An evaluation is `per_eval` tasks; with a cap on tasks or dollars and `race`, a design is
    stopped as soon as it is surely dominated on the tasks it has in common with others.
    """

    noise: Noise = "none"
    evals: int | None = 20
    tasks: int | None = None
    usd: float | None = None
    per_eval: int = 50
    race: bool = True
    parallel: int = 1
    workers: int = 1
    held_out: float = 0.0

    @property
    def raced(self) -> bool:
        """Whether designs are stopped early."""
        return self.race and (self.tasks is not None or self.usd is not None)


@dataclass(frozen=True)
class Truth:
    """True values of a table: what a search is judged by."""

    table: DesignTable
    _shares: dict[frozenset[int], float] = field(default_factory=dict, hash=False, compare=False)

    @cached_property
    def _points(self) -> list[tuple[float, float] | None]:
        known = ~np.isnan(self.table.cost)
        logs = iter(log_costs([float(c) for c in self.table.cost[known]]))
        return [
            (next(logs), -float(s)) if ok else None
            for s, ok in zip(self.table.score, known, strict=True)
        ]

    @cached_property
    def _reference(self) -> tuple[float, float]:
        known = [p for p in self._points if p is not None]
        if not known:
            raise UsageError(f"{self.table.name}: no design has a known cost")
        right = max(x for x, _ in known)
        # All costs equal: the share is one of score alone, over any width.
        return right + (right == min(x for x, _ in known)), max(y for _, y in known)

    @cached_property
    def _whole(self) -> float:
        return hypervolume([p for p in self._points if p is not None], self._reference)

    def share(self, rows: Sequence[int]) -> float:
        """Hypervolume share of the rows' true values, in [0, 1]; see docs/lab.md."""
        points = [p for i in rows if (p := self._points[i]) is not None]
        if self._whole == 0:
            return 1.0 if points else 0.0
        return hypervolume(points, self._reference) / self._whole

    @cached_property
    def best(self) -> float:
        """The highest score."""
        return float(self.table.score.max())

    def exact_cost(self, tasks: int) -> float | None:
        """What it costs to run every design on so many tasks; None where a cost is unknown."""
        total = float(self.table.cost.sum()) * tasks
        return None if math.isnan(total) else total

    @cached_property
    def front(self) -> list[int]:
        """Rows of the true front of score and cost, cheapest first."""
        costs = [None if math.isnan(c) else float(c) for c in self.table.cost]
        return front(list(zip(map(float, self.table.score), costs, strict=True)))


@dataclass
class Watch:
    """Notes what the engine tells: the row, whether it ran anything new, and what was spent."""

    replay: Replay
    rows: list[int] = field(default_factory=list)
    duplicates: int = 0
    tasks: list[int] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    last: dict[int, Evaluation] = field(default_factory=dict)
    _before: dict[str, int] = field(default_factory=dict)

    def __call__(self, kind: str, evaluation: Evaluation | None) -> None:
        if kind != "told" or evaluation is None:
            return
        key = evaluation.design.hash
        row = self.replay.table.index(evaluation.design)
        self.replay.clock.told(key)
        self.duplicates += len(evaluation.outcomes) <= self._before.get(key, -1)
        self._before[key] = len(evaluation.outcomes)
        self.rows.append(row)
        self.tasks.append(self.replay.tasks_run)
        self.cost.append(self.replay.cost_spent)
        self.last[row] = evaluation


def parse_searcher(text: str) -> tuple[str, dict[str, Any]]:
    """`tpe` or `tpe:startup=5+repeats=true` as name and options. Raises UsageError, UnknownName."""
    name, _, rest = text.partition(":")
    if name in ARM_RULES and not rest:
        return name, {}
    if name not in searchers:
        raise UnknownName("searcher", name, [*searchers.names(), *ARM_RULES])
    plugin = searchers[name]
    options: dict[str, Any] = {}
    for pair in rest.split("+") if rest else ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{text!r}: got {pair!r}; wanted option=value")
        if key not in plugin.options:
            raise UnknownName(f"option of {name}", key, plugin.options)
        default = plugin.options[key]
        try:
            options[key] = _value(value, default)
        except ValueError:
            near = nearest(value, ("true", "false"))
            hint = f". Did you mean {near!r}?" if near and isinstance(default, bool) else ""
            raise UsageError(
                f"{text!r}: {key} is {value!r}; wanted such as {default}{hint}"
            ) from None
    return name, options


def _value(text: str, default: object) -> object:
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    if isinstance(default, int):
        return int(text)
    return float(text) if isinstance(default, float) else text


def run_trial(
    table: DesignTable,
    searcher: str,
    seed: int,
    protocol: Protocol,
    earlier: Sequence[Earlier] = (),
    *,
    same: bool = False,
) -> dict[str, Any]:
    """Search the table once; the figures are those of docs/lab.md, by true values.

    `earlier` are evaluations that the searcher starts from, `same`: of the same table. The same
    arguments give the same result in any process, but for `overhead_ms`.
    """
    name, options = parse_searcher(searcher)
    replay = Replay(
        table,
        protocol.noise,
        seed=seed,
        held_out=protocol.held_out if protocol.noise == "recorded" else 0.0,
        workers=protocol.workers,
        task_budget=protocol.tasks,
        cost_budget=protocol.usd,
    )
    available = len(replay.tasks("dev"))
    per_eval = available if protocol.noise == "none" else min(protocol.per_eval, available)
    made: Searcher
    if name in ARM_RULES:
        made = ARM_RULES[name](table.space, per_eval, seed)
    else:
        made = searchers[name].make(table.space, seed=seed, cost="usd", **options)
        if protocol.raced and protocol.noise != "none":
            made = Raced(made, most=per_eval)
    if earlier:
        if not isinstance(made, WarmStarts):
            raise UsageError(f"{name} cannot start from an earlier run")
        made.warm(earlier, same=same)
    timed = Timed(made)
    watch = Watch(replay)
    config = RunConfig(
        benchmark=table.name,
        searcher=name,
        evals=protocol.evals or 100 * len(table) * available,
        tasks=per_eval,
        seed=seed,
        parallel=protocol.parallel,
    )
    with MemoryStore() as store:
        engine = Engine(config, replay, timed, replay, store, Ledger(Caps()), watch)
        stop = asyncio.run(engine.search())
    return _judge(table, replay, watch, made, noisy=protocol.noise != "none") | {
        "stopped_by": stop,
        "overhead_ms": 1000 * timed.seconds / max(1, len(watch.rows)),
        "virtual_s": replay.clock.now,
        "warm": made.warm_record() if isinstance(made, WarmStarts) else None,
    }


def _judge(
    table: DesignTable, replay: Replay, watch: Watch, searcher: Searcher, *, noisy: bool
) -> dict[str, Any]:
    truth = Truth(table)
    shares: list[float] = []
    missed: list[float] = []
    seen: list[int] = []
    best = -math.inf
    for row in watch.rows:
        if row not in seen:
            seen.append(row)
            share = truth.share(seen)
            best = max(best, float(table.score[row]))
        shares.append(share)
        missed.append(100 * (truth.best - best))
    own = getattr(searcher, "recommend", None) if watch.rows else None
    chosen = table.index(own()) if own else recommended(watch.last)
    held = replay.held_out_scores()

    def regret(row: int | None) -> float:
        return 100 * (truth.best - float(table.score.min() if row is None else table.score[row]))

    return {
        "rows": watch.rows,
        "curve": shares,
        "missed_curve": missed,
        "cost_curve": watch.cost,
        "tasks_curve": watch.tasks,
        "hv_share": shares[-1] if shares else 0.0,
        "front_share": truth.share(recommended_front(watch.last)),
        "best_missed": missed[-1] if missed else 100 * (truth.best - float(table.score.min())),
        "recommended": None if chosen is None else table.ids[chosen],
        "regret": regret(chosen),
        "luckiest_regret": regret(luckiest(watch.last)),
        "posterior_regret": regret(likeliest(table, watch.last) if noisy else luckiest(watch.last)),
        "held_out_regret": 100
        * float(held.max() - (held.min() if chosen is None else held[chosen])),
        "within_half_point": float(chosen is not None and regret(chosen) < 0.5),
        "found_best": float(chosen is not None and table.score[chosen] >= truth.best),
        "duplicates": watch.duplicates,
        "evaluations": len(watch.rows),
        "designs": len(seen),
        "tasks": replay.tasks_run,
        "cost": replay.cost_spent,
        **_reached("", shares, watch),
        **_reached(
            "score_", [(1 - m / 100 / truth.best) if truth.best else 1.0 for m in missed], watch
        ),
    }


def _reached(what: str, curve: Sequence[float], watch: Watch) -> dict[str, float | None]:
    """Evaluations, tasks and cost until the curve is at 95 and at 99 %; None where it never is."""
    found: dict[str, float | None] = {}
    for percent in (95, 99):
        place = first(curve, percent / 100)
        found[f"evals_to_{what}{percent}"] = place
        found[f"tasks_to_{what}{percent}"] = at(watch.tasks, place)
        found[f"cost_to_{what}{percent}"] = at(watch.cost, place)
    return found


def first(values: Sequence[float], bar: float) -> int | None:
    """From 1: the first position whose value reaches the bar; None where none does."""
    return next((i for i, v in enumerate(values, 1) if v >= bar - 1e-12), None)


def at(values: Sequence[float], position: int | None) -> float | None:
    """The value at a position from 1."""
    return None if position is None else values[position - 1]


def believed(last: Mapping[int, Evaluation]) -> dict[int, tuple[float, float | None]]:
    """(score, cost) of the designs that may be recommended: those measured on more than half of
    the most tasks, each mean drawn towards the mean of all by two tasks' worth."""
    able = {row: e for row, e in last.items() if e.score is not None}
    if not able:
        return {}
    most = max(e.n for e in able.values())
    overall = sum(e.score or 0.0 for e in able.values()) / len(able)
    return {
        row: (round((e.n * (e.score or 0.0) + 2 * overall) / (e.n + 2), 9), e.cost("usd"))
        for row, e in able.items()
        if 2 * e.n > most
    }


def recommended(last: Mapping[int, Evaluation]) -> int | None:
    """The row a search would recommend for its score: the highest that is `believed`; of ties the
    cheaper. None where nothing was measured."""
    found = believed(last)

    def rank(row: int) -> tuple[float, float, int]:
        score, cost = found[row]
        return score, -(math.inf if cost is None else cost), -row

    return max(found, key=rank, default=None)


def luckiest(last: Mapping[int, Evaluation]) -> int | None:
    """The row of the highest observed mean, on however few tasks (of ties the most tasks)."""
    able = [row for row, e in last.items() if e.score is not None]
    return max(able, key=lambda row: (last[row].score, last[row].n, -row), default=None)


def likeliest(table: DesignTable, last: Mapping[int, Evaluation]) -> int | None:
    """The row of the highest posterior mean (`paragent.recommend`), which knows what designs have
    in common, among the `JUDGED` rows that are believed best."""
    found = believed(last)
    rows = sorted(found, key=lambda row: (-found[row][0], row))[:JUDGED]
    if not rows:
        return None
    return table.index(recommend([last[row] for row in rows], table.space.features))


def recommended_front(last: Mapping[int, Evaluation]) -> list[int]:
    """The rows a search would report: the front of what is `believed`."""
    found = believed(last)
    rows = list(found)
    return [rows[i] for i in front([found[row] for row in rows])]


class Timed:
    """A searcher whose own time is counted, in `seconds`."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher, self.seconds = searcher, 0.0

    def ask(self, n: int) -> Any:
        """As the searcher."""
        start = time.perf_counter()
        found = self._searcher.ask(n)
        self.seconds += time.perf_counter() - start
        return found

    def tell(self, evaluation: Evaluation) -> None:
        """As the searcher."""
        start = time.perf_counter()
        self._searcher.tell(evaluation)
        self.seconds += time.perf_counter() - start

"""A run as its user holds it: the front, the picks, what it cost, and designs that answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from paragent.benchmark import Benchmark
from paragent.chat import TraceStep
from paragent.component import Context
from paragent.config import RunConfig
from paragent.design import Design
from paragent.engine import front_of, measurable
from paragent.errors import StoreError, UnknownName, UsageError
from paragent.outcome import Evaluation, Split
from paragent.pareto import score_cost_hypervolume
from paragent.registry import benchmark_of, benchmarks
from paragent.run_view import Point, Spent, picks
from paragent.runtime.apart import callable_anywhere
from paragent.runtime.apart import run as run_loop
from paragent.runtime.secrets import redact
from paragent.share import TAKEN, position
from paragent.store import Store

PICKS = ("knee", "best", "cheapest")


def stored_config(store: Store) -> RunConfig:
    """What the run was asked. Raises StoreError where it was killed before that was written."""
    data = store.meta("config")
    if data is None:
        raise StoreError(f"{store.folder}: the run was stopped before it began; start a new one")
    return RunConfig.from_data(data)


@dataclass(frozen=True)
class RunDesign:
    """A design that a run found, with its measurements; it can be asked."""

    point: Point
    run: Run

    @property
    def design(self) -> Design:
        """The design itself."""
        return self.point.design

    @callable_anywhere
    def ask(self, question: str, *, trace: list[TraceStep] | None = None) -> str:
        """The design's answer to one question, in this process. Raises CallFailure.

        The benchmark's notes are at hand where the design's memory looks them up.
        """
        from paragent.ask import ask_design
        from paragent.registry import components
        from paragent.runtime.models_file import register_models

        if any(agent.model.name not in components for _, agent in self.design.agents()):
            register_models()  # those of models.yaml, in a process that only opened the run
        if self.run.config["inventory"]:
            from paragent.inventory import register_inventory

            register_inventory(self.run.config["inventory"])
        context = self.run.context()
        return run_loop(ask_design(self.design, question, context, trace=trace)).text


class Run:
    """One run folder, read. Everything comes from its store; nothing here writes results."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with Store(path, write=False) as store:
            self._config = stored_config(store)
            self.meta: Mapping[str, Any] = store.meta("meta", {})
            self.stopped_by: str = store.meta("stopped_by", "interrupted")
            self.notes: Sequence[str] = store.meta("notes", [])
            self.pruning: Mapping[str, Any] | None = store.meta("pruning")
            self.advice: Mapping[str, Any] | None = store.meta("proposer")
            #: What the luckiest design had on fresh tasks: see `paragent.luck`.
            self.luck: Mapping[str, Any] | None = store.meta("luck")
            spent = store.meta("spent")
            self.spent = Spent(**spent) if spent else Spent(0.0, 0, 0, 0.0)
            self.evaluations: Sequence[Evaluation] = store.evaluations()
            self._taken = [
                store.evaluation(row["design"], row["purpose"], row["tasks"], by=row["from"])
                for _, rows in sorted(store.metas(TAKEN).items(), key=lambda kv: position(kv[0]))
                for row in rows["evaluations"]
            ]
            front: list[str] | None = store.meta("front")
            self._designs = {
                key: store.design(key)
                for key in {
                    *store.designs_with("test"),
                    *(front or []),
                    *store.meta("baselines", []),
                }
            }
            self._stored: dict[tuple[str, Split], Evaluation] = {
                (key, split): Evaluation(design, split, "final-eval", store.outcomes(key, split))
                for key, design in self._designs.items()
                for split in ("dev", "test")
            }
            self._front: list[str] | None = front
            self._baselines: list[str] = store.meta("baselines", [])

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def config(self) -> Mapping[str, Any]:
        """What was asked for."""
        return self._config.to_data()

    @property
    def request(self) -> RunConfig:
        """The same, typed."""
        return self._config

    def load_benchmark(self) -> Benchmark:
        """The benchmark it was measured on. Raises UsageError where that is an object of Python's,
        or its data are gone."""
        return benchmark_of(self._config, stored=True)

    def context(self) -> Context:
        """What its designs may look up: nothing for a benchmark that only Python has, and for a
        user's own table, which holds tasks alone (and may have been moved)."""
        name = self._config.benchmark
        if name not in benchmarks or name == "data":
            return Context()
        return self.load_benchmark().context

    @property
    def taken(self) -> Sequence[Evaluation]:
        """What other searches measured and this one took (`share`), in the order in which it was
        told; `by` names the search."""
        return self._taken

    @property
    def finals(self) -> Sequence[Evaluation]:
        """Evaluations on the test split."""
        found = [e for (_, split), e in sorted(self._stored.items()) if split == "test"]
        return [e for e in found if e.outcomes]

    @property
    def baseline(self) -> Point | None:
        """The cheapest model answering directly, measured like the front; None before that."""
        points = [self._point(key) for key in self._baselines if self._measured(key)]
        return points[0] if points else None

    def _measured(self, key: str) -> bool:
        return self._stored[key, "dev"].n > 0

    def _point(self, key: str) -> Point:
        test = self._stored[key, "test"]
        return Point(self._designs[key], self._stored[key, "dev"], test if test.outcomes else None)

    @cached_property
    def _points(self) -> tuple[Point, ...]:
        if self._front is not None:
            return tuple(self._point(key) for key in self._front)
        return tuple(Point(e.design, e) for e in front_of(self.evaluations, self._config))

    def front(self) -> list[Point]:
        """The front, cheapest first: chosen on dev tasks; `test` is there once it was settled."""
        return list(self._points)

    def pick(self, which: str) -> RunDesign:
        """`knee`, `best`, `cheapest`, or a design by its hash (or a beginning of it).

        Picks look at dev scores only, so the test score of the pick is an honest one.
        """
        points = self.front()
        if which in PICKS:
            if not points:
                raise UsageError(f"{self.name}: nothing was measured, so there is nothing to pick")
            return RunDesign(points[picks(points, self._config.cost)[which]], self)
        everything = {p.design.hash: p for p in points}
        if self.baseline is not None:
            everything.setdefault(self.baseline.design.hash, self.baseline)
        for evaluation in self.evaluations:
            everything.setdefault(evaluation.design.hash, Point(evaluation.design, evaluation))
        matches = [key for key in everything if key.startswith(which)] if len(which) >= 4 else []
        if len(matches) == 1:
            return RunDesign(everything[matches[0]], self)
        if matches:
            raise UsageError(f"{which!r} is the beginning of {len(matches)} designs' hashes")
        raise UnknownName("pick or design", which, [*PICKS, *(p.design.hash for p in points)])

    def best(self) -> RunDesign:
        """The design with the highest dev score on the front."""
        return self.pick("best")

    def knee(self) -> RunDesign:
        """The best trade-off: farthest above the line from cheapest to best."""
        return self.pick("knee")

    def cheapest(self) -> RunDesign:
        """The cheapest design on the front."""
        return self.pick("cheapest")

    def hypervolume(self) -> float | None:
        """Share of score x log10 cost that the front dominates (see `score_cost_hypervolume`).

        Bounds are the cheapest and dearest design measured, each widened by half; test scores
        where they exist. None where fewer than two costs are known. Compare only runs of the
        same benchmark and models.
        """
        costs = [
            c
            for e in [*self.evaluations, *(p.dev for p in self._points)]
            if (c := e.cost(self._config.cost))
        ]
        if not costs or not self._points:
            return None
        pairs = [(p.best_known.score, p.best_known.cost(self._config.cost)) for p in self._points]
        return score_cost_hypervolume(pairs, min(costs) / 1.5, max(costs) * 1.5)

    def config_path(self, design: Design) -> Path:
        """Where the design's YAML is kept in the run folder."""
        return self.path / "configs" / f"{design.hash}.yaml"

    def summary(self) -> dict[str, Any]:
        """The object that `paragent search --json` prints."""
        spent = self.spent
        failures: dict[str, int] = {}
        for evaluation in self.evaluations:
            for kind, count in evaluation.failures.items():
                failures[kind] = failures.get(kind, 0) + count
        return {
            "run": str(self.path),
            "seed": self._config.seed,
            "evaluations": len(self.evaluations),
            "taken": len(self.taken),
            "failed": sum(failures.values()),
            "failures": dict(sorted(failures.items())),
            "not_measurable": sum(not measurable(e, self._config) for e in self.evaluations),
            "stopped_by": self.stopped_by,
            "spent": {
                "usd": spent.usd,
                "tokens": spent.tokens,
                "calls": spent.calls,
                "seconds": spent.seconds,
                "by_purpose": {k: dict(v) for k, v in spent.by_purpose.items()},
                "unsure_usd": spent.unsure_usd,
            },
            "proposer": _told_of(self.advice),
            "hypervolume": self.hypervolume(),
            "baseline": self._point_summary(self.baseline) if self.baseline else None,
            "front": [self._point_summary(point) for point in self.front()],
            "notes": list(self.notes),
            "config": _without_keys(self.config),
            "meta": _without_keys(self.meta),
        }

    def _point_summary(self, point: Point) -> dict[str, Any]:
        shown = point.best_known
        usd = shown.usd_per_task
        return {
            "design": point.design.hash,
            "label": point.design.label,
            "dev": _score(point.dev),
            "test": _score(point.test),
            "usd_per_1k": None if usd is None else usd * 1000,
            "tokens": shown.tokens_per_task,
            "latency_s": shown.latency_s,
            "calls": shown.calls_per_task,
            "config": str(self.config_path(point.design)),
        }


def _told_of(advice: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What came of a language model's advice, without the single answers."""
    if advice is None:
        return None
    return {key: advice[key] for key in advice if key not in ("entries", "failures")}


def _without_keys(data: Any) -> Any:
    """Plain data with every key blotted out of its texts."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, Mapping):
        return {name: _without_keys(value) for name, value in data.items()}
    return [_without_keys(value) for value in data] if isinstance(data, list | tuple) else data


def _score(evaluation: Evaluation | None) -> dict[str, Any] | None:
    if evaluation is None or evaluation.score is None:
        return None
    interval = evaluation.interval()
    assert interval is not None, "a score has an interval"
    return {
        "score": evaluation.score,
        "low": interval.low,
        "high": interval.high,
        "n": evaluation.n,
    }

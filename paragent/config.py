"""What a run was asked to do: plain data, stored with the run, enough to resume or repeat it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

from paragent.errors import UsageError, nearest
from paragent.outcome import CostName
from paragent.template import misshapen

#: A level more about doubles the size of a random tree: beyond this, drawing one takes seconds.
MAX_DEPTH = 5


@dataclass(frozen=True)
class RunConfig:
    """The request. `None` for a cap means no cap.

    `tasks` dev tasks measure a design during the search; the finalists are measured on `confirm`
    further dev tasks, which decide the front; the front is then measured on `test_tasks` tasks of
    the untouched test split. `evals` counts designs measured by the search. `final_share` is the
    part of the caps in dollars, tokens, calls and minutes that the search must leave for the
    finalists. `cost` is the unit of the second objective. `prompts` are texts that stand for
    templates of components: `{component: {template: text}}`. With `prune` a value model skips
    proposals that have no chance to extend the front, once its forecasts have proved good. With
    `race` a design is measured block by block and left once another surely dominates it.

    `warm_start` is the folder of an earlier run; what the searcher believes starts from its
    evaluations, which are copied into the new run and enter nothing else. `share` is a folder
    through which searches of the same benchmark share what they measure (`paragent.share`).

    `proposer` is a language model that the searcher may ask for advice (edits, prompts, sub-agents,
    skills, verdicts on members); it spends under the same caps. None: it does without.

    `subagents` are ready sub-agents that may stand where an agent stands ("all": every one that can
    run), `max_tools` the most tools of an agent that is composed. `inventory` holds the user's own
    tools, MCP servers and sub-agents, as `paragent.inventory` reads them, and their `folder`.

    `data` is the file or folder of the benchmark's tasks; without a benchmark's name it is a table
    of the user's own, whose columns are `input` and `answer`, scored by `scorer` (the model `judge`
    where that is "judge"). `benchmark_options` are further options of the benchmark.
    """

    benchmark: str = "pocket"
    searcher: str = "mcts"
    evals: int = 60
    tasks: int = 50
    confirm: int = 150
    test_tasks: int = 400
    finalists: int = 12
    seed: int = 0
    parallel: int = 8
    cost: CostName = "usd"
    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None
    minutes: float | None = None
    final_share: float = 0.4
    models: tuple[str, ...] | None = None
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    max_depth: int = 2
    max_members: int = 3
    max_calls_per_task: int = 20
    failure_limit: float = 0.2
    prune: bool = True
    race: bool = False
    warm_start: str | None = None
    share: str | None = None
    proposer: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    subagents: tuple[str, ...] = ()
    max_tools: int = 1
    inventory: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    input: str | None = None
    answer: str | None = None
    scorer: str | None = None
    judge: str | None = None
    benchmark_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.data is not None and self.benchmark == "pocket":  # which needs no data
            object.__setattr__(self, "benchmark", "data")
        for name in ("data", "input", "answer", "scorer", "judge", "warm_start", "share",
                     "proposer"):  # fmt: skip
            if not isinstance(getattr(self, name), str | None):
                raise UsageError(f"{name} is {getattr(self, name)!r}; wanted a text")
        if not isinstance(self.benchmark_options, Mapping):
            raise UsageError(
                f"benchmark_options is {self.benchmark_options!r}; wanted names with values"
            )
        for name in ("evals", "tasks", "test_tasks", "finalists", "parallel", "max_depth",
                     "max_members", "max_calls_per_task", "max_tools"):  # fmt: skip
            _number(name, getattr(self, name), low=1, whole=True)
        for name in ("confirm", "seed"):
            _number(name, getattr(self, name), low=0, whole=True)
        if self.max_depth > MAX_DEPTH:
            raise UsageError(f"max_depth is {self.max_depth}; wanted at most {MAX_DEPTH}")
        for name in ("usd", "minutes"):
            _cap(name, getattr(self, name))
        for name in ("tokens", "calls"):
            _cap(name, getattr(self, name), whole=True)
        for name in ("failure_limit", "final_share"):
            _number(name, getattr(self, name), low=0)
        for name in ("models", "include", "exclude", "subagents"):
            _names(name, getattr(self, name))
        if not isinstance(self.inventory, Mapping):
            raise UsageError(f"inventory is {self.inventory!r}; wanted a mapping")
        for name in ("prune", "race"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} is {getattr(self, name)!r}; wanted true or false")
        if not isinstance(self.options, Mapping):
            raise UsageError(f"options is {self.options!r}; wanted names with values")
        wrong = misshapen(self.prompts)
        if wrong:
            raise UsageError(f"{'.'.join(('prompts', *wrong[0]))}: {wrong[1]}")
        if not 0 <= self.failure_limit <= 1:
            raise UsageError(f"failure_limit is {self.failure_limit!r}; wanted a share in [0, 1]")
        if not 0 < self.final_share < 1:
            raise UsageError(f"final_share is {self.final_share!r}; wanted a share in (0, 1)")
        if self.cost not in get_args(CostName):
            near = nearest(str(self.cost), get_args(CostName))
            hint = f" Did you mean {near!r}?" if near else ""
            raise UsageError(
                f"cost is {self.cost!r}; wanted one of {', '.join(get_args(CostName))}.{hint}"
            )

    def anchored(self) -> RunConfig:
        """With absolute paths, so that the run can be resumed from another folder."""
        data, scorer = self.data, self.scorer
        if data is not None:
            data = str(Path(data).absolute())
        if scorer is not None and scorer.startswith("python:"):
            file, colon, function = scorer.removeprefix("python:").rpartition(":")
            scorer = f"python:{Path(file).absolute()}{colon}{function}" if file else scorer
        share = self.share if self.share is None else str(Path(self.share).absolute())
        return replace(self, data=data, scorer=scorer, share=share)

    def to_data(self) -> dict[str, Any]:
        """Plain data; `from_data` is its inverse."""
        return asdict(self)

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> RunConfig:
        """From plain data. Raises UsageError for an unknown key, with the nearest right one."""
        known = [f.name for f in fields(RunConfig)]
        values = dict(data)
        for key in values:
            if key not in known:
                near = nearest(key, known)
                hint = f". Did you mean {near!r}?" if near else f"; known: {', '.join(known)}"
                raise UsageError(f"no setting is called {key!r}{hint}")
        for key in ("models", "include", "exclude", "subagents"):
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        return RunConfig(**values)


def _number(name: str, value: object, *, low: float, whole: bool = False) -> None:
    fits = isinstance(value, int) if whole else isinstance(value, int | float)
    if isinstance(value, bool) or not fits or not value >= low:  # type: ignore[operator]
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{name} is {value!r}; wanted {kind} of at least {low}")


def _names(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, tuple | list) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{name} is {value!r}; wanted a list of names")


def _cap(name: str, value: object, whole: bool = False) -> None:
    if value is None:
        return
    fits = isinstance(value, int) if whole else isinstance(value, int | float)
    if isinstance(value, bool) or not fits or not 0 < value < math.inf:  # type: ignore[operator]
        raise UsageError(f"the cap {name} is {value!r}; wanted a number above 0, or no cap")

"""A request made ready: everything that can be wrong with it is found before a cent is spent."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paragent.benchmark import Benchmark, CallsModels, check_tasks
from paragent.cluster.hire import hired
from paragent.config import RunConfig
from paragent.design import Agent, Design, Part
from paragent.environment import Interactive
from paragent.errors import CallFailure, UnknownName, UsageError
from paragent.inventory import register_inventory
from paragent.parts import templates
from paragent.proposer import check_proposer
from paragent.registry import (
    SearcherPlugin,
    benchmark_of,
    component_of,
    components,
    searchers,
)
from paragent.runtime.apart import run as run_loop
from paragent.runtime.cages import cage_tags
from paragent.runtime.models_file import all_models, register_models, require_keys
from paragent.searcher import Consults, Searcher, WarmStarts
from paragent.share import check_folder
from paragent.space import DesignSpace, Limits
from paragent.store import Store
from paragent.template import flat, mistaken
from paragent.warm_start import evidence, read_run, same_benchmark

if TYPE_CHECKING:
    from paragent.cluster.executor import Workforce


class Prepared:
    """A request checked as a whole before anything is written or spent."""

    def __init__(
        self,
        config: RunConfig,
        benchmark: Benchmark | None,
        *,
        stored: bool = False,
        earlier: Mapping[str, Any] | None = None,
    ) -> None:
        config = config.anchored()
        if config.share is not None:
            check_folder(Path(config.share))
        if config.warm_start is not None and not stored:
            earlier = read_run(Path(config.warm_start))
        #: What another run measured, as it is kept with this one.
        self.earlier = earlier
        self.benchmark = benchmark or benchmark_of(config, stored=stored)
        self._own = benchmark is not None
        self.searcher = searchers[config.searcher]
        _check_options(self.searcher, config.options)
        if config.inventory:
            register_inventory(config.inventory)
        wrong = mistaken(config.prompts, templates()) if config.prompts else None
        if wrong:
            raise UsageError(f"{'.'.join(('prompts', *wrong[0]))}: {wrong[1]}")
        self.notes: list[str] = [*getattr(self.benchmark, "notes", ())]
        for split in ("dev", "test"):
            check_tasks(config.benchmark, self.benchmark.tasks(split))
        models = config.models or tuple(
            c.name for c in components if c.kind == "model" and c.name.startswith("pocket-")
        )
        if any(name not in components for name in models):
            register_models()  # those of models.yaml
        for model in models:
            component_of("model", model, "models")
        helpers = self.benchmark.models if isinstance(self.benchmark, CallsModels) else ()
        if any(name not in components for name in helpers):
            register_models()
        for name in helpers:
            component_of("model", name, "judge")
        specs = all_models() if config.models or helpers else {}
        require_keys([specs[name] for name in (*models, *helpers) if name in specs])
        self.remote = {name: specs[name] for name in (*models, *helpers) if name in specs}
        self._check_proposer(config)
        self.models = tuple(models)
        self.helpers = tuple(helpers)
        self._check_helpers(helpers, config)
        self.config = config = self._in_money_or_tokens(config)
        self._say_sizes(config)
        context = self.benchmark.context
        self.space = DesignSpace(
            models=self.models,
            include=config.include,
            exclude=config.exclude,
            limits=Limits(
                max_depth=config.max_depth,
                max_members=config.max_members,
                max_calls_per_task=config.max_calls_per_task,
                max_tools=config.max_tools,
            ),
            available=context.tags | cage_tags(),
            skills=context.skills,
            steps=self.benchmark.steps if isinstance(self.benchmark, Interactive) else 0,
            plays=self.benchmark.plays if isinstance(self.benchmark, Interactive) else 1,
            prompts=flat(config.prompts),
            subagents=config.subagents,
        )
        self.space.sample(random.Random(0))  # an empty space is a misuse, said before the search
        self.proposer = self._proposer(config)  # so is an option that the searcher refuses
        if config.proposer is not None and not isinstance(self.proposer, Consults):
            self.notes.append(
                f"searcher {self.searcher.name} asks no language model for advice: "
                f"{config.proposer} is not used"
            )
        if earlier is not None:
            self._start_warm(earlier)

    def _in_money_or_tokens(self, config: RunConfig) -> RunConfig:
        """Cost is counted in tokens where dollars are unknown or nothing."""
        prices = [component_of("model", m).price for m in self.models]
        unknown = [
            m
            for m, p in zip(self.models, prices, strict=True)
            if p is None or p.usd_per_mtok_in is None or p.usd_per_mtok_out is None
        ]
        if unknown and config.usd is not None:
            raise UsageError(
                f"a cap in dollars needs every price; unknown for: {', '.join(unknown)}"
            )
        if unknown and config.cost == "usd":
            config = replace(config, cost="tokens")
            self.notes.append(
                f"no price is known for {', '.join(unknown)}: cost is counted in tokens"
            )
        elif config.cost == "usd" and all(p and p.usd(10**6, 10**6) == 0 for p in prices):
            config = replace(config, cost="tokens")
            self.notes.append(f"{', '.join(self.models)} cost nothing: cost is counted in tokens")
        return config

    def _say_sizes(self, config: RunConfig) -> None:
        """Note where the benchmark has fewer tasks than were asked for."""
        dev = len(self.benchmark.tasks("dev"))
        if dev < config.tasks:
            self.notes.append(
                f"the dev split has {dev} tasks: designs are measured on {dev}, not {config.tasks}"
            )
        fresh = max(0, dev - config.tasks)
        if fresh < config.confirm:
            self.notes.append(
                f"{fresh} fresh dev tasks are left to decide the front, not {config.confirm}"
            )
        test = len(self.benchmark.tasks("test"))
        if test < config.test_tasks:
            self.notes.append(
                f"the test split has {test} tasks: the front is reported on {test}, "
                f"not {config.test_tasks}"
            )

    def _proposer(self, config: RunConfig) -> Searcher:
        options = dict(config.options)
        if self.searcher.reads_tasks:
            options["questions"] = {t.id: t.question for t in self.benchmark.tasks("dev")}
        return self.searcher.make(self.space, seed=config.seed, cost=config.cost, **options)

    def _start_warm(self, earlier: Mapping[str, Any]) -> None:
        """Hand the earlier run's evaluations to a searcher that can use them, and say so."""
        usable, said = evidence(earlier, self.space, self.config.cost)
        if not isinstance(self.proposer, WarmStarts):
            said = f"searcher {self.searcher.name} cannot start from an earlier run: it is ignored"
        elif usable:
            benchmark = self.benchmark
            same = same_benchmark(earlier, self.config.benchmark, benchmark.version)
            self.proposer.warm(usable, same=same)
        self.notes.append(said)

    def _check_proposer(self, config: RunConfig) -> None:
        """A language model that gives advice: it must be able to, and be reachable."""
        name = config.proposer
        if name is not None and name not in components:
            register_models()
        check_proposer(config)
        spec = all_models().get(name) if name is not None else None
        if name is not None and spec is not None:
            require_keys([spec])
            self.remote[name] = spec

    def _check_helpers(self, helpers: Sequence[str], config: RunConfig) -> None:
        """A judge spends under the same caps; one that answers and judges is told of."""
        for name in helpers:
            price = component_of("model", name).price
            if config.usd is not None and (price is None or price.usd(1, 1) is None):
                raise UsageError(
                    f"a cap in dollars needs every price; unknown for the judge: {name}"
                )
            if name in self.models:
                self.notes.append(f"{name} judges answers that it may have given itself")

    def hired(self, address: str, workers: int | None) -> AbstractContextManager[Workforce | None]:
        """Workers that are ready for this request; None for address none."""
        models = (*self.models, *self.helpers)
        return hired(address, workers, self.config, self.benchmark, models, own=self._own)

    def check_lines(self, address: str) -> None:
        """Raise CallFailure where a model's server cannot be reached. Workers on other machines
        may reach what this one does not: then they find out themselves."""
        if not self.remote or address not in ("none", "local"):
            return
        from paragent.runtime.reach import unreached

        for model, why in run_loop(unreached(self.remote.values())).items():
            url = self.remote[model].base_url
            raise CallFailure(
                "connection",
                f"model {model}: no line to {url} ({why}); start the server or correct the "
                "model's base_url. Nothing was spent",
            )

    def add_subagents(self, bodies: Mapping[str, Any], store: Store) -> None:
        """Keep what a model described with the run's settings: exports and resume need it."""
        inventory = self.config.inventory
        known = inventory.get("subagents") or {}
        if not isinstance(known, Mapping):  # names alone
            known = dict.fromkeys([known] if isinstance(known, str) else known)
        merged = {**inventory, "subagents": {**known, **bodies}}
        self.config = replace(self.config, inventory=merged)
        store.set_meta("config", self.config.to_data())

    def baseline(self) -> Design:
        """The cheapest model (by price of input and output) answering directly."""

        def price(name: str) -> tuple[float, str]:
            p = component_of("model", name).price
            if p is None or p.usd_per_mtok_in is None or p.usd_per_mtok_out is None:
                return float("inf"), name
            return p.usd_per_mtok_in + p.usd_per_mtok_out, name

        cheapest = min(self.models, key=price)
        return self.space.normalise(Design(Agent(Part(cheapest), Part("direct"))))


def _check_options(searcher: SearcherPlugin, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in searcher.options:
            raise UnknownName(f"option of searcher {searcher.name!r}", name, searcher.options)
        default = searcher.options[name]
        if isinstance(default, int | float) and not isinstance(value, int | float):
            raise UsageError(
                f"option {name!r} of searcher {searcher.name!r} is {value!r}; wanted a number"
            )

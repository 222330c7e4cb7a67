"""What a user calls: `optimize` searches, `open_run` reads, `resume` goes on."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paragent.benchmark import Benchmark, CallsModels, Closes, check_tasks, tasks_digest
from paragent.cluster.hire import check_where, hired
from paragent.config import RunConfig
from paragent.design import Agent, Design, Part
from paragent.engine import Engine, measurable
from paragent.environment import Interactive
from paragent.errors import CallFailure, StoreError, UnknownName, UsageError
from paragent.estimate import Estimate, estimate
from paragent.executor import Executor, LocalExecutor
from paragent.inventory import register_inventory, yaml_with
from paragent.outcome import PASSING_KINDS
from paragent.parts import templates
from paragent.proposer import check_proposer, proposer_of
from paragent.provenance import facts
from paragent.pruner import Pruner
from paragent.registry import (
    SearcherPlugin,
    benchmark_of,
    component_of,
    components,
    searchers,
)
from paragent.run import Run, stored_config
from paragent.runtime.apart import callable_anywhere
from paragent.runtime.apart import run as run_loop
from paragent.runtime.cages import cage_tags
from paragent.runtime.client import close_clients
from paragent.runtime.journal import Journal, open_user_cache
from paragent.runtime.ledger import Caps, Ledger
from paragent.runtime.models_file import all_models, register_models, require_keys
from paragent.runtime.pocket import close_pool
from paragent.runtime.session import Session
from paragent.searcher import Consults, Searcher, WarmStarts
from paragent.share import check_folder, island
from paragent.space import DesignSpace, Limits
from paragent.store import Store
from paragent.template import flat, mistaken
from paragent.warm_start import evidence, outcome_note, read_run, same_benchmark, save_model
from paragent.watcher import Progress, Watcher

if TYPE_CHECKING:
    from paragent.cluster.executor import Workforce

#: Every paid call of a run, in its folder.
CALLS = "calls.db"


@callable_anywhere
def optimize(
    benchmark: str | Benchmark = "pocket",
    *,
    searcher: str = "mcts",
    evals: int = 60,
    out: str | Path | None = None,
    progress: Progress | None = None,
    address: str = "none",
    workers: int | None = None,
    **settings: Any,
) -> Run:
    """Search for the designs with the best trade-offs of score and cost; returns the finished run.

    `benchmark` is a registered name or an object (see `paragent.ListBenchmark`). `settings` are
    the other fields of `paragent.config.RunConfig`: tasks, test_tasks, seed, models, usd, tokens,
    calls, minutes, parallel, cost, include, exclude, … `out` is a new folder for the run (default:
    `runs/<name>`). `progress` is told what happens. `address` is where tasks run: "none" (this
    process), "local" (a Ray of its own on this machine), "auto", HOST:PORT or ray://HOST:PORT (a
    running cluster), on so many `workers` (default: one per core). Results do not depend on it.

    Raises UsageError for a request that cannot be carried out; nothing is spent then. A failure on
    the way keeps what was measured: `resume(run.path)` goes on from there.
    """
    check_where(address, workers)
    name = benchmark if isinstance(benchmark, str) else benchmark.name
    config = RunConfig.from_data(
        {"benchmark": name, "searcher": searcher, "evals": evals, **settings}
    )
    prepared = _Prepared(config, None if isinstance(benchmark, str) else benchmark)
    folder = Path(out) if out else new_folder(prepared.config)
    if folder.exists():
        raise UsageError(f"{folder} exists already; a run needs a new folder (or: resume it)")
    prepared.check_lines(address)
    with (
        prepared.hired(address, workers) as force,
        Store(folder, write=True, create=True) as store,
    ):
        where = {"address": address, "workers": force.count if force is not None else None}
        store.set_meta("meta", {**facts(), "where": where})
        store.set_meta("notes", prepared.notes)
        store.set_meta("benchmark_version", prepared.benchmark.version)
        store.set_meta("benchmark_tasks", tasks_digest(prepared.benchmark))
        store.set_meta("warm_start", prepared.earlier)
        store.set_meta("config", prepared.config.to_data())  # last: a run that has it can go on
        run_loop(_run(prepared, store, progress, force))
    return Run(folder)


@callable_anywhere
def resume(
    path: str | Path,
    *,
    benchmark: Benchmark | None = None,
    progress: Progress | None = None,
    address: str = "none",
    workers: int | None = None,
    **changes: Any,
) -> Run:
    """Go on with a run that was stopped. What was measured or paid for is not done again.

    Tasks that failed for what may pass by itself (an outage, an expired key: `PASSING_KINDS`) are
    tried again, and the search is told what comes of them as if there had been no outage.
    `changes` may raise caps (`evals=120`, `usd=2.0`); everything else stays as it was. A run of a
    user's own benchmark object needs it again. `address` and `workers` as for `optimize`; they may
    differ from those of the earlier part.
    """
    check_where(address, workers)
    with Store(Path(path), write=True) as store:
        stored = stored_config(store)
        if benchmark is not None and benchmark.name != stored.benchmark:
            raise UsageError(
                f"{path} is a run of benchmark {stored.benchmark!r}, not of {benchmark.name!r}"
            )
        allowed = ("evals", "usd", "tokens", "calls", "minutes")
        wrong = [key for key in changes if key not in allowed]
        if wrong:
            raise UsageError(f"resume can change {', '.join(allowed)} only, not {wrong[0]!r}")
        earlier = store.meta("warm_start")
        prepared = _Prepared(replace(stored, **changes), benchmark, stored=True, earlier=earlier)
        version = store.meta("benchmark_version")
        if prepared.benchmark.version != version:
            raise StoreError(
                f"{path}: the run was measured with version {version} of benchmark "
                f"{stored.benchmark!r}, here is {prepared.benchmark.version}"
            )
        stored_tasks = store.meta("benchmark_tasks")  # None: a run of an older version
        if stored_tasks not in (None, tasks_digest(prepared.benchmark)):
            raise StoreError(
                f"{path}: the tasks of benchmark {stored.benchmark!r} are not those that the run "
                "was measured on (a question, an answer or a scorer's choice has changed since); "
                "bring the data back, or start a new run"
            )
        if "finished" not in store.meta("meta", {}) or changes:
            prepared.check_lines(address)
        store.set_meta("config", prepared.config.to_data())
        again = store.drop_failures(PASSING_KINDS)
        if again:
            kinds = ", ".join(f"{kind} {count}" for kind, count in again.items())
            prepared.notes.append(
                f"{sum(again.values())} tasks had failed for what may pass ({kinds}): "
                "they were tried again"
            )
        with prepared.hired(address, workers) as force:
            run_loop(_run(prepared, store, progress, force))
    return Run(Path(path))


@dataclass(frozen=True, slots=True)
class Plan:
    """A request as it would be run, what is to be said about it, and what it will use."""

    config: RunConfig
    notes: tuple[str, ...]
    estimate: Estimate


def check(config: RunConfig, benchmark: Benchmark | None = None) -> Plan:
    """The plan of a request; nothing is spent. Raises UsageError where it cannot be carried out."""
    prepared = _Prepared(config, benchmark)
    found = estimate(prepared.config, prepared.space, prepared.benchmark)
    notes = list(prepared.notes)
    if config.proposer is not None:
        notes.append(f"the advice of {config.proposer} is not in the estimate; it is in the caps")
    return Plan(prepared.config, tuple(notes), found)


def packed(config: RunConfig) -> tuple[bytes, tuple[str, ...]]:
    """What a worker needs of a request, and the models behind endpoints that it may call; nothing
    is spent. Raises UsageError where the request cannot be carried out."""
    from paragent.cluster.parcel import pack

    prepared = _Prepared(config, None)
    models = (*prepared.models, *prepared.helpers)
    parcel = pack(prepared.config, prepared.benchmark, models, own=False)
    return parcel, tuple(prepared.remote)


def open_run(path: str | Path) -> Run:
    """Read a run folder. Raises StoreError."""
    return Run(Path(path))


class _Prepared:
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
        prices = [component_of("model", m).price for m in models]
        unknown = [
            m
            for m, p in zip(models, prices, strict=True)
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
            self.notes.append(f"{', '.join(models)} cost nothing: cost is counted in tokens")
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
        self.config = config
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


def new_folder(config: RunConfig) -> Path:
    """A name under ./runs that is still free; nothing is created."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    base = f"{config.benchmark}-{config.searcher}-seed{config.seed}-{stamp}"
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in base)
    folder, count = Path("runs") / safe, 1
    while folder.exists():
        count += 1
        folder = Path("runs") / f"{safe}-{count}"
    return folder


def _check_options(searcher: SearcherPlugin, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in searcher.options:
            raise UnknownName(f"option of searcher {searcher.name!r}", name, searcher.options)
        default = searcher.options[name]
        if isinstance(default, int | float) and not isinstance(value, int | float):
            raise UsageError(
                f"option {name!r} of searcher {searcher.name!r} is {value!r}; wanted a number"
            )


async def _run(
    prepared: _Prepared, store: Store, progress: Progress | None, force: Workforce | None = None
) -> None:
    config = prepared.config
    journal = Journal(store.folder / CALLS)
    ledger = Ledger(
        Caps(config.usd, config.tokens, config.calls, config.evals, config.minutes),
        journal.entries(),
        seconds_before=float(store.meta("seconds", 0.0)),
    )
    shared = _user_cache(prepared)
    session = Session(ledger, journal, seed=config.seed, shared=shared)
    executor: Executor = LocalExecutor(prepared.benchmark, session)
    if force is not None:
        from paragent.cluster.executor import RayExecutor

        executor = RayExecutor(force, session)
    watcher = Watcher(config, store, ledger, progress, session=session, force=force)
    engine = Engine(
        config=config,
        benchmark=prepared.benchmark,
        searcher=prepared.proposer,
        executor=executor,
        store=store,
        ledger=ledger,
        watch=watcher,
        pruner=Pruner(prepared.space.features, seed=config.seed, cost=config.cost)
        if config.prune
        else None,
    )
    engine.share = shared_with = island(
        config, store, prepared.benchmark, prepared.space, prepared.remote
    )
    engine.proposer = proposer_of(
        config,
        prepared.proposer,
        prepared.space,
        prepared.benchmark,
        session,
        journal,
        keep=lambda record: store.set_meta("proposer", record),
        keep_subagents=lambda bodies: prepared.add_subagents(bodies, store),
        earlier=store.meta("proposer"),
    )
    baseline = prepared.baseline()
    store.add_design(baseline)
    store.set_meta("baselines", [baseline.hash])
    store.set_meta("stopped_by", "interrupted")  # until this part of the run has ended
    try:
        watcher.say("start")
        ledger.hold(config.final_share)
        stopped = await engine.search()
        ledger.free()
        store.set_meta("stopped_by", stopped)
        if engine.pruner:
            store.set_meta("pruning", engine.pruner.record())
        warm = prepared.proposer
        if isinstance(warm, WarmStarts) and (became := warm.warm_record()) is not None:
            store.set_meta("warm_record", became)
            prepared.notes.append(outcome_note(became))
        if engine.proposer:
            prepared.notes += engine.proposer.notes()
        if shared_with:
            prepared.notes += shared_with.notes()
        save_model(store.folder, store.evaluations(), prepared.space, config)
        watcher.say("settling", stopped)
        cut = await engine.settle([*store.evaluations(), *engine.taken], [baseline])
        store.set_meta("notes", [*prepared.notes, *_warnings(store, config, stopped, cut)])
        store.set_meta("stopped_by", cut or stopped)
        store.set_meta("meta", {**store.meta("meta"), "finished": facts()["started"]})
    except BaseException as error:
        watcher.failed(error)
        raise
    finally:
        try:
            watcher.stop()
        finally:  # a full disk must not leave workers behind
            await executor.aclose()
            if isinstance(prepared.benchmark, Closes):
                await prepared.benchmark.aclose()
            await session.aclose()
            await close_clients()  # one that a call cut off by a cap opened anew
            await close_pool()
            journal.close()
            if shared is not None:
                shared.close()
    write_configs(Run(store.folder))
    watcher.say("done", store.meta("stopped_by"))


def _user_cache(prepared: _Prepared) -> Journal | None:
    """The user's cache of endpoint answers; a run goes on without one that cannot be used."""
    if not prepared.remote:
        return None
    try:
        return open_user_cache()
    except StoreError as error:
        prepared.notes.append(f"the cache of earlier answers is not used: {error}")
        return None


def _warnings(store: Store, config: RunConfig, stopped: str, cut: str) -> list[str]:
    evaluations = store.evaluations()
    notes = []
    capped = stopped in ("usd", "tokens", "calls", "minutes")
    if not evaluations and capped:
        notes.append(
            f"the cap on {stopped} ended the search before one design was measured: raise it"
        )
    elif not any(measurable(e, config) for e in evaluations):
        notes.append(
            f"nothing could be measured ({len(evaluations)} designs tried): this run says nothing"
        )
    elif capped and len(evaluations) < config.evals / 2:
        notes.append(
            f"the cap on {stopped} ended the search after {len(evaluations)} of {config.evals} "
            "designs: too few to trust the front"
        )
    front = store.meta("front", [])
    if front and set(front) <= set(store.meta("baselines", [])):
        notes.append("no design scored above the baseline beyond noise: the front is the baseline")
    if cut:
        notes.append(f"the cap on {cut} cut the final measurement short: intervals are wider")
    unusable = [e for e in evaluations if e.failure_share > config.failure_limit]
    if unusable:
        kinds = sorted({kind for e in unusable for kind in e.failures})
        notes.append(
            f"{len(unusable)} designs failed on more than {config.failure_limit:.0%} of their "
            f"tasks ({', '.join(kinds)}): not measurable, not on the front; "
            f"for instance: {unusable[0].failed[0].why}"
        )
    return notes


def write_configs(run: Run) -> None:
    """One YAML file per front design, and the baseline's, in the run folder."""
    points = [*run.front(), *([run.baseline] if run.baseline else [])]
    for point in points:
        path = run.config_path(point.design)
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml_with(point.design, run.config["inventory"]), encoding="utf-8")

"""What a user calls: `optimize` searches, `open_run` reads, `resume` goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paragent.benchmark import Benchmark, Closes, tasks_digest
from paragent.cluster.hire import check_where
from paragent.config import RunConfig
from paragent.engine import Engine, measurable
from paragent.errors import StoreError, UsageError
from paragent.estimate import Estimate, estimate
from paragent.executor import Executor, LocalExecutor
from paragent.inventory import yaml_with
from paragent.outcome import PASSING_KINDS
from paragent.prepared import Prepared
from paragent.proposer import proposer_of
from paragent.provenance import facts
from paragent.pruner import Pruner
from paragent.run import Run, stored_config
from paragent.runtime.apart import callable_anywhere
from paragent.runtime.apart import run as run_loop
from paragent.runtime.client import close_clients
from paragent.runtime.journal import Journal, open_user_cache
from paragent.runtime.ledger import Caps, Ledger
from paragent.runtime.pocket import close_pool
from paragent.runtime.session import Session
from paragent.searcher import WarmStarts
from paragent.share import island
from paragent.store import Store
from paragent.warm_start import outcome_note, save_model
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
    prepared = Prepared(config, None if isinstance(benchmark, str) else benchmark)
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
        prepared = Prepared(replace(stored, **changes), benchmark, stored=True, earlier=earlier)
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
    prepared = Prepared(config, benchmark)
    found = estimate(prepared.config, prepared.space, prepared.benchmark)
    notes = list(prepared.notes)
    if config.proposer is not None:
        notes.append(f"the advice of {config.proposer} is not in the estimate; it is in the caps")
    return Plan(prepared.config, tuple(notes), found)


def packed(config: RunConfig) -> tuple[bytes, tuple[str, ...]]:
    """What a worker needs of a request, and the models behind endpoints that it may call; nothing
    is spent. Raises UsageError where the request cannot be carried out."""
    from paragent.cluster.parcel import pack

    prepared = Prepared(config, None)
    models = (*prepared.models, *prepared.helpers)
    parcel = pack(prepared.config, prepared.benchmark, models, own=False)
    return parcel, tuple(prepared.remote)


def open_run(path: str | Path) -> Run:
    """Read a run folder. Raises StoreError."""
    return Run(Path(path))


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


async def _run(
    prepared: Prepared, store: Store, progress: Progress | None, force: Workforce | None = None
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


def _user_cache(prepared: Prepared) -> Journal | None:
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

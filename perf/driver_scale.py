"""What one driver can carry: up to 1,000 simulated workers and 1,000,000 evaluations.

    python perf/driver_scale.py                                     # small: about a minute
    python perf/driver_scale.py --workers 1000 --evals 1000000      # a quarter of an hour or more

Everything of the driver is the real code: engine, executor, hub, session, ledger, journal, store
and watcher, writing real files. The workers are simulated in the same process on a virtual clock:
each takes tasks, asks for its calls, and answers after `--latency-s` on average, at random. An
evaluation is a new random design on `--tasks` tasks of one call each.

Printed in steps of a tenth: the processor time per evaluation (with that of the searcher, which
draws at random, and of the simulated workers), and the memory. What Ray adds to an exchange of
messages is not simulated but said by `--exchange-ms`, as perf/cluster.py measures it. The clock
goes on by what the driver's processor spends, so where that is the bottleneck, the rates show it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import selectors
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from paragent.benchmark import ListBenchmark, Task  # noqa: E402
from paragent.cluster.executor import Crew, RayExecutor  # noqa: E402
from paragent.config import RunConfig  # noqa: E402
from paragent.design import Agent, Design, Part  # noqa: E402
from paragent.engine import Engine  # noqa: E402
from paragent.events import Event  # noqa: E402
from paragent.outcome import Evaluation, Measured, Usage, outcome_to_json  # noqa: E402
from paragent.runtime.journal import Journal, completion_to_json  # noqa: E402
from paragent.runtime.ledger import Caps, Ledger  # noqa: E402
from paragent.runtime.model import Completion  # noqa: E402
from paragent.runtime.session import Session  # noqa: E402
from paragent.search.random_search import RandomSearch  # noqa: E402
from paragent.store import Store  # noqa: E402
from paragent.watcher import Watcher  # noqa: E402

MODEL = {
    "name": "fake",
    "endpoint": "http://fake",
    "price": [0.1, 0.2, None, 0.0],
    "limits": [None, None, 10**6],
    "retry": [1, 0.5, 30.0, 3, 120.0],
}
#: Seconds after which a worker with nothing to say answers an exchange, as the real one does.
BEAT_S = 1.0


class _NoWaiting(selectors.SelectSelector):
    """Where nothing is to be done until a timer, the clock is put forward to it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Never blocks."""
        if timeout is None:
            raise RuntimeError("the simulation waits for nothing")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose idle seconds pass at once. Processor time passes as it is spent, and so
    do `extra` seconds."""

    def __init__(self) -> None:
        self._virtual = _NoWaiting()
        self._now = self.extra = 0.0
        super().__init__(self._virtual)

    def _run_once(self) -> None:
        self._now = self._virtual.now + time.thread_time() + self.extra
        super()._run_once()  # type: ignore[misc]

    def time(self) -> float:
        """Virtual seconds, as of this turn of the loop."""
        return self._now


class SimulatedWorker:
    """Speaks `paragent.cluster.messages`. Its exchange is held until there is something to say."""

    exchanges = 0
    exchange_s = 0.0

    def __init__(self, number: int, latency_s: float) -> None:
        self._rng = random.Random(number)
        self._latency, self._number = latency_s, number
        self._ups: list[list[Any]] = [["model", 0, MODEL]]
        self._waiting: asyncio.Future[None] | None = None
        self._calls: dict[int, tuple[int, str]] = {}
        self._last = 0

    @property
    def exchange(self) -> SimulatedWorker:
        """So that `actor.exchange.remote(...)` works."""
        return self

    finish = exchange

    async def remote(self, downs: Sequence[list[Any]] = ()) -> tuple[list[list[Any]], int]:
        """One exchange."""
        loop = asyncio.get_running_loop()
        SimulatedWorker.exchanges += 1
        loop.extra += self.exchange_s  # type: ignore[attr-defined]
        for word, number, *rest in downs:
            self._take(loop, word, number, rest)
        _wake(self._waiting)  # a later exchange relieves the one that waits
        if not self._ups:
            mine = self._waiting = loop.create_future()
            timer = loop.call_later(BEAT_S, _wake, mine)
            await mine
            timer.cancel()
        if self._ups:
            await asyncio.sleep(0.005)
        ups, self._ups = self._ups, []
        return ups, 0

    def _take(self, loop: asyncio.AbstractEventLoop, word: str, number: int, rest: Any) -> None:
        if word == "task":
            self._last += 1
            key = f"{rest[0]}/{rest[1]}".encode()
            self._calls[self._last] = (number, rest[0])
            self._say("call", self._last, number, 0, key, "search-eval", [60, 64], 100)
        elif word == "go":
            loop.call_later(self._rng.expovariate(1 / self._latency), self._land, number)
        elif word in ("done", "known"):
            task, design = self._calls.pop(number)
            drawn = int(design[:2], 16)
            score = float(int(design[:8], 16) % 7 > 2)
            usage = Usage(1, 60, 10 + drawn, 1e-5 * (1 + drawn), 0.05)
            self._say("outcome", task, outcome_to_json(Measured(score, usage, "an answer")))

    def _land(self, number: int) -> None:
        self._say("landed", number, completion_to_json(Completion("an answer", 60, 10, 0.05)))

    def _say(self, *message: Any) -> None:
        self._ups.append(list(message))
        _wake(self._waiting)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


class SimulatedForce:
    """The crews of an executor; none of them ever dies."""

    def __init__(self, workers: int, latency_s: float) -> None:
        self.crews = [Crew(f"w{i}", SimulatedWorker(i, latency_s), {}) for i in range(workers)]


class Roles:
    """A space without end: direct answers under numbered roles."""

    def sample(self, rng: random.Random) -> Design:
        """One of 2**60."""
        return Design(Agent(Part("fake"), Part("direct"), role=f"role {rng.getrandbits(60)}"))


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _zero(expected: str, given: str) -> float:
    return 0.0


async def search(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The search, with a line for each tenth of it."""
    made = tuple(Task(f"t{i:04d}", f"task {i}", "x") for i in range(args.tasks * 2 + 40))
    bench = ListBenchmark("calls", made, _zero, 0.3)
    places = args.workers * args.per_worker
    config = RunConfig(
        benchmark="calls", searcher="random", evals=args.evals, tasks=args.tasks,
        parallel=max(1, 2 * places // args.tasks),
    )  # fmt: skip
    told: list[Event] = []

    def progress(event: Event) -> None:
        told[:] = [event]

    force: Any = SimulatedForce(args.workers, args.latency_s)
    searcher = RandomSearch(Roles(), seed=0)  # type: ignore[arg-type]
    loop: Any = asyncio.get_running_loop()
    SimulatedWorker.exchange_s = args.exchange_ms / 1000
    with Store(folder / "run", write=True, create=True) as store:
        journal = Journal(folder / "run" / "calls.db")
        ledger = Ledger(Caps(usd=1e6), clock=loop.time)
        session = Session(ledger, journal)
        executor = RayExecutor(force, session, in_flight=args.per_worker)
        watcher = Watcher(config, store, ledger, progress, session=session)
        start = last = time.thread_time(), resident(), 0
        tenths = [max(1, args.evals * k // 10) for k in range(1, 11)]

        def watch(kind: str, evaluation: Evaluation | None) -> None:
            nonlocal last
            watcher(kind, evaluation)
            if kind != "told" or told[-1].evaluations not in tenths:
                return
            now = time.thread_time(), resident(), told[-1].evaluations
            ms = (now[0] - last[0]) / (now[2] - last[2]) * 1000
            grown = (now[1] - start[1]) / 2**20
            print(f"{now[2]:12,}{ms:12.3f}{grown:10.1f}{loop.time():12.0f}", flush=True)
            last = now

        print(f"{'evaluations':>12}{'driver ms':>12}{'+RSS MB':>10}{'virtual s':>12}")
        engine = Engine(config, bench, searcher, executor, store, ledger, watch)
        await engine.search()
        size = sum(p.stat().st_size for p in (folder / "run").glob("*.db*"))
        begin, before = time.thread_time(), resident()
        if args.settle:
            from paragent.engine import finalists

            chosen = len(finalists(store.evaluations(), config))
            print(f"{chosen} finalists chosen in {time.thread_time() - begin:.1f} s, "
                  f"{(resident() - before) / args.evals:.0f} B more per evaluation")  # fmt: skip
        await executor.aclose()
        await session.aclose()
        journal.close()
    return {
        "driver_ms": (last[0] - start[0]) / last[2] * 1000,
        "rss_b": (last[1] - start[1]) / last[2],
        "disk_b": size / args.evals,
        "exchanges": SimulatedWorker.exchanges / args.evals,
        "virtual_s": loop.time(),
    }


def main() -> int:
    """Print the table; exit code 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--evals", type=int, default=20000)
    parser.add_argument("--tasks", type=int, default=1, help="tasks of an evaluation")
    parser.add_argument("--per-worker", type=int, default=8, help="tasks under way on a worker")
    parser.add_argument("--latency-s", type=float, default=1.0)
    parser.add_argument("--exchange-ms", type=float, default=0.5)
    parser.add_argument("--settle", action="store_true", help="choose finalists at the end")
    parser.add_argument("--folder", help="where to write; default: a temporary folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        loop = VirtualLoop()
        asyncio.set_event_loop(loop)
        found = loop.run_until_complete(search(args, Path(name)))
        with suppress(RuntimeError):
            loop.close()
    ms = found["driver_ms"] + found["exchanges"] * args.exchange_ms
    print(f"load {os.getloadavg()[0]:.1f}; per evaluation of {args.tasks} task(s):")
    print(f"  {found['driver_ms']:.3f} ms of processor, {found['rss_b']:.0f} B of memory, "
          f"{found['disk_b']:.0f} B on disk")  # fmt: skip
    print(f"  {found['exchanges']:.3f} exchanges; with {args.exchange_ms:g} ms of Ray for each: "
          f"{ms:.3f} ms")  # fmt: skip
    rate = args.evals / found["virtual_s"]
    print(f"  {rate:,.0f} evaluations a second, {rate * args.tasks:,.0f} calls")
    return int(found["driver_ms"] >= 1.0 or found["rss_b"] >= 2000)


if __name__ == "__main__":
    raise SystemExit(main())

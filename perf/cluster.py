"""Single-call tasks through the executors: Ray's workers, processes without Ray, raw asyncio.

    python perf/cluster.py --tasks 2000 20000 --workers 1 2 --latency-ms 50

Each cell is a fresh process (or so many side by side) that runs one design (`direct`) on N tasks of
its own against the fake server. `raw` awaits the same model client 256 at once, with no engine
and nothing recorded; `local` is `LocalExecutor`, everything recorded in a journal; `ray` is
`RayExecutor` with so many workers on a Ray of its own, everything recorded. Cells of all three are
taken in turn, so that other load on the machine falls on all alike; the table has the medians.
With `--where raylets --weak`, each worker has a node of its own (two raylets on one machine), and
`--tasks` are the tasks of each.

Rates depend on what else the machine does; processor time does less. It is given per task: of the
driver (Ray's own threads in it included), of the workers, of Ray's other processes, and of the
fake server. `first s` is from the start of the process to the first outcome.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).resolve().parent.parent)
#: Calls under way in one process.
AT_ONCE = 256
#: Tasks before those that are measured.
WARM_UP = 100
MODELS = """
models:
  fake:
    base_url: {url}
    model: fake-small
    usd_per_mtok: {{in: 0.1, out: 0.2}}
    logprobs: false
    limits: {{concurrency: 100000}}
"""


def processor_s(server: int) -> dict[str, float]:
    """Processor seconds until now: of this process, of Ray's workers, of Ray's other processes
    below this one, and of the server."""
    tick = os.sysconf("SC_CLK_TCK")
    below: dict[int, list[int]] = {}
    used: dict[int, tuple[str, float]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            fields = rest.split()
            below.setdefault(int(fields[1]), []).append(int(entry.name))
            used[int(entry.name)] = name, (int(fields[11]) + int(fields[12])) / tick
    found = {"driver": used[os.getpid()][1], "workers": 0.0, "ray": 0.0, "server": used[server][1]}
    waiting = list(below.get(os.getpid(), []))
    while waiting:
        pid = waiting.pop()
        waiting += below.get(pid, [])
        name, seconds = used.get(pid, ("", 0.0))
        found["workers" if name.startswith("ray::Worker") else "ray"] += seconds
    return found


def measure(
    where: str, workers: int, tasks: int, url: str, server: int, first: int = 0
) -> dict[str, Any]:
    """One cell in this process: rate, seconds to the first outcome, processor ms per task."""
    from paragent.benchmark import ListBenchmark, Task
    from paragent.runtime.client import close_clients
    from paragent.runtime.models_file import register_models

    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        models = Path(name) / "models.yaml"
        models.write_text(MODELS.format(url=url), encoding="utf-8")
        os.environ |= {"PARAGENT_MODELS": str(models), "PARAGENT_CACHE": "off"}
        register_models()
        made = tuple(
            Task(f"{i:08d}", f"task {i}, message 0: " + "words " * 15, "x")
            for i in range(first, first + tasks + tasks // 8 + 300)  # a few of them are test tasks
        )
        bench = ListBenchmark("calls", made, _zero, 0.05)
        ids = tuple(t.id for t in bench.tasks("dev"))[: tasks + 1 + WARM_UP]
        if where == "raw":
            questions = {t.id: t.question for t in bench.tasks("dev")}
            run, close = _raw(questions)
        else:
            force = None
            if where == "ray":
                from paragent.cluster.hire import hired

                force = stack.enter_context(
                    hired("local", workers, _config(), bench, ["fake"], own=True)
                )
            elif where == "raylets":
                force = stack.enter_context(_on_raylets(workers, bench))
            run, close = _executor(bench, Path(name), force)

        async def go() -> tuple[float, dict[str, float], float]:
            await run(ids[:1])
            until = time.time() - _born()
            await run(ids[1 : 1 + WARM_UP])  # every worker has made its clients then
            before, wall = processor_s(server), time.perf_counter()
            await run(ids[1 + WARM_UP :])
            wall, after = time.perf_counter() - wall, processor_s(server)
            await close()
            await close_clients()
            return until, {k: after[k] - before[k] for k in after}, wall

        until, used, wall = asyncio.run(go())
    done = len(ids) - 1 - WARM_UP
    return {"per_s": done / wall, "first_s": until} | {
        k: 1000 * seconds / done for k, seconds in used.items()
    }


def _born() -> float:
    """When this process began, in seconds since 1970."""
    ticks = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    up = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")


def _config() -> Any:
    from paragent.config import RunConfig

    return RunConfig(benchmark="calls", models=("fake",))


@contextlib.contextmanager
def _on_raylets(count: int, bench: Any) -> Iterator[Any]:
    """A Ray of `count` nodes on this machine, one core and one worker each."""
    from paragent.cluster.executor import Workforce
    from paragent.cluster.parcel import pack
    from paragent.cluster.session import ray_session, the_ray

    with ExitStack() as stack:
        joined = stack.enter_context(ray_session("local", cpus=1))
        private: Any = importlib.import_module("ray._private")
        for _ in range(count - 1):
            params = private.parameter.RayParams(
                gcs_address=the_ray()._private.worker._global_node.gcs_address,
                num_cpus=1,
                object_store_memory=80 * 2**20,
                temp_dir=str(Path(os.environ["RAY_AUTH_TOKEN_PATH"]).parent),
                include_log_monitor=False,
            )
            node = private.node.Node(params, head=False, shutdown_at_exit=False, spawn_reaper=False)
            stack.callback(node.kill_all_processes, check_alive=False, allow_graceful=False)
        while len(joined.nodes()) < count:
            time.sleep(0.1)
        parcel = pack(_config(), bench, ["fake"], own=True)
        yield stack.enter_context(Workforce(replace(joined, cpus=count), parcel, count))


def _raw(questions: dict[str, str]) -> tuple[Any, Any]:
    """The model client, and nothing around it."""
    from paragent.registry import component_of
    from paragent.runtime.model import Message, Request

    model: Any = component_of("model", "fake").build()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(task: str) -> None:
        async with gate:
            await model.attempt(Request((Message("user", questions[task]),), max_tokens=64))

    async def run(ids: tuple[str, ...]) -> None:
        await asyncio.gather(*(one(task) for task in ids))

    return run, model.aclose


def _executor(bench: Any, folder: Path, force: Any) -> tuple[Any, Any]:
    """An executor with its session and journal, made inside the event loop."""
    from paragent.design import Agent, Design, Part
    from paragent.executor import Executor, Job, LocalExecutor
    from paragent.outcome import Measured, Outcome
    from paragent.runtime.journal import Journal
    from paragent.runtime.ledger import Caps, Ledger
    from paragent.runtime.session import Session

    design = Design(Agent(Part("fake"), Part("direct"))).to_data()
    journal = Journal(folder / "calls.db")
    session = Session(Ledger(Caps(usd=1000.0)), journal)
    executor: Executor = LocalExecutor(bench, session, in_flight=AT_ONCE)
    if force is not None:
        from paragent.cluster.executor import RayExecutor

        executor = RayExecutor(force, session, in_flight=AT_ONCE)

    def told(task: str, outcome: Outcome) -> None:
        if not isinstance(outcome, Measured):
            raise SystemExit(f"a task failed: {outcome!r}")

    async def run(ids: tuple[str, ...]) -> None:
        await executor.run(Job(design, "dev", ids, "search-eval", 0), told)

    async def close() -> None:
        await executor.aclose()
        await session.aclose()
        journal.close()

    return run, close


def _zero(expected: str, given: str) -> float:
    return 0.0


def cell(where: str, workers: int, tasks: int, latency_ms: int) -> dict[str, float]:
    """One cell in fresh processes, with a fake server of its own."""
    command = [sys.executable, "-m", "paragent.dev.fake_server", "--latency-ms", str(latency_ms)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert server.stdout is not None
    try:
        url = json.loads(server.stdout.readline())["url"]
        parts = 1 if where in ("ray", "raylets") else workers
        env = dict(os.environ, PYTHONPATH=ROOT)
        running = [
            subprocess.Popen(
                [sys.executable, __file__, "--cell", where, str(workers), str(tasks // parts), url,
                 str(server.pid), str(i * 2 * tasks)],
                stdout=subprocess.PIPE, env=env, text=True,
            )
            for i in range(parts)
        ]  # fmt: skip
        found = [json.loads(p.communicate()[0].splitlines()[-1]) for p in running]
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    each = {key: statistics.mean(f[key] for f in found) for key in found[0]}
    each |= {
        "per_s": sum(f["per_s"] for f in found),
        "first_s": max(f["first_s"] for f in found),
        "server": each["server"] / parts,  # each saw the other's calls as well
    }
    return each | {"all": sum(each[k] for k in ("driver", "workers", "ray", "server"))}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    kinds = ["raw", "local", "ray"]
    parser.add_argument("--where", nargs="+", default=kinds, choices=[*kinds, "raylets"])
    parser.add_argument("--weak", action="store_true", help="so many tasks for each worker")
    parser.add_argument("--latency-ms", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cell", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        where, workers, tasks, url, server, first = args.cell
        found = measure(where, int(workers), int(tasks), url, int(server), int(first))
        print(json.dumps(found))
        return 0
    columns = ("driver", "workers", "ray", "server", "all")
    print(f"{'where':6}{'workers':>8}{'tasks':>7}{'tasks/s':>9}{'(range)':>13}{'first s':>9}"
          + "".join(f"{c + ' ms':>12}" for c in columns) + f"{'load':>6}")  # fmt: skip
    for tasks in args.tasks:
        for workers in args.workers:
            rows: dict[str, list[dict[str, float]]] = {where: [] for where in args.where}
            for _ in range(args.repeats):
                for where in args.where:
                    many = tasks * workers if args.weak else tasks
                    rows[where].append(cell(where, workers, many, args.latency_ms))
            for where, row in rows.items():
                middle = {key: statistics.median(r[key] for r in row) for key in row[0]}
                rates = sorted(r["per_s"] for r in row)
                print(
                    f"{where:6}{workers:8}{tasks:7}{middle['per_s']:9.0f}"
                    f"{f'{rates[0]:.0f} to {rates[-1]:.0f}':>13}{middle['first_s']:9.2f}"
                    + "".join(f"{middle[c]:12.3f}" for c in columns)
                    + f"{os.getloadavg()[0]:6.1f}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

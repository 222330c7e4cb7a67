"""Single-call tasks through the executors: Ray's workers beside processes without Ray.

    python perf/single_calls.py --tasks 2000 20000 --workers 1 2 --latency-ms 50

Each cell is a fresh process that runs one design (`direct`) on N tasks of its own against the fake
server, everything recorded in a journal. `ray` is `RayExecutor` with so many workers; `local` is so
many processes side by side, each with `LocalExecutor` and its share of the tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).resolve().parent.parent)
MODELS = """
models:
  fake:
    base_url: {url}
    model: fake-small
    usd_per_mtok: {{in: 0.1, out: 0.2}}
    logprobs: false
    limits: {{concurrency: 100000}}
"""


def measure(where: str, workers: int, tasks: int, url: str, first: int = 0) -> dict[str, Any]:
    """One cell in this process: {"per_s", "start_s", "driver_ms"}.

    `start_s` is from the call to the first outcome, `per_s` is over the tasks alone, and
    `driver_ms` is this process's processor time per task.
    """
    from paragent.benchmark import ListBenchmark, Task
    from paragent.cluster.hire import hired
    from paragent.config import RunConfig
    from paragent.design import Agent, Design, Part
    from paragent.executor import Executor, Job, LocalExecutor
    from paragent.outcome import Measured
    from paragent.runtime.client import close_clients
    from paragent.runtime.journal import Journal
    from paragent.runtime.ledger import Caps, Ledger
    from paragent.runtime.models_file import register_models
    from paragent.runtime.session import Session

    begin = time.perf_counter()
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
        ids = tuple(t.id for t in bench.tasks("dev"))[:tasks]
        design = Design(Agent(Part("fake"), Part("direct"))).to_data()
        config = RunConfig(benchmark="calls", models=("fake",))
        force = stack.enter_context(
            hired("none" if where == "local" else "local", None if where == "local" else workers,
                  config, bench, ["fake"], own=True)
        )  # fmt: skip
        times: list[float] = []
        kinds: set[str] = set()

        def told(_: str, outcome: Any) -> None:
            times.append(time.perf_counter())
            kinds.add("measured" if isinstance(outcome, Measured) else repr(outcome))

        async def go() -> tuple[float, float]:
            journal = Journal(Path(name) / "calls.db")
            session = Session(Ledger(Caps(usd=1000.0)), journal)
            executor: Executor = LocalExecutor(bench, session)
            if force is not None:
                from paragent.cluster.executor import RayExecutor

                executor = RayExecutor(force, session)
            await executor.run(Job(design, "dev", ids[:1], "search-eval", 0), told)
            cpu, wall = time.process_time(), time.perf_counter()
            await executor.run(Job(design, "dev", ids[1:], "search-eval", 0), told)
            found = time.process_time() - cpu, time.perf_counter() - wall
            await executor.aclose()
            await session.aclose()
            await close_clients()
            journal.close()
            return found

        cpu, wall = asyncio.run(go())
    if kinds != {"measured"}:
        raise SystemExit(f"some tasks failed: {sorted(kinds)[:3]}")
    done = len(ids) - 1
    return {"per_s": done / wall, "start_s": times[0] - begin, "driver_ms": cpu / done * 1000}


def _zero(expected: str, given: str) -> float:
    return 0.0


def cell(where: str, workers: int, tasks: int, latency_ms: int) -> dict[str, Any]:
    """One cell in fresh processes, with a fake server of its own."""
    command = [sys.executable, "-m", "paragent.dev.fake_server", "--latency-ms", str(latency_ms)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert server.stdout is not None
    try:
        url = json.loads(server.stdout.readline())["url"]
        parts = workers if where == "local" else 1
        env = dict(os.environ, PYTHONPATH=ROOT)
        running = [
            subprocess.Popen(
                [sys.executable, __file__, "--cell", where, str(workers), str(tasks // parts), url,
                 str(i * 2 * tasks)],
                stdout=subprocess.PIPE, env=env, text=True,
            )
            for i in range(parts)
        ]  # fmt: skip
        found = [json.loads(p.communicate()[0].splitlines()[-1]) for p in running]
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    return {
        "per_s": sum(f["per_s"] for f in found),
        "start_s": max(f["start_s"] for f in found),
        "driver_ms": sum(f["driver_ms"] for f in found) / len(found),
    }


def main() -> int:
    """Print the table, one line per cell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--where", nargs="+", default=["local", "ray"], choices=["local", "ray"])
    parser.add_argument("--latency-ms", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--cell", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        where, workers, tasks, url, first = args.cell
        print(json.dumps(measure(where, int(workers), int(tasks), url, int(first))))
        return 0
    print(f"{'where':6}{'workers':>8}{'tasks':>8}{'tasks/s':>10}{'first s':>9}{'driver ms':>11}")
    for _ in range(args.repeats):
        for tasks in args.tasks:
            for workers in args.workers:
                for where in args.where:
                    f = cell(where, workers, tasks, args.latency_ms)
                    print(
                        f"{where:6}{workers:8}{tasks:8}{f['per_s']:10.0f}{f['start_s']:9.2f}"
                        f"{f['driver_ms']:11.3f}",
                        flush=True,
                    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

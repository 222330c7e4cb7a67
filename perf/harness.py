"""What one model call costs the machine: our session beside the plain client and the bare floor.

    python perf/harness.py                    # the whole table: median of 5, about 40 minutes
    python perf/harness.py --tasks 300 --repeats 1 --latency 0 --concurrency 32      # a look

Against `paragent.dev.fake_server` in a process of its own, each cell is a fresh process that makes
`--tasks` different single-call tasks after a short warm-up:

    aiohttp        the floor: a raw POST and json.loads, nothing recorded
    openai         AsyncOpenAI on aiohttp, messages through `chat.completions.create`
    paragent       our session: cache look-up, limits, reservation, journal on disk, all recorded
    paragent x2    two such processes at once (each with the stated concurrency)
    dspy, inspect  DSPy's Evaluate and inspect-ai, where the Python of an environment of their own
                   is given by --dspy-python or --inspect-python; see perf/peers.py

CPU is the process's own, per task; rates are of the whole cell. Repeats are interleaved, so that
other load on the machine falls on all clients alike. What is printed is the median, with the range.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLIENTS = ("aiohttp", "openai", "paragent", "paragent x2")
#: client -> the option that names its Python.
PEERS = {"dspy": "--dspy-python", "inspect": "--inspect-python"}
#: The folder whose `paragent` is measured, installed or not.
ROOT = str(Path(__file__).resolve().parent.parent)
WARM_UP = 100

Call = Callable[[int], Awaitable[object]]


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    client: str
    latency_ms: int
    concurrency: int
    history: int


def texts(number: int, history: int) -> list[tuple[str, str]]:
    """(role, text) of a task: `history` messages of about 100 characters, each task its own."""
    return [
        ("user" if k % 2 == 0 else "assistant", f"task {number}, message {k}: " + "words " * 15)
        for k in range(history)
    ]


async def measure(client: str, url: str, tasks: int, concurrency: int, history: int) -> Any:
    """One cell in this process: {"cpu_us", "per_s", "rss_mb"}."""
    with tempfile.TemporaryDirectory() as folder:
        make = {"aiohttp": by_aiohttp, "openai": by_openai}.get(client, by_session)
        call, close = await make(url, history, Path(folder))
        gate = asyncio.Semaphore(concurrency)

        async def one(number: int) -> None:
            async with gate:
                await call(number)

        await asyncio.gather(*(one(-1 - i) for i in range(WARM_UP)))
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(one(i) for i in range(tasks)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        await close()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_us": cpu / tasks * 1e6, "per_s": tasks / wall, "rss_mb": rss}


async def by_aiohttp(url: str, history: int, folder: Path) -> tuple[Call, Any]:
    """The floor."""
    import aiohttp

    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def call(number: int) -> object:
        messages = [{"role": r, "content": t} for r, t in texts(number, history)]
        body = json.dumps({"model": "fake-small", "messages": messages, "max_tokens": 64})
        headers = {"Content-Type": "application/json"}
        async with http.post(f"{url}/chat/completions", data=body, headers=headers) as reply:
            return json.loads(await reply.read())

    return call, http.close


async def by_openai(url: str, history: int, folder: Path) -> tuple[Call, Any]:
    """The plain client as its documentation shows it, on its faster transport."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    client = AsyncOpenAI(base_url=url, api_key="none", http_client=DefaultAioHttpClient())

    async def call(number: int) -> object:
        messages: Any = [{"role": r, "content": t} for r, t in texts(number, history)]
        return await client.chat.completions.create(
            model="fake-small", messages=messages, max_tokens=64
        )

    return call, client.close


async def by_session(url: str, history: int, folder: Path) -> tuple[Call, Any]:
    """Our way, everything recorded."""
    from paragent.component import Price
    from paragent.runtime.endpoint import EndpointModel
    from paragent.runtime.journal import Journal
    from paragent.runtime.ledger import Caps, Ledger
    from paragent.runtime.model import Message, Request
    from paragent.runtime.models_file import ModelSpec
    from paragent.runtime.session import Session

    model = EndpointModel(ModelSpec("fake-small", url, price=Price(0.1, 0.2), logprobs=False))
    journal = Journal(folder / "calls.db")
    session = Session(Ledger(Caps(usd=1000.0)), journal)

    async def call(number: int) -> object:
        messages = tuple(Message(r, t) for r, t in texts(number, history))  # type: ignore[arg-type]
        return await session.call(model, Request(messages, max_tokens=64), "search-eval")

    async def close() -> None:
        await session.aclose()
        journal.close()

    return call, close


def start_server(latency_ms: int) -> tuple[subprocess.Popen[bytes], str]:
    """The fake server and its URL."""
    command = [sys.executable, "-m", "paragent.dev.fake_server", "--latency-ms", str(latency_ms)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert server.stdout is not None
    return server, json.loads(server.stdout.readline())["url"]


def run_cell(cell: Cell, tasks: int, pythons: dict[str, str]) -> dict[str, float]:
    """One repeat of a cell in fresh processes."""
    server, url = start_server(cell.latency_ms)
    try:
        name, _, twice = cell.client.partition(" x")
        work = [name, url, str(tasks), str(cell.concurrency), str(cell.history)]
        command = [sys.executable, __file__, "--cell", *work]
        env = dict(os.environ, PYTHONPATH=ROOT)
        if name in PEERS:
            command = [pythons[name], str(Path(__file__).with_name("peers.py")), *work]
            del env["PYTHONPATH"]
        workers = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
            for _ in range(int(twice or 1))
        ]
        found = []
        for worker in workers:
            out, err = worker.communicate()
            if worker.returncode:
                sys.exit(f"{cell} failed:\n{err.decode()}")
            found.append(json.loads(out.splitlines()[-1]))
    finally:
        server.terminate()
        server.wait()
    return {
        "cpu_us": statistics.mean(f["cpu_us"] for f in found),
        "per_s": sum(f["per_s"] for f in found),
        "rss_mb": max(f["rss_mb"] for f in found),
    }


def cells(args: argparse.Namespace) -> list[Cell]:
    """Latencies and concurrencies at one message; longer histories at the first of each."""
    clients = [*args.client, *(name for name in PEERS if getattr(args, f"{name}_python"))]
    plain = [
        Cell(client, latency, concurrency, args.history[0])
        for latency in args.latency
        for concurrency in args.concurrency
        for client in clients
    ]
    long = [
        Cell(client, args.latency[0], args.concurrency[0], history)
        for history in args.history[1:]
        for client in clients
    ]
    return plain + long


def main() -> int:
    """Run the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--latency", type=int, nargs="+", default=[0, 50, 500], metavar="MS")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--history", type=int, nargs="+", default=[1, 10, 40], metavar="MESSAGES")
    parser.add_argument("--client", nargs="+", default=list(CLIENTS), choices=CLIENTS)
    for name, option in PEERS.items():
        parser.add_argument(option, metavar="PYTHON", help=f"measure {name} with this Python")
    parser.add_argument(
        "--peer-tasks", type=int, metavar="N", help="tasks of those two; default: as --tasks"
    )
    parser.add_argument("--json", action="store_true", help="one object per cell instead")
    parser.add_argument("--cell", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        client, url, *numbers = args.cell
        print(json.dumps(asyncio.run(measure(client, url, *map(int, numbers)))))
        return 0
    table = cells(args)
    pythons = {name: getattr(args, f"{name}_python") for name in PEERS}
    found: dict[Cell, list[dict[str, float]]] = {cell: [] for cell in table}
    for repeat in range(args.repeats):
        for cell in table:
            print(
                f"\r{repeat + 1}/{args.repeats} {cell}\033[K", end="", file=sys.stderr, flush=True
            )
            tasks = (args.peer_tasks or args.tasks) if cell.client in PEERS else args.tasks
            found[cell].append(run_cell(cell, tasks, pythons))
    print("\r\033[K", end="", file=sys.stderr)
    if not args.json:
        print(f"{args.tasks} tasks, median of {args.repeats} (lowest to highest)")
        print(f"{'client':12} {'ms':>4} {'at once':>7} {'messages':>8}", end="")
        print(f" {'CPU us/task':>22} {'tasks/s':>20} {'RSS MB':>7}")
    for cell in table:
        columns = {k: sorted(f[k] for f in found[cell]) for k in ("cpu_us", "per_s", "rss_mb")}
        middle = {k: statistics.median(v) for k, v in columns.items()}
        if args.json:
            print(json.dumps({**vars(cell), **middle, "all": columns}))
            continue
        shown = [f"{middle[k]:.0f} ({columns[k][0]:.0f} to {columns[k][-1]:.0f})" for k in columns]
        print(
            f"{cell.client:12} {cell.latency_ms:4} {cell.concurrency:7} {cell.history:8}"
            f" {shown[0]:>22} {shown[1]:>20} {middle['rss_mb']:7.0f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

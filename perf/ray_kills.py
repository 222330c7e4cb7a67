"""Kills processes of a search on Ray at random times, and counts what was lost or paid twice.

    python perf/ray_kills.py --runs 50        # half an hour or more; a table at the end

Each run searches the fake server's model with two workers on a Ray of its own. At a random moment
one process is killed with -9: a worker (the process of an actor), the driver, the raylet or Ray's
control store. Where the search ends by that, `paragent resume` goes on with it. Then three things
are counted: evaluations that differ in number from those of an undisturbed run in one process,
requests that the server billed more than once beyond those noted as unsure (in flight at the kill),
and fronts that differ from that run's. All must be 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KINDS = {"worker": "ray::Worker", "driver": "", "raylet": "raylet/raylet", "gcs": "gcs_server"}
SEARCH = [
    *("search", "--searcher", "random", "--models", "fake", "--include"),
    *("direct,chain_of_thought,vote", "--evals", "6", "--tasks", "20", "--confirm", "5"),
    *("--test-tasks", "5", "--parallel", "3", "--out", "run"),
]
ON_RAY = ["--address", "local", "--workers", "2"]
MODELS = """
models:
  fake:
    base_url: {url}
    model: fake-small
    usd_per_mtok: {{in: 1.0, out: 2.0}}
    context: 4096
    limits: {{concurrency: 8}}
"""


@contextlib.contextmanager
def serving(latency_ms: int) -> Iterator[str]:
    """The fake server's URL."""
    command = [sys.executable, "-m", "paragent.dev.fake_server", "--latency-ms", str(latency_ms)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def stats(url: str) -> dict[str, Any]:
    """The server's own count."""
    with urllib.request.urlopen(f"{url}/stats", timeout=10) as reply:
        found: dict[str, Any] = json.loads(reply.read())
    return found


def start(folder: Path, url: str, *words: str) -> subprocess.Popen[str]:
    """A `paragent` command in a folder, with no cache but the run's own."""
    (folder / "models.yaml").write_text(MODELS.format(url=url), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PARAGENT_CACHE": "off"}
    env["PARAGENT_MODELS"] = str(folder / "models.yaml")
    with (folder / "log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "paragent", *words, "--no-report", "--json"],
            cwd=folder, env=env, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip


def family(pid: int) -> list[tuple[int, str]]:
    """(pid, command) of a process and all below it."""
    below: dict[int, list[int]] = {}
    words: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            below.setdefault(int(fields[1]), []).append(int(entry.name))
            words[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append((one, words.get(one, "")))
        waiting += below.get(one, [])
    return found


def victim(driver: int, kind: str, rng: random.Random) -> int | None:
    """A process of that kind below the driver; the driver itself for "driver"."""
    if kind == "driver":
        return driver
    able = sorted(pid for pid, words in family(driver) if KINDS[kind] in words and pid != driver)
    return rng.choice(able) if able else None


def results(said: dict[str, Any]) -> Any:
    """What a run found, without times."""
    front = [(p["design"], p["dev"], p["test"], p["usd_per_1k"]) for p in said["front"]]
    return front, said["baseline"]["dev"], said["baseline"]["test"]


def count(folder: Path, table: str) -> int:
    """Rows of the run's journal."""
    with contextlib.closing(sqlite3.connect(folder / "run" / "calls.db")) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def one_run(seed: int, kind: str, latency_ms: int, calm: dict[str, Any]) -> dict[str, Any]:
    """One search with one kill; what was wrong about it."""
    rng = random.Random(f"{seed}:{kind}")
    share = rng.uniform(0.05, 0.9)
    with tempfile.TemporaryDirectory() as name, serving(latency_ms) as url:
        folder = Path(name)
        process = start(folder, url, *SEARCH, *ON_RAY, "--seed", str(seed))
        at = share * calm["spent"]["calls"]
        killed = False
        while process.poll() is None and not killed:
            if stats(url)["billed"] >= at:
                pid = victim(process.pid, kind, rng)
                if pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed = True
            time.sleep(0.005)
        out, _ = process.communicate(timeout=200)
        resumes = 0
        while not out.strip().startswith("{") and resumes < 3:
            resumes += 1
            out, _ = start(folder, url, "resume", "run", *ON_RAY).communicate(timeout=200)
        if not out.strip().startswith("{"):
            return {
                "killed": killed,
                "resumes": resumes,
                "why": (folder / "log").read_text()[-900:],
            }
        said, billed = json.loads(out), stats(url)
        unsure, paid = count(folder, "flights"), count(folder, "calls")
        ended = (folder / "log").read_text().strip().splitlines()[-1:] if resumes else []
    return {
        "killed": killed,
        "resumes": resumes,
        "lost": abs(said["evaluations"] - calm["evaluations"]) + said["failed"],
        "double": max(0, billed["billed_twice"] - unsure)
        + max(0, paid - calm["spent"]["calls"])
        + max(0, billed["billed"] - paid - unsure),
        "wrong": int(results(said) != results(calm)),
        "unsure": unsure,
        "ended": ended,
    }


def main() -> int:
    """Run and print the table; exit code 1 where anything was lost, paid twice or wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--latency-ms", type=int, default=60)
    parser.add_argument("--kind", choices=list(KINDS), help="only this kind; default: in turn")
    args = parser.parse_args()
    calm: dict[int, dict[str, Any]] = {}
    table: dict[str, Counter[str]] = {}
    for number in range(args.first, args.first + args.runs):
        kind = args.kind or list(KINDS)[number % len(KINDS)]
        seed = number % 3
        if seed not in calm:
            with tempfile.TemporaryDirectory() as name, serving(args.latency_ms) as url:
                words = [*SEARCH, "--seed", str(seed)]
                calm[seed] = json.loads(start(Path(name), url, *words).communicate()[0])
        begin = time.monotonic()
        found = one_run(seed, kind, args.latency_ms, calm[seed])
        row = table.setdefault(kind, Counter())
        row["runs"] += 1
        if "why" in found:
            row["unfinished"] += 1
        for key in ("killed", "resumes", "lost", "double", "wrong", "unsure"):
            row[key] += found.get(key, 0)
        print(number, kind, f"{time.monotonic() - begin:.1f} s", found, file=sys.stderr, flush=True)
    columns = ("runs", "killed", "resumes", "unsure", "unfinished", "lost", "double", "wrong")
    print(f"{'killed process':15}" + "".join(f"{c:>11}" for c in columns))
    for kind, row in sorted(table.items()):
        print(f"{kind:15}" + "".join(f"{row[c]:11}" for c in columns))
    bad = sum(row[c] for row in table.values() for c in ("unfinished", "lost", "double", "wrong"))
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())

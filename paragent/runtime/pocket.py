"""Pocket models behind the `LanguageModel` contract: requests that are waiting at the same time
run as one batch, on worker processes.

Replies do not depend on what shares a batch (the engine guarantees it), so batching is invisible.
Workers are plain child processes spoken to by pipes: a user's script needs no `__main__` guard, and
a worker that dies is replaced once; its batch then fails as "connection".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import sys
import weakref
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import paragent
from paragent.component import Price
from paragent.errors import CallFailure
from paragent.pocket.engine import PocketModel, catalog
from paragent.runtime.cages import close_sandbox
from paragent.runtime.model import Completion, Request

MAX_BATCH = 64
#: Seconds a request may wait for others to share its batch.
GATHER_S = 0.002
#: A request's pipe line may be long: 64 requests with notes and examples.
LINE_LIMIT = 64 * 1024 * 1024

#: A worker runs this very package, wherever it is imported from and whatever folder it works in.
_WORKER = (
    f"import sys; sys.path.insert(0, {str(Path(paragent.__file__).parent.parent)!r}); "
    "from paragent.runtime.pocket_worker import main; main()"
)


@dataclass
class _Waiting:
    model: str
    request: dict[str, Any]
    future: asyncio.Future[tuple[list[Any], float]]


class PocketPool:
    """Worker processes of one event loop, and the queue before them."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._queue: deque[_Waiting] = deque()
        self._idle: list[asyncio.subprocess.Process] = []
        self._killed: list[asyncio.subprocess.Process] = []
        self._started = 0
        self._jobs: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """Requests that no worker has taken yet."""
        return len(self._queue)

    async def run(self, model: str, request: dict[str, Any]) -> tuple[list[Any], float]:
        """One request; returns its reply as the worker wrote it, and its share of the seconds."""
        if self._closed:
            raise CallFailure("connection", "the pocket workers are closed")
        future = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(model, request, future))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._flush)
        answer: tuple[list[Any], float] = await future
        return answer

    def _flush(self) -> None:
        self._timer = None
        while self._queue and len(self._jobs) < self.workers:
            batch = self._take()
            if batch:
                job = asyncio.ensure_future(self._serve(batch))
                self._jobs.add(job)
                job.add_done_callback(self._finished)

    def _finished(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if self._queue and not self._closed:
            self._flush()

    def _take(self) -> list[_Waiting]:
        """The oldest request and up to MAX_BATCH - 1 others of its model; cancelled ones go."""
        waiting = [w for w in self._queue if not w.future.done()]
        batch = [w for w in waiting if w.model == waiting[0].model][:MAX_BATCH] if waiting else []
        chosen = set(map(id, batch))
        self._queue = deque(w for w in waiting if id(w) not in chosen)
        return batch

    async def _serve(self, batch: list[_Waiting]) -> None:
        line = json.dumps({"model": batch[0].model, "requests": [w.request for w in batch]})
        try:
            reply = await self._exchange(line)
            if "error" in reply:
                raise CallFailure("component", f"pocket model {batch[0].model}: {reply['error']}")
            total = sum(r[1] + r[2] for r in reply["replies"] if not isinstance(r, str))
            for waiting, answer in zip(batch, reply["replies"], strict=True):
                if waiting.future.done():
                    continue
                if isinstance(answer, str):
                    waiting.future.set_exception(CallFailure("context-overflow", answer))
                else:
                    share = (answer[1] + answer[2]) / total if total else 0.0
                    waiting.future.set_result((answer, reply["seconds"] * share))
        except Exception as error:  # handed to every waiting caller, none is lost
            failure = (
                error
                if isinstance(error, CallFailure)
                else CallFailure("connection", f"pocket worker: {error!r}")
            )
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(failure)

    async def _exchange(self, line: str) -> dict[str, Any]:
        for attempt in (1, 2):
            worker = self._idle.pop() if self._idle else await self._start()
            assert worker.stdin is not None and worker.stdout is not None
            try:
                worker.stdin.write(line.encode() + b"\n")
                await worker.stdin.drain()
                answer = await worker.stdout.readline()
                if answer:
                    self._idle.append(worker)
                    reply: dict[str, Any] = json.loads(answer)
                    return reply
            except (BrokenPipeError, ConnectionResetError):
                pass
            except BaseException:
                self._kill(worker)
                raise
            self._kill(worker)
            if attempt == 2:
                break
        raise CallFailure("connection", "a pocket worker died twice on the same batch")

    async def _start(self) -> asyncio.subprocess.Process:
        # One BLAS thread per worker: there is one worker per core. No keys go to the child.
        keep = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR", "SYSTEMROOT")
        env = {k: v for k, v in os.environ.items() if k in keep or k.startswith("OPENBLAS_")}
        env |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._started += 1
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=env,
            limit=LINE_LIMIT,
            start_new_session=True,  # Ctrl-C is for the search, which then ends its workers
        )

    async def aclose(self) -> None:
        """End the workers; requests that still wait fail."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for job in list(self._jobs):
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        for waiting in self._queue:
            if not waiting.future.done():
                waiting.future.cancel()
        for worker in self._idle:
            self._kill(worker)
        self._idle.clear()
        for worker in self._killed:  # while the loop runs: its pipes are closed through it
            await worker.wait()
        self._killed.clear()

    def _kill(self, worker: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        self._killed.append(worker)


_pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, PocketPool] = (
    weakref.WeakKeyDictionary()
)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pool() -> PocketPool:
    """The running loop's pool; made on first use, one worker per core."""
    loop = asyncio.get_running_loop()
    if loop not in _pools:
        _pools[loop] = PocketPool(cores())
    return _pools[loop]


def start_pool(workers: int) -> None:
    """Give the running loop a pool of so many workers: several loops may share a machine."""
    _pools[asyncio.get_running_loop()] = PocketPool(workers)


def queued() -> int:
    """Requests that wait for a free worker of the running loop."""
    found = _pools.get(asyncio.get_running_loop())
    return found.waiting if found is not None else 0


async def close_pool() -> None:
    """End the running loop's workers and cages, if it has any."""
    found = _pools.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.aclose()
    await close_sandbox()


@dataclass(frozen=True)
class PocketLanguageModel:
    """One pocket model. Tools named "calculator" run inside its engine; others it cannot use."""

    name: str
    endpoint: str = "pocket"
    tool_protocol: Literal["inline", "native", "text"] = "inline"

    @cached_property
    def price(self) -> Price:
        """From the catalogue: dollars per million tokens, by compute."""
        info = catalog()[self.name]
        return Price(info.usd_per_mtok_in, info.usd_per_mtok_out)

    def worst_case(self, request: Request) -> tuple[int, int]:
        """Exact prompt tokens, and the request's `max_tokens`."""
        messages = tuple((m.role, m.content) for m in request.messages)
        return PocketModel.load(self.name).count_tokens(messages), request.max_tokens

    async def complete(self, request: Request) -> Completion:
        """One reply. `latency_s` is the engine's CPU time of the batch, shared by tokens."""
        data = {
            "messages": [[m.role, m.content] for m in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "stop": list(request.stop),
            "calculator": any(tool.name == "calculator" for tool in request.tools),
        }
        reply, seconds = await pool().run(self.name, data)
        text, prompt_tokens, completion_tokens, logprob, finish = reply
        confidence = math.exp(logprob / completion_tokens) if completion_tokens else None
        return Completion(
            text=text,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            latency_s=seconds,
            confidence=confidence,
            finish=finish,
        )

    async def aclose(self) -> None:
        """Nothing of its own: the pool belongs to the loop (`close_pool`)."""

"""A worker: an async actor that runs tasks, with its own model clients and pocket models.

It asks the driver before each model call (is it known? may it be made?) and shows it each reply
before the task sees it: cache, caps, limits and the record of what was paid are the driver's alone.
Both questions travel in the exchange that is under way anyway, many at a time, so a call pays two
exchanges of waiting and almost no processor time for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from paragent.benchmark import Closes
from paragent.cluster.messages import Message, failure_to_data, gather_s, model_to_data
from paragent.cluster.parcel import Ready, facts, unpack
from paragent.compile import System, compile_design
from paragent.errors import CallFailure, CapReached, ParagentError, UsageError
from paragent.evaluate import evaluate_task
from paragent.inventory import design_of
from paragent.outcome import Failed, Purpose, outcome_to_json
from paragent.runtime.client import close_clients
from paragent.runtime.journal import call_key, completion_from_json, completion_to_json
from paragent.runtime.model import Completion, LanguageModel, Request
from paragent.runtime.pocket import close_pool, queued, start_pool
from paragent.runtime.session import is_remote

#: Seconds after which an exchange with nothing to say is answered, as a sign of life.
BEAT_S = 1.0
#: Seconds without a word from the driver after which a worker ends itself.
FORSAKEN_S = 60.0
#: Requests kept of calls whose task was dropped: another worker may wait for them.
ORPHANS = 4096


@dataclass
class _Call:
    """A call that a task waits for: what to send, and what the driver says."""

    model: LanguageModel
    request: Request
    verdict: asyncio.Future[Message]
    completion: Completion | None = None


@dataclass
class _Desk:
    """What the event loop holds: tasks, calls and messages."""

    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    calls: dict[int, _Call] = field(default_factory=dict)
    orphans: OrderedDict[int, _Call] = field(default_factory=OrderedDict)
    attempts: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    designs: dict[str, Any] = field(default_factory=dict)
    systems: dict[str, System | str] = field(default_factory=dict)
    models: dict[tuple[str, str], int] = field(default_factory=dict)
    ups: list[Message] = field(default_factory=list)
    last_call: int = 0


class Worker:
    """One worker; Ray makes it an actor. All methods run on the actor's event loop."""

    def __init__(self) -> None:
        self._desk = _Desk()
        self._ready: Ready | None = None
        self._turn = 0
        self._wake = asyncio.Event()
        self._heard = time.monotonic()
        self._watch: asyncio.Task[None] | None = None

    async def prepare(self, parcel: bytes, cores: int) -> dict[str, Any]:
        """Unpack what the run needs and get ready; `error` says in one line what is missing."""
        found = facts()
        try:
            self._ready = unpack(parcel)
        except ParagentError as error:
            return {**found, "error": str(error)}
        except Exception as error:  # user code: whatever it raises must reach the user as a line
            return {**found, "error": f"{type(error).__name__}: {error}"}
        start_pool(cores)
        self._heard = time.monotonic()
        self._watch = asyncio.ensure_future(self._end_when_forsaken())
        return {**found, "digest": self._ready.digest}

    async def exchange(self, downs: list[Message]) -> tuple[list[Message], int]:
        """Take the driver's messages; answer with ours, as soon as there are any.

        A later exchange relieves the one that waits, so the driver can always be heard. The number
        is how many pocket requests wait here for a free core.
        """
        desk = self._desk
        self._heard = time.monotonic()
        self._turn += 1
        mine = self._turn
        self._wake.set()
        for message in downs:
            self._take(message)
        end = time.monotonic() + BEAT_S
        while not desk.ups and self._turn == mine:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.0, end - time.monotonic()))
            if time.monotonic() >= end:
                break
        if desk.ups and self._turn == mine:
            await asyncio.sleep(gather_s(len(desk.calls)))
        ups, desk.ups = desk.ups, []
        return ups, queued()

    async def finish(self) -> None:
        """Cancel what runs, close clients and pocket models, remove what was unpacked."""
        desk = self._desk
        running = [*desk.tasks.values(), *desk.attempts.values()]
        if self._watch is not None:
            running.append(self._watch)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._ready is not None and isinstance(self._ready.benchmark, Closes):
            await self._ready.benchmark.aclose()
        await close_clients()
        await close_pool()
        if self._ready is not None:
            self._ready.close()

    async def _end_when_forsaken(self) -> None:
        """A driver that a broken network keeps away has replaced this worker: end it."""
        while time.monotonic() - self._heard < FORSAKEN_S:
            await asyncio.sleep(FORSAKEN_S / 10)
        os._exit(1)

    def _say(self, *message: Any) -> None:
        self._desk.ups.append(list(message))
        self._wake.set()

    # -- the driver's messages --------------------------------------------------------------------

    def _take(self, message: Message) -> None:
        desk, (word, *rest) = self._desk, message
        if word == "task":
            number = rest[0]
            task = asyncio.ensure_future(self._run(*rest))
            desk.tasks[number] = task
            task.add_done_callback(lambda _: desk.tasks.pop(number, None))
        elif word == "design":
            desk.designs[rest[0]] = rest[1]
        elif word == "drop":
            if rest[0] in desk.tasks:
                desk.tasks[rest[0]].cancel()
        elif word == "go":
            number = rest[0]
            attempt = asyncio.ensure_future(self._attempt(number))
            desk.attempts[number] = attempt
            attempt.add_done_callback(lambda _: desk.attempts.pop(number, None))
        elif word == "stop":
            if rest[0] in desk.attempts:
                desk.attempts[rest[0]].cancel()
        else:  # known, done, fail, cap, fault: the end of a call
            call = desk.calls.get(rest[0])
            if call is not None and not call.verdict.done():
                call.verdict.set_result(message)

    # -- tasks ------------------------------------------------------------------------------------

    async def _run(
        self, number: int, key: str, task_id: str, split: str, purpose: Purpose, seed: int
    ) -> None:
        assert self._ready is not None, "prepared"
        try:
            system = self._system(key)
            if isinstance(system, str):
                self._say("outcome", number, outcome_to_json(Failed("component", system)))
                return
            outcome = await evaluate_task(
                system,
                self._ready.benchmark,
                self._ready.tasks[split][task_id],
                _Caller(self, number),
                purpose=purpose,
                seed=seed,
            )
        except CapReached as reached:
            self._say("capped", number, reached.cap, str(reached))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a bug of ours: the driver stops the run, nothing is scored
            self._say("broke", number, f"{type(error).__name__}: {error}")
        else:
            self._say("outcome", number, outcome_to_json(outcome))

    def _system(self, key: str) -> System | str:
        """The design, compiled once; a text says why it cannot be built."""
        desk = self._desk
        if key not in desk.systems:
            try:
                desk.systems[key] = compile_design(design_of(desk.designs[key]))
            except UsageError as error:
                desk.systems[key] = str(error)
        return desk.systems[key]

    # -- calls ------------------------------------------------------------------------------------

    async def call(
        self, task: int, model: LanguageModel, request: Request, purpose: Purpose
    ) -> Completion:
        """One completion, by the driver's leave. Raises CallFailure and CapReached."""
        desk = self._desk
        desk.last_call += 1
        number = desk.last_call
        call = _Call(model, request, asyncio.get_running_loop().create_future())
        desk.calls[number] = call
        likely = model.likely_tokens(request) if is_remote(model) else 0
        worst = list(model.worst_case(request))
        m = self._number_of(model)
        self._say("call", number, task, m, call_key(model, request), purpose, worst, likely)
        try:
            word, _, *rest = await call.verdict
        except asyncio.CancelledError:
            self._say("gone", number)
            desk.orphans[number] = call
            if len(desk.orphans) > ORPHANS:
                desk.orphans.popitem(last=False)
            raise
        finally:
            del desk.calls[number]
        if word == "done":
            assert call.completion is not None, "the driver saw it"
            return call.completion
        if word == "known":
            return completion_from_json(rest[0])
        if word == "cap":
            raise CapReached(*rest)
        if word == "fault":
            raise RuntimeError(*rest)
        raise CallFailure(*rest)

    def _number_of(self, model: LanguageModel) -> int:
        desk, where = self._desk, (model.name, model.endpoint)
        if where not in desk.models:
            desk.models[where] = len(desk.models)
            self._say("model", desk.models[where], model_to_data(model))
        return desk.models[where]

    async def _attempt(self, number: int) -> None:
        """Make one attempt of a call, and say what came of it."""
        call = self._desk.calls.get(number) or self._desk.orphans.get(number)
        try:
            if call is None:
                raise RuntimeError("the call is not known here any more")
            model = call.model
            if is_remote(model):
                completion = await model.attempt(call.request)
            else:
                completion = await model.complete(call.request)
        except CallFailure as failure:
            self._say("lost", number, failure_to_data(failure))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a bug of the model's: as in one process, it ends the task
            self._say("lost", number, ["", f"{type(error).__name__}: {error}", None, None, True])
        else:
            call.completion = completion
            self._say("landed", number, completion_to_json(completion))


@dataclass(frozen=True)
class _Caller:
    """`paragent.chat.Caller` of one task."""

    worker: Worker
    task: int

    async def call(self, model: LanguageModel, request: Request, purpose: Purpose) -> Completion:
        return await self.worker.call(self.task, model, request, purpose)

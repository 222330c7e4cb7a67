"""Runs evaluation jobs on Ray: the same outcomes as in one process, whatever dies on the way.

Tasks of all designs wait in one queue, by turns of their designs, and go to the worker that has the
fewest; what gathers while an exchange is under way travels together (`paragent.cluster.worker`). A
worker that dies, or is not heard of for `HUNG_S`, is replaced, and its tasks run elsewhere: what
was paid for is found in the journal. A task that was aboard at `SUSPECT` deaths runs alone from
then on, and where it ends its worker twice more, it has failed; nothing else ever does for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import heapq
import importlib
import itertools
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from paragent import __version__
from paragent.cluster.hub import Hub, Line
from paragent.cluster.messages import Message, gather_s
from paragent.cluster.session import ClusterError, Joined
from paragent.errors import CapReached, UsageError
from paragent.executor import Job, OnOutcome
from paragent.outcome import Failed, outcome_from_json
from paragent.runtime.session import Session

#: Seconds without a word from a worker (it speaks at least once a second) until it is given up.
HUNG_S = 20.0
#: Seconds that workers may take to get ready.
READY_S = 120.0
#: Tasks under way on one worker; with a queue of pocket requests of `BACKLOG` it gets no more.
IN_FLIGHT = 256
BACKLOG = 128
#: Seconds that an exchange with nothing to say waits for an answer to a call; the journal's, about.
LINGER_S = 0.008
#: Deaths of workers with a task aboard, until it runs alone; and alone, until it has failed.
SUSPECT, ALONE = 2, 2
#: Seconds that a lost worker's replacement may take; then the cluster is lost.
REPLACE_S = 60.0


@dataclass(eq=False)
class _Work:
    """One task of a job, wherever it is."""

    number: int
    key: str
    design: Any
    message: Message
    done: asyncio.Future[None]
    on_outcome: OnOutcome
    task_id: str
    deaths: int = 0
    crew: Crew | None = None
    ended: bool = False


@dataclass(eq=False)
class Crew:
    """One worker and what is under way there."""

    name: str
    actor: Any
    facts: dict[str, Any]
    line: Line = field(init=False)
    out: list[Message] = field(default_factory=list)
    works: dict[int, _Work] = field(default_factory=dict)
    designs: set[str] = field(default_factory=set)
    backlog: int = 0
    alone: bool = False
    #: Exchanges under way; told when there is something to say.
    flying: set[asyncio.Task[None]] = field(default_factory=set)
    wake: Callable[[Crew], None] | None = None
    timer: asyncio.TimerHandle | None = None
    lingers: bool = False

    def __post_init__(self) -> None:
        self.line = Line(self.say)

    def say(self, *message: Any) -> None:
        """Send with the next exchange."""
        self.out.append(list(message))
        if self.wake is not None and (self.timer is None or self.lingers):
            self.wake(self)


class Workforce:
    """The workers of a session: hired before a run, replaced while it goes on."""

    def __init__(self, joined: Joined, parcel: bytes, workers: int | None = None) -> None:
        if workers is not None and (isinstance(workers, bool) or workers < 1):
            raise UsageError(f"workers is {workers!r}; wanted a whole number of at least 1")
        self.joined, self._parcel = joined, parcel
        self.count = workers or joined.cpus
        self._ray = importlib.import_module("ray")
        # A share of a core where there are more workers than cores: they only wait then.
        share = joined.cpus / self.count
        self._cpus = int(share) if share >= 1 else share
        self._cores = max(1, int(share))
        self.crews: list[Crew] = []
        #: Workers that died and were replaced.
        self.replaced = 0

    def __enter__(self) -> Workforce:
        """Hire. Raises ClusterError or UsageError, in one line, for what a worker lacks."""
        ray = self._ray
        actors = [self._actor() for _ in range(self.count)]
        refs = [actor.prepare.remote(self._parcel, self._cores) for actor in actors]
        try:
            _, waiting = ray.wait(refs, num_returns=len(refs), timeout=READY_S)
            if waiting:
                raise ClusterError(
                    f"{len(waiting)} of {self.count} workers did not start within {READY_S:g} s: "
                    f"the cluster has {self.joined.cpus} cores; are they taken?"
                )
            found = [self._get(ref) for ref in refs]
            for facts in found:
                check_worker(facts)
        except BaseException:
            for actor in actors:
                ray.kill(actor)
            raise
        self.crews = [
            Crew(f"worker-{i}", actor, facts)
            for i, (actor, facts) in enumerate(zip(actors, found, strict=True))
        ]
        return self

    def __exit__(self, *exc: object) -> None:
        for crew in self.crews:
            with contextlib.suppress(Exception):  # dead already, or the whole cluster is
                self._ray.kill(crew.actor)
        self.crews = []

    async def replace(self, crew: Crew) -> Crew:
        """A new worker in the place of a lost one. Raises ClusterError where none starts."""
        self.replaced += 1
        loop = asyncio.get_running_loop()
        with contextlib.suppress(Exception):
            await loop.run_in_executor(None, self._ray.kill, crew.actor)
        end = time.monotonic() + REPLACE_S
        while True:
            try:
                async with asyncio.timeout(end - time.monotonic()):
                    actor = await loop.run_in_executor(None, self._actor)
                    facts = await actor.prepare.remote(self._parcel, self._cores)
                check_worker(facts)
                return Crew(crew.name, actor, facts)
            except self._ray.exceptions.RayError as error:  # that one died as well
                why = _line(error)
            except TimeoutError:
                why = "no answer"
            if time.monotonic() >= end:
                raise ClusterError(
                    f"{crew.name} was lost and none could be started in its place ({why}); what "
                    "was measured is kept: paragent resume goes on"
                )
            await asyncio.sleep(0.5)

    def _actor(self) -> Any:
        from paragent.cluster.worker import Worker

        made = self._ray.remote(Worker)
        return made.options(
            num_cpus=self._cpus, max_restarts=0, max_concurrency=1000, scheduling_strategy="SPREAD"
        ).remote()

    def _get(self, ref: Any) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"a worker cannot start: {_line(error)}") from None
        return found


def check_worker(facts: dict[str, Any]) -> None:
    """Raises ClusterError for a worker that is of another version or lacks something."""
    if facts["paragent"] != __version__:
        raise ClusterError(
            f"the worker on {facts['host']} has paragent {facts['paragent']}, here is "
            f"{__version__}: install the same on every node"
        )
    if "error" in facts:
        raise ClusterError(
            f"the worker on {facts['host']} cannot run this search: {facts['error']}"
        )


def _line(error: BaseException) -> str:
    """The last line of what Ray says: its texts hold whole tracebacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]


class RayExecutor:
    """`paragent.executor.Executor` over a workforce; `session` holds cache, caps and limits."""

    def __init__(self, force: Workforce, session: Session, *, in_flight: int = IN_FLIGHT) -> None:
        self._force, self._in_flight = force, in_flight
        self.hub = Hub(session, self._break)
        self._queues: dict[str, deque[_Work]] = {}  # by design, in order of their turns
        self._suspects: deque[_Work] = deque()
        self._last = 0
        self._works: dict[int, _Work] = {}
        self._broken: Exception | None = None
        self._closed = False
        self._replacing: set[asyncio.Task[None]] = set()
        #: Who may have room: (tasks there, order of noting, worker), some of it out of date.
        self._room: list[tuple[int, int, Crew]] = []
        self._noted = itertools.count()

    @property
    def workers_alive(self) -> int:
        """Workers that can be given tasks now."""
        return len(self._force.crews)

    async def run(self, job: Job, on_outcome: OnOutcome) -> None:
        """Run the job's tasks; the first CapReached cancels the others, also those in flight."""
        self._start()
        key = turns_key(job)
        loop = asyncio.get_running_loop()
        works = []
        for task_id in job.task_ids:
            self._last += 1
            message = ["task", self._last, key, task_id, job.split, job.purpose, job.seed]
            done = loop.create_future()
            work = _Work(self._last, key, job.design, message, done, on_outcome, task_id)
            self._works[work.number] = work
            self._queues.setdefault(key, deque()).append(work)
            works.append(work)
        self._dispatch()
        try:
            await asyncio.gather(*(work.done for work in works))
        finally:
            for work in works:
                self._forget(work)
                work.done.cancel()
            await asyncio.gather(*(work.done for work in works), return_exceptions=True)
            self._dispatch()

    async def aclose(self) -> None:
        """Stop the exchanges; workers close what they hold."""
        self._closed = True
        crews = self._force.crews
        running = [*(task for crew in crews for task in crew.flying), *self._replacing]
        for crew in crews:
            self._hang_up(crew)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for crew in crews:
            crew.line.lose()
        ending = [asyncio.ensure_future(_finish(crew)) for crew in crews]
        await asyncio.gather(*ending, return_exceptions=True)

    # -- giving out -------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._broken is not None:
            raise self._broken
        for crew in self._force.crews:
            if crew.wake is None:
                crew.wake = self._wake
                self._note(crew)
                self._send(crew)

    def _dispatch(self) -> None:
        """Give out what waits, one task of each design in turn, to whom has the fewest."""
        while self._suspects and (idle := self._idle()) is not None:
            idle.alone = True
            self._give(idle, self._suspects.popleft())
            self._note_all()
        while self._queues and (crew := self._emptiest()) is not None:
            key, queue = next(iter(self._queues.items()))
            work = queue.popleft()
            del self._queues[key]
            if queue:
                self._queues[key] = queue  # to the end of the round
            self._give(crew, work)

    def _note(self, crew: Crew) -> None:
        """Its number of tasks, or what else decides on its room, has changed."""
        if len(self._room) > 4 * len(self._force.crews) + 64:
            self._note_all()
        else:
            heapq.heappush(self._room, (len(crew.works), next(self._noted), crew))

    def _note_all(self) -> None:
        self._room = [(len(c.works), next(self._noted), c) for c in self._force.crews]
        heapq.heapify(self._room)

    def _emptiest(self) -> Crew | None:
        """The worker with the fewest tasks among those with room; of equals the longest idle."""
        while self._room:
            count, _, crew = self._room[0]
            if count == len(crew.works) and not crew.line.lost and self._has_room(crew):
                return crew
            heapq.heappop(self._room)  # noted anew when that changes
        return None

    def _has_room(self, crew: Crew) -> bool:
        if crew.alone or (self._suspects and crew is self._force.crews[0]):
            return False  # the first is emptied for a suspect
        return len(crew.works) < self._in_flight and crew.backlog < BACKLOG

    def _idle(self) -> Crew | None:
        return next((c for c in self._force.crews if not c.works), None)

    def _give(self, crew: Crew, work: _Work) -> None:
        if work.key not in crew.designs:
            crew.designs.add(work.key)
            crew.say("design", work.key, work.design)
        crew.works[work.number] = work
        work.crew = crew
        crew.line.turns[work.number] = work.key
        crew.say(*work.message)
        self._note(crew)

    def _forget(self, work: _Work) -> None:
        """Nobody wants it any more, or it is done: wherever it waits or runs, it ends there."""
        if self._works.pop(work.number, None) is None or work.ended:
            return
        if work.crew is not None:
            work.crew.say("drop", work.number)
            self._take_back(work.crew, work.number)
            return
        queue = self._queues.get(work.key)
        if queue is not None:
            with contextlib.suppress(ValueError):
                queue.remove(work)
            if not queue:
                del self._queues[work.key]
        with contextlib.suppress(ValueError):
            self._suspects.remove(work)
            self._note_all()

    def _take_back(self, crew: Crew, number: int) -> None:
        crew.line.turns.pop(number, None)
        work = crew.works.pop(number, None)
        if work is None:
            return
        work.crew = None
        if not crew.works:
            crew.alone = False
        self._note(crew)

    # -- exchanges --------------------------------------------------------------------------------

    def _wake(self, crew: Crew) -> None:
        """There is something to say. One exchange waits at the worker for news; a second one
        relieves it, after a moment in which more may gather."""
        if crew.lingers and crew.timer is not None:
            crew.timer.cancel()
            crew.timer, crew.lingers = None, False
        if len(crew.flying) < 2 and crew.timer is None:
            self._send_in(crew, gather_s(len(crew.works)))

    def _send_in(self, crew: Crew, seconds: float) -> None:
        crew.timer = asyncio.get_running_loop().call_later(seconds, self._send, crew)

    def _send(self, crew: Crew) -> None:
        crew.timer, crew.lingers = None, False
        batch, crew.out = crew.out, []
        exchange = asyncio.ensure_future(self._exchange(crew, batch))
        crew.flying.add(exchange)
        exchange.add_done_callback(lambda done: self._exchanged(crew, done))

    def _exchanged(self, crew: Crew, done: asyncio.Task[None]) -> None:
        crew.flying.discard(done)
        if done.cancelled():
            return
        error = done.exception()
        if crew.wake is None:
            return  # lost or closed meanwhile
        if error is None:
            if crew.out:
                self._wake(crew)
            elif not crew.flying:
                crew.lingers = True  # for what its calls are told any moment
                self._send_in(crew, LINGER_S if crew.line.calls else 0.0)
        elif isinstance(error, TimeoutError | self._ray_error()):
            self._lost(crew)
        else:
            self._break(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def _hang_up(self, crew: Crew) -> None:
        """No exchange with it any more."""
        crew.wake = None
        if crew.timer is not None:
            crew.timer.cancel()
            crew.timer = None
        for exchange in crew.flying:
            exchange.cancel()

    def _ray_error(self) -> type[Exception]:
        error: type[Exception] = importlib.import_module("ray").exceptions.RayError
        return error

    async def _exchange(self, crew: Crew, batch: list[Message]) -> None:
        async with asyncio.timeout(HUNG_S):
            ups, backlog = await crew.actor.exchange.remote(batch)
        if backlog != crew.backlog:
            crew.backlog = backlog
            self._note(crew)
        for message in ups:
            if message[0] in ("outcome", "capped", "broke"):
                self._landed(crew, *message)
            else:
                self.hub.take(crew.line, message)
        self._dispatch()

    def _landed(self, crew: Crew, word: str, number: int, *rest: Any) -> None:
        self._take_back(crew, number)
        work = self._works.get(number)
        if work is None or work.ended:
            return  # dropped in the meantime
        if word == "broke":
            self._break(RuntimeError(f"{crew.name}: {rest[0]}"))
        elif word == "capped":
            self._over(work, CapReached(*rest))
        else:
            self._end(work, outcome_from_json(rest[0]))

    def _end(self, work: _Work, outcome: Any) -> None:
        try:
            work.on_outcome(work.task_id, outcome)
        except Exception as error:  # the store's: the job ends with it
            self._over(work, error)
        else:
            self._over(work)

    def _over(self, work: _Work, error: Exception | None = None) -> None:
        work.ended = True
        if work.done.done():
            return
        if error is None:
            work.done.set_result(None)
        else:
            work.done.set_exception(error)

    # -- faults -----------------------------------------------------------------------------------

    def _lost(self, crew: Crew) -> None:
        """Take the worker out, queue its tasks again, and have it replaced."""
        if self._closed:
            return
        alone, works = crew.alone, list(crew.works.values())
        self._force.crews.remove(crew)
        self._hang_up(crew)
        crew.line.lose()
        crew.works.clear()
        for work in reversed(works):
            work.crew = None
            work.deaths += 1
            if alone and work.deaths >= SUSPECT + ALONE:
                self._end(work, Failed("component", f"its worker died {work.deaths} times with it"))
            elif work.deaths >= SUSPECT:
                self._suspects.append(work)
            else:
                self._queues.setdefault(work.key, deque()).appendleft(work)
        replacing = asyncio.ensure_future(self._replace(crew))
        self._replacing.add(replacing)
        replacing.add_done_callback(self._replacing.discard)
        self._dispatch()

    async def _replace(self, crew: Crew) -> None:
        try:
            new = await self._force.replace(crew)
        except ClusterError as error:
            if not self._force.crews:  # others may do the work
                self._break(error)
            return
        self._force.crews.append(new)
        self._start()
        self._dispatch()

    def _break(self, error: Exception) -> None:
        """The run cannot go on: every job ends with this."""
        self._broken = self._broken or error
        for work in list(self._works.values()):
            self._over(work, error)


def turns_key(job: Job) -> str:
    """The design's hash: whose turn its tasks and calls take."""
    text = json.dumps(job.design, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def _finish(crew: Crew) -> None:
    async with asyncio.timeout(5.0):
        await crew.actor.finish.remote()

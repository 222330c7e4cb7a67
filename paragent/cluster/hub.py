"""The driver's side of the workers' calls: one session for all of them.

A worker's call runs through `paragent.runtime.session.Session` here, with a model whose `attempt`
is made on the worker. So cache, single flight, caps, limits, retries, turns and the journal are the
same code and the same objects as in one process: a cap is exact to the cent, a limit holds for all
workers together, equal calls of two workers are one, and an answer is on disk before any task sees
it. A worker that dies leaves its calls in flight noted as unsure, as a process that dies does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from paragent.cluster.messages import (
    Message,
    failure_from,
    limits_from,
    price_from,
    retry_from,
)
from paragent.component import Price
from paragent.errors import CallFailure, CapReached
from paragent.outcome import Purpose
from paragent.runtime.journal import completion_from_json, completion_to_json
from paragent.runtime.limits import Limits, turns_of
from paragent.runtime.model import Completion, LanguageModel, Request
from paragent.runtime.retry import NotSent, RetryPolicy
from paragent.runtime.session import Session

#: Requests stay on their worker; the session only hands them through.
_ELSEWHERE = Request(())


class WorkerLost(Exception):
    """The worker that made a call is gone; whether the call was billed is not known."""


class WorkerGone(WorkerLost, NotSent):
    """It was gone before the call could be handed to it."""


class _ModelFault(Exception):
    """A model raised what is no CallFailure: its task fails as in one process."""


@dataclass
class Line:
    """What the hub knows of one worker. `say` sends it a message."""

    say: Callable[..., None]
    turns: dict[int, str] = field(default_factory=dict)  # task number -> its design's hash
    models: dict[int, dict[str, Any]] = field(default_factory=dict)
    calls: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    attempts: dict[int, asyncio.Future[Completion]] = field(default_factory=dict)
    lost: bool = False

    async def attempt(self, number: int) -> Completion:
        """Have the worker make one attempt. Raises CallFailure, WorkerLost."""
        if self.lost:
            raise WorkerGone
        answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self.attempts[number] = answer
        self.say("go", number)
        try:
            return await answer
        except asyncio.CancelledError:
            self.say("stop", number)
            raise
        finally:
            self.attempts.pop(number, None)

    def lose(self) -> None:
        """The worker is gone: calls in flight end as such, and its tasks' waits are dropped."""
        self.lost = True
        for answer in list(self.attempts.values()):
            if not answer.done():
                answer.set_exception(WorkerLost())
        for call in list(self.calls.values()):
            call.cancel()


class _Local:
    """A pocket model on a worker, as the session sees it."""

    tool_protocol: Literal["inline", "native", "text"] = "inline"

    def __init__(self, line: Line, number: int, model: dict[str, Any], worst: list[int]) -> None:
        self._line, self._number = line, number
        self.name: str = model["name"]
        self.endpoint: str = model["endpoint"]
        self.price: Price = price_from(model["price"])
        self._worst = worst
        self.made: Completion | None = None

    def worst_case(self, request: Request) -> tuple[int, int]:
        prompt, completion = self._worst
        return prompt, completion

    async def complete(self, request: Request) -> Completion:
        self.made = await self._line.attempt(self._number)
        return self.made

    async def aclose(self) -> None:
        """The worker closes its own."""


class _Remote(_Local):
    """An endpoint's model on a worker: limited and retried here."""

    def __init__(
        self, line: Line, number: int, model: dict[str, Any], worst: list[int], likely: int
    ) -> None:
        super().__init__(line, number, model, worst)
        self.limits: Limits = limits_from(model["limits"])
        self.retry: RetryPolicy = retry_from(model["retry"])
        self._likely = likely

    def likely_tokens(self, request: Request) -> int:
        return self._likely

    async def attempt(self, request: Request) -> Completion:
        return await self.complete(request)


class Hub:
    """Answers the calls of all workers. `broken(error)` is told what must end the run."""

    def __init__(self, session: Session, broken: Callable[[Exception], None]) -> None:
        self._session, self._broken = session, broken

    @property
    def in_flight(self) -> int:
        """Calls of endpoint models that are under way now, on all workers."""
        return self._session.in_flight

    def take(self, line: Line, message: Message) -> None:
        """A worker's message about a model or a call."""
        word, number, *rest = message
        if word == "call":
            call = asyncio.ensure_future(self._answer(line, number, *rest))
            line.calls[number] = call
            call.add_done_callback(lambda _: line.calls.pop(number, None))
        elif word == "model":
            line.models[number] = rest[0]
        elif word == "gone":
            if number in line.calls:
                line.calls[number].cancel()
        else:  # landed, lost
            answer = line.attempts.get(number)
            if answer is None or answer.done():
                return  # cut off in the meantime; its flight stays noted as unsure
            if word == "landed":
                answer.set_result(completion_from_json(rest[0]))
            elif rest[0][0]:
                answer.set_exception(failure_from(rest[0]))
            else:
                answer.set_exception(_ModelFault(rest[0][1]))

    async def _answer(
        self,
        line: Line,
        number: int,
        task: int,
        m: int,
        key: bytes,
        purpose: Purpose,
        worst: list[int],
        likely: int,
    ) -> None:
        turns_of.set(line.turns.get(task, ""))
        facts = line.models[m]
        model = (
            _Remote(line, number, facts, worst, likely)
            if "limits" in facts
            else _Local(line, number, facts, worst)
        )
        try:
            found = await self._completion(line, model, purpose, key)
        except CallFailure as failure:
            line.say("fail", number, failure.kind, failure.why)
        except CapReached as reached:
            line.say("cap", number, reached.cap, str(reached))
        except _ModelFault as fault:
            line.say("fault", number, str(fault))
        except WorkerLost:
            pass  # this line's own: its tasks run again elsewhere
        except Exception as error:  # a full disk, a corrupt journal: the run cannot go on
            self._broken(error)
        else:
            if found is model.made:
                line.say("done", number)
            else:
                line.say("known", number, completion_to_json(found))

    async def _completion(
        self, line: Line, model: LanguageModel, purpose: Purpose, key: bytes
    ) -> Completion:
        while True:
            try:
                return await self._session.call_keyed(model, _ELSEWHERE, purpose, key)
            except WorkerLost:  # perhaps of the equal call of another worker, which we waited for
                if line.lost:
                    raise

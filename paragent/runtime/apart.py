"""Asynchronous work for callers that may stand inside a running event loop, as notebooks do.

A loop cannot be run inside another, so there the whole call moves to a thread of its own, with a
loop of its own; the caller waits for it as for any other call. Ctrl-C reaches the work as the
cancellation of its task, so what it holds is closed and what it measured is kept.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Apart:
    """One call in a thread of its own: its result or exception, and the task to cancel."""

    def __init__(self) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._lock = threading.Lock()
        #: Waited for instead of the thread: an interrupted `join` takes the thread for ended.
        self.done = threading.Event()

    def do(self, work: Callable[[], Any]) -> None:
        _apart.set(self)
        try:
            self.result = work()
        except BaseException as error:
            self.error = error
        finally:
            self.done.set()

    async def guarded(self, main: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
            stopped = self._stopped
        try:
            if stopped:
                main.close()
                raise asyncio.CancelledError
            return await main
        finally:
            with self._lock:
                self._task = self._loop = None

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)


_apart: ContextVar[_Apart | None] = ContextVar("_apart", default=None)


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, for use inside a function that is `callable_anywhere`."""
    here = _apart.get()
    return asyncio.run(main if here is None else here.guarded(main))


def callable_anywhere(function: Callable[P, T]) -> Callable[P, T]:
    """Lets a plain function that calls `run` be called where an event loop runs already."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return function(*args, **kwargs)
        apart = _Apart()
        work = functools.partial(function, *args, **kwargs)
        thread = threading.Thread(
            target=copy_context().run, args=(apart.do, work), name=f"paragent {function.__name__}"
        )
        try:
            thread.start()
            apart.done.wait()
        except KeyboardInterrupt:
            apart.stop()
            apart.done.wait()
            raise
        if apart.error is not None:
            raise apart.error
        found: T = apart.result
        return found

    return call

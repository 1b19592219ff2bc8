"""Blocking work with an end: a file system that does not answer must stop neither the loop nor the process's end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

Value = TypeVar("Value")


class BoundedThread:
    """Runs one blocking call at a time in a daemon thread, and gives it up when its time is over.

    A call that was given up goes on in its thread; until it ends no other one begins, so at most one thread is lost. Daemon
    threads do not keep the process from ending. The loop's own threads are not used: few, they are the dispatcher's and the
    purge's too.

    Args:
        name: of the thread.
        seconds: for one call.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._ended: threading.Event | None = None  # of the last call

    async def run(self, work: Callable[[], Value]) -> Value:
        """What the work returns or raises.

        Raises:
            TimeoutError: it took longer, or the call before it still does.
        """
        if self._ended is not None and not self._ended.is_set():
            raise TimeoutError(f"a reading that took longer than {self._seconds:g} s still goes on")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Value] = loop.create_future()
        ended = self._ended = threading.Event()
        thread = threading.Thread(target=_call, args=(work, ended, loop, future), name=self._name, daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(self._seconds):
                return await future
        except TimeoutError:
            if ended.is_set():  # the work itself raised it
                raise
            raise TimeoutError(f"reading took longer than {self._seconds:g} s") from None


def _call(
    work: Callable[[], Value],
    ended: threading.Event,
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[Value],
) -> None:
    try:
        settle = partial(_succeed, future, work())
    except BaseException as error:
        settle = partial(_fail, future, error)
    ended.set()
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)


def _succeed(future: asyncio.Future[Value], result: Value) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Value], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)

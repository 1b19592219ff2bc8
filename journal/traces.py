"""The loggable part of an exception: its type and its place. Never its text, never a local variable.

An exception's text often holds the value that could not be processed (`ValueError: invalid literal ... 'DOE^JANE'`, SQLAlchemy's
`[parameters: ...]`), so Carebell never logs it. Type and frames are enough to find the line of code.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import FrameType, TracebackType
from typing import Any, Final, Protocol

from journal.events import Event
from journal.events.service import InternalError
from journal.events.shared import NO_TRACE, ErrorTrace, Where

MOST_FRAMES: Final = 12
"""Innermost frames shown; a deeper stack is a recursion and repeats itself."""
MOST_CAUSES: Final = 5


class Emitter(Protocol):
    def emit(self, event: Event) -> None: ...


def trace(error: BaseException) -> ErrorTrace:
    """The loggable part of an exception.

    `exception` is the chain of types, outermost first: `store.Unavailable < sqlalchemy.exc.OperationalError`.
    `frames` is `file.py:line in function`, innermost first, of the exception that started the chain.
    """
    chain = _chain(error)
    return ErrorTrace(
        exception=" < ".join(type_name(type(link)) for link in chain), frames=frames(chain[-1].__traceback__) or None
    )


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while len(chain) < MOST_CAUSES:
        last = chain[-1]
        cause = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if cause is None or cause in chain:
            break
        chain.append(cause)
    return chain


def type_name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def frames(traceback: TracebackType | None) -> str:
    """`committer.py:120 in commit < inbound.py:44 in handle`; empty without a traceback."""
    places: list[str] = []
    while traceback is not None:
        places.append(_place(traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    return " < ".join(reversed(places[-MOST_FRAMES:]))


def _place(frame: FrameType, line: int) -> str:
    path = PurePath(frame.f_code.co_filename)
    # Only the room and the file, without the machine's path.
    return f"{'/'.join(path.parts[-2:])}:{line} in {frame.f_code.co_name}"


class Hooks:
    """Writes every uncaught exception to the log instead of to stderr, where Python would print its text.

    Used as a context manager by the process's main function; `loop_handler` goes to `loop.set_exception_handler`.
    """

    def __init__(self, journal: Emitter) -> None:
        self._journal = journal
        self._before: tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]] | None = None

    def __enter__(self) -> Hooks:
        self._before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        sys.excepthook = self._uncaught
        threading.excepthook = self._in_thread
        sys.unraisablehook = self._unraisable
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            sys.excepthook, threading.excepthook, sys.unraisablehook = self._before

    def loop_handler(self, _loop: object, context: Mapping[str, Any]) -> None:
        """For asyncio: only the exception's type and place; the context's message may quote a repr."""
        self._log("asyncio", context.get("exception"))

    def _uncaught(self, _kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        self._log("main", error)

    def _in_thread(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            self._log("thread", args.exc_value)

    def _unraisable(self, args: sys.UnraisableHookArgs) -> None:
        self._log("finalizer", args.exc_value)

    def _log(self, where: Where, error: BaseException | None) -> None:
        self._journal.emit(InternalError(where=where, trace=NO_TRACE if error is None else trace(error)))

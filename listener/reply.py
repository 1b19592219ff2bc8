"""What a handler returns for one message: the interface between the listener and the code that knows HL7."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from listener.incidents import Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Send this answer, if there is one, then close the connection."""

    answer: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reset:
    """No answer: reset the connection (TCP RST), so that the sender knows at once and sends again."""


RESET: Final = Reset()

Reply = bytes | Close | Reset | None
"""The answer's content, to be framed; None: no answer, the connection goes on."""

Handler = Callable[[bytes, Peer], "Reply | asyncio.Future[Reply]"]
"""Gets a block's content and its peer. It is called on the event loop, so it must not block.

A message that is decided at once is answered by returning the reply. One that must wait (for a commit) returns a
Future; answers still leave in the order of the messages. The Future belongs to the handler: the listener never cancels
it, and its result is dropped if the connection has ended, because the sender will send again. A Future may only be
completed on the loop. A worker thread completes a whole batch with one wake-up:

    def settle(batch: list[tuple[asyncio.Future[Reply], Reply]]) -> None:
        for future, reply in batch:
            if not future.done():
                future.set_result(reply)

    loop.call_soon_threadsafe(settle, batch)

An exception, raised or set on the Future, is reported and resets the connection: a fault of Carebell gets no answer.
A coroutine can be used by returning `loop.create_task(...)`, which costs a task for each message.
"""

Oversize = Callable[[bytes, Peer], bytes | None]
"""Gets the first bytes (up to 4 KiB) of a block over the size limit; returns an answer to send before the close."""


def no_answer(head: bytes, peer: Peer) -> None:
    """The `Oversize` that only closes."""

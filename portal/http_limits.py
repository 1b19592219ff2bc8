"""Limits for connections to the HTTP port before a request is complete; uvicorn has no such limits.

- A request, head and body, must arrive within `whole_request` seconds from its connection or, on a kept connection, from its first
  byte; sending slowly does not extend the time. Then the connection is closed, without an answer if nothing was received on it.
- When `connections` are open, the one that has been silent or incomplete for longest is closed for the next one. A connection
  whose answer is being sent is never closed for another. So connections that are opened and left cost others nothing, whatever
  their address. A limit for each address would limit the reverse proxy, through which all callbacks come.
- If an answer is not read for `unread` seconds, its connection ends; until then no second answer is written. A connection may
  send `requests` requests, one after the other, and is then closed. In one turn of the event loop only a few requests are begun,
  whatever the number of connections (`portal.turn_budget`).
- A request whose end can be read in two ways is answered 400 (`portal.request_framing`).
- Traffic that is not HTTP is answered 400 (bytes) or with a close (TLS), and reported instead of uvicorn's bare warning.

Of uvicorn's protocol this relies on `connection_made`, `connection_lost`, `data_received`, `handle_events`, `pause_writing`,
`resume_writing`, `on_response_complete`, `send_400_response`, `shutdown`, `flow` and `cycle`; tests check these.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from portal.request_framing import ambiguity, head_of
from portal.turn_budget import TurnBudget

_TLS_HANDSHAKE: Final = b"\x16"

# Its warnings are all about peers and are reported here; only its errors are about the application.
_ERRORS_ONLY: Final = logging.getLogger("uvicorn.error.limits")
_ERRORS_ONLY.setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Attributes:
    whole_request: seconds for a request to arrive; a webhook is one packet or two.
    unread: seconds that a peer may leave its answer unread.
    connections: open at once.
    requests: on one connection; a reverse proxy that keeps its connections opens a new one for each hundred callbacks.
    """

    whole_request: float = 10.0
    unread: float = 10.0
    connections: int = 200
    requests: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A connection that was closed before it got or read an answer from the application.

    Attributes:
        reason: `tls`, `not_http`, `ambiguous` (its end could be read in two ways), `too_slow`, `unread`, `crowded_out` (closed to
            make room) or `too_many` (no other connection could be closed).
        peer: its address.
    """

    reason: str
    peer: str | None


class HttpConfig(uvicorn.Config):
    """uvicorn's configuration with our limits, so that its protocols can use both."""

    def __init__(self, app: ASGIApp, limits: HttpLimits, report: Callable[[Closed], None], **options: Any) -> None:
        super().__init__(app, http=HttpProtocol, limit_concurrency=limits.connections + 1, **options)
        self.limits = limits
        self.report = report
        self.turns: TurnBudget | None = None  # belongs to the serving loop; made by its first connection


class StrictConnection(h11.Connection):
    """h11's connection, which refuses requests whose end is uncertain.

    Attributes:
        requests: begun so far.
        ambiguous: the last one was refused for that.
    """

    def __init__(self, max_incomplete_event_size: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size)
        self.requests = 0
        self.ambiguous = False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        head = head_of(self.trailing_data[0]) if self.their_state is h11.IDLE else None
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.requests += 1
            if head is not None and ambiguity(head) is not None:
                self.ambiguous = True
                raise h11.RemoteProtocolError("the end of the request is not certain")
        return event


class HttpProtocol(H11Protocol):
    """One connection."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        own = cast("HttpConfig", config)
        if own.turns is None:
            own.turns = TurnBudget(self.loop)
        self.logger = _ERRORS_ONLY
        self.conn: StrictConnection = StrictConnection(config.h11_max_incomplete_event_size or 16_384)
        self._turns = own.turns
        self._waits_for_turn = False
        self._limits = own.limits
        self._report = own.report
        self._spoke = False
        self._waits_since: float | None = None  # for a request, or for its rest; None: its answer is on its way
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` for the first byte that the peer does not take
        if len(self.connections) > self._limits.connections:
            self._make_room()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._spoke and data[:1] == _TLS_HANDSHAKE:
            self._close("tls")
            return
        self._spoke = True
        super().data_received(data)

    def handle_events(self) -> None:
        """Handle the received bytes now or in a later turn of the loop; nothing more is read until then."""
        if not self._waits_for_turn and not self._turns.run(self._look):
            self._waits_for_turn = True
            self.flow.pause_reading()

    def _look(self) -> None:
        if self._waits_for_turn:
            self._waits_for_turn = False
            self.flow.resume_reading()
        if self.transport.is_closing():
            return
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and self.conn.requests >= self._limits.requests:
            # uvicorn repeats it in the answer, and closes
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], CLOSE_HEADER]
        if self.conn.their_state is h11.SEND_BODY or (self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]):
            self._wait()
        elif self.conn.their_state is not h11.IDLE:
            self._stop_waiting()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waits_since = self.loop.time()
        if self._unread is None:
            self._unread = self.loop.call_later(self._limits.unread, self._close, "unread")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread()
        if self._deadline is None and self.cycle is not None and not self.cycle.response_complete:
            self._waits_since = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._wait()
        elif self.conn.their_state is h11.IDLE and self._deadline is None:
            self._waits_since = self.loop.time()  # uvicorn's own time for a kept connection runs

    def send_400_response(self, msg: str) -> None:
        self._tell("ambiguous" if self.conn.ambiguous else "not_http")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application's own answer comes too late
            self.cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # an answer has begun, or it is one to HEAD, which has no body
            self.transport.close()

    def shutdown(self) -> None:
        """Close at the end of the service. It never raises, because an exception would leave the other connections waiting."""
        try:
            super().shutdown()
        except h11.LocalProtocolError:
            self.transport.abort()

    def _wait(self) -> None:
        """Wait for the rest of a request; a time that runs already continues."""
        if self._deadline is None:
            self._waits_since = self.loop.time()
            self._deadline = self.loop.call_later(self._limits.whole_request, self._too_slow)

    def _stop_waiting(self) -> None:
        self._waits_since = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _too_slow(self) -> None:
        self._close("too_slow" if self._spoke else None)

    def _make_room(self) -> None:
        waiting = [
            peer for peer in self.connections if isinstance(peer, HttpProtocol) and peer._waits_since is not None
        ]
        if not waiting:
            self._tell("too_many")  # uvicorn answers 503
            return
        oldest = min(waiting, key=lambda peer: peer._waits_since or 0.0)
        oldest._close("crowded_out")
        self.connections.discard(oldest)

    def _close(self, reason: str | None) -> None:
        if reason is not None:
            self._tell(reason)
        self.transport.abort()

    def _tell(self, reason: str) -> None:
        self._report(Closed(reason=reason, peer=None if self.client is None else self.client[0]))

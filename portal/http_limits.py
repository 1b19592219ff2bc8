"""What a connection to the HTTP port may cost before it has said a whole request; uvicorn has no limit for that.

- A request, head and body, has `whole_request` seconds from its connection or, on a connection that is kept, from its first
  byte; dripping bytes buys no time. Then the connection is closed, without a word if nothing was said on it either.
- When `connections` are open, the one that has been silent or half-spoken for longest makes room for the next. One whose answer
  is on its way never does. So whoever opens connections and leaves them costs others nothing, whatever their address; a limit
  for each address would be one for the reverse proxy, through which all callbacks come.
- What is not HTTP is answered 400 (bytes) or with a close (TLS), and reported once a minute for each reason instead of
  uvicorn's bare warning each time.

Of uvicorn's protocol this relies on `connection_made`, `connection_lost`, `data_received`, `on_response_complete` and
`send_400_response`; the tests hold them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_TLS_HANDSHAKE: Final = b"\x16"
_QUIET_SECONDS: Final = 60.0

# Its warnings are all about peers, and are ours to report; what it says of the application is an error.
_ERRORS_ONLY: Final = logging.getLogger("uvicorn.error.limits")
_ERRORS_ONLY.setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Attributes:
    whole_request: seconds for a request to arrive; a webhook is one packet or two.
    connections: open at once.
    """

    whole_request: float = 10.0
    connections: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A connection that was closed before it got an answer from the application.

    Attributes:
        reason: `tls`, `not_http`, `too_slow`, `crowded_out` (it made room) or `too_many` (there was none to make).
        peer: its address. repeats: how many more with this reason went unreported since the last one.
    """

    reason: str
    peer: str | None
    repeats: int


class HttpConfig(uvicorn.Config):
    """uvicorn's configuration, and ours: its protocols get to see both."""

    def __init__(self, app: ASGIApp, limits: HttpLimits, report: Callable[[Closed], None], **options: Any) -> None:
        super().__init__(app, http=HttpProtocol, limit_concurrency=limits.connections + 1, **options)
        self.limits = limits
        self.reported = _Once(report)


@dataclass(slots=True)
class _Once:
    """Reports each reason once a minute: a crowd must not fill the log."""

    report: Callable[[Closed], None]
    _last: dict[str, tuple[float, int]] = field(default_factory=dict)  # reason -> (when, held back since)

    def __call__(self, reason: str, peer: str | None, now: float) -> None:
        last, held_back = self._last.get(reason, (None, 0))
        if last is not None and now - last < _QUIET_SECONDS:
            self._last[reason] = (last, held_back + 1)
            return
        self._last[reason] = (now, 0)
        self.report(Closed(reason=reason, peer=peer, repeats=held_back))


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
        self.logger = _ERRORS_ONLY
        self._limits = own.limits
        self._reported = own.reported
        self._spoke = False
        self._waits_since: float | None = None  # for a request, or for its rest; None: its answer is on its way
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._make_room()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._spoke and data[:1] == _TLS_HANDSHAKE:
            self._close("tls")
            return
        self._spoke = True
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._wait()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._wait()
        elif self.conn.their_state is h11.IDLE and self._deadline is None:
            self._waits_since = self.loop.time()  # uvicorn's own time for a kept connection runs

    def send_400_response(self, msg: str) -> None:
        self._tell("not_http")
        super().send_400_response(msg)

    def _wait(self) -> None:
        """For the rest of a request; the time that runs already goes on."""
        if self._deadline is None:
            self._waits_since = self.loop.time()
            self._deadline = self.loop.call_later(self._limits.whole_request, self._too_slow)

    def _stop_waiting(self) -> None:
        self._waits_since = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._close("too_slow" if self._spoke else None)

    def _make_room(self) -> None:
        waiting = [one for one in self.connections if isinstance(one, HttpProtocol) and one._waits_since is not None]
        if not waiting:
            self._tell("too_many")  # uvicorn answers 503
            return
        oldest = min(waiting, key=lambda one: one._waits_since or 0.0)
        oldest._close("crowded_out")
        self.connections.discard(oldest)

    def _close(self, reason: str | None) -> None:
        if reason is not None:
            self._tell(reason)
        self.transport.abort()

    def _tell(self, reason: str) -> None:
        self._reported(reason, None if self.client is None else self.client[0], self.loop.time())

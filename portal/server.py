"""Run uvicorn inside the process: same loop, no signal handlers, no access log, a clean start and a stop with a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from listener.accepting import BACKLOG, Acceptor
from portal.http_limits import Closed, HttpConfig, HttpLimits, HttpProtocol

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]], Callable[[], bool]], Awaitable[None]]
"""Takes the work and whether it is over; what it returns is awaited at the end."""

GRACE_SECONDS = 3
"""Open requests may finish this long at the end; the service as a whole has 10 s."""


class _QuietServer(uvicorn.Server):
    """Does not handle signals: `carebell serve` does, because it also stops listener and dispatcher."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    closed: Callable[[Closed], None] = lambda _: None,
    limits: HttpLimits | None = None,
    spawn: Spawn | None = None,
) -> AsyncIterator[tuple[str, int]]:
    """Serve `app` while the block runs. Yields the bound address; for port 0 it has the chosen port.

    Args:
        closed: gets every connection that was closed without an answer from the application; strangers can cause any number.
        spawn: runs the server's coroutine function on the loop, and again if it ends before it is over; None: once.

    Raises:
        OSError: the port is taken or the address is not of this machine; raised before anything is served.
    """
    bound = _bind(host, port)
    # other code can undo `access_log=False` by setting the logger's level or handlers later; its lines hold callback queries
    logging.getLogger("uvicorn.access").disabled = True
    config = HttpConfig(
        app,
        limits or HttpLimits(),
        closed,
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=16_384,
    )
    server = _QuietServer(config)
    work = partial(server.serve, sockets=[])  # it accepts nothing itself, see `listener.accepting`
    running = asyncio.create_task(work()) if spawn is None else spawn(work, lambda: server.should_exit)
    connecting = _Connecting(config, server)
    acceptor = Acceptor(asyncio.get_running_loop(), connecting.admit, connecting.cannot_accept)
    try:
        while not server.started:
            if isinstance(running, asyncio.Task) and running.done():
                await running
                raise OSError("the HTTP server ended before it had started")
            await asyncio.sleep(0.005)
        bound.listen(BACKLOG)
        acceptor.open([bound])
        address = bound.getsockname()
        yield address[0], address[1]
    finally:
        acceptor.close()
        await connecting.finish()
        server.should_exit = True
        await running
        for connection in tuple(server.server_state.connections):  # a peer that took no answer in all this time
            connection.transport.abort()
        bound.close()


class _Connecting:
    """Passes sockets from the accept loop to uvicorn's protocols."""

    def __init__(self, config: HttpConfig, server: uvicorn.Server) -> None:
        self._config = config
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def admit(self, sock: socket.socket, _: object) -> None:
        sock.setblocking(False)
        task = self._loop.create_task(self._connect(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cannot_accept(self, _: OSError) -> None:
        self._config.report(Closed(reason="too_many", peer=None))

    async def finish(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, sock)
        except OSError:  # the peer has gone
            sock.close()

    def _protocol(self) -> HttpProtocol:
        return HttpProtocol(self._config, self._server.server_state, self._server.lifespan.state, self._loop)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound

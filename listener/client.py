"""The sending side of MLLP, for `carebell send`, the demo and load: one connection, answers in order.

    client = await MllpClient.connect("127.0.0.1", 2575)
    answer = await client.send(content)                    # stop and wait, as engines do
    async for answer in client.exchange(contents, window=16): ...   # pipelined
    await client.close()

MLLP has no message numbers: an answer belongs to the oldest message without an answer. So after a time-out answers cannot be
matched any more, and the connection is aborted.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from time import perf_counter
from typing import cast

from listener.framing import Decoder, Frame, FrameError, frame
from listener.limits import Deadline


class SendFault(StrEnum):
    """Why there is no answer."""

    UNKNOWN_HOST = "unknown_host"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    RESET = "reset"
    CLOSED = "closed"
    ANSWER_TIMEOUT = "answer_timeout"
    NOT_MLLP = "not_mllp"


class SendError(Exception):
    """There is no answer; `code` says why, and the text is one sentence. After RESET, CLOSED, ANSWER_TIMEOUT and NOT_MLLP
    it is unknown whether the message arrived: send it again, byte for byte."""

    def __init__(self, code: SendFault, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientReply:
    """The peer's answer to one message.

    Attributes:
        content: the block's content.
        milliseconds: from writing the message to the answer's last byte.
    """

    content: bytes = field(repr=False)
    milliseconds: float


class MllpClient(asyncio.Protocol):
    """One connection; made by `connect`. Not to be shared between tasks that each want their own answer order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answer_timeout: timedelta, max_answer: int) -> None:
        self._loop = loop
        self._decoder = Decoder(max_content=max_answer)
        self._pending: deque[tuple[float, asyncio.Future[ClientReply]]] = deque()
        self._transport: asyncio.Transport | None = None
        self._deadline = Deadline(loop, answer_timeout, self._late)
        self._closed: asyncio.Future[None] = loop.create_future()
        self._error: SendError | None = None

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        connect_timeout: timedelta = timedelta(seconds=10),
        answer_timeout: timedelta = timedelta(seconds=30),
        max_answer: int = 1_048_576,
        keepalive: bool = False,
    ) -> MllpClient:
        """Connect.

        Args:
            tls: a context of `listener.tls.client_context`; None: plain TCP.
            server_name: the name in the server's certificate, if it is not `host`.
            connect_timeout: for name, TCP and TLS together.
            answer_timeout: from one answer, or from a message on a quiet connection, to the next answer.
            keepalive: let TCP notice that the peer is gone, for a connection that is quiet for long.

        Raises:
            SendError: UNKNOWN_HOST, REFUSED, UNREACHABLE, CONNECT_TIMEOUT or TLS.
        """
        loop = asyncio.get_running_loop()
        where = f"{host}:{port}"
        name = (server_name or host) if tls is not None else None
        try:
            async with asyncio.timeout(connect_timeout.total_seconds()):
                _, client = await loop.create_connection(
                    lambda: cls(loop, answer_timeout, max_answer), host, port, ssl=tls, server_hostname=name
                )
        except TimeoutError:
            raise SendError(SendFault.CONNECT_TIMEOUT, f"{where} did not answer the connection in time") from None
        except ssl.SSLError as error:
            raise SendError(SendFault.TLS, f"TLS with {where} failed: {_tls_reason(error)}") from None
        except ConnectionRefusedError:
            raise SendError(SendFault.REFUSED, f"nothing listens on {where}") from None
        except ConnectionResetError:
            if tls is not None:
                why = f"{where} closed the connection in the TLS handshake; perhaps this port has no TLS"
                raise SendError(SendFault.TLS, why) from None
            raise SendError(SendFault.RESET, f"{where} closed the connection while it was being set up") from None
        except socket.gaierror:
            raise SendError(SendFault.UNKNOWN_HOST, f"{host}: unknown host name") from None
        except OSError as error:
            raise SendError(SendFault.UNREACHABLE, f"{where} cannot be reached: {error.strerror or error}") from None
        if keepalive and client._transport is not None:
            client._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return client

    @property
    def is_open(self) -> bool:
        """Whether a message can be sent: neither side has closed, and nothing was wrong."""
        return self._error is None and self._transport is not None and not self._transport.is_closing()

    async def send(self, content: bytes) -> ClientReply:
        """Send one message and wait for its answer.

        Raises:
            SendError: RESET, CLOSED, ANSWER_TIMEOUT, NOT_MLLP or TLS.
            ValueError: the content holds a framing byte.
        """
        return await self.submit(content)

    def submit(self, content: bytes) -> asyncio.Future[ClientReply]:
        """Write one message now; the Future has its answer, or raises as `send` does."""
        return self.submit_block(frame(content))

    def submit_block(self, block: bytes) -> asyncio.Future[ClientReply]:
        """As `submit`, for bytes that are framed already (or wrongly, on purpose)."""
        future: asyncio.Future[ClientReply] = self._loop.create_future()
        if self._error is not None or self._transport is None:
            future.set_exception(self._error or SendError(SendFault.CLOSED, "the connection is closed"))
            return future
        if not self._pending:
            self._deadline.restart()
        self._pending.append((perf_counter(), future))  # the loop's own clock may have a resolution of milliseconds
        self._transport.write(block)
        return future

    async def exchange(self, contents: Iterable[bytes], *, window: int) -> AsyncIterator[ClientReply]:
        """Send all, up to `window` messages ahead of their answers; answers in order. Raises as `send` does."""
        ahead: deque[asyncio.Future[ClientReply]] = deque()
        try:
            for content in contents:
                ahead.append(self.submit(content))
                if len(ahead) >= window:
                    yield await ahead.popleft()
            while ahead:
                yield await ahead.popleft()
        finally:
            for future in ahead:
                future.cancel()

    async def close(self) -> None:
        """Close and wait until it is closed; messages without an answer raise CLOSED."""
        if self._transport is not None:
            self._transport.close()
        await self._closed

    def abort(self) -> None:
        """Close at once, without sending what is still buffered."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is one, although it does not declare it
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._decoder.receive(data)
        while (event := self._decoder.next_event()) is not None:
            if isinstance(event, FrameError):
                self._fail(SendFault.NOT_MLLP, f"the answer is not MLLP: {event.why}")
                self.abort()
            else:
                self._answered(event)

    def _answered(self, event: Frame) -> None:
        if not self._pending:
            self._fail(SendFault.NOT_MLLP, "an answer arrived that belongs to no message")
            self.abort()
            return
        sent, future = self._pending.popleft()
        if self._pending:
            self._deadline.restart()
        else:
            self._deadline.stop()
        if not future.done():
            future.set_result(ClientReply(content=event.content, milliseconds=(perf_counter() - sent) * 1000))

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, ssl.SSLError):
            self._fail(SendFault.TLS, f"the peer ended TLS: {_tls_reason(exc)}")
        elif exc is not None:
            self._fail(SendFault.RESET, "the connection was reset before an answer")
        else:
            self._fail(SendFault.CLOSED, "the connection was closed before an answer")
        self._transport = None
        self._deadline.cancel()
        if not self._closed.done():
            self._closed.set_result(None)

    def _late(self) -> None:
        self._fail(SendFault.ANSWER_TIMEOUT, "no answer in time")
        self.abort()

    def _fail(self, code: SendFault, text: str) -> None:
        """Store the first reason and give it to every message without an answer."""
        if self._error is None:
            self._error = SendError(code, text)
        while self._pending:
            _, future = self._pending.popleft()
            if not future.done():
                future.set_exception(SendError(self._error.code, str(self._error)))
                future.exception()  # mark as seen, so that asyncio does not log the errors after the first


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not accepted: {error.verify_message}"
    return (error.reason or "unknown reason").lower().replace("_", " ")

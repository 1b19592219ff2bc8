"""One client's connection to the simulated Twilio: HTTP/1.1 in and out, and the faults that need the socket itself.

h11 (which uvicorn brings along) parses; the bytes are ours. An ASGI server would be less code, but none lets an application
reset a connection, stop in the middle of a body or go silent, and those are the faults this simulator exists for.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable

import h11

from simulator.faults import ScriptedFault
from simulator.routes import HttpAnswer, Request

LONGEST_BODY = 1_048_576
"""A create request is at most some 20 KB (1600 characters, percent-encoded); nothing here is larger."""
IDLE = 120.0

Handler = Callable[[Request], Awaitable[HttpAnswer]]


class PeerGoneError(Exception):
    """The peer has gone, or sent what is no HTTP."""


async def converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    handle: Handler,
    *,
    slow_seconds: Callable[[], float],
    hold_seconds: Callable[[], float],
) -> None:
    """Answer one connection's requests in turn until it ends, by itself or by a fault."""
    connection = h11.Connection(our_role=h11.SERVER)
    try:
        while True:
            request = await _read_request(connection, reader)
            given = await handle(request)
            match given.fault:
                case ScriptedFault.RESET_BEFORE | ScriptedFault.ACCEPT_THEN_RESET:
                    _reset(writer)
                    return
                case ScriptedFault.ACCEPT_THEN_TIMEOUT:
                    await _silence(reader, hold_seconds())
                    return
                case ScriptedFault.HALF_RESPONSE:
                    whole = _answer_bytes(connection, given)
                    writer.write(whole[: -max(1, len(whole) // 4)])
                    await writer.drain()
                    return
                case ScriptedFault.SLOW:
                    await asyncio.sleep(slow_seconds())
                case ScriptedFault.ERROR_500_AFTER:
                    given = HttpAnswer(
                        status=500, payload={"code": 20500, "message": "An internal server error", "status": 500}
                    )
                case _:
                    pass
            writer.write(_answer_bytes(connection, given))
            await writer.drain()
            if connection.our_state is h11.MUST_CLOSE:
                return
            connection.start_next_cycle()
    except (PeerGoneError, ConnectionError, TimeoutError, h11.ProtocolError):
        return
    finally:
        writer.close()


async def _read_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(IDLE):
                connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > LONGEST_BODY:
                raise PeerGoneError
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            path, _, query = head.target.decode("ascii").partition("?")
            headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
            return Request(
                method=head.method.decode("ascii"), path=path, query=query, headers=headers, body=bytes(body)
            )
        else:
            raise PeerGoneError


def _answer_bytes(connection: h11.Connection, given: HttpAnswer) -> bytes:
    body = b"" if given.payload is None else json.dumps(given.payload).encode()
    headers = [("Content-Length", str(len(body)))] if given.status != 204 else []
    if body:
        headers.append(("Content-Type", "application/json"))
    events = [h11.Response(status_code=given.status, headers=headers), h11.Data(data=body), h11.EndOfMessage()]
    return b"".join(part for event in events if (part := connection.send(event)))


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN: linger for 0 s, then drop."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _silence(reader: asyncio.StreamReader, seconds: float) -> None:
    """Send no answer until the peer closes the connection, or for this long."""
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(65536):
                pass
    except TimeoutError:
        return

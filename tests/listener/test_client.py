"""The sending side against servers that answer, hang, reset, close and lie."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from listener.client import MllpClient, SendError, SendFault
from listener.framing import frame
from listener.reply import RESET, Close
from listener.tls import client_context, server_context
from tests.listener.certificates import make
from tests.listener.conftest import SHORT, Later, Listen, eventually


@contextlib.asynccontextmanager
async def foreign(answer: bytes) -> AsyncIterator[int]:
    """A server that answers anything with these bytes, as they are, and then waits for the end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.readuntil(b"\x1c\r")
            writer.write(answer)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_send_gives_the_answer_and_how_long_it_took(listen: Listen) -> None:
    listening = await listen()
    client = await MllpClient.connect("127.0.0.1", listening.port)
    answer = await client.send(b"one")
    assert answer.content == b"ACK one"
    assert answer.milliseconds >= 0
    await client.close()


async def test_exchange_keeps_the_order_and_the_window(listen: Listen) -> None:
    later = Later()
    listening = await listen(later)
    client = await MllpClient.connect("127.0.0.1", listening.port)

    async def collect() -> list[bytes]:
        contents = (b"%d" % number for number in range(10))
        return [answer.content async for answer in client.exchange(contents, window=3)]

    collecting = asyncio.ensure_future(collect())
    for index in range(10):
        await later.until(min(index + 3, 10))
        assert len(later.calls) <= index + 3
        later.answer(index)
    assert await collecting == [b"ACK %d" % number for number in range(10)]
    await client.close()


async def expect(client: MllpClient, fault: SendFault) -> None:
    with pytest.raises(SendError) as caught:
        await client.send(b"one")
    assert caught.value.code is fault
    await client.close()


async def test_reset_before_an_answer(listen: Listen) -> None:
    listening = await listen(lambda content, peer: RESET)
    await expect(await MllpClient.connect("127.0.0.1", listening.port), SendFault.RESET)


async def test_closed_before_an_answer(listen: Listen) -> None:
    listening = await listen(lambda content, peer: Close())
    await expect(await MllpClient.connect("127.0.0.1", listening.port), SendFault.CLOSED)


async def test_no_answer_in_time(listen: Listen) -> None:
    listening = await listen(Later())
    client = await MllpClient.connect("127.0.0.1", listening.port, answer_timeout=SHORT)
    await expect(client, SendFault.ANSWER_TIMEOUT)
    await expect(client, SendFault.ANSWER_TIMEOUT)  # an answer could no longer be told from the one that is late


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"MSA|AA|1\r", b"\x0bMSA\x1cX"])
async def test_an_answer_that_is_not_mllp(answer: bytes) -> None:
    async with foreign(answer) as port:
        await expect(await MllpClient.connect("127.0.0.1", port), SendFault.NOT_MLLP)


async def test_an_answer_too_many() -> None:
    async with foreign(frame(b"one") + frame(b"two")) as port:
        client = await MllpClient.connect("127.0.0.1", port)
        assert (await client.send(b"one")).content == b"one"
        await expect(client, SendFault.NOT_MLLP)


async def test_an_endless_answer_is_cut() -> None:
    async with foreign(b"\x0b" + b"A" * 100_000) as port:
        await expect(await MllpClient.connect("127.0.0.1", port, max_answer=1000), SendFault.NOT_MLLP)


async def test_every_pipelined_message_learns_of_the_end(listen: Listen) -> None:
    later = Later()
    listening = await listen(later)
    client = await MllpClient.connect("127.0.0.1", listening.port)
    futures = [client.submit(b"%d" % number) for number in range(3)]
    await later.until(3)
    later.answer(0)
    assert (await futures[0]).content == b"ACK 0"
    later.calls[1][1].set_result(RESET)
    for future in futures[1:]:
        with pytest.raises(SendError, match="reset before an answer"):
            await future
    await client.close()


async def test_close_gives_up_on_what_is_unanswered(listen: Listen) -> None:
    later = Later()
    listening = await listen(later)
    client = await MllpClient.connect("127.0.0.1", listening.port)
    future = client.submit(b"one")
    await later.until(1)
    await client.close()
    with pytest.raises(SendError) as caught:
        await future
    assert caught.value.code is SendFault.CLOSED
    await expect(client, SendFault.CLOSED)


async def test_nothing_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(SendError, match=f"nothing listens on 127.0.0.1:{port}") as caught:
            await MllpClient.connect("127.0.0.1", port)
    assert caught.value.code is SendFault.REFUSED


async def test_an_unknown_host() -> None:
    with pytest.raises(SendError) as caught:
        await MllpClient.connect("host.invalid", 2575)
    assert caught.value.code is SendFault.UNKNOWN_HOST


async def test_a_server_that_accepts_and_says_nothing_to_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        context = client_context(verify=False)
        with pytest.raises(SendError) as caught:
            await MllpClient.connect("127.0.0.1", silent.getsockname()[1], tls=context, connect_timeout=SHORT)
    assert caught.value.code is SendFault.CONNECT_TIMEOUT


async def test_tls_to_a_plain_port(listen: Listen) -> None:
    listening = await listen()
    with pytest.raises(SendError) as caught:
        await MllpClient.connect("127.0.0.1", listening.port, tls=client_context(verify=False))
    assert caught.value.code is SendFault.TLS
    await eventually(lambda: bool(listening.incidents))
    assert "TLS ClientHello" in listening.incidents[0].text


async def test_plain_to_a_tls_port(listen: Listen, tmp_path: Path) -> None:
    pair = make(tmp_path, "server.example")
    listening = await listen(tls=server_context(pair.certificate_file, pair.key_file))
    client = await MllpClient.connect("127.0.0.1", listening.port)
    with pytest.raises(SendError) as caught:
        await client.send(b"one")
    assert caught.value.code in {
        SendFault.NOT_MLLP,
        SendFault.CLOSED,
        SendFault.RESET,
    }  # an alert comes, or only the end
    await client.close()


async def test_content_with_framing_bytes_is_not_sent(listen: Listen) -> None:
    listening = await listen()
    client = await MllpClient.connect("127.0.0.1", listening.port)
    with pytest.raises(ValueError, match="framing byte"):
        await client.send(b"one\x1c\rtwo")
    assert (await client.send(b"two")).content == b"ACK two"
    await client.close()

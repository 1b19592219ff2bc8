"""The server over real sockets: answers in order, limits that bite only the guilty, endings the peer can rely on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import tracemalloc
from datetime import timedelta

import hl7.client
import pytest

from listener.closing import reset
from listener.connection import Connection
from listener.connection_register import ConnectionRegister
from listener.framing import frame
from listener.incidents import Kind, Peer
from listener.limits import Limits
from listener.reply import RESET, Close, Reply
from listener.server import CHUNK, MllpServer, networks
from tests.listener.conftest import SHORT, SOON, Later, Listen, ask, echo, eventually, read_block, read_to_end


async def test_one_message_one_answer(listen: Listen) -> None:
    listening = await listen()
    reader, writer = await listening.connect()
    assert await ask(reader, writer, b"one") == frame(b"ACK one")
    assert await ask(reader, writer, b"two") == frame(b"ACK two")
    assert listening.server.statistics().frames == 2


async def test_what_a_peer_writes_at_once_stays_on_its_own_side(listen: Listen) -> None:
    later = Later()
    listening = await listen(later, limits=Limits(max_pipelined=4))
    _, writer = await listening.connect()
    writer.write(frame(b"x" * 2000) * 1000)
    await later.until(4)
    for _ in range(20):
        await asyncio.sleep(0.001)
        assert listening.server.statistics().buffered_bytes <= CHUNK


async def test_no_message_stays_in_the_shared_buffer(listen: Listen) -> None:
    listening = await listen()
    reader, writer = await listening.connect()
    assert await ask(reader, writer, b"one") == frame(b"ACK one")
    assert not any(listening.server.chunk)


async def test_the_handler_learns_who_sent_it(listen: Listen) -> None:
    peers: list[Peer] = []

    def handler(content: bytes, peer: Peer) -> bytes:
        peers.append(peer)
        return content

    listening = await listen(handler)
    reader, writer = await listening.connect()
    await ask(reader, writer, b"one")
    port = writer.get_extra_info("sockname")[1]
    assert peers == [Peer(address="127.0.0.1", port=port, local_port=listening.port, thumbprint=None)]


async def test_python_hl7s_client_gets_its_answer_from_one_read(listen: Listen) -> None:
    """It calls recv once and hangs up: an answer in two writes would be cut."""
    answer = b"MSA|AA|" + b"1" * 3000
    listening = await listen(lambda content, peer: answer)

    def send() -> list[bytes]:
        answers = []
        for _ in range(20):
            with hl7.client.MLLPClient("127.0.0.1", listening.port) as client:
                answers.append(client.send_message(b"MSH|^~\\&|A|B|C|D|1||SIU^S12|1|T|2.5\rSCH|1\r"))
        return answers

    assert await asyncio.to_thread(send) == [frame(answer)] * 20


async def test_answers_keep_the_order_of_messages_whatever_order_they_are_ready_in(listen: Listen) -> None:
    later = Later()
    listening = await listen(later)
    reader, writer = await listening.connect()
    names = [b"%d" % number for number in range(8)]
    writer.write(b"".join(frame(name) for name in names))
    await later.until(8)
    for index in (7, 3, 1, 0, 2, 6, 5, 4):
        later.answer(index)
    assert [await read_block(reader) for _ in names] == [frame(b"ACK " + name) for name in names]


async def test_an_immediate_answer_waits_for_the_future_before_it(listen: Listen) -> None:
    later = Later()
    listening = await listen(lambda content, peer: later(content, peer) if content == b"slow" else echo(content, peer))
    reader, writer = await listening.connect()
    writer.write(frame(b"slow") + frame(b"quick"))
    await eventually(lambda: listening.server.frames == 2)
    later.answer(0)
    assert [await read_block(reader), await read_block(reader)] == [frame(b"ACK slow"), frame(b"ACK quick")]


async def test_futures_are_settled_from_a_thread_in_batches(listen: Listen) -> None:
    later = Later()
    listening = await listen(later)
    reader, writer = await listening.connect()
    writer.write(b"".join(frame(b"%d" % number) for number in range(10)))
    await later.until(10)

    def settle() -> None:
        for index in range(10):
            later.answer(index)

    thread = threading.Thread(target=asyncio.get_running_loop().call_soon_threadsafe, args=(settle,))
    thread.start()
    thread.join()
    assert [await read_block(reader) for _ in range(10)] == [frame(b"ACK %d" % number) for number in range(10)]


async def test_reading_ahead_stops_at_the_bound_and_goes_on(listen: Listen) -> None:
    later = Later()
    listening = await listen(later, limits=Limits(max_pipelined=4))
    reader, writer = await listening.connect()
    writer.write(b"".join(frame(b"%d" % number) for number in range(50)))
    await later.until(4)
    for index in range(50):
        assert len(later.calls) == min(index + 4, 50)
        later.answer(index)
        assert await read_block(reader) == frame(b"ACK %d" % index)
        await later.until(min(index + 5, 50))


async def test_none_is_no_answer_and_the_connection_goes_on(listen: Listen) -> None:
    listening = await listen(lambda content, peer: None if content == b"quiet" else content)
    reader, writer = await listening.connect()
    writer.write(frame(b"quiet"))
    assert await ask(reader, writer, b"loud") == frame(b"loud")


async def test_close_answers_first(listen: Listen) -> None:
    listening = await listen(lambda content, peer: Close(answer=b"bye"))
    reader, writer = await listening.connect()
    writer.write(frame(b"one") + frame(b"two"))
    assert await read_to_end(reader) == frame(b"bye")
    writer.close()
    await listening.closed(Kind.ANSWERED_AND_CLOSED)
    assert listening.server.frames == 1


async def _expect_reset(reader: asyncio.StreamReader) -> None:
    with pytest.raises(ConnectionResetError):
        await read_to_end(reader)


@pytest.mark.parametrize("waiting", [False, True])
async def test_reset_is_a_tcp_reset_without_an_answer(listen: Listen, waiting: bool) -> None:
    def handler(content: bytes, peer: Peer) -> Reply | asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, RESET)
        return future if waiting else RESET

    listening = await listen(handler)
    reader, writer = await listening.connect()
    writer.write(frame(b"one"))
    await _expect_reset(reader)
    await listening.closed(Kind.RESET)
    assert listening.incidents == []


async def test_a_failing_handler_resets_and_is_reported_without_its_text(listen: Listen) -> None:
    def handler(content: bytes, peer: Peer) -> bytes:
        raise LookupError("CANARY")

    listening = await listen(handler)
    reader, writer = await listening.connect()
    writer.write(frame(b"one"))
    await _expect_reset(reader)
    (incident,) = listening.incidents
    assert (incident.kind, incident.text) == (Kind.HANDLER_FAILED, "LookupError")
    assert isinstance(incident.error, LookupError)
    assert "CANARY" not in repr(incident)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_failed_future_resets_and_is_reported(listen: Listen, cancelled: bool) -> None:
    later = Later()
    listening = await listen(later)
    reader, writer = await listening.connect()
    writer.write(frame(b"one"))
    await later.until(1)
    _, future = later.calls[0]
    if cancelled:
        future.cancel()
    else:
        future.set_exception(OSError(28, "disk full"))
    await _expect_reset(reader)
    await listening.closed(Kind.HANDLER_FAILED)
    assert listening.kinds() == [Kind.HANDLER_FAILED]


async def test_an_answer_that_would_break_the_framing_is_our_fault(listen: Listen) -> None:
    listening = await listen(lambda content, peer: b"a\x1c\rb")
    reader, writer = await listening.connect()
    writer.write(frame(b"one"))
    await _expect_reset(reader)
    assert listening.kinds() == [Kind.HANDLER_FAILED]


async def test_a_future_that_outlives_its_connection_is_not_cancelled_and_its_budget_returns(listen: Listen) -> None:
    later = Later()
    listening = await listen(later)
    _, writer = await listening.connect()
    writer.write(frame(b"one"))
    await later.until(1)
    reset(writer.transport)
    await eventually(lambda: listening.server.statistics().open == 0)
    assert listening.server.statistics().in_flight_messages == 1
    _, future = later.calls[0]
    assert not future.done()
    future.set_exception(OSError("late"))
    await eventually(lambda: listening.server.statistics().in_flight_messages == 0)
    assert listening.server.statistics().in_flight_bytes == 0


async def test_a_half_closed_peer_still_gets_its_answers(listen: Listen) -> None:
    later = Later()
    listening = await listen(later, limits=Limits(max_pipelined=2))
    reader, writer = await listening.connect()
    writer.write(b"".join(frame(b"%d" % number) for number in range(5)))
    writer.write_eof()
    for index in range(5):
        await later.until(index + 1)
        later.answer(index)
    assert await read_to_end(reader) == b"".join(frame(b"ACK %d" % number) for number in range(5))
    await listening.closed(Kind.PEER_CLOSED)
    assert listening.incidents == []


# --- what is not MLLP


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Kind.JUNK, "an HTTP request"),
        (bytes.fromhex("16030102000100 01fc0303") + bytes(200), Kind.JUNK, "a TLS ClientHello"),
        (b"MSH|^~\\&|\r", Kind.JUNK, "without the MLLP start byte"),
        (b"\x0b\x0bMSH\x1c\r", Kind.BAD_FRAMING, "a second start byte (0x0B) at byte 0 of a message"),
        (b"\x0bMSH\x1cX", Kind.BAD_FRAMING, "an end byte (0x1C) at byte 3 of a message"),
    ],
)
async def test_junk_is_closed_and_reported_in_words(listen: Listen, data: bytes, kind: Kind, words: str) -> None:
    listening = await listen()
    reader, writer = await listening.connect()
    writer.write(data)
    with contextlib.suppress(ConnectionResetError):  # the kernel's way of closing with unread bytes
        assert await read_to_end(reader) == b""
    await listening.closed(kind)
    (incident,) = listening.incidents
    assert incident.kind is kind
    assert words in incident.text
    assert listening.server.frames == 0


async def test_messages_before_junk_are_answered_before_the_close(listen: Listen) -> None:
    later = Later()
    listening = await listen(later)
    reader, writer = await listening.connect()
    writer.write(frame(b"good") + b"junk")
    await later.until(1)
    later.answer(0)
    assert await read_to_end(reader) == frame(b"ACK good")


async def test_junk_is_reported_each_time(listen: Listen) -> None:
    listening = await listen()
    for _ in range(5):
        _, writer = await listening.connect()
        writer.write(b"JUNK")
    await eventually(lambda: listening.server.statistics().closes.get("junk") == 5)
    assert listening.kinds() == [Kind.JUNK] * 5


async def test_a_probe_that_says_nothing_is_a_debug_matter(listen: Listen) -> None:
    listening = await listen()
    _, writer = await listening.connect()
    writer.close()
    await listening.closed(Kind.BARE_CONNECT)
    assert [incident.kind.level for incident in listening.incidents] == [10]


async def test_a_peer_that_leaves_within_a_message_is_reported(listen: Listen) -> None:
    listening = await listen()
    _, writer = await listening.connect()
    writer.write(b"\x0bMSH")
    writer.close()
    await listening.closed(Kind.CUT_OFF)
    assert listening.kinds() == [Kind.CUT_OFF]
    assert listening.server.frames == 0


async def test_a_too_long_message_is_answered_from_its_head_then_closed(listen: Listen) -> None:
    heads: list[bytes] = []

    def oversize(head: bytes, peer: Peer) -> bytes:
        heads.append(head)
        return b"AE too long"

    listening = await listen(limits=Limits(max_message=100_000), oversize=oversize)
    reader, writer = await listening.connect()
    writer.write(frame(b"MSH" + b"A" * 5_000_000))
    assert await read_to_end(reader) == frame(b"AE too long")
    assert heads == [b"MSH" + b"A" * 4093]
    assert listening.kinds() == [Kind.TOO_LONG]


async def test_a_failing_oversize_answer_still_closes(listen: Listen) -> None:
    def oversize(head: bytes, peer: Peer) -> bytes:
        raise LookupError("CANARY")

    listening = await listen(limits=Limits(max_message=10), oversize=oversize)
    _, writer = await listening.connect()
    writer.write(frame(b"A" * 11))
    await listening.closed(Kind.TOO_LONG)
    assert listening.kinds() == [Kind.HANDLER_FAILED, Kind.TOO_LONG]


# --- slow, stuck and too many


async def test_an_unfinished_message_times_out(listen: Listen) -> None:
    listening = await listen(limits=Limits(frame_timeout=SHORT))
    reader, writer = await listening.connect()
    writer.write(b"\x0bMSH")
    assert await read_to_end(reader) == b""
    await listening.closed(Kind.FRAME_TIMEOUT)
    assert listening.kinds() == [Kind.FRAME_TIMEOUT]


async def test_idle_peers_stay_unless_configured_otherwise(listen: Listen) -> None:
    listening = await listen(limits=Limits(idle_timeout=SHORT))
    reader, _ = await listening.connect()
    assert await read_to_end(reader) == b""
    await listening.closed(Kind.IDLE_TIMEOUT)
    assert Limits().idle_timeout is None


async def test_a_peer_that_does_not_read_its_answers_is_dropped(listen: Listen) -> None:
    listening = await listen(lambda content, peer: b"A" * 500_000, limits=Limits(write_timeout=SHORT))
    with socket.create_connection(("127.0.0.1", listening.port)) as stuck:
        await asyncio.get_running_loop().sock_sendall(_unblocked(stuck), frame(b"x") * 64)
        await listening.closed(Kind.WRITE_TIMEOUT)
    assert listening.kinds() == [Kind.WRITE_TIMEOUT]
    assert listening.server.frames < 64  # it was not read further than its answers were


def _unblocked(sock: socket.socket) -> socket.socket:
    sock.setblocking(False)
    return sock


async def test_slow_and_stuck_peers_do_not_hold_a_good_one(listen: Listen) -> None:
    listening = await listen(limits=Limits(max_connections=200))
    for number in range(100):
        _, writer = await listening.connect()
        writer.write((b"", b"\x0b", b"\x0bMSH|", b"\r\n")[number % 4])
    reader, writer = await listening.connect()
    for number in range(200):
        assert await ask(reader, writer, b"%d" % number) == frame(b"ACK %d" % number)
    assert listening.server.statistics().open == 101


async def test_a_flood_of_tiny_messages_takes_turns_with_others(listen: Listen) -> None:
    order: list[bytes] = []

    def handler(content: bytes, peer: Peer) -> None:
        order.append(content)

    listening = await listen(handler)
    _, flood = await listening.connect()
    _, good = await listening.connect()
    await eventually(lambda: listening.server.statistics().open == 2)
    flood.write(frame(b"") * 20_000)
    good.write(frame(b"good"))
    await eventually(lambda: len(order) == 20_001)
    assert order.index(b"good") < 10_000


async def test_the_limit_of_connections(listen: Listen) -> None:
    listening = await listen(limits=Limits(max_connections=2))
    reader, writer = await listening.connect()
    await listening.connect()
    refused, _ = await listening.connect()
    assert await read_to_end(refused) == b""
    assert listening.kinds() == [Kind.TOO_MANY]
    assert await ask(reader, writer, b"one") == frame(b"ACK one")


async def test_the_limit_of_connections_from_one_address(listen: Listen) -> None:
    listening = await listen(limits=Limits(max_connections_per_peer=1))
    reader, writer = await listening.connect()
    assert await ask(reader, writer, b"one") == frame(b"ACK one")
    refused, _ = await listening.connect()
    assert await read_to_end(refused) == b""
    other, other_writer = await listening.connect(local_addr=("127.0.0.2", 0))
    assert await ask(other, other_writer, b"two") == frame(b"ACK two")
    writer.close()
    await eventually(lambda: listening.server.statistics().open == 1)
    again, again_writer = await listening.connect()
    assert await ask(again, again_writer, b"three") == frame(b"ACK three")
    assert listening.kinds() == [Kind.TOO_MANY_FROM_PEER]


async def test_another_address_gets_in_where_one_holds_everything(listen: Listen) -> None:
    """Idle and half-spoken connections of one address make room, the quietest first; one that is owed an answer stays."""
    later = Later()
    listening = await listen(later, limits=Limits(max_connections=3, max_connections_per_peer=3))
    owed, owed_writer = await listening.connect()
    owed_writer.write(frame(b"owed"))
    await later.until(1)
    _, half = await listening.connect()
    half.write(b"\x0bhalf")
    await eventually(lambda: listening.server.statistics().buffered_bytes > 0)
    idle, _ = await listening.connect()
    for number in (2, 3):
        _, writer = await listening.connect(local_addr=(f"127.0.0.{number}", 0))
        writer.write(frame(b"%d" % number))
        await later.until(number)
        assert listening.kinds() == [Kind.CROWDED_OUT] * (number - 1)
    for index in range(3):
        later.answer(index)
    assert await read_block(owed) == frame(b"ACK owed")
    with pytest.raises(ConnectionResetError):
        await read_to_end(idle)
    assert listening.server.statistics().open == 3
    assert listening.server.statistics().closes == {"crowded_out": 2}


async def test_peers_that_read_no_answers_make_room_too(listen: Listen) -> None:
    listening = await listen(lambda content, peer: b"x" * 1_000_000, limits=Limits(max_connections=2))
    for _ in range(2):
        _, writer = await listening.connect(limit=16)
        writer.write(frame(b"ask") * 200)
    await eventually(lambda: listening.server.statistics().open == 2)
    await eventually(lambda: 0 < listening.server.frames < 400 and listening.server.statistics().buffered_bytes > 0)
    reader, writer = await listening.connect(local_addr=("127.0.0.2", 0), limit=4_000_000)
    assert len(await ask(reader, writer, b"in")) > 1_000_000
    assert listening.kinds() == [Kind.CROWDED_OUT]


async def test_what_one_address_holds_on_one_port_makes_room_on_another(listen: Listen) -> None:
    shared = ConnectionRegister[Connection](limit=4, limit_per_source=4)
    first, second = await listen(shared=shared), await listen(shared=shared)
    for _ in range(4):
        await first.connect()
    await eventually(lambda: first.server.statistics().open == 4)
    reader, writer = await second.connect(local_addr=("127.0.0.2", 0))
    assert await ask(reader, writer, b"in") == frame(b"ACK in")
    assert first.server.statistics().closes == {"crowded_out": 1}
    assert len(shared) == 4


async def test_the_bound_of_one_address_holds_over_all_ports(listen: Listen) -> None:
    shared = ConnectionRegister[Connection](limit=10, limit_per_source=2)
    first, second = await listen(shared=shared), await listen(shared=shared)
    await first.connect()
    await first.connect()
    await eventually(lambda: len(shared) == 2)
    refused, _ = await second.connect()
    assert await read_to_end(refused) == b""
    assert second.kinds() == [Kind.TOO_MANY_FROM_PEER]
    first.writers[0].close()
    await eventually(lambda: len(shared) == 1)
    reader, writer = await second.connect()
    assert await ask(reader, writer, b"in") == frame(b"ACK in")


async def test_connections_of_every_end_leave_the_register(listen: Listen) -> None:
    shared = ConnectionRegister[Connection](limit=100, limit_per_source=100)
    listening = await listen(shared=shared, limits=Limits(frame_timeout=SHORT))
    for said in (b"", b"junk", frame(b"whole"), b"\x0bnever done"):
        _, writer = await listening.connect()
        writer.write(said)
    listening.writers[0].close()
    listening.writers[2].close()
    await eventually(lambda: listening.server.statistics().open == 0)
    assert len(shared) == 0


async def test_the_allow_list(listen: Listen) -> None:
    listening = await listen(allow_from=["127.0.0.2", "10.0.0.0/8", "2001:db8::/32"])
    refused, _ = await listening.connect()
    assert await read_to_end(refused) == b""
    assert listening.kinds() == [Kind.ADDRESS_REFUSED]
    reader, writer = await listening.connect(local_addr=("127.0.0.2", 0))
    assert await ask(reader, writer, b"one") == frame(b"ACK one")


@pytest.mark.parametrize("source", ["10.0.0.1/8", "localhost", "10.0.0"])
def test_a_wrong_allow_list_names_the_entry(source: str) -> None:
    with pytest.raises(ValueError, match=source):
        networks(["127.0.0.1", source])


# --- overload


async def test_past_the_budget_senders_wait_and_nothing_is_lost(listen: Listen) -> None:
    later = Later()
    listening = await listen(later, limits=Limits(max_in_flight_messages=5))
    peers = [await listening.connect() for _ in range(4)]
    for number, (_, writer) in enumerate(peers):
        writer.write(b"".join(frame(b"%d-%d" % (number, index)) for index in range(5)))
    await eventually(lambda: listening.server.statistics().waiting > 0)
    assert listening.server.statistics().in_flight_messages == 5
    assert Kind.OVERLOAD in listening.kinds()
    for index in range(20):
        await later.until(index + 1)
        assert listening.server.statistics().in_flight_messages <= 5
        later.answer(index)
    for number, (reader, _) in enumerate(peers):
        assert [await read_block(reader) for _ in range(5)] == [frame(b"ACK %d-%d" % (number, i)) for i in range(5)]
    assert listening.server.statistics().waiting == 0


async def test_the_budget_counts_bytes_too(listen: Listen) -> None:
    later = Later()
    listening = await listen(later, limits=Limits(max_in_flight_bytes=1000))
    reader, writer = await listening.connect()
    writer.write(frame(b"A" * 1000) + frame(b"B"))
    await eventually(lambda: listening.server.statistics().waiting == 1)
    assert len(later.calls) == 1
    later.answer(0)
    await later.until(2)
    later.answer(1)
    assert await read_block(reader) == frame(b"ACK " + b"A" * 1000)
    assert await read_block(reader) == frame(b"ACK B")


async def test_when_unfinished_messages_fill_memory_the_largest_goes(listen: Listen) -> None:
    listening = await listen(limits=Limits(max_buffered=100_000))
    good, good_writer = await listening.connect()
    good_writer.write(b"\x0bhalf")
    hogs = [await listening.connect() for _ in range(3)]
    for _, writer in hogs:
        writer.write(b"\x0b" + b"A" * 60_000)
    await listening.closed(Kind.SHED)
    assert listening.server.statistics().buffered_bytes <= 100_000
    good_writer.write(b"\x1c\r")
    assert await read_block(good) == frame(b"ACK half")


async def test_fifty_peers_with_five_endless_megabytes_each_cost_at_most_the_limit_each(listen: Listen) -> None:
    listening = await listen(limits=Limits(max_connections=50))
    chunk = b"A" * 65_536

    async def send_endlessly() -> None:
        with contextlib.suppress(OSError):
            _, writer = await listening.connect()
            writer.write(b"\x0b")
            for _ in range(80):
                writer.write(chunk)
                await writer.drain()

    tracemalloc.start()
    try:
        await asyncio.gather(*(send_endlessly() for _ in range(50)))
        await eventually(lambda: listening.server.statistics().closes.get("too_long") == 50)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * 1_048_576
    assert listening.server.statistics().buffered_bytes == 0
    assert listening.server.frames == 0


# --- stopping


async def test_stop_answers_what_is_in_flight_then_closes(listen: Listen) -> None:
    later = Later()
    listening = await listen(later)
    reader, writer = await listening.connect()
    idle_reader, _ = await listening.connect()
    writer.write(frame(b"one") + frame(b"two") + b"\x0bhalf")
    await later.until(2)
    stopping = asyncio.ensure_future(listening.server.stop())
    assert await read_to_end(idle_reader) == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", listening.port)
    later.answer(1)
    later.answer(0)
    assert await read_to_end(reader) == frame(b"ACK one") + frame(b"ACK two")
    writer.close()
    assert await stopping == 0
    assert listening.server.statistics().open == 0
    assert listening.server.statistics().closes == {"drained": 2}


async def test_stop_resets_what_is_not_answered_in_time(listen: Listen) -> None:
    later = Later()
    listening = await listen(later, limits=Limits(drain=SHORT))
    reader, writer = await listening.connect()
    writer.write(frame(b"one"))
    await later.until(1)
    assert await listening.server.stop() == 1
    await _expect_reset(reader)
    assert listening.kinds() == [Kind.DRAIN_TIMEOUT]
    assert not later.calls[0][1].cancelled()


async def test_stop_under_load_answers_every_message_it_took(listen: Listen) -> None:
    """What the handler saw is answered, also beside senders that never stop sending."""
    later = Later()
    listening = await listen(later)  # these peers go on sending: a short linger would reset them over unread answers
    peers = [await listening.connect() for _ in range(10)]

    async def pump(writer: asyncio.StreamWriter, number: int) -> None:
        try:
            for index in range(10_000):
                writer.write(frame(b"%d-%d" % (number, index) + b" " * 20_000))
                await writer.drain()
        except OSError:
            return

    answers: list[list[bytes]] = [[] for _ in peers]

    async def collect(reader: asyncio.StreamReader, number: int) -> None:
        try:
            while True:
                answers[number].append(await reader.readuntil(b"\x1c\r"))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return

    pumps = [asyncio.ensure_future(pump(writer, number)) for number, (_, writer) in enumerate(peers)]
    collects = [asyncio.ensure_future(collect(reader, number)) for number, (reader, _) in enumerate(peers)]
    await later.until(200)
    stopping = asyncio.ensure_future(listening.server.stop())
    await asyncio.sleep(0)
    for index in range(len(later.calls)):
        later.answer(index)
    assert await stopping == 0
    for task in pumps:
        task.cancel()
    async with asyncio.timeout(SOON):
        await asyncio.gather(*pumps, *collects, return_exceptions=True)
    taken = sorted(b"ACK " + content for content, _ in later.calls)
    assert sorted(block[1:-2] for blocks in answers for block in blocks) == taken


async def test_reconfigure_is_for_new_connections(listen: Listen) -> None:
    listening = await listen()
    reader, writer = await listening.connect()
    await ask(reader, writer, b"one")
    listening.server.reconfigure(allow_from=["10.0.0.0/8"], limits=Limits(max_message=4))
    refused, _ = await listening.connect()
    assert await read_to_end(refused) == b""
    assert await ask(reader, writer, b"longer than four") == frame(b"ACK longer than four")


async def test_a_port_in_use_is_an_oserror(listen: Listen) -> None:
    listening = await listen()
    second = MllpServer(echo, report=lambda incident: None)
    with pytest.raises(OSError, match="in use"):
        await second.start("127.0.0.1", listening.port)


def test_the_defaults_are_those_of_the_design() -> None:
    limits = Limits()
    assert limits.max_message == 1_048_576
    assert limits.frame_timeout == timedelta(seconds=30)
    assert limits.drain == timedelta(seconds=10)

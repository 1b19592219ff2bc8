"""The decoder: the same events for any chunking, every fault at its byte, memory within the limit."""

from __future__ import annotations

import itertools
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.framing import HEAD_BYTES, Decoder, Event, Frame, FrameError, FramingFault, LooksLike, frame, looks_like

ONE = b"MSH|^~\\&|A|B|C|D|20260302||SIU^S12|1|T|2.5\rSCH|1\r"
TWO = b"MSH|^~\\&|A|B|C|D|20260302||SIU^S15|2|T|2.5\r"


def frames(*contents: bytes) -> list[Event]:
    return [Frame(content=content) for content in contents]


def in_chunks(data: bytes, cuts: list[int], *, limit: int = 1_048_576) -> list[Event]:
    decoder = Decoder(max_content=limit)
    bounds = [0, *sorted(cuts), len(data)]
    return [event for begin, end in itertools.pairwise(bounds) for event in decoder.feed(data[begin:end])]


def test_one_block() -> None:
    assert Decoder().feed(frame(ONE)) == frames(ONE)


def test_an_empty_block_is_a_frame() -> None:
    assert Decoder().feed(b"\x0b\x1c\r") == frames(b"")


def test_two_coalesced_blocks_split_at_every_byte() -> None:
    data = frame(ONE) + frame(TWO)
    for cut in range(len(data) + 1):
        assert in_chunks(data, [cut]) == frames(ONE, TWO), cut


def test_byte_by_byte() -> None:
    data = b"\r\n" + frame(ONE) + b"\r\n\x00 " + frame(TWO)
    assert in_chunks(data, list(range(len(data)))) == frames(ONE, TWO)


@pytest.mark.parametrize("padding", [b"\r", b"\n", b"\x00", b" ", b"\r\n \x00" * 100])
def test_padding_before_between_and_after_blocks_is_skipped(padding: bytes) -> None:
    assert Decoder().feed(padding + frame(ONE) + padding + frame(TWO) + padding) == frames(ONE, TWO)


def test_the_end_byte_may_be_the_last_byte_so_far() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\x0bA\x1c") == []
    assert decoder.mid_block
    assert decoder.feed(b"\r") == frames(b"A")
    assert not decoder.mid_block


@pytest.mark.parametrize(
    ("data", "kind", "offset"),
    [
        (b"\x0b\x0bA\x1c\r", FramingFault.START_INSIDE, 0),
        (b"\x0bAB\x0bC\x1c\r", FramingFault.START_INSIDE, 2),
        (b"\x0bAB\x1cC\x1c\r", FramingFault.END_WITHOUT_CR, 2),
        (b"\x0bAB\x1c\n", FramingFault.END_WITHOUT_CR, 2),
        (b"\x0bAB\x1c\x1c\r", FramingFault.END_WITHOUT_CR, 2),
        (b"\x0bAB\x1c\x0b\x1c\r", FramingFault.END_WITHOUT_CR, 2),
        (b"\x0bA\x1cX\x0b", FramingFault.END_WITHOUT_CR, 1),
        (b"A\x0bB\x1c\r", FramingFault.JUNK, 0),
        (b"\x1c\r", FramingFault.JUNK, 0),
    ],
)
def test_faults_however_the_bytes_are_cut(data: bytes, kind: FramingFault, offset: int) -> None:
    expected: list[Event] = [FrameError(kind=kind, offset=offset)]
    assert in_chunks(data, []) == expected
    assert in_chunks(data, list(range(len(data)))) == expected
    for cut in range(len(data)):
        assert in_chunks(data, [cut]) == expected


def test_frames_before_a_fault_are_delivered_and_none_after_it() -> None:
    decoder = Decoder()
    assert decoder.feed(frame(ONE) + b"X" + frame(TWO)) == [*frames(ONE), FrameError(kind=FramingFault.JUNK)]
    assert decoder.feed(frame(TWO)) == []
    assert decoder.held == 0


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_content_up_to_the_limit_is_a_frame(size: int) -> None:
    data = frame(b"A" * size)
    for cuts in ([], list(range(len(data)))):
        assert in_chunks(data, cuts, limit=10) == frames(b"A" * size)


@pytest.mark.parametrize("tail", [b"\x1c\r", b"AAAA", b"\x0b", b""])
def test_one_byte_over_the_limit_is_an_error_at_that_byte(tail: bytes) -> None:
    data = b"\x0b" + b"A" * 11 + tail
    expected: list[Event] = [FrameError(kind=FramingFault.TOO_LONG, offset=10, head=b"A" * 10)]
    for cuts in ([], list(range(len(data))), [5]):
        assert in_chunks(data, cuts, limit=10) == expected


def test_a_too_long_block_keeps_its_head_for_the_answer() -> None:
    content = ONE + b"Z" * 100_000
    for step in (len(content), 1000, 3):
        cuts = list(range(0, len(content), step))
        (event,) = in_chunks(b"\x0b" + content, cuts, limit=50_000)
        assert isinstance(event, FrameError)
        assert event.head == content[:HEAD_BYTES]


@pytest.mark.parametrize(
    ("head", "guess"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", LooksLike.HTTP),
        (b"PRI * HTTP/2.0\r\n", LooksLike.HTTP),
        (b"HTTP/1.1 400 Bad Request\r\n", LooksLike.HTTP_ANSWER),
        (bytes.fromhex("1603010200010001fc0303"), LooksLike.TLS),
        (b"SSH-2.0-OpenSSH_9.2\r\n", LooksLike.SSH),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", LooksLike.PROXY),
        (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11", LooksLike.PROXY),
        (b"MSH|^~\\&|A\r", LooksLike.HL7),
        (b"\x1c\r", LooksLike.STRAY_END),
        (b"\x01\x00\x00\x00\x00\xcd\x00\x01", LooksLike.DICOM),
        (b"EHLO x\r\n", LooksLike.TEXT),
        (b"\xff\xfe\x00\x80", LooksLike.BINARY),
    ],
)
def test_junk_says_what_it_looks_like(head: bytes, guess: LooksLike) -> None:
    (event,) = Decoder().feed(head)
    assert isinstance(event, FrameError)
    assert (event.kind, event.looks_like) == (FramingFault.JUNK, guess)


def test_a_guess_from_few_bytes_is_vague_but_never_another_protocol() -> None:
    for head in (b"GET / HTTP", b"\x16\x03\x01\x02", b"SSH-2.0", b"MSH|^~", b"PROXY TCP4"):
        whole = looks_like(head)
        for size in range(1, len(head)):
            assert looks_like(head[:size]) in {whole, LooksLike.TEXT, LooksLike.BINARY}


@pytest.mark.parametrize("content", [b"\x0b", b"A\x1cB", b"\x1c\r"])
def test_the_encoder_refuses_content_that_would_break_the_framing(content: bytes) -> None:
    with pytest.raises(ValueError, match="framing byte"):
        frame(content)


def test_no_content_is_shown_by_repr() -> None:
    (short, long) = Decoder(max_content=60).feed(frame(ONE) + b"\x0b" + ONE + ONE)
    assert "MSH" not in repr(short) + repr(long)


def test_stopping_between_events_loses_nothing() -> None:
    decoder = Decoder()
    decoder.receive(frame(ONE) + frame(TWO) + b"\x0bA")
    assert decoder.next_event() == Frame(content=ONE)
    assert decoder.unread == len(frame(TWO)) + 2
    decoder.receive(b"B\x1c\r")
    assert [decoder.next_event() for _ in range(3)] == [*frames(TWO, b"AB"), None]
    assert (decoder.unread, decoder.held) == (0, 0)


pieces = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"\x00", b" ", b"\x1c\r", b"\x0bA\x1c\r", frame(ONE)]),
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(data=pieces, cuts=st.lists(st.integers(min_value=0, max_value=200), max_size=20))
def test_any_chunking_yields_the_same_events(data: bytes, cuts: list[int]) -> None:
    whole = in_chunks(data, [], limit=20)
    assert in_chunks(data, [min(cut, len(data)) for cut in cuts], limit=20) == whole
    assert in_chunks(data, list(range(len(data))), limit=20) == whole


@settings(max_examples=200, deadline=None)
@given(contents=st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\x0b", b"").replace(b"\x1c", b""))))
def test_what_is_framed_comes_out_again(contents: list[bytes]) -> None:
    assert Decoder().feed(b"".join(frame(content) for content in contents)) == frames(*contents)


def test_fuzz_of_random_chunks_never_raises_and_never_holds_more_than_the_limit() -> None:
    chance = random.Random(20260302)
    alphabet = b"\x0b\x1c\r\n\x00 AM|"
    for _ in range(5000):
        decoder = Decoder(max_content=64)
        failed = False
        for _ in range(chance.randrange(1, 8)):
            chunk = bytes(chance.choices(alphabet, k=chance.randrange(0, 40)))
            events = decoder.feed(chunk)
            assert not (failed and events)
            failed = failed or any(isinstance(event, FrameError) for event in events)
            assert all(isinstance(event, FrameError) for event in events[-1:]) or not failed
            assert decoder.held <= 64


def test_five_megabytes_without_an_end_stay_within_the_limit() -> None:
    chunk = b"A" * 65_536
    decoder = Decoder(max_content=1_048_576)
    events = decoder.feed(b"\x0b")
    tracemalloc.start()
    try:
        for _ in range(80):
            events += decoder.feed(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [event.kind for event in events if isinstance(event, FrameError)] == [FramingFault.TOO_LONG]
    assert peak < 3 * 1_048_576
    assert decoder.held == 0


def test_padding_between_many_blocks_is_not_copied() -> None:
    """Twenty thousand tiny blocks with line ends between, in one chunk: the rest of the chunk is never copied."""
    data = (frame(b"") + b"\r\n") * 20_000
    decoder = Decoder()
    decoder.receive(data)
    tracemalloc.start()
    try:
        count = 0
        while decoder.next_event() is not None:
            count += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < len(data) // 2

"""MLLP framing without I/O: it turns bytes into frames or one framing error.

MLLP Release 1: a block is `0x0B content 0x1C 0x0D`; TCP may split and join blocks in any way. The rules here are stricter
than those of interface engines, because with lenient framing a second message can be hidden inside the first:

- between blocks CR, LF, NUL and space are skipped (real senders add line ends and keep-alive bytes); any other byte is
  a framing error that says what the bytes look like;
- 0x0B inside a block, and 0x1C not followed by 0x0D, are framing errors: HL7 text escapes both;
- content longer than the limit is a framing error at the first byte too many, so memory never exceeds the limit plus
  one chunk;
- after an error the decoder stops, because the beginning of the next block is not known.

Which frames and which error come out does not depend on how the bytes were cut into chunks. Every byte is searched
with `bytes.find`, once, so time is linear in the input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

START = b"\x0b"
END = b"\x1c"
CR = b"\r"
TRAILER = END + CR

HEAD_BYTES = 4096
"""How many bytes of a too long block are kept for the answer; an MSH segment is under 1 KB."""

_START, _END, _CR = START[0], END[0], CR[0]
_PADDING = re.compile(rb"[\r\n\x00 ]*")
_LOOKED_AT = 16  # bytes; the longest signature below is shorter


class FramingFault(StrEnum):
    """The kinds of framing errors. The values are stable, for logs and counters."""

    JUNK = "junk"
    START_INSIDE = "start_inside"
    END_WITHOUT_CR = "end_without_cr"
    TOO_LONG = "too_long"


class LooksLike(StrEnum):
    """A guess at the protocol of bytes where a block should begin, in words for an administrator."""

    TLS = "a TLS ClientHello (this port speaks plain MLLP)"
    HTTP = "an HTTP request"
    HTTP_ANSWER = "an HTTP answer"
    SSH = "an SSH client"
    PROXY = "a load balancer's PROXY protocol header (switch it off for this port)"
    HL7 = "HL7 without the MLLP start byte 0x0B"
    STRAY_END = "an MLLP end without a start (0x1C)"
    DICOM = "a DICOM association"
    TEXT = "text that is not MLLP"
    BINARY = "binary data that is not MLLP"


_SIGNATURES: tuple[tuple[bytes, LooksLike], ...] = (
    (b"\x16\x03", LooksLike.TLS),
    *(
        (method + b" ", LooksLike.HTTP)
        for method in (b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH")
    ),
    *((method + b" ", LooksLike.HTTP) for method in (b"CONNECT", b"TRACE", b"PRI")),
    (b"HTTP/", LooksLike.HTTP_ANSWER),
    (b"SSH-", LooksLike.SSH),
    (b"PROXY ", LooksLike.PROXY),
    (b"QUIT\n", LooksLike.PROXY),  # version 2 begins with CR, LF and NUL, which are skipped as padding
    (b"MSH", LooksLike.HL7),
    (b"FHS", LooksLike.HL7),
    (b"BHS", LooksLike.HL7),
    (END, LooksLike.STRAY_END),
    (b"\x01\x00\x00\x00", LooksLike.DICOM),
)


def looks_like(head: bytes) -> LooksLike:
    """Guess from the first bytes of something that is not a block. With few bytes the guess is only TEXT or BINARY."""
    for signature, guess in _SIGNATURES:
        if head.startswith(signature):
            return guess
    printable = all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in head[:_LOOKED_AT])
    return LooksLike.TEXT if printable else LooksLike.BINARY


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One complete block: the bytes between 0x0B and 0x1C 0x0D, possibly none."""

    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameError:
    """The stream cannot be read any further.

    Attributes:
        kind: what is wrong.
        offset: where: content bytes since the block's 0x0B; 0 for junk.
        looks_like: for junk, a guess made from the bytes that arrived together with the first wrong one. A diagnosis
            only, hence not compared: it is vaguer when the bytes trickle in.
        head: of a too long block, its first bytes (up to `HEAD_BYTES`), to build an answer from; else empty.
    """

    kind: FramingFault
    offset: int = 0
    looks_like: LooksLike | None = field(default=None, compare=False)
    head: bytes = field(default=b"", repr=False)

    @property
    def why(self) -> str:
        """What is wrong, in words for an administrator. It contains no byte from the peer."""
        match self.kind:
            case FramingFault.JUNK:
                return f"looks like {self.looks_like}"
            case FramingFault.START_INSIDE:
                return f"a second start byte (0x0B) at byte {self.offset} of a message: the one before it was not ended"
            case FramingFault.END_WITHOUT_CR:
                return f"an end byte (0x1C) at byte {self.offset} of a message, without the 0x0D that must follow it"
            case FramingFault.TOO_LONG:
                return f"over {self.offset} bytes"


Event = Frame | FrameError


def frame(content: bytes) -> bytes:
    """The block that carries `content`.

    Raises:
        ValueError: the content holds 0x0B or 0x1C, which would break the receiver's framing.
    """
    if START in content or END in content:
        raise ValueError("content holds an MLLP framing byte (0x0B or 0x1C)")
    return b"%b%b%b" % (START, content, TRAILER)


class Decoder:
    """Turns a byte stream into events, one at a time.

    `receive` takes a chunk. `next_event` returns one event, or None if more bytes are needed; a caller may stop calling it at
    any time. `feed` does both for callers without back-pressure.

    Args:
        max_content: longest content accepted, in bytes.
    """

    __slots__ = ("_data", "_ending", "_failed", "_max", "_partial", "_pos")

    def __init__(self, *, max_content: int = 1_048_576) -> None:
        self._max = max_content
        self._data = b""  # the chunk being read
        self._pos = 0  # the first byte of it not yet read
        self._partial: bytearray | None = None  # content of a block begun in an earlier chunk; None between blocks
        self._ending = False  # the last byte of that block so far was 0x1C
        self._failed = False

    @property
    def mid_block(self) -> bool:
        """Whether a block has begun and its end has not arrived (call it after `next_event` returned None)."""
        return self._partial is not None

    @property
    def unread(self) -> int:
        """Received bytes that `next_event` has not read yet."""
        return len(self._data) - self._pos

    @property
    def held(self) -> int:
        """Bytes in memory: the unfinished block and the unread bytes."""
        return len(self._data) - self._pos + (len(self._partial) if self._partial is not None else 0)

    def feed(self, data: bytes) -> list[Event]:
        """All events that `data` completes. After an error: none."""
        self.receive(data)
        events: list[Event] = []
        while (event := self.next_event()) is not None:
            events.append(event)
        return events

    def receive(self, data: bytes) -> None:
        """Add a chunk, which may be empty."""
        if self._failed:
            return
        self._data = self._data[self._pos :] + data if self._pos < len(self._data) else data
        self._pos = 0

    def next_event(self) -> Event | None:
        """The next event, or None: more bytes are needed (or an error has ended the stream)."""
        data, start = self._data, self._pos
        size = len(data)
        if start >= size:
            return None
        if self._partial is not None:
            return self._end(data, self._partial) if self._ending else self._block(data, start, len(self._partial))
        if data[start] != _START:
            padding = _PADDING.match(data, start)
            start = padding.end() if padding else start
            if start == size:
                self._data, self._pos = b"", 0
                return None
            if data[start] != _START:
                return self._fail(FramingFault.JUNK, 0, guess=looks_like(data[start : start + _LOOKED_AT]))
        return self._block(data, start + 1, 0)

    def _block(self, data: bytes, start: int, held: int) -> Event | None:
        """Read on inside a block: its content continues at `start`, after `held` bytes from earlier chunks."""
        limit = start + self._max - held + 1  # the end byte may come directly after the longest content
        end = data.find(END, start, limit)
        inside = data.find(START, start, end if end >= 0 else limit)
        if inside >= 0:
            return self._fail(FramingFault.START_INSIDE, held + inside - start)
        if end < 0:
            if len(data) >= limit:
                keep = min(HEAD_BYTES, self._max)
                head = bytes(self._partial or b"")[:keep]
                head += data[start : start + keep - len(head)]
                return self._fail(FramingFault.TOO_LONG, self._max, head=head)
            self._hold(data, start, len(data))
            return None
        if end + 1 == len(data):
            self._hold(data, start, end)
            self._ending = True
            return None
        if data[end + 1] != _CR:
            return self._fail(FramingFault.END_WITHOUT_CR, held + end - start)
        content = data[start:end]
        if self._partial is not None:
            content = bytes(self._partial + content)
            self._partial = None
        self._pos = end + 2
        return Frame(content=content)

    def _end(self, data: bytes, partial: bytearray) -> Event:
        """The byte after 0x1C, in a chunk of its own."""
        if data[self._pos] != _CR:
            return self._fail(FramingFault.END_WITHOUT_CR, len(partial))
        self._pos += 1
        self._partial, self._ending = None, False
        return Frame(content=bytes(partial))

    def _hold(self, data: bytes, start: int, end: int) -> None:
        if self._partial is None:
            self._partial = bytearray()
        self._partial += data[start:end]
        self._data, self._pos = b"", 0

    def _fail(
        self, kind: FramingFault, offset: int, *, guess: LooksLike | None = None, head: bytes = b""
    ) -> FrameError:
        self._failed = True
        self._data, self._pos, self._partial = b"", 0, None
        return FrameError(kind=kind, offset=offset, looks_like=guess, head=head)

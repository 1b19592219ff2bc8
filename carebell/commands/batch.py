"""A file that holds many messages, as archives and batch exports have it: one after the other, with or without FHS, BHS, BTS, FTS.

HL7 v2.9 chapter 2, section 2.10.3 (batch protocol). The library `hl7` reads the outline (the headers, the trailers, and where each
message begins); the bytes of a message stay as they stand in the file, since its signature covers every one of them. Senders leave
trailers out, and files are joined: both are read. A trailer that counts otherwise is a remark, not an error.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import hl7

_SEGMENT: Final = re.compile(rb"[^\r\n]+")
_HEADER: Final = re.compile(rb"[ \t]*(?:\xef\xbb\xbf)?[ \t]*(FHS|BHS|BTS|FTS|MSH)(?=[^A-Za-z0-9]|\Z)")
_BESIDE_HEADERS: Final = (b"SFT", b"UAC")
"""Segments that may follow FHS and BHS and belong to no message."""
_BATCH_BEGINS: Final = re.compile(rb"(?:\A|[\r\n])[ \t]*(?:\xef\xbb\xbf)?[ \t]*(?:FHS|BHS)[^A-Za-z0-9]")
_MESSAGE_BEGINS: Final = re.compile(rb"(?:\A|[\r\n])[ \t]*(?:\xef\xbb\xbf)?[ \t]*MSH[^A-Za-z0-9]")


class BatchError(Exception):
    """The file cannot be parted into messages; the text says where, and holds nothing of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Attributes:
    messages: each bare, its bytes as they stand in the file.
    remarks: what is odd about the trailers, a sentence each.
    """

    messages: tuple[bytes, ...] = field(repr=False)
    remarks: tuple[str, ...]


def read_batch(content: bytes) -> Batch | None:
    """The messages of a file's or a block's content; None: it is no batch, and holds one message at most.

    BatchError where a segment stands in no message, or there is none.
    """
    if _BATCH_BEGINS.search(content) is None and len(_MESSAGE_BEGINS.findall(content)) < 2:
        return None
    starts: list[int] = []
    stops: list[int] = []
    remarks: list[str] = []
    for outline in _outlines(content, stops):
        file = hl7.parse_file(outline)
        for batch in file:
            starts += [int(str(message.segment("MSH")(3))) for message in batch]
            remarks += _remarks("BTS-1", batch, len(batch), "messages")
        with_header = [batch for batch in file if batch.header is not None]
        if with_header:
            remarks += _remarks("FTS-1", file, len(with_header), "batches")
    if not starts:
        raise BatchError("the batch holds no message")
    starts.sort()  # the library has messages outside of BHS and BTS last
    stops.append(len(content))
    messages = tuple(_message(content[begin : stops[bisect_right(stops, begin)]]) for begin in starts)
    return Batch(messages=messages, remarks=tuple(remarks))


def _outlines(content: bytes, stops: list[int]) -> Iterator[str]:
    """Headers and trailers, and for each message its MSH alone, which says where it begins; one outline for each FHS.

    Args:
        stops: gets where each of these segments begins, in order.
    """
    lines: list[str] = []
    messages = 0
    inside, in_batch = False, False
    for segment in _SEGMENT.finditer(content):
        header = _HEADER.match(segment[0])
        name = None if header is None else header[1].decode("ascii")
        if header is None:
            if not inside and segment[0].strip() and not segment[0].lstrip().startswith(_BESIDE_HEADERS):
                place = f"after message {messages}" if messages else "before the first message"
                raise BatchError(
                    f"a segment that belongs to no message stands {place}: an MSH segment is missing there"
                )
            continue
        stops.append(segment.start())
        if name in ("FHS", "BHS", "FTS") and in_batch:
            lines.append("BTS|")
            in_batch = False
        if name == "FHS" and lines:
            yield "\r".join(lines)
            lines = []
        inside = name == "MSH"
        messages += inside
        in_batch = name == "BHS" or (in_batch and name != "BTS")
        lines.append(
            f"{name}|^~\\&|{segment.start() + header.start(1)}"
            if inside
            else _short(name or "", segment[0], header.end())
        )
    if in_batch:
        lines.append("BTS|")
    yield "\r".join(lines)


def _short(name: str, segment: bytes, end: int) -> str:
    """A header without its fields, a trailer with its count alone."""
    if name in ("FHS", "BHS"):
        return f"{name}|^~\\&"
    count = re.split(rb"[^0-9]", segment[end + 1 :].lstrip(), maxsplit=1)[0].decode("ascii")
    return f"{name}|{count}"


def _remarks(count_field: str, container: hl7.File | hl7.Batch, present: int, unit: str) -> Iterator[str]:
    trailer = container.trailer
    written = str(trailer(1)) if trailer is not None and len(trailer) > 1 else ""
    if written.isdigit() and int(written) != present:
        yield f"{count_field} says {int(written)} {unit}, there are {present}"


def _message(content: bytes) -> bytes:
    """Without the empty lines behind it."""
    body = content.rstrip(b"\r\n")
    line_end = content[len(body) : len(body) + 2]
    return body + (line_end if line_end == b"\r\n" else line_end[:1])

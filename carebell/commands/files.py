"""Messages from files. A file holds bare or framed (MLLP) messages: one, many or an FHS/BHS batch. A folder means its files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from carebell.commands.batch import BatchError, read_batch
from carebell.exits import Stop
from journal.lines import plain
from listener.framing import START, TRAILER, Decoder, Frame, FrameError, LooksLike, looks_like

_MOST_BYTES: Final = 16 * 1024 * 1024  # the largest max_message_bytes that a listener may have
_MOST_FILE_BYTES: Final = 256 * 1024 * 1024  # a day's archive of a large hospital is some 100 MiB
_BETWEEN: Final = b"\r\n\0 "
_NO_END: Final = "the block has no end (0x1C 0x0D)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMessage:
    """One message of a file, as a listener would read it.

    Attributes:
        number: its position in the file, from 1. count: how many messages the file holds.
        content: without the framing.
        fault: why a listener would close the connection; None: it would not.
    """

    file: Path
    number: int
    count: int
    content: bytes = field(repr=False)
    fault: str | None = None

    @property
    def name(self) -> str:
        """`archive.hl7, message 3`; only the file's name if it holds one message."""
        return str(self.file) if self.count == 1 else f"{self.file}, message {self.number}"

    @property
    def place(self) -> dict[str, str | int]:
        """For a JSON row: the file and, if it holds several messages, the message's number."""
        return {"file": str(self.file)} | ({"message": self.number} if self.count > 1 else {})


def message_files(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths. A folder is replaced by its files (`*.hl7`, `*.mllp`, `*.txt`) in the order of their names."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in (".hl7", ".mllp", ".txt"))
        else:
            yield path


def blocks(file: Path) -> list[FileMessage]:
    """The blocks to send for a file: its own blocks unchanged, or one block for each bare message.

    The bytes of a framed file are not changed, so a batch in one block stays one block. Reading stops
    at a block with broken framing, because a listener closes the connection there.
    """
    raw = read(file)
    padded = raw.lstrip(_BETWEEN)
    foreign = looks_like(padded) not in (LooksLike.HL7, LooksLike.TEXT, LooksLike.BINARY)
    if padded.startswith(START) or foreign:
        contents = _framed(raw)
    else:
        contents = [block for content in _bare(file, raw) for block in _framed(START + content + TRAILER)]
    return _numbered(file, contents)


def messages(file: Path) -> list[FileMessage]:
    """Each message of a file, without its block and its batch. Stop, with the message's number, if one cannot be read."""
    contents: list[_Content] = []
    for block in blocks(file):
        if block.fault is not None:
            raise Stop(f"{block.name}: {block.fault}")
        if b"MSH" not in block.content:
            raise Stop(f"{block.name}: not an HL7 version 2 message: there is no MSH segment")
        try:
            contents += [(content, None) for content in _parted(file, block.content)]
        except BatchError as error:
            raise Stop(f"{file}: {error}") from None
    return _numbered(file, contents)


def one_message(file: Path) -> bytes:
    """The one message in a file. Stop if there are several, or none."""
    contents = [message.content for message in messages(file)]
    if len(contents) != 1:
        raise Stop(f"{file}: holds {len(contents)} messages; it must hold exactly one")
    return contents[0]


def read(file: Path) -> bytes:
    """A file's bytes. Raises OSError as the file system does; Stop above 256 MiB."""
    if file.stat().st_size > _MOST_FILE_BYTES:
        raise Stop(f"{file}: over {_MOST_FILE_BYTES >> 20} MiB; split it")
    return file.read_bytes()


_Content = tuple[bytes, str | None]
"""A block's content, and why a listener would close the connection for it."""


def _framed(raw: bytes) -> list[_Content]:
    decoder = Decoder(max_content=_MOST_BYTES)
    contents: list[_Content] = []
    for event in decoder.feed(raw):
        contents.append((event.content, None) if isinstance(event, Frame) else (b"", _why(event)))
    return [*contents, (b"", _NO_END)] if decoder.mid_block or not contents else contents


def _bare(file: Path, raw: bytes) -> Sequence[bytes]:
    """The messages of a file without blocks. A batch that cannot be split stays whole and is then refused."""
    try:
        return _parted(file, raw)
    except BatchError:
        return (raw,)


def _parted(file: Path, content: bytes) -> Sequence[bytes]:
    """The messages of a batch; other content is one message. Warnings go to standard error."""
    batch = read_batch(content)
    if batch is None:
        return (content,)
    for remark in batch.remarks:
        print(plain(f"carebell: warning: {file}: {remark}"), file=sys.stderr)
    return batch.messages


def _numbered(file: Path, contents: Sequence[_Content]) -> list[FileMessage]:
    return [
        FileMessage(file=file, number=number, count=len(contents), content=content, fault=fault)
        for number, (content, fault) in enumerate(contents, 1)
    ]


def _why(error: FrameError) -> str:
    return error.why if error.looks_like is None else f"not MLLP: {error.looks_like}"

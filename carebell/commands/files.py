"""Messages from files: bare or framed (MLLP), one, many or an FHS/BHS batch to a file; a folder stands for its files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from carebell.commands.batch import BatchError, read_batch
from carebell.exits import Stop
from journal.lines import plain
from listener.framing import START, TRAILER, Decoder, Frame, FramingError, LooksLike, looks_like

_MOST_BYTES: Final = 16 * 1024 * 1024  # the largest max_message_bytes that a listener can be given
_MOST_FILE_BYTES: Final = 256 * 1024 * 1024  # a day's archive of a large hospital is some 100 MiB
_BETWEEN: Final = b"\r\n\0 "
_NO_END: Final = "the block has no end (0x1C 0x0D)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMessage:
    """One message of a file, as a listener would take it.

    Attributes:
        number: in its file, from 1. count: how many messages the file holds.
        content: without the framing.
        fault: why a listener would close the connection instead; None: it would not.
    """

    file: Path
    number: int
    count: int
    content: bytes = field(repr=False)
    fault: str | None = None

    @property
    def name(self) -> str:
        """`archive.hl7, message 3`; the file's name alone where it holds one message."""
        return str(self.file) if self.count == 1 else f"{self.file}, message {self.number}"

    @property
    def place(self) -> dict[str, str | int]:
        """For a JSON row: the file and, where it holds several, which message."""
        return {"file": str(self.file)} | ({"message": self.number} if self.count > 1 else {})


def message_files(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, a folder replaced by its files (`*.hl7`, `*.mllp`, `*.txt`) in the order of their names."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in (".hl7", ".mllp", ".txt"))
        else:
            yield path


def blocks(file: Path) -> list[FileMessage]:
    """What goes over the wire for a file, block by block: its own blocks as they are, or a block for each bare message.

    A framed file is judged as its bytes are, so a batch in one block stays one. Nothing is read
    behind a block that breaks the framing: a listener closes the connection there.
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
    """Each message of a file, bare, out of its block and its batch. Stop, with the message's number, where one cannot be read."""
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
    """The one message in a file. Stop where there are several, or none."""
    contents = [message.content for message in messages(file)]
    if len(contents) != 1:
        raise Stop(f"{file}: holds {len(contents)} messages; one is wanted")
    return contents[0]


def read(file: Path) -> bytes:
    """A file's bytes. Raises OSError as the file system does; Stop above 256 MiB."""
    if file.stat().st_size > _MOST_FILE_BYTES:
        raise Stop(f"{file}: over {_MOST_FILE_BYTES >> 20} MiB; split it")
    return file.read_bytes()


_Content = tuple[bytes, str | None]
"""A block's content, and why it ends the connection."""


def _framed(raw: bytes) -> list[_Content]:
    decoder = Decoder(max_content=_MOST_BYTES)
    contents: list[_Content] = []
    for event in decoder.feed(raw):
        contents.append((event.content, None) if isinstance(event, Frame) else (b"", _why(event)))
    return [*contents, (b"", _NO_END)] if decoder.mid_block or not contents else contents


def _bare(file: Path, raw: bytes) -> Sequence[bytes]:
    """The messages of a file without blocks; one that cannot be parted is left whole, and refused for it."""
    try:
        return _parted(file, raw)
    except BatchError:
        return (raw,)


def _parted(file: Path, content: bytes) -> Sequence[bytes]:
    """A batch's messages; content that is no batch as its one message. What is odd is said on standard error."""
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


def _why(error: FramingError) -> str:
    return error.why if error.looks_like is None else f"not MLLP: {error.looks_like}"

"""Messages from files: bare or framed, one or several to a file; a folder stands for its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from carebell.exits import Stop
from listener.framing import START, TRAILER, Decoder, Frame, FramingError, LooksLike, looks_like

_MOST_BYTES = 16 * 1024 * 1024  # the largest max_message_bytes that a listener can be given
_BETWEEN = b"\r\n\0 "


def message_files(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, a folder replaced by its files (`*.hl7`, `*.mllp`, `*.txt`) in the order of their names."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in (".hl7", ".mllp", ".txt"))
        else:
            yield path


def contents(file: Path) -> Iterator[bytes | UnreadableFile]:
    """What a listener would make of a file's bytes: each block's content, or why it would close the connection.

    A file without a start block is one bare message, unless it is plainly another protocol.
    """
    raw = read(file)
    padded = raw.lstrip(_BETWEEN)
    foreign = looks_like(padded) not in (LooksLike.HL7, LooksLike.TEXT, LooksLike.BINARY)
    framed = raw if padded.startswith(START) or foreign else START + raw + TRAILER
    decoder = Decoder(max_content=_MOST_BYTES)
    events = list(decoder.feed(framed))
    for event in events:
        if isinstance(event, Frame):
            yield event.content
        else:
            yield UnreadableFile(_why(event))
            return
    if not events:
        yield UnreadableFile("the block has no end (0x1C 0x0D)")


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """Bytes that end a connection: `text` says why."""

    text: str


def _why(error: FramingError) -> str:
    return error.why if error.looks_like is None else f"not MLLP: {error.looks_like}"


def messages(file: Path) -> Iterator[bytes]:
    """Each message of a file, bare. Stop where its framing is broken or a block holds no message."""
    for content in contents(file):
        if isinstance(content, UnreadableFile):
            raise Stop(f"{file}: {content.text}")
        if b"MSH" not in content:
            raise Stop(f"{file}: not an HL7 version 2 message: there is no MSH segment")
        yield content


def one_message(file: Path) -> bytes:
    """The one message in a file. Stop where there are several, or none."""
    found = list(messages(file))
    if len(found) != 1:
        raise Stop(f"{file}: holds {len(found)} messages; one is wanted")
    return found[0]


def read(file: Path) -> bytes:
    """A file's bytes. Raises OSError as the file system does; Stop above 16 MiB."""
    if file.stat().st_size > _MOST_BYTES:
        raise Stop(f"{file}: over 16 MiB, more than any listener accepts")
    return file.read_bytes()

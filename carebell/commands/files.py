"""Messages from files: bare or framed, one or several to a file."""

from __future__ import annotations

from pathlib import Path

from carebell.exits import UsageStop
from listener.framing import Decoder, Frame

_MOST_BYTES = 16 * 1024 * 1024  # the largest max_message_bytes that a listener can be given


def read(file: Path) -> bytes:
    """A file's bytes. Raises OSError as the file system does; UsageStop above 16 MiB."""
    if file.stat().st_size > _MOST_BYTES:
        raise UsageStop(f"{file}: over 16 MiB, more than any listener accepts")
    return file.read_bytes()


def unframed(file: Path) -> bytes:
    """The one message in a file, without MLLP's framing bytes."""
    raw = read(file)
    if b"\x0b" not in raw[:64]:
        return raw
    frames = [event for event in Decoder(max_message_bytes=_MOST_BYTES).feed(raw) if isinstance(event, Frame)]
    if len(frames) != 1:
        raise UsageStop(f"{file}: holds {len(frames)} complete frames; one message is wanted")
    return frames[0].content

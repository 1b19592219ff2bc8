"""What must never be seen outside: every patient's values in the vectors and samples, gathered from the messages themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.story.folder import VECTORS

SAMPLES = VECTORS.parent / "samples"
# PID field -> the components that are the patient's own: ids, names, birth date, address, numbers.
_OWN = {
    2: (0,),
    3: (0,),
    5: (0, 1, 2),
    6: (0,),
    7: (0,),
    11: (0, 1, 2, 3, 4),
    13: (0, 3, 6, 11),
    14: (0, 6),
    18: (0,),
    40: (0,),
}
_NOTES = {b"NTE": 3, b"OBX": 5, b"DG1": 4, b"NK1": 2}
_SHORTEST, _SHORTEST_NUMBER = 4, 7


def messages() -> list[bytes]:
    """Vectors, hostile and sample messages, bare. Those that break a block's framing are left out."""
    folders = [
        *(VECTORS / "messages" / name for name in ("accept", "refuse", "hostile")),
        SAMPLES / "public",
        SAMPLES / "written",
    ]
    found = [file.read_bytes() for folder in folders for file in sorted(folder.glob("*.hl7"))]
    return [content for content in found if content.startswith(b"MSH") and not re.search(rb"[\x0b\x1c]", content)]


def addressed(content: bytes, control_id: str, sent: str) -> bytes:
    """The message as a sender of ours would head it, so that it gets past the binding; its patient untouched, ZSG taken off."""
    segments = [line for line in content.replace(b"\r\n", b"\r").replace(b"\n", b"\r").split(b"\r") if line]
    fields = segments[0].split(segments[0][3:4])
    fields += [b""] * (12 - len(fields))
    fields[2:7] = [b"EPIC", b"LAMNA", b"APPTSMS", b"LAMNA", sent.encode()]
    fields[9:12] = [control_id.encode(), b"P", fields[11] or b"2.5.1"]
    rest = [line for line in segments[1:] if not line.startswith((b"ZSG", b"MSH"))]
    return b"\r".join([b"|".join(fields), *rest]) + b"\r"


def canaries(contents: list[bytes]) -> set[bytes]:
    """Every value of a patient in these messages that is long enough not to turn up by chance."""
    found = set(_values(contents))
    for value in list(found):
        if re.fullmatch(rb"[0-9 ()+.x-]{7,}", value):
            digits = re.sub(rb"\D", b"", value)
            found |= {digits, digits[-7:]}
    return {value for value in found if len(value) >= (_SHORTEST_NUMBER if value.isdigit() else _SHORTEST)}


def _values(contents: list[bytes]) -> Iterator[bytes]:
    for content in contents:
        for segment in re.split(rb"[\r\n]+", content):
            fields = segment.split(b"|")
            if fields[0] == b"PID":
                yield from _of_patient(fields)
            elif (place := _NOTES.get(fields[0])) is not None and len(fields) > place:
                yield from fields[place].split(b"^")


def _of_patient(fields: list[bytes]) -> Iterator[bytes]:
    for number, components in _OWN.items():
        for repetition in fields[number].split(b"~") if len(fields) > number else ():
            parts = repetition.split(b"^")
            for index in components:
                if index < len(parts):
                    yield from (part.strip() for part in parts[index].split(b"&"))
            if number in (13, 14, 40) and len(parts) > 6:
                yield parts[5] + parts[6]

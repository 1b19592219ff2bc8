"""A disk that drops what was not synced: `disk.c` under a program, and what a power cut would have left of its files.

    disk = Disk(tmp_path)                         # NoDisk where no C compiler is present
    subprocess.run(..., env=disk.environment())   # whatever it does in disk.folder is noted, in order
    for moment in power_cuts(disk.notes(), at=[...], rng=rng): ...

What survives: a file's content as of its last completed sync, and of the later writes any part - disks reorder, and tear a
write at its 512-byte sectors. A name survives (or is gone) from the folder's next sync on. This is stricter than ext4, and
is what POSIX promises.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

_HEAD: Final = struct.Struct("=c3xIIIQ")
_SECTOR: Final = 512


class NoDisk(Exception):
    """The layer cannot be built here; the text says why."""


class Note(NamedTuple):
    """One change: `op` is a letter of disk.c, `name` relative to the folder."""

    op: str
    name: str
    offset: int
    data: bytes


class Disk:
    """A folder on the layer, and its notes. Nothing is intercepted in this process, only in those started with `environment`."""

    def __init__(self, place: Path) -> None:
        self._layer = _built(place)
        self.folder = place / "disk"
        self.folder.mkdir()
        self.faults = place / "faults"
        self.faults.mkdir()
        self._log = place / "disk.log"

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Variables for a program that shall run on the layer."""
        own = {"LD_PRELOAD": self._layer, "CAREBELL_DISK_FOLDER": self.folder, "CAREBELL_DISK_LOG": self._log}
        return {**base, **{name: str(path) for name, path in own.items()}, "CAREBELL_DISK_FAULTS": str(self.faults)}

    def fail(self, how: str) -> None:
        """From now on: `full` (no space for any write) or `eio` (every sync fails)."""
        (self.faults / how).touch()

    def heal(self, how: str) -> None:
        (self.faults / how).unlink()

    def notes(self) -> list[Note]:
        """Everything done so far. A note cut short by a kill is left out: its call never returned."""
        raw, at, found = self._log.read_bytes(), 0, []
        while at + _HEAD.size <= len(raw):
            op, path_length, data_length, _, offset = _HEAD.unpack_from(raw, at)
            at += _HEAD.size
            end = at + path_length + data_length
            if end > len(raw):
                break
            name = raw[at : at + path_length].decode()
            found.append(Note(op.decode(), name, offset, raw[at + path_length : end]))
            at = end
        return found


def _built(place: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoDisk("no C compiler to build the disk layer with")
    layer = place / "disk.so"
    source = Path(__file__).with_name("disk.c")
    made = subprocess.run(
        [compiler, "-std=gnu11", "-O2", "-shared", "-fPIC", "-pthread", source, "-o", layer, "-ldl"],
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        raise NoDisk(f"the disk layer does not compile here: {made.stderr.strip().splitlines()[-1]}")
    return layer


@dataclass(slots=True)
class _File:
    """One file: what is on the disk for certain, and what was written since."""

    synced: bytearray = field(default_factory=bytearray)
    unsynced: list[Note] = field(default_factory=list)

    def sync(self) -> None:
        for note in self.unsynced:
            _apply(self.synced, note)
        self.unsynced.clear()

    def left(self, rng: random.Random, share: float) -> bytes:
        """What a cut leaves: each unsynced sector is kept with probability `share`."""
        content = bytearray(self.synced)
        for note in self.unsynced:
            if note.op == "T":
                if rng.random() < share:
                    _apply(content, note)
                continue
            first = note.offset // _SECTOR * _SECTOR
            for sector in range(first, note.offset + len(note.data), _SECTOR):
                if rng.random() < share:
                    begins, ends = max(sector, note.offset), min(sector + _SECTOR, note.offset + len(note.data))
                    part = note.data[begins - note.offset : ends - note.offset]
                    _apply(content, Note("W", note.name, begins, part))
        return bytes(content)


def _apply(content: bytearray, note: Note) -> None:
    end = note.offset + len(note.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if note.op == "T":
        del content[note.offset :]
    else:
        content[note.offset : end] = note.data


class Cut(NamedTuple):
    """The power went after `at` notes; `files`: name -> content found when it comes back."""

    at: int
    files: Mapping[str, bytes]


def power_cuts(notes: Sequence[Note], *, at: Sequence[int], rng: random.Random) -> Iterator[Cut]:
    """The state after each of these cuts, in rising order; between none and all of what was not synced survives each."""
    names: dict[str, _File] = {}
    on_disk: dict[str, _File] = {}
    done = 0
    for moment in sorted(at):
        for note in notes[done:moment]:
            _advance(note, names, on_disk)
        done = moment
        share = rng.choice([0.0, 0.0, rng.random(), 1.0])
        left = {name: file.left(rng, share) for name, file in on_disk.items() if not name.endswith("-shm")}
        yield Cut(moment, left)


def _advance(note: Note, names: dict[str, _File], on_disk: dict[str, _File]) -> None:
    match note.op:
        case "C":
            names[note.name] = _File()
        case "U":
            names.pop(note.name, None)
        case "W" | "T":
            names.setdefault(note.name, _File()).unsynced.append(note)
        case "S":
            names.setdefault(note.name, _File()).sync()
        case "D":
            on_disk.clear()
            on_disk.update(names)
        case "E":
            pass  # the sync failed: nothing became certain
        case _:
            raise ValueError(f"disk.c notes {note.op!r}, which nobody reads")

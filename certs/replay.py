"""Has this message been here before? (signing.md, section 8); pure.

Remembered is (environment, MSH-3, MSH-4, MSH-10) -> SHA-256 of P and the answer. The same bytes get the same answer and
no second effect; other bytes under a used MSH-10 are refused, or let through where an engine is known to reuse ids. The
service's memory is a table (`store.inbound`); `ReplayMemory` serves `carebell verify` and tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

from certs.message import VerifiedMessage

Answer = TypeVar("Answer")


class ReplayKey(NamedTuple):
    """Who sent which message; raw bytes of the header."""

    environment: str
    sending_application: bytes
    sending_facility: bytes
    control_id: bytes


@dataclass(frozen=True, slots=True)
class Fresh:
    """Not seen before, or let through by `reuse_of_control_id: warn` (`reused`)."""

    reused: bool = False


@dataclass(frozen=True, slots=True)
class Repeat(Generic[Answer]):
    """The same bytes again: give the stored answer."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Reused:
    """Other bytes under a used control id: SIG10."""


def key_of(message: VerifiedMessage) -> ReplayKey:
    msh = message.msh
    return ReplayKey(message.environment, msh.sending_application, msh.sending_facility, msh.control_id)


def judge(
    known: tuple[bytes, Answer] | None, digest: bytes, reuse: Literal["refuse", "warn"]
) -> Fresh | Repeat[Answer] | Reused:
    """What a message is, given the (digest, answer) remembered under its key."""
    if known is None:
        return Fresh()
    if known[0] == digest:
        return Repeat(known[1])
    return Fresh(reused=True) if reuse == "warn" else Reused()


class ReplayMemory(Generic[Answer]):
    """A memory that lasts as long as its process and forgets nothing."""

    def __init__(self) -> None:
        self._known: dict[ReplayKey, tuple[bytes, Answer]] = {}

    def look(self, message: VerifiedMessage, *, reuse: Literal["refuse", "warn"]) -> Fresh | Repeat[Answer] | Reused:
        return judge(self._known.get(key_of(message)), message.digest, reuse)

    def keep(self, message: VerifiedMessage, answer: Answer) -> None:
        self._known[key_of(message)] = (message.digest, answer)

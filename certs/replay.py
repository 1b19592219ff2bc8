"""Replay memory: whether a message came before, and what it was answered (signing profile, section 8).

Pure. The memory itself lives in the database, beside what the message did, so that both are committed together; here is the
decision, and a memory for one run of `carebell verify` and for tests. Remember a key for the freshness window and both
clocks' difference: what comes later is stale anyway.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeAlias, TypeVar

from certs.message import VerifiedMessage

A = TypeVar("A")
Reuse: TypeAlias = Literal["refuse", "warn"]


class ReplayKey(NamedTuple):
    """Identifies a message: the environment, and MSH-3, MSH-4, MSH-10 with their bytes as Latin-1 text (one to one)."""

    environment: str
    msh3: str
    msh4: str
    msh10: str

    @classmethod
    def of(cls, message: VerifiedMessage) -> ReplayKey:
        msh = message.msh
        parts = (msh.sending_application, msh.sending_facility, msh.control_id)
        return cls(message.environment, *(part.decode("latin-1") for part in parts))


@dataclass(frozen=True, slots=True)
class Record(Generic[A]):
    """The memory of a message: SHA-256 of P, and the answer that was given."""

    digest: bytes
    answer: A


@dataclass(frozen=True, slots=True)
class Fresh:
    """A message to be processed.

    Attributes:
        reused: the control id was used for another message before, and the configuration permits this: log it.
    """

    reused: bool = False


@dataclass(frozen=True, slots=True)
class Repeat(Generic[A]):
    """The same bytes again: the same answer again, and no second effect."""

    answer: A


@dataclass(frozen=True, slots=True)
class Reused:
    """Other bytes under a known control id: SIG10, 205."""


def decide(remembered: Collection[Record[A]], digest: bytes, reuse: Reuse) -> Fresh | Repeat[A] | Reused:
    """Decide what to do with a message, given all records under its key.

    Args:
        digest: SHA-256 of P.
        reuse: the environment's `reuse_of_control_id`; some engines use an appointment id as MSH-10.
    """
    if not remembered:
        return Fresh()
    for memory in remembered:
        if hmac.compare_digest(memory.digest, digest):
            return Repeat(memory.answer)
    return Fresh(reused=True) if reuse == "warn" else Reused()


class ReplayMemory(Generic[A]):
    """A replay memory of this process; it ends with the process."""

    def __init__(self) -> None:
        self._records: dict[ReplayKey, list[Record[A]]] = {}

    def look(self, message: VerifiedMessage, *, reuse: Reuse) -> Fresh | Repeat[A] | Reused:
        """Decide what to do with `message`, without remembering it."""
        return decide(self._records.get(ReplayKey.of(message), ()), message.digest, reuse)

    def keep(self, message: VerifiedMessage, answer: A) -> None:
        """Remember the answer, beside those of other bytes under the same key."""
        self._records.setdefault(ReplayKey.of(message), []).append(Record(message.digest, answer))

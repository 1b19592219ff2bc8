"""Day keys: every sealed value can be opened until its appointment's day is over, and by nobody after it.

One random key per UTC day of the deadline (`Appointment` start), stored wrapped by a master key of the ring. When the day
is over its row is deleted: ciphertexts in backups, in the write-ahead log and in PostgreSQL's dead tuples become noise.
The database is the truth. A key is used only if its row was seen in this transaction or it was cached from one that
committed, and never after its day.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, select, update

from store.crypto import Undecipherable, day_of
from store.keys import KeyFault, KeyRing
from store.prepared import Prepared, any_of, list_value
from store.tables import day_keys
from store.upsert import insert_into

_NONCE_BYTES = 12


@dataclass(slots=True)
class Vault:
    """The key ring in use. Thread-safe: entries are only added and removed whole.

    Attributes:
        ring: replace it after `rotate_key_file`.
        reread: reads the key file again, once for each master key that the ring does not know: somebody rotated the keys while
            this process ran. None: what the ring does not know is unreadable.
        random: 32 bytes for a new day's key.
    """

    ring: KeyRing
    random: Callable[[int], bytes] = secrets.token_bytes
    reread: Callable[[], KeyRing] | None = None
    _opened: dict[bytes, AESGCM] = field(default_factory=dict, repr=False)

    def keys_for(
        self, conn: Connection, days: Iterable[int], *, create: bool, unreadable: set[int] | None = None
    ) -> dict[int, AESGCM]:
        """The keys of these days, read in this transaction; with `create` missing ones are made in it.

        Without `create` a day whose key was destroyed (or never made) is absent from the answer.

        Args:
            unreadable: days whose key is there and does not open are noted in it; None: the first one raises Unreadable.
        """
        wanted = set(days)
        if not wanted:
            return {}
        found = self._read(conn, wanted, unreadable)
        missing = wanted - found.keys() if create else set()
        if missing:
            rows = [{"day": day, "wrapped": self._wrap(day, self.random(32))} for day in sorted(missing)]
            # Another node may have made the same day's key a moment ago: the first one stays and both use it.
            conn.execute(insert_into(conn, day_keys).on_conflict_do_nothing(), rows)
            found |= self._read(conn, missing, unreadable)
        return found

    def destroy_before(self, conn: Connection, now: datetime) -> int:
        """Delete the keys of every day that is over; how many. What they sealed is unreadable from the commit on."""
        gone = conn.execute(delete(day_keys).where(day_keys.c.day < day_of(now))).rowcount
        self._opened.clear()
        return gone

    def rewrap(self, conn: Connection) -> int:
        """Wrap every day key under the ring's current master key; how many were moved. Sealed values stay as they are."""
        moved = 0
        for day, wrapped in conn.execute(select(day_keys.c.day, day_keys.c.wrapped).with_for_update()).all():
            if _master_number(wrapped) != self.ring.current:
                fresh = self._wrap(day, self._unwrap(day, wrapped))
                conn.execute(update(day_keys).where(day_keys.c.day == day).values(wrapped=fresh))
                moved += 1
        return moved

    def _read(self, conn: Connection, days: set[int], unreadable: set[int] | None) -> dict[int, AESGCM]:
        found = {}
        for day, wrapped in _KEYS.fetch(conn, (list_value(conn, sorted(days)),)):
            try:
                found[day] = self._open(day, wrapped)
            except Undecipherable:
                if unreadable is None:
                    raise
                unreadable.add(day)
        return found

    def _open(self, day: int, wrapped: bytes) -> AESGCM:
        """Cached by the wrapped bytes, so that a key made in a transaction that rolled back is never mistaken."""
        key = self._opened.get(wrapped)
        if key is None:
            key = self._opened[wrapped] = AESGCM(self._unwrap(day, wrapped))
        return key

    def _wrap(self, day: int, key: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        number = self.ring.current
        master = AESGCM(self.ring.masters[number])
        return number.to_bytes(4, "big") + nonce + master.encrypt(nonce, key, f"day {day}".encode())

    def _unwrap(self, day: int, wrapped: bytes) -> bytes:
        master = self.ring.masters.get(_master_number(wrapped))
        if master is None and self.reread is not None:
            with suppress(KeyFault):  # the file is being replaced, or somebody shut it: this key stays unknown for now
                self.ring = self.reread()
            master = self.ring.masters.get(_master_number(wrapped))
        if master is None:
            raise Undecipherable("day_keys.wrapped")
        try:
            return AESGCM(master).decrypt(wrapped[4:16], wrapped[16:], f"day {day}".encode())
        except InvalidTag:
            raise Undecipherable("day_keys.wrapped") from None


def _master_number(wrapped: bytes) -> int:
    return int.from_bytes(wrapped[:4], "big")


_KEYS = Prepared(
    lambda dialect: select(day_keys.c.day, day_keys.c.wrapped).where(any_of(dialect, day_keys.c.day, "days")), ("days",)
)

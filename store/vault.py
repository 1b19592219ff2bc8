"""Day keys: every sealed value can be opened until its appointment's day is over, and by nobody after it.

One random key per UTC day of the deadline (`Appointment` start), stored wrapped by a master key of the ring. When the day
is over its row is deleted: ciphertexts in backups, in the write-ahead log and in PostgreSQL's dead tuples become noise.
The database is the truth. A key is used only if its row was seen in this transaction or it was cached from one that
committed, and never after its day. Which master key is current stands in the database too (`meta`), so that no process
wraps a new day's key under one that a rotation has taken out of the file (`rotation`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, select, text, update

from store.crypto import Undecipherable, day_of
from store.keys import KeyFault, KeyRing
from store.prepared import Prepared, any_of, list_value
from store.tables import day_keys, meta
from store.upsert import insert_into

_NONCE_BYTES = 12
_CURRENT_MASTER = "master_key"
"""The row of `meta` with the number of the master key that the last rotation made."""
_KEY_FILE = "key_file"
"""The row of `meta` with the mark of the key file that this database belongs to."""


@dataclass(slots=True)
class Vault:
    """The key ring in use. Thread-safe: entries are only added and removed whole.

    Attributes:
        ring: the key file's content when it was read last.
        reread: reads the key file again, where a day key does not open with the ring: somebody rotated the keys while this
            process ran, or put the right file in its place. None: what the ring does not open is unreadable.
        random: 32 bytes for a new day's key.
    """

    ring: KeyRing
    random: Callable[[int], bytes] = secrets.token_bytes
    reread: Callable[[], KeyRing] | None = None
    _opened: dict[int, tuple[bytes, AESGCM]] = field(default_factory=dict, repr=False)  # day -> wrapped, and opened

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
        keys = self._read(conn, wanted, unreadable)
        missing = wanted - keys.keys() if create else set()
        if missing:
            self._use_current_master(conn)
            self._require_own(conn)
            rows = [{"day": day, "wrapped": self._wrap(day, self.random(32))} for day in sorted(missing)]
            # Another node may have made the same day's key a moment ago: the first one stays and both use it.
            conn.execute(insert_into(conn, day_keys).on_conflict_do_nothing(), rows)
            keys |= self._read(conn, missing, unreadable)
        return keys

    def destroy_before(self, conn: Connection, now: datetime) -> int:
        """Delete the keys of every day that is over; how many. What they sealed is unreadable from the commit on."""
        gone = conn.execute(delete(day_keys).where(day_keys.c.day < day_of(now))).rowcount
        self._opened.clear()
        return gone

    def close_before(self, now: datetime) -> None:
        """Keep no key in memory whose day is over: another process may have destroyed it in the database."""
        today = day_of(now)
        for day in tuple(self._opened):
            if day < today:
                self._opened.pop(day, None)

    def rewrap(self, conn: Connection) -> tuple[int, int]:
        """Wrap every day key under the ring's current master key: (how many were moved, how many do not open).

        No day's key is made by anybody else until the commit. Sealed values stay as they are.
        """
        _lock(conn, "SHARE ROW EXCLUSIVE")
        moved = unreadable = 0
        for day, wrapped in _wrapped_keys(conn):
            if _master_number(wrapped) == self.ring.current:
                continue
            try:
                fresh = self._wrap(day, self._unwrap(day, wrapped))
            except Undecipherable:
                unreadable += 1
            else:
                conn.execute(update(day_keys).where(day_keys.c.day == day).values(wrapped=fresh))
                moved += 1
        row = {"name": _CURRENT_MASTER, "value": str(self.ring.current)}
        changed = {"value": row["value"]}
        conn.execute(insert_into(conn, meta).values(row).on_conflict_do_update(index_elements=["name"], set_=changed))
        return moved, unreadable

    def unreadable_days(self, conn: Connection) -> list[int]:
        """The days whose key is there and opens with no master key of the file."""
        days = []
        for day, wrapped in _wrapped_keys(conn):
            try:
                self._unwrap(day, wrapped)
            except Undecipherable:
                days.append(day)
        return days

    def claim(self, conn: Connection) -> bool:
        """Note once for all that this database is this key file's; False where it is another's.

        A database without the note (nobody served it before) is another's if day keys name the ring's master key and it opens
        none of them.
        """
        if self._owner(conn) is None and self._opens_any(conn):
            self.own(conn)
        return self._owner(conn) == self.ring.mark()

    def is_known_foreign(self, conn: Connection) -> bool:
        """Whether the database was claimed with another key file."""
        return self._owner(conn) not in (None, self.ring.mark())

    def own(self, conn: Connection) -> None:
        """Make the database this key file's, whosever it was."""
        row = {"name": _KEY_FILE, "value": self.ring.mark()}
        conn.execute(
            insert_into(conn, meta)
            .values(row)
            .on_conflict_do_update(index_elements=["name"], set_={"value": row["value"]})
        )

    def _owner(self, conn: Connection) -> str | None:
        return conn.execute(select(meta.c.value).where(meta.c.name == _KEY_FILE)).scalar_one_or_none()

    def _opens_any(self, conn: Connection) -> bool:
        """Whether a day key opens, or none of them names a master key of the ring: then nothing speaks against the ring."""
        named = False
        for day, wrapped in _wrapped_keys(conn):
            if _master_number(wrapped) in self.ring.masters:
                if _unwrapped(self.ring, day, wrapped) is not None:
                    return True
                named = True
        return not named

    def _require_own(self, conn: Connection) -> None:
        """Undecipherable where the key file is another database's: what it seals would be lost with the right file back."""
        if self.is_known_foreign(conn):
            self._read_file_again()
            if self.is_known_foreign(conn):
                raise Undecipherable("day_keys.wrapped")

    def _use_current_master(self, conn: Connection) -> None:
        """Read the key file again if keys were rotated since. Undecipherable where the file here does not have the new one."""
        _lock(conn, "ROW EXCLUSIVE")  # a rotation is over before this, or waits for the commit
        written = conn.execute(select(meta.c.value).where(meta.c.name == _CURRENT_MASTER)).scalar_one_or_none()
        if written is None or int(written) <= self.ring.current:
            return
        self._read_file_again()
        if int(written) > self.ring.current:
            raise Undecipherable("day_keys.wrapped")

    def _read_file_again(self) -> None:
        if self.reread is not None:
            with suppress(KeyFault):  # the file is being replaced, or somebody shut it: what is new in it stays unknown
                self.ring = self.reread()

    def _read(self, conn: Connection, days: set[int], unreadable: set[int] | None) -> dict[int, AESGCM]:
        keys = {}
        for day, wrapped in _KEYS.fetch(conn, (list_value(conn, sorted(days)),)):
            try:
                keys[day] = self._open(day, wrapped)
            except Undecipherable:
                if unreadable is None:
                    raise
                unreadable.add(day)
        return keys

    def _open(self, day: int, wrapped: bytes) -> AESGCM:
        """Cached by the wrapped bytes, so that a key made in a transaction that rolled back is never mistaken."""
        known = self._opened.get(day)
        if known is None or known[0] != wrapped:
            known = self._opened[day] = wrapped, AESGCM(self._unwrap(day, wrapped))
        return known[1]

    def _wrap(self, day: int, key: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        number = self.ring.current
        master = AESGCM(self.ring.masters[number])
        return number.to_bytes(4, "big") + nonce + master.encrypt(nonce, key, f"day {day}".encode())

    def _unwrap(self, day: int, wrapped: bytes) -> bytes:
        key = _unwrapped(self.ring, day, wrapped)
        if key is None:  # the keys were rotated, or the right file was put in the place of a wrong one
            self._read_file_again()
            key = _unwrapped(self.ring, day, wrapped)
        if key is None:
            raise Undecipherable("day_keys.wrapped")
        return key


def _wrapped_keys(conn: Connection) -> list[tuple[int, bytes]]:
    """Every day with its wrapped key, by day. As tuples: a compiled loop takes no SQLAlchemy row for one."""
    wanted = select(day_keys.c.day, day_keys.c.wrapped).order_by(day_keys.c.day)
    return [(row["day"], row["wrapped"]) for row in conn.execute(wanted).mappings()]


def _lock(conn: Connection, mode: str) -> None:
    """Keep the day keys for this transaction, on PostgreSQL; SQLite's writing transactions follow one another anyway."""
    if conn.dialect.name == "postgresql":
        conn.execute(text(f"LOCK TABLE day_keys IN {mode} MODE"))


def _unwrapped(ring: KeyRing, day: int, wrapped: bytes) -> bytes | None:
    """The day's key; None if the ring has not the master key that wrapped it, or another one of its number."""
    master = ring.masters.get(_master_number(wrapped))
    if master is None:
        return None
    try:
        return AESGCM(master).decrypt(wrapped[4:16], wrapped[16:], f"day {day}".encode())
    except InvalidTag:
        return None


def _master_number(wrapped: bytes) -> int:
    return int.from_bytes(wrapped[:4], "big")


_KEYS = Prepared(
    lambda dialect: select(day_keys.c.day, day_keys.c.wrapped).where(any_of(dialect, day_keys.c.day, "days")), ("days",)
)

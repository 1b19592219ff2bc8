"""Rotating the master key: afterwards the key file opens no copy of the database from before (docs/decisions/0006).

In three steps; a crash between two of them loses nothing, and the next rotation ends what it left:

1. the file gets a new master key beside the old one, which makes the new one current (`keys.add_master_key`);
2. one transaction wraps every day key under the new one and notes its number (`Vault.rewrap`). Whoever makes a day's key
   looks at that number first: a service that still has the old ring in memory reads the file again, before and not after;
3. the old master key is taken out of the file (`keys.drop_old_master_keys`). Nothing needs it any more.

One rotation at a time: a second one could drop the key under which the first one wraps.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from store import audit
from store.audit import AuditAction, Author
from store.engine import Store
from store.keys import KeyFault, add_master_key, drop_old_master_keys
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation did.

    Attributes:
        key: the number of the new master key.
        moved: day keys that are wrapped under it now.
        unreadable: day keys that open with no key of the file, and stay as they are (`forgetting.give_up_unreadable`).
    """

    key: int
    moved: int
    unreadable: int


def rotate(store: Store, vault: Vault, key_file: Path, *, author: Author, now: datetime) -> Rotation:
    """Make a new master key, move every day key to it, and take the old one out of `key_file`.

    KeyFault: the file cannot be used or replaced, or another rotation is at work; the database is as it was.
    """
    with _alone(key_file):
        vault.ring = add_master_key(key_file)
        with store.write() as conn:
            moved, unreadable = vault.rewrap(conn)
            audit.append(conn, author, AuditAction.KEYS_ROTATE, subject=f"key {vault.ring.current}", at=now)
        vault.ring = drop_old_master_keys(key_file)
    return Rotation(key=vault.ring.current, moved=moved, unreadable=unreadable)


@contextlib.contextmanager
def _alone(key_file: Path) -> Iterator[None]:
    """Hold the lock beside the key file. The kernel frees it when the process ends, however it ends."""
    lock = key_file.with_name(f".{key_file.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KeyFault("KEY_FILE_UNREADABLE", f"{lock} cannot be opened: {error.strerror}.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise KeyFault(
            "KEY_FILE_BUSY", f"another `carebell keys rotate` is at work on {key_file}; try again later."
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)

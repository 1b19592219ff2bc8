"""Sealed values of the portal: second factors, proposals, sign-ins under way. Encrypted as a patient's values are (`crypto`).

A value that ends at a known time is sealed with the key of that day, which is destroyed when the day is over (`vault`). One that
is kept as long as its row, such as a second factor, is sealed with the key of `KEPT`, a day that never comes: it is wrapped, moved
by a rotation and missed like any other key, and never destroyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection

from store.crypto import CellLocation, day_of, seal, sealed_day, unseal
from store.vault import Vault

KEPT: Final = 2**31 - 1
"""The largest day that a PostgreSQL integer and a sealed value can name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedColumn:
    """Where a value belongs: what is copied to another row or column does not open there."""

    table: str
    column: str

    def seal(self, conn: Connection, vault: Vault, row: str, plain: bytes, *, until: datetime | None = None) -> bytes:
        """Encrypt. Needs a writing transaction, because the day's key may have to be made.

        Args:
            row: the row's id.
            until: the day after which nobody can open it; None: it is kept.
        """
        day = KEPT if until is None else day_of(until)
        key = vault.keys_for(conn, {day}, create=True)[day]
        return seal(key, day, self._place(row), self.column, plain)

    def seal_with(self, keys: Mapping[int, AESGCM], row: str, plain: bytes, *, until: datetime) -> bytes:
        """As `seal`, with keys that were asked for at once for several rows (`Vault.keys_for`)."""
        day = day_of(until)
        return seal(keys[day], day, self._place(row), self.column, plain)

    def unseal(self, conn: Connection, vault: Vault, row: str, sealed: bytes) -> bytes | None:
        """Decrypt; None: its day is over and the key destroyed. Undecipherable as `crypto.unseal`."""
        day = sealed_day(sealed)
        key = vault.keys_for(conn, {day}, create=False).get(day)
        return None if key is None else unseal(key, self._place(row), self.column, sealed)

    def _place(self, row: str) -> CellLocation:
        # Environments have names: no appointment's place is like this.
        return CellLocation(environment="", appointment=f"{self.table} {row}")

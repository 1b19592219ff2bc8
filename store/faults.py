"""The faults of the database as Carebell's codes: who must act, and what to do.

    StoreFault
     +- STORE_UNREADABLE  the file or its folder cannot be opened          a person must act
     +- STORE_NOT_OURS    the file is not a database                       a person must act
     +- STORE_UNSAFE      the server may lose what it acknowledged         a person must act
     +- STORE_VERSION     server or library too old                        a person must act
     +- STORE_SCHEMA      not migrated to this version, or to a newer one  run `carebell db upgrade`
     +- STORE_FULL        no room on the disk                              transient: resumes when freed
     +- STORE_LOCKED      another process holds the lock, or a deadlock    transient
     +- STORE_DOWN        the server does not answer                       transient
     +- STORE_IO          a write or fsync failed: what is on disk is not known; the process must end

Sources: SQLite result codes (sqlite.org/rescode.html), PostgreSQL's appendix A (SQLSTATE).
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

SENTENCES: Final = {
    "STORE_UNREADABLE": "The database cannot be opened or written: check the file's and the folder's owner and mode.",
    "STORE_NOT_OURS": "The database file is not a SQLite database, or it is damaged: restore it from a backup.",
    "STORE_FULL": "The disk of the database is full: free some space; Carebell then continues by itself.",
    "STORE_LOCKED": "Another process holds the database's lock: Carebell tries again by itself.",
    "STORE_DOWN": "The database server does not answer: Carebell tries again by itself.",
    "STORE_IO": "The disk failed while writing the database: its content is not known, so Carebell stops.",
}
_TRANSIENT: Final = frozenset({"STORE_FULL", "STORE_LOCKED", "STORE_DOWN"})
_SQLITE: Final = {
    3: "STORE_UNREADABLE",  # SQLITE_PERM
    5: "STORE_LOCKED",  # BUSY
    6: "STORE_LOCKED",  # LOCKED
    8: "STORE_UNREADABLE",  # READONLY
    10: "STORE_IO",  # IOERR, with fsync among its extended codes
    11: "STORE_NOT_OURS",  # CORRUPT
    13: "STORE_FULL",  # FULL
    14: "STORE_UNREADABLE",  # CANTOPEN
    26: "STORE_NOT_OURS",  # NOTADB
}
_SQLSTATE: Final = {
    "40001": "STORE_LOCKED",  # serialization_failure
    "40P01": "STORE_LOCKED",  # deadlock_detected
    "55P03": "STORE_LOCKED",  # lock_not_available
    "25006": "STORE_DOWN",  # read_only_sql_transaction: a standby, during a failover
    "53100": "STORE_FULL",  # disk_full
    "58030": "STORE_DOWN",  # io_error on the server: it did not commit, and reports it
}
_SQLSTATE_CLASSES: Final = {"08": "STORE_DOWN", "53": "STORE_DOWN", "57": "STORE_DOWN"}


class StoreFault(Exception):
    """The database cannot be used. The error holds no content of a statement or row.

    Attributes:
        code: stable, from the list in this module's docstring.
    """

    def __init__(self, code: str, sentence: str | None = None) -> None:
        super().__init__(sentence or SENTENCES[code])
        self.code = code

    @property
    def transient(self) -> bool:
        """Whether the same work may succeed later without a person."""
        return self.code in _TRANSIENT


def classify(fault: BaseException) -> StoreFault | None:
    """The fault that caused a driver's exception; None: the cause is the statement or its values, not the database's state."""
    if isinstance(fault, StoreFault):
        return fault
    if isinstance(fault, PoolTimeout):
        return StoreFault("STORE_LOCKED")
    cause = fault.orig if isinstance(fault, DBAPIError) else fault
    code = _sqlite_code(cause) if isinstance(cause, sqlite3.Error) else _postgresql_code(fault, cause)
    return None if code is None else StoreFault(code)


def is_transient(fault: BaseException) -> bool:
    """Whether nothing was stored and the same work may be tried again."""
    cause = classify(fault)
    return cause is not None and cause.transient


def is_fatal(fault: BaseException) -> bool:
    """Whether the disk's content is no longer known: then stop and acknowledge nothing more."""
    cause = classify(fault)
    return cause is not None and cause.code in ("STORE_IO", "STORE_NOT_OURS")


def _sqlite_code(cause: sqlite3.Error) -> str | None:
    number = getattr(cause, "sqlite_errorcode", None)
    return None if number is None else _SQLITE.get(number & 0xFF)


def _postgresql_code(fault: BaseException, cause: BaseException | None) -> str | None:
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return _SQLSTATE.get(state) or _SQLSTATE_CLASSES.get(state[:2])
    # libpq without a SQLSTATE: the connection could not be made or was lost
    lost = isinstance(fault, DBAPIError) and (
        fault.connection_invalidated or type(fault).__name__ == "OperationalError"
    )
    return "STORE_DOWN" if lost else None

"""Every configuration that took effect, or that a command or the portal wrote: its version, its author, its text and its values.

What people see has no secrets. The text as it was, which may hold telephone numbers, is kept beside it, sealed with the key of the
day that is `KEEP_TEXT` later: when that day is over nobody can read it any more, in no backup either. Rows are only added.

A report names the version that planned a text; here it is found again. The same version stands here twice if it was left and came
back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from store.crypto import Undecipherable
from store.instants import to_microseconds
from store.sealing import SealedColumn
from store.tables import config_versions
from store.vault import Vault

KEEP_TEXT: Final = timedelta(days=400)
_TEXT: Final = SealedColumn(table="config_versions", column="sealed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigVersion:
    """Attributes:
    seq: 1, 2, 3 ... in the order of taking effect.
    version: 12 hexadecimal digits. base: the version before it; None: it is the first.
    at: when it took effect, UTC.
    actor, origin: who, and from where, as `store.audit.Author`.
    source: `file`: the file was edited; `command`: `config set` or `config restore` wrote it; `portal`: a page did.
    comment: of the person who changed it; None: none.
    text: of the file, without secrets; None: it had changed again before it was read.
    content: the values, texts and field maps in JSON, without secrets.
    secrets: JSON: key -> keyed hash of its value, so that a change is seen.
    certificates: JSON: environment -> thumbprints of its senders' certificates.
    sealed: `text` as it was (`text_of`); None: not kept, or forgotten.
    mark: keyed hash of the text as it was, byte for byte; None: not known.
    base_mark: `mark` of the text that was replaced, where a command or the portal wrote it.
    """

    seq: int = 0
    version: str
    base: str | None
    at: datetime
    actor: str
    origin: str
    source: str
    comment: str | None = None
    text: str | None = field(repr=False)
    content: str = field(repr=False)
    secrets: str = field(repr=False)
    certificates: str
    sealed: bytes | None = field(default=None, repr=False)
    mark: str | None = field(default=None, repr=False)
    base_mark: str | None = field(default=None, repr=False)


def seal_text(conn: Connection, vault: Vault, version: str, at: datetime, content: bytes) -> bytes:
    """Encrypt a file's content, for `ConfigVersion.sealed`. Before `store.audit.lock`: the day's key may have to be made."""
    return _TEXT.seal(conn, vault, _row(version, at), content, until=at + KEEP_TEXT)


def text_of(conn: Connection, vault: Vault, version: ConfigVersion) -> bytes | None:
    """The file's content as it was; None: it was not kept, its time is over, or its key is not in this key file."""
    if version.sealed is None:
        return None
    try:
        return _TEXT.unseal(conn, vault, _row(version.version, version.at), version.sealed)
    except Undecipherable:
        return None


def _row(version: str, at: datetime) -> str:
    return f"{version} {to_microseconds(at)}"


def successor(conn: Connection, mark: str) -> int | None:
    """The `seq` of the newest version, if it was made from the text with this mark, by commands or the portal alone, step by step.

    None: that text is the newest; or somebody edited a file by hand since, so that nobody knows what is wanted where it stands.
    """
    of = config_versions.c
    rows = conn.execute(select(of.seq, of.mark, of.base_mark).order_by(of.seq)).all()
    if not rows or rows[-1].mark == mark:
        return None
    reached, last = mark, None
    for row in rows:
        if row.base_mark == reached and row.mark is not None:
            reached, last = row.mark, row.seq
    return last if last == rows[-1].seq and reached != mark else None


def numbered(conn: Connection, seq: int) -> ConfigVersion:
    """The version with this `seq`."""
    return ConfigVersion(**conn.execute(select(config_versions).where(config_versions.c.seq == seq)).mappings().one())


def add(conn: Connection, version: ConfigVersion) -> None:
    """Add it as the newest; its `seq` is given here. Only one writer at a time: hold `store.audit.lock`."""
    last = conn.execute(select(func.max(config_versions.c.seq))).scalar_one_or_none() or 0
    values = {name: getattr(version, name) for name in ConfigVersion.__dataclass_fields__} | {"seq": last + 1}
    conn.execute(insert(config_versions).values(values))


def note_base(conn: Connection, seq: int, base_mark: str) -> None:
    """A service recorded as an edit what a command had written a moment before: the base that only the command knows is added."""
    conn.execute(update(config_versions).where(config_versions.c.seq == seq).values(base_mark=base_mark))


def newest(conn: Connection) -> ConfigVersion | None:
    """What took effect last."""
    row = conn.execute(select(config_versions).order_by(config_versions.c.seq.desc()).limit(1)).mappings().first()
    return None if row is None else ConfigVersion(**row)


def listed(conn: Connection) -> list[ConfigVersion]:
    """All of them, oldest first."""
    return [
        ConfigVersion(**row) for row in conn.execute(select(config_versions).order_by(config_versions.c.seq)).mappings()
    ]


def named(conn: Connection, beginning: str) -> list[ConfigVersion]:
    """Those whose version begins so, newest first."""
    of = config_versions.c
    wanted = select(config_versions).where(of.version.startswith(beginning, autoescape=True)).order_by(of.seq.desc())
    return [ConfigVersion(**row) for row in conn.execute(wanted).mappings()]


def prune(conn: Connection, *, before: datetime, now: datetime) -> int:
    """Delete those that took effect, and were replaced, before an instant; how many. Sealed texts whose time is over go too."""
    of = config_versions.c
    over = update(config_versions).where(of.sealed.is_not(None), of.at < now - KEEP_TEXT)
    conn.execute(over.values(sealed=None))
    in_force_then = select(func.max(of.seq)).where(of.at < before).scalar_subquery()
    return conn.execute(delete(config_versions).where(of.seq < in_force_then)).rowcount

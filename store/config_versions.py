"""Every configuration that took effect or that a command wrote: its version, its author, its text and values without secrets.

Append-only.

A report names the version that planned a text; here it is found again. The same version stands here twice if it was left and came
back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from store.tables import config_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigVersion:
    """Attributes:
    seq: 1, 2, 3 ... in the order of taking effect.
    version: 12 hexadecimal digits. base: the version before it; None: it is the first.
    at: when it took effect, UTC.
    actor, origin: who, and from where, as `store.audit.Author`.
    source: `file`: the file was edited; `command`: `config set` or `config restore` wrote it.
    comment: of the person who changed it; None: none.
    text: of the file, without secrets; None: it had changed again before it was read.
    content: the values, texts and field maps in JSON, without secrets.
    secrets: JSON: key -> keyed hash of its value, so that a change is seen.
    certificates: JSON: environment -> thumbprints of its senders' certificates.
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


def add(conn: Connection, version: ConfigVersion) -> None:
    """Add it as the newest; its `seq` is given here. Only one writer at a time: hold `store.audit.lock`."""
    last = conn.execute(select(func.max(config_versions.c.seq))).scalar_one_or_none() or 0
    values = {name: getattr(version, name) for name in ConfigVersion.__dataclass_fields__} | {"seq": last + 1}
    conn.execute(insert(config_versions).values(values))


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


def prune(conn: Connection, *, before: datetime) -> int:
    """Delete those that took effect, and were replaced, before an instant; how many."""
    of = config_versions.c
    in_force_then = select(func.max(of.seq)).where(of.at < before).scalar_subquery()
    return conn.execute(delete(config_versions).where(of.seq < in_force_then)).rowcount

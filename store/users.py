"""The portal's users. Nobody is deleted, because the audit log names them: whoever leaves is switched off.

The secret of a second factor is sealed for its user and moves between three places: the invitation that offers it, `totp_new`
where it waits for its first code, and `totp`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, null, or_, select, update

from store.sealing import SealedColumn
from store.tables import users
from store.upsert import insert_into
from store.vault import Vault

TOTP: Final = SealedColumn(table="users", column="totp")
"""Of `users.totp`, `users.totp_new` and `invitations.totp`; the row is the user's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Attributes:
    id: hexadecimal, random. login: in lower case; unique.
    role: a name of `portal.roles`.
    environments: an analyst's own.
    password: argon2id in its own notation; None: set none.
    totp: sealed. totp_new: sealed, waits for its first code. totp_last_step: of the last code that was accepted.
    oidc_issuer, oidc_subject: who this is elsewhere; None: nobody.
    """

    id: str
    login: str
    name: str
    role: str
    environments: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)
    totp: bytes | None = field(default=None, repr=False)
    totp_new: bytes | None = field(default=None, repr=False)
    totp_last_step: int | None = None
    oidc_issuer: str | None = None
    oidc_subject: str | None = field(default=None, repr=False)
    disabled_at: datetime | None = None
    created_at: datetime
    last_sign_in_at: datetime | None = None


def add(conn: Connection, user: User) -> bool:
    """False: somebody has this login, or is this person elsewhere; nothing was written."""
    values = {name: getattr(user, name) for name in User.__dataclass_fields__}
    values["environments"] = json.dumps(user.environments)
    new = insert_into(conn, users).values(values).on_conflict_do_nothing().returning(users.c.id)
    return conn.execute(new).first() is not None


def by_id(conn: Connection, user_id: str, *, lock: bool = False) -> User | None:
    """With `lock` nobody else changes the row until the commit."""
    return _user_where(conn, users.c.id == user_id, lock=lock)


def by_login(conn: Connection, login: str, *, lock: bool = False) -> User | None:
    return _user_where(conn, users.c.login == login, lock=lock)


def by_subject(conn: Connection, issuer: str, subject: str, *, lock: bool = False) -> User | None:
    """The user that an OpenID provider knows under this subject."""
    return _user_where(conn, (users.c.oidc_issuer == issuer) & (users.c.oidc_subject == subject), lock=lock)


def listed(conn: Connection) -> list[User]:
    """All of them, by login."""
    return [_user(row) for row in conn.execute(select(users).order_by(users.c.login)).mappings()]


def lock_role(conn: Connection, role: str) -> list[User]:
    """Everybody of a role who is not switched off. They stay so until the commit, so that two cannot remove each other at once."""
    of = users.c
    wanted = select(users).where(of.role == role, of.disabled_at.is_(None)).order_by(of.id).with_for_update()
    return [_user(row) for row in conn.execute(wanted).mappings()]


def set_role(conn: Connection, user_id: str, role: str, environments: tuple[str, ...]) -> None:
    _set(conn, user_id, {"role": role, "environments": json.dumps(environments)})


def set_name(conn: Connection, user_id: str, name: str) -> None:
    _set(conn, user_id, {"name": name})


def set_password(conn: Connection, user_id: str, password: str) -> None:
    """Args: password: argon2id in its own notation."""
    _set(conn, user_id, {"password": password})


def set_disabled(conn: Connection, user_id: str, since: datetime | None) -> None:
    """None: the user may sign in again."""
    _set(conn, user_id, {"disabled_at": since})


def signed_in(conn: Connection, user_id: str, at: datetime) -> None:
    _set(conn, user_id, {"last_sign_in_at": at})


def offer_totp(conn: Connection, vault: Vault, user_id: str, secret: bytes) -> None:
    """Let a new second factor wait for its first code; one that waited before is gone."""
    _set(conn, user_id, {"totp_new": TOTP.seal(conn, vault, user_id, secret)})


def set_totp(conn: Connection, user_id: str, sealed: bytes, step: int) -> None:
    """A second factor counts from now on, and the code of this step is used."""
    _set(conn, user_id, {"totp": sealed, "totp_new": null(), "totp_last_step": step})


def use_step(conn: Connection, user_id: str, step: int) -> bool:
    """Take the code of this step; False: it, or a later one, was taken before, perhaps by somebody who looked on."""
    of = users.c
    unused = or_(of.totp_last_step.is_(None), of.totp_last_step < step)
    taken = update(users).where(of.id == user_id, unused).values(totp_last_step=step)
    return conn.execute(taken).rowcount == 1


def forget_unreadable(conn: Connection) -> int:
    """The key of the second factors is lost. Whoever had one needs a new set-up link: their password alone must not be enough."""
    of = users.c
    without = {"totp": null(), "totp_new": null(), "password": null()}
    return conn.execute(
        update(users).where(or_(of.totp.is_not(None), of.totp_new.is_not(None))).values(without)
    ).rowcount


def _set(conn: Connection, user_id: str, values: Mapping[str, Any]) -> None:
    conn.execute(update(users).where(users.c.id == user_id).values(**values))


def _user_where(conn: Connection, condition: Any, *, lock: bool) -> User | None:
    wanted = select(users).where(condition)
    row = conn.execute(wanted.with_for_update() if lock else wanted).mappings().one_or_none()
    return None if row is None else _user(row)


def _user(row: RowMapping) -> User:
    return User(**{**row, "environments": tuple(json.loads(row["environments"]))})

"""What everything about people has in common: the store, the keys, the settings in force, and how a row becomes a value."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from carebell import authors
from carebell.staff.passwords import SHORTEST_ALONE, SHORTEST_WITH_CODE, Passwords
from carebell.staff.throttling import SignInThrottle
from config.model import Configuration
from config.portal_settings import PortalSection
from portal.people import Browser, Person, Session, SignedIn
from portal.roles import Role
from store import audit, invitations, sessions, users
from store.audit import AuditAction, Author
from store.engine import Store, Transaction
from store.sessions import SessionStage, StoredSession
from store.tokens import key_of, new_token
from store.users import User
from store.vault import Vault

LOGIN: Final = re.compile(r"[a-z0-9._@-]{2,64}")
"""As `config.values.Login`."""
INVITED_FOR: Final = timedelta(hours=24)
SECOND_STEP: Final = timedelta(minutes=10)
"""How long a code, or a sign-in elsewhere, is waited for."""
SEEN_EVERY: Final = timedelta(seconds=30)
"""How exactly it is stored when somebody was seen last: a page is no reason to write every time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleContext:
    """Attributes:
    settings: `portal` as it is in force now.
    organization: the organisation's name as it is in force now.
    environments: the names that are configured now, each with the user names of its approvers.
    now: UTC.
    random: bytes for tokens, ids and second factors.
    """

    store: Store
    vault: Vault
    settings: Callable[[], PortalSection]
    organization: Callable[[], str]
    environments: Callable[[], Mapping[str, Sequence[str]]]
    now: Callable[[], datetime]
    passwords: Passwords
    random: Callable[[int], bytes] = field(default=secrets.token_bytes, repr=False)

    @property
    def throttle(self) -> SignInThrottle:
        return SignInThrottle(self.vault.ring)

    @property
    def asks_for_code(self) -> bool:
        """Whether everybody who has a password needs a second factor."""
        return self.settings().sign_in.local.second_factor == "totp"

    def shortest(self, *, with_code: bool) -> int:
        """Characters that a password needs."""
        return SHORTEST_WITH_CODE if with_code else SHORTEST_ALONE

    # Values of rows

    def person(self, conn: Transaction, user: User) -> Person:
        return self.persons(conn, [user])[0]

    def persons(self, conn: Transaction, rows: Sequence[User]) -> list[Person]:
        invited = invitations.open_until(conn, self.now())
        locked = self.throttle.locked(conn, [user.login for user in rows])
        named = self.environments()
        return [
            _person(user, tuple(name for name in named if user.login in named[name]), invited, user.login in locked)
            for user in rows
        ]

    def session(self, row: StoredSession, person: Person, csrf: str) -> Session:
        limits = self.settings().session
        confirmed = None if row.confirmed_at is None else row.confirmed_at + limits.confirm_again
        return Session(
            key=row.key,
            person=person,
            csrf=csrf,
            created_at=row.created_at,
            seen_at=row.seen_at,
            ends_at=self.end_of(row),
            idle_ends_at=min(row.seen_at + limits.idle, self.end_of(row)),
            confirmed_until=confirmed,
            address=row.address,
            agent=row.browser,
        )

    def end_of(self, row: StoredSession) -> datetime:
        """The absolute end; a configuration that became stricter holds for sessions of before."""
        return min(row.ends_at, row.created_at + self.settings().session.absolute)

    def is_over(self, row: StoredSession, now: datetime) -> bool:
        return now >= min(row.seen_at + self.settings().session.idle, self.end_of(row))

    # What several acts do

    def open_session(
        self,
        conn: Transaction,
        user: User,
        browser: Browser,
        now: datetime,
        *,
        replaces: str | None = None,
        confirmed: bool = True,
    ) -> SignedIn:
        """A new session with a new token; this browser is known from now on. The user's row is locked.

        Args:
            replaces: the key of the session or step before, which ends.
            confirmed: False: it was not proved just now who this is.
        """
        known_by = self.throttle.remember(conn, user.login, browser, now, new_cookie=new_token(self.random))
        if replaces is not None:
            sessions.end(conn, replaces)
        token = new_token(self.random)
        row = StoredSession(
            key=key_of(token),
            user_id=user.id,
            stage=SessionStage.OPEN,
            created_at=now,
            seen_at=now,
            ends_at=now + self.settings().session.absolute,
            confirmed_at=now if confirmed else None,
            address=browser.address,
            browser=browser.agent,
        )
        sessions.add(conn, row)
        users.signed_in(conn, user.id, now)
        person = self.person(conn, replace(user, last_sign_in_at=now))
        return SignedIn(token=token, session=self.session(row, person, csrf_of(token)), known_by=known_by)

    def record(
        self,
        conn: Transaction,
        author: Author,
        action: AuditAction,
        *,
        subject: str,
        before: str | None = None,
        after: str | None = None,
    ) -> None:
        """An entry of the audit log, last in its transaction (`store.lock_order`)."""
        audit.append(conn, author, action, subject=subject, before=before, after=after, at=self.now())

    def user_of(self, conn: Transaction, by: Session, *, lock: bool = True) -> User | None:
        """Who asks, if they are still there and not switched off."""
        user = users.by_id(conn, by.person.id, lock=lock)
        return None if user is None or user.disabled_at is not None else user


def author_of(by: Session, browser: Browser) -> Author:
    return authors.portal(by.person.login, browser.address)


def csrf_of(token: str) -> str:
    """Of a session's token: who reads a page's form learns nothing of the cookie, and nothing of it is stored."""
    return hmac.new(token.encode("utf-8", "surrogatepass"), b"csrf", hashlib.sha256).hexdigest()


def normal_login(written: str) -> str | None:
    """As it is stored; None: nobody can have it."""
    login = written.strip().lower()
    return login if LOGIN.fullmatch(login) else None


def can_sign_in(user: User) -> bool:
    """Whether there is a way for this person, without another's help."""
    return user.disabled_at is None and (user.password is not None or user.oidc_subject is not None)


def role_in_words(role: str, environments: Sequence[str]) -> str:
    """`analyst of north, south`, for the audit log."""
    return f"{role} of {', '.join(environments)}" if environments else role


def is_role(name: str) -> bool:
    return name in {role.value for role in Role}


def approvers_by_environment(configuration: Configuration) -> dict[str, tuple[str, ...]]:
    """Name of the environment -> the user names that its approval lists."""
    return {name: tuple(section.approval.approvers) for name, section in configuration.environments.items()}


def _person(user: User, approver_of: tuple[str, ...], invited: Mapping[str, datetime], locked: bool) -> Person:
    return Person(
        id=user.id,
        login=user.login,
        name=user.name,
        role=user.role,
        environments=user.environments,
        approver_of=approver_of,
        has_password=user.password is not None,
        has_second_factor=user.totp is not None,
        signs_in_elsewhere=user.oidc_subject is not None,
        disabled_at=user.disabled_at,
        is_locked=locked,
        invited_until=invited.get(user.id),
        created_at=user.created_at,
        last_sign_in_at=user.last_sign_in_at,
    )

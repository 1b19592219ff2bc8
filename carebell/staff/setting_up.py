"""Set-up links: what they offer, and that each is used once."""

from __future__ import annotations

from datetime import datetime

from carebell import authors
from carebell.staff import second_factor
from carebell.staff.passwords import problem_of
from carebell.staff.people_context import INVITED_FOR, PeopleContext
from portal.people import Browser, Invitation, SetUp, SetUpRefused, SignedIn
from store import invitations, sessions, users
from store.audit import AuditAction, Author
from store.engine import Transaction
from store.invitations import StoredInvitation
from store.tokens import key_of, new_token
from store.users import TOTP, User


class SettingUp:
    """See `portal.people.People`."""

    def __init__(self, context: PeopleContext) -> None:
        self._in = context

    def set_up_of(self, token: str) -> SetUp | None:
        context = self._in
        with context.store.read() as conn:
            link, user = self._link(conn, key_of(token), context.now())
            if link is None or user is None:
                return None
            secret = self._secret(conn, link) if self._asks_for_code(user) else None
            offered = secret and second_factor.shown(secret, login=user.login, organization=context.organization())
            return SetUp(
                person=context.person(conn, user),
                second_factor=offered or None,
                shortest=context.shortest(with_code=secret is not None),
                ends_at=link.ends_at,
            )

    def set_up(self, token: str, password: str, code: str, browser: Browser) -> SignedIn | SetUpRefused:
        context, now, key = self._in, self._in.now(), key_of(token)
        with context.store.read() as conn:
            link, user = self._link(conn, key, now)
            if link is None or user is None:
                return SetUpRefused()
            secret = self._secret(conn, link) if self._asks_for_code(user) else None
        step = None if secret is None else second_factor.step_of(secret, code, now)
        problem = problem_of(
            password,
            shortest=context.shortest(with_code=secret is not None),
            organization=context.organization(),
            login=user.login,
        )
        if problem is not None or (secret is not None and step is None):
            return SetUpRefused(password=problem, code=secret is not None and step is None)
        hashed = context.passwords.hash(password)
        with context.store.write() as conn:
            user = users.by_id(conn, user.id, lock=True)
            if user is None or user.disabled_at is not None or not invitations.use(conn, key, now):
                return SetUpRefused()
            users.set_password(conn, user.id, hashed)
            if step is not None and link.totp is not None:
                users.set_totp(conn, user.id, link.totp, step)
            sessions.end_all(conn, user.id)
            user = users.by_id(conn, user.id)
            assert user is not None, "it is locked"
            done = context.open_session(conn, user, browser, now)
            author = authors.portal(user.login, browser.address)
            after = "password" if step is None else "password and second factor"
            context.record(conn, author, AuditAction.PERSON_SET_UP, subject=user.login, after=after)
            context.record(conn, author, AuditAction.SIGN_IN, subject=user.login, after="link")
            return done

    def _asks_for_code(self, user: User) -> bool:
        """Also of somebody who had a second factor already: a link replaces it, and does not take it away."""
        return self._in.asks_for_code or user.totp is not None

    def _link(self, conn: Transaction, key: str, now: datetime) -> tuple[StoredInvitation | None, User | None]:
        if not self._in.settings().sign_in.local.enabled:
            return None, None
        link = invitations.find(conn, key, now)
        user = None if link is None else users.by_id(conn, link.user_id)
        return link, None if user is None or user.disabled_at is not None else user

    def _secret(self, conn: Transaction, link: StoredInvitation) -> bytes | None:
        return None if link.totp is None else TOTP.unseal(conn, self._in.vault, link.user_id, link.totp)


def make_link(context: PeopleContext, conn: Transaction, user: User, author: Author, now: datetime) -> Invitation:
    """A new set-up link, with a second factor of its own to offer. The user's older ones are void."""
    token, secret = new_token(context.random), second_factor.new_secret(context.random)
    link = StoredInvitation(
        key=key_of(token),
        user_id=user.id,
        author=author.who,
        created_at=now,
        ends_at=now + INVITED_FOR,
        totp=TOTP.seal(conn, context.vault, user.id, secret),
    )
    invitations.add(conn, link)
    return Invitation(person=context.person(conn, user), token=token, ends_at=link.ends_at)

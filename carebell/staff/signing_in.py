"""Signing in with a password and a code, sessions, and signing out.

Each step of a sign-in has its own token: the one of the step before is void, and a token that was in the browser before is never
used. What is wrong is not said, and takes as long as what is right: a password is hashed also for a login that nobody has.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from carebell import authors
from carebell.staff import second_factor
from carebell.staff.passwords import PasswordsBusy
from carebell.staff.people_context import (
    SECOND_STEP,
    SEEN_EVERY,
    PeopleContext,
    author_of,
    can_sign_in,
    csrf_of,
    normal_login,
)
from carebell.staff.throttling import Attempt
from portal.people import Browser, CodeNeeded, Session, SignedIn, SignInRefused
from store import sessions, users
from store.audit import AuditAction, Author
from store.engine import Transaction
from store.sessions import SessionStage, StoredSession
from store.tokens import key_of, new_token
from store.users import TOTP, User

_LONGEST_LOGIN = 100
WRONG = SignInRefused(reason="wrong")
EXPIRED = SignInRefused(reason="expired")


class SigningIn:
    """See `portal.people.People`."""

    def __init__(self, context: PeopleContext) -> None:
        self._in = context

    def is_empty(self) -> bool:
        with self._in.store.read() as conn:
            return not any(can_sign_in(user) for user in users.listed(conn))

    def sign_in(self, login: str, password: str, browser: Browser) -> SignedIn | CodeNeeded | SignInRefused:
        context = self._in
        if not context.settings().sign_in.local.enabled:
            return SignInRefused(reason="unavailable")
        now, login = context.now(), login.strip().lower()[:_LONGEST_LOGIN]
        with context.store.write() as conn:
            user = self._user(conn, login)
            attempt = context.throttle.begin(conn, login, browser, now)
        if isinstance(attempt, SignInRefused):
            return attempt
        stored = None if user is None else user.password
        try:
            right = context.passwords.verify(stored, password, stranger=attempt.stranger is not None)
        except PasswordsBusy:
            self._undo(attempt)
            return SignInRefused(reason="busy")
        outdated = stored if right and stored is not None and context.passwords.is_outdated(stored) else None
        fresh = context.passwords.hash(password) if outdated is not None else None
        with context.store.write() as conn:
            user = None if user is None else users.by_id(conn, user.id, lock=True)
            # It is looked at again: meanwhile somebody may have switched the person off, or changed the password.
            if not right or user is None or user.disabled_at is not None or user.password != stored:
                self._failed(conn, user, attempt, browser, "user name or password")
                return WRONG
            if fresh is not None:
                users.set_password(conn, user.id, fresh)
            if user.totp is not None:
                context.throttle.undo(conn, attempt)
                return self._ask_for_code(conn, user, browser, now)
            if context.asks_for_code:
                context.throttle.undo(conn, attempt)
                self._refused(conn, user, browser, "no second factor was set up")
                return SignInRefused(reason="incomplete")
            return self._complete(conn, user, attempt, browser, now, how="password")

    def check_code(self, token: str, code: str, browser: Browser) -> SignedIn | SignInRefused:
        context, now, key = self._in, self._in.now(), key_of(token)
        with context.store.write() as conn:
            user = self._user_at_code(conn, key, now)
            if user is None:
                return EXPIRED
            attempt = context.throttle.begin(conn, user.login, browser, now)
        if isinstance(attempt, SignInRefused):
            return attempt
        with context.store.write() as conn:
            user = self._user_at_code(conn, key, now, lock=True)
            if user is None:
                context.throttle.undo(conn, attempt)
                return EXPIRED
            if not self._takes_code(conn, user, code, now):
                self._failed(conn, user, attempt, browser, "code")
                return WRONG
            return self._complete(conn, user, attempt, browser, now, how="password and code", replaces=key)

    def session(self, token: str, *, touch: bool = True) -> Session | None:
        context, now, key = self._in, self._in.now(), key_of(token)
        with context.store.read() as conn:
            row = sessions.find(conn, key)
            if row is None or row.stage is not SessionStage.OPEN or context.is_over(row, now):
                return None
            user = None if row.user_id is None else users.by_id(conn, row.user_id)
            if user is None or user.disabled_at is not None:
                return None
            person = context.person(conn, user)
        if touch and now - row.seen_at >= SEEN_EVERY:
            with context.store.write() as conn:
                sessions.seen(conn, key, now)
            row = replace(row, seen_at=now)
        return context.session(row, person, csrf_of(token))

    def confirm_again(self, by: Session, password_or_code: str, browser: Browser) -> Session | SignInRefused:
        context, now = self._in, self._in.now()
        with context.store.write() as conn:
            user = context.user_of(conn, by, lock=False)
            if user is None:
                return EXPIRED
            if user.password is None:
                return SignInRefused(reason="unavailable")
            attempt = context.throttle.begin_again(conn, user.login, by.key, now)
        if isinstance(attempt, SignInRefused):
            return attempt
        stored = user.password
        right = context.passwords.verify(stored, password_or_code, stranger=False)
        with context.store.write() as conn:
            user = context.user_of(conn, by)
            if user is None or sessions.find(conn, by.key) is None:
                context.throttle.undo(conn, attempt)
                return EXPIRED
            right = (right and user.password == stored) or self._takes_code(conn, user, password_or_code, now)
            if right:
                context.throttle.succeed(conn, attempt)
                sessions.confirmed(conn, by.key, now)
            after = "right" if right else "wrong"
            context.record(
                conn, author_of(by, browser), AuditAction.SIGN_IN_CONFIRM, subject=by.person.login, after=after
            )
        limits = context.settings().session
        return replace(by, confirmed_until=now + limits.confirm_again) if right else WRONG

    def sign_out(self, token: str) -> None:
        context = self._in
        with context.store.write() as conn:
            row = sessions.find(conn, key_of(token))
            if row is None or not sessions.end(conn, row.key):
                return
            user = None if row.user_id is None else users.by_id(conn, row.user_id)
            if user is not None and row.stage is SessionStage.OPEN:
                author = authors.portal(user.login, row.address)
                context.record(conn, author, AuditAction.SIGN_OUT, subject=user.login, after="1")

    def denied(self, by: Session, page: str, browser: Browser) -> None:
        with self._in.store.write() as conn:
            self._in.record(conn, author_of(by, browser), AuditAction.PAGE_DENIED, subject=page)

    # Steps

    def _user(self, conn: Transaction, login: str) -> User | None:
        usual = normal_login(login)
        return None if usual is None else users.by_login(conn, usual)

    def _ask_for_code(self, conn: Transaction, user: User, browser: Browser, now: datetime) -> CodeNeeded:
        token, ends_at = new_token(self._in.random), now + SECOND_STEP
        row = StoredSession(
            key=key_of(token),
            user_id=user.id,
            stage=SessionStage.CODE,
            created_at=now,
            seen_at=now,
            ends_at=ends_at,
            address=browser.address,
            browser=browser.agent,
        )
        sessions.add(conn, row)
        return CodeNeeded(token=token, ends_at=ends_at)

    def _user_at_code(self, conn: Transaction, key: str, now: datetime, *, lock: bool = False) -> User | None:
        """Who is asked for a code, if this can still be answered. The user's row is locked before the session's."""
        row = sessions.find(conn, key)
        if row is None or row.stage is not SessionStage.CODE or row.user_id is None or now >= row.ends_at:
            return None
        user = users.by_id(conn, row.user_id, lock=lock)
        if lock and sessions.find(conn, key, lock=True) is None:
            return None
        is_open = user is not None and user.disabled_at is None and user.password is not None
        return user if is_open else None

    def _takes_code(self, conn: Transaction, user: User, code: str, now: datetime) -> bool:
        """Whether it is a code that counts now and did not count before; it never counts again."""
        if user.totp is None:
            return False
        secret = TOTP.unseal(conn, self._in.vault, user.id, user.totp)
        step = None if secret is None else second_factor.step_of(secret, code, now)
        return step is not None and users.use_step(conn, user.id, step)

    def _complete(
        self,
        conn: Transaction,
        user: User,
        attempt: Attempt,
        browser: Browser,
        now: datetime,
        *,
        how: str,
        replaces: str | None = None,
    ) -> SignedIn:
        self._in.throttle.succeed(conn, attempt)
        done = self._in.open_session(conn, user, browser, now, replaces=replaces)
        author = authors.portal(user.login, browser.address)
        self._in.record(conn, author, AuditAction.SIGN_IN, subject=user.login, after=how)
        return done

    def _failed(self, conn: Transaction, user: User | None, attempt: Attempt, browser: Browser, what: str) -> None:
        """It was counted already. A login that nobody has is not recorded: it may be a password in the wrong field."""
        author = self._refused(conn, user, browser, what)
        if attempt.locks:
            self._in.record(conn, author, AuditAction.SIGN_IN_LOCK, subject="" if user is None else user.login)

    def _refused(self, conn: Transaction, user: User | None, browser: Browser, why: str) -> Author:
        author = authors.portal(None if user is None else user.login, browser.address)
        subject = "nobody" if user is None else user.login
        self._in.record(conn, author, AuditAction.SIGN_IN_FAIL, subject=subject, after=why)
        return author

    def _undo(self, attempt: Attempt) -> None:
        with self._in.store.write() as conn:
            self._in.throttle.undo(conn, attempt)

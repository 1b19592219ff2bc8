"""One's own password, second factor and sessions."""

from __future__ import annotations

from carebell.staff import second_factor
from carebell.staff.passwords import problem_of
from carebell.staff.people_context import PeopleContext, author_of
from portal.people import Browser, NotDone, OpenSession, SecondFactor, Session, SignedIn, SignInRefused
from store import sessions, users
from store.audit import AuditAction
from store.users import TOTP

_NOT_ALLOWED = NotDone(reason="not_allowed")


class OwnAccount:
    """See `portal.people.People`."""

    def __init__(self, context: PeopleContext) -> None:
        self._in = context

    def change_password(
        self, by: Session, current: str, new: str, browser: Browser
    ) -> SignedIn | NotDone | SignInRefused:
        context, now = self._in, self._in.now()
        with context.store.write() as conn:
            user = context.user_of(conn, by, lock=False)
            if user is None:
                return _NOT_ALLOWED
            if user.password is None:
                return NotDone(reason="other_sign_in")
            problem = problem_of(
                new,
                shortest=context.shortest(with_code=user.totp is not None),
                organization=context.organization(),
                login=user.login,
            )
            if problem is not None:
                return NotDone(password=problem)
            attempt = context.throttle.begin_again(conn, user.login, by.key, now)
        if isinstance(attempt, SignInRefused):
            return attempt
        stored = user.password
        right = context.passwords.verify(stored, current, stranger=False)
        hashed = context.passwords.hash(new) if right else ""
        with context.store.write() as conn:
            user = context.user_of(conn, by)
            if user is None or sessions.find(conn, by.key) is None:
                context.throttle.undo(conn, attempt)
                return _NOT_ALLOWED
            if not right or user.password != stored:
                return NotDone(reason="wrong_password")
            users.set_password(conn, user.id, hashed)
            context.throttle.succeed(conn, attempt)
            sessions.end_all(conn, user.id)
            done = context.open_session(conn, user, browser, now)
            context.record(conn, author_of(by, browser), AuditAction.PERSON_PASSWORD, subject=user.login)
            return done

    def begin_second_factor(self, by: Session, browser: Browser) -> SecondFactor | NotDone:
        context = self._in
        secret = second_factor.new_secret(context.random)
        with context.store.write() as conn:
            user = context.user_of(conn, by)
            if user is None:
                return _NOT_ALLOWED
            if user.password is None:
                return NotDone(reason="other_sign_in")
            users.offer_totp(conn, context.vault, user.id, secret)
        return second_factor.shown(secret, login=user.login, organization=context.organization())

    def new_second_factor(self, by: Session) -> SecondFactor | None:
        context = self._in
        with context.store.read() as conn:
            user = context.user_of(conn, by, lock=False)
            if user is None or user.totp_new is None:
                return None
            secret = TOTP.unseal(conn, context.vault, user.id, user.totp_new)
        if secret is None:
            return None
        return second_factor.shown(secret, login=user.login, organization=context.organization())

    def finish_second_factor(self, by: Session, code: str, browser: Browser) -> SignedIn | NotDone:
        context, now = self._in, self._in.now()
        with context.store.write() as conn:
            user = context.user_of(conn, by)
            if user is None or sessions.find(conn, by.key) is None:
                return _NOT_ALLOWED
            waiting = user.totp_new
            secret = None if waiting is None else TOTP.unseal(conn, context.vault, user.id, waiting)
            if waiting is None or secret is None:
                return NotDone(reason="not_started")
            step = second_factor.step_of(secret, code, now)
            if step is None:
                return NotDone(reason="wrong_code")
            users.set_totp(conn, user.id, waiting, step)
            sessions.end_all(conn, user.id)
            user = users.by_id(conn, user.id)
            assert user is not None, "it is locked"
            done = context.open_session(conn, user, browser, now)
            context.record(
                conn, author_of(by, browser), AuditAction.PERSON_SECOND_FACTOR, subject=user.login, after="app"
            )
            return done

    def own_sessions(self, by: Session) -> tuple[OpenSession, ...]:
        context, now = self._in, self._in.now()
        with context.store.read() as conn:
            rows = [row for row in sessions.of_user(conn, by.person.id) if not context.is_over(row, now)]
        return tuple(
            OpenSession(
                key=row.key,
                created_at=row.created_at,
                seen_at=row.seen_at,
                ends_at=context.end_of(row),
                address=row.address,
                agent=row.browser,
                is_this=row.key == by.key,
            )
            for row in rows
        )

    def end_session(self, by: Session, key: str, browser: Browser) -> bool:
        context = self._in
        with context.store.write() as conn:
            row = sessions.find(conn, key)
            if row is None or row.user_id != by.person.id or not sessions.end(conn, key):
                return False
            context.record(conn, author_of(by, browser), AuditAction.SIGN_OUT, subject=by.person.login, after="1")
        return True

    def end_other_sessions(self, by: Session, browser: Browser) -> int:
        context = self._in
        with context.store.write() as conn:
            ended = sessions.end_all(conn, by.person.id, but=by.key)
            context.record(
                conn, author_of(by, browser), AuditAction.SIGN_OUT, subject=by.person.login, after=str(ended)
            )
        return ended

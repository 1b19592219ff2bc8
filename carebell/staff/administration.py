"""Inviting people, their roles, switching off and on. For the portal's administrators and for `carebell portal`.

Each function is one transaction's work: it locks what it looks at, so that two administrators cannot remove each other at once,
and writes its entry of the audit log.
"""

from __future__ import annotations

from dataclasses import replace

from carebell.staff.people_context import (
    PeopleContext,
    author_of,
    can_sign_in,
    is_role,
    normal_login,
    role_in_words,
)
from carebell.staff.setting_up import make_link
from portal.people import ActRefusal, Browser, Invitation, NotDone, Person, Session
from portal.roles import OWN_ENVIRONMENTS_ONLY, Role
from store import invitations, sessions, users
from store.audit import AuditAction, Author
from store.engine import Transaction
from store.users import User

_ADMINISTRATOR = Role.ADMINISTRATOR.value
_ID_BYTES = 16


class Administration:
    """What is done to people, whoever does it. Each method takes the transaction and the author."""

    def __init__(self, context: PeopleContext) -> None:
        self._in = context

    def invite(
        self, conn: Transaction, author: Author, login: str, name: str, role: str, environments: tuple[str, ...]
    ) -> Invitation | NotDone:
        """Add somebody, with a set-up link."""
        context, now, usual = self._in, self._in.now(), normal_login(login)
        refusal = self._problem_of(role, environments)
        if usual is None:
            return NotDone(reason="login_unusable")
        if refusal is not None:
            return NotDone(reason=refusal)
        if not context.settings().sign_in.local.enabled:
            return NotDone(reason="other_sign_in")
        user = User(
            id=context.random(_ID_BYTES).hex(),
            login=usual,
            name=" ".join(name.split()) or usual,
            role=role,
            environments=environments,
            created_at=now,
        )
        if not users.add(conn, user):
            return NotDone(reason="login_taken")
        link = make_link(context, conn, user, author, now)
        context.record(conn, author, AuditAction.PERSON_INVITE, subject=usual, after=role_in_words(role, environments))
        return link

    def invite_again(self, conn: Transaction, author: Author, user_id: str) -> Invitation | NotDone:
        """A new link for somebody who is there."""
        user = users.by_id(conn, user_id, lock=True)
        if user is None:
            return NotDone(reason="unknown_person")
        if user.disabled_at is not None:
            return NotDone(reason="is_disabled")
        if user.oidc_subject is not None or not self._in.settings().sign_in.local.enabled:
            return NotDone(reason="other_sign_in")
        link = make_link(self._in, conn, user, author, self._in.now())
        after = role_in_words(user.role, user.environments)
        self._in.record(conn, author, AuditAction.PERSON_INVITE, subject=user.login, after=after)
        return link

    def change_role(
        self, conn: Transaction, author: Author, user_id: str, role: str, environments: tuple[str, ...]
    ) -> Person | NotDone:
        """Give somebody another role; every session of theirs ends."""
        administrators = users.lock_role(conn, _ADMINISTRATOR)
        user = users.by_id(conn, user_id, lock=True)
        refusal = self._problem_of(role, environments)
        if user is None:
            return NotDone(reason="unknown_person")
        if refusal is not None:
            return NotDone(reason=refusal)
        if role != _ADMINISTRATOR and _is_last(user, administrators):
            return NotDone(reason="last_administrator")
        before, after = role_in_words(user.role, user.environments), role_in_words(role, environments)
        if before != after:
            users.set_role(conn, user.id, role, environments)
            sessions.end_all(conn, user.id)
            self._in.record(conn, author, AuditAction.PERSON_ROLE, subject=user.login, before=before, after=after)
        return self._in.person(conn, replace(user, role=role, environments=environments))

    def switch_off(self, conn: Transaction, author: Author, user_id: str) -> Person | NotDone:
        """Nobody signs in as this person any more; sessions and links of theirs are void."""
        administrators = users.lock_role(conn, _ADMINISTRATOR)
        user = users.by_id(conn, user_id, lock=True)
        if user is None:
            return NotDone(reason="unknown_person")
        if _is_last(user, administrators):
            return NotDone(reason="last_administrator")
        if user.disabled_at is None:
            now = self._in.now()
            users.set_disabled(conn, user.id, now)
            sessions.end_all(conn, user.id)
            invitations.void(conn, user.id)
            self._in.record(conn, author, AuditAction.PERSON_DISABLE, subject=user.login)
            user = replace(user, disabled_at=now)
        return self._in.person(conn, user)

    def switch_on(self, conn: Transaction, author: Author, user_id: str) -> Person | NotDone:
        """With the password and the second factor of before."""
        user = users.by_id(conn, user_id, lock=True)
        if user is None:
            return NotDone(reason="unknown_person")
        if user.disabled_at is not None:
            users.set_disabled(conn, user.id, None)
            self._in.record(conn, author, AuditAction.PERSON_ENABLE, subject=user.login)
        return self._in.person(conn, replace(user, disabled_at=None))

    def sign_out_everywhere(self, conn: Transaction, author: Author, user_id: str) -> int | NotDone:
        """End all of somebody's sessions; how many."""
        user = users.by_id(conn, user_id, lock=True)
        if user is None:
            return NotDone(reason="unknown_person")
        ended = sessions.end_all(conn, user.id)
        self._in.record(conn, author, AuditAction.PERSON_SIGN_OUT, subject=user.login, after=str(ended))
        return ended

    def unlock(self, conn: Transaction, author: Author, user_id: str) -> Person | NotDone:
        """Strangers may try this user name again."""
        user = users.by_id(conn, user_id, lock=True)
        if user is None:
            return NotDone(reason="unknown_person")
        if self._in.throttle.unlock(conn, user.login):
            self._in.record(conn, author, AuditAction.PERSON_UNLOCK, subject=user.login)
        return self._in.person(conn, user)

    def _problem_of(self, role: str, environments: tuple[str, ...]) -> ActRefusal | None:
        if not is_role(role):
            return "role_unknown"
        if set(environments) - set(self._in.environments()):
            return "environment_unknown"
        return None


class PeopleAdministration:
    """The same for who asks in the portal: see `portal.people.People`."""

    def __init__(self, context: PeopleContext) -> None:
        self._in = context
        self._acts = Administration(context)

    def people(self) -> tuple[Person, ...]:
        with self._in.store.read() as conn:
            return tuple(self._in.persons(conn, users.listed(conn)))

    def person(self, person_id: str) -> Person | None:
        with self._in.store.read() as conn:
            user = users.by_id(conn, person_id)
            return None if user is None else self._in.person(conn, user)

    def invite(
        self, by: Session, login: str, name: str, role: str, environments: tuple[str, ...], browser: Browser
    ) -> Invitation | NotDone:
        with self._in.store.write() as conn:
            if not _may_act(conn, by):
                return _NOT_ALLOWED
            own = environments if is_role(role) and Role(role) in OWN_ENVIRONMENTS_ONLY else ()
            return self._acts.invite(conn, author_of(by, browser), login, name, role, own)

    def invite_again(self, by: Session, person_id: str, browser: Browser) -> Invitation | NotDone:
        with self._in.store.write() as conn:
            if not _may_act(conn, by):
                return _NOT_ALLOWED
            return self._acts.invite_again(conn, author_of(by, browser), person_id)

    def change_role(
        self, by: Session, person_id: str, role: str, environments: tuple[str, ...], browser: Browser
    ) -> Person | NotDone:
        with self._in.store.write() as conn:
            if not _may_act(conn, by):
                return _NOT_ALLOWED
            own = environments if is_role(role) and Role(role) in OWN_ENVIRONMENTS_ONLY else ()
            return self._acts.change_role(conn, author_of(by, browser), person_id, role, own)

    def switch_off(self, by: Session, person_id: str, browser: Browser) -> Person | NotDone:
        with self._in.store.write() as conn:
            if not _may_act(conn, by):
                return _NOT_ALLOWED
            return self._acts.switch_off(conn, author_of(by, browser), person_id)

    def switch_on(self, by: Session, person_id: str, browser: Browser) -> Person | NotDone:
        with self._in.store.write() as conn:
            if not _may_act(conn, by):
                return _NOT_ALLOWED
            return self._acts.switch_on(conn, author_of(by, browser), person_id)

    def sign_out_everywhere(self, by: Session, person_id: str, browser: Browser) -> int | NotDone:
        with self._in.store.write() as conn:
            if not _may_act(conn, by):
                return _NOT_ALLOWED
            return self._acts.sign_out_everywhere(conn, author_of(by, browser), person_id)

    def unlock(self, by: Session, person_id: str, browser: Browser) -> Person | NotDone:
        with self._in.store.write() as conn:
            if not _may_act(conn, by):
                return _NOT_ALLOWED
            return self._acts.unlock(conn, author_of(by, browser), person_id)


_NOT_ALLOWED = NotDone(reason="not_allowed")


def _may_act(conn: Transaction, by: Session) -> bool:
    """Whether who asks is an administrator in this transaction too: the page was allowed a moment ago. All of them stay locked."""
    return any(user.id == by.person.id for user in users.lock_role(conn, _ADMINISTRATOR))


def _is_last(user: User, administrators: list[User]) -> bool:
    """Whether nobody could administer the portal without this person: who was invited and has set up nothing cannot."""
    others = [other for other in administrators if other.id != user.id]
    was_one = user.role == _ADMINISTRATOR and user.disabled_at is None
    return was_one and not any(can_sign_in(other) for other in others)

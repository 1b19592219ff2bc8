"""People who sign in at the organisation's own provider (OpenID Connect): what is remembered while they are away, and who they are
here when they come back. The protocol itself is `oauth`'s.

Somebody is known by issuer and subject, never by a name or an address of theirs: these change, and can be somebody else's. So a
user name that a person with a password has is not taken over. The provider says the role, at every sign-in; who is switched off
here stays so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from carebell import authors
from carebell.staff.people_context import SECOND_STEP, PeopleContext, normal_login, role_in_words
from portal.people import Browser, SignedIn, SignInRefused
from portal.roles import OWN_ENVIRONMENTS_ONLY, Role
from store import sessions, users
from store.audit import AuditAction, Author
from store.engine import Transaction
from store.sessions import FLOW, SessionStage, StoredSession
from store.tokens import key_of, new_token
from store.users import User

_ID_BYTES: Final = 16
_LONGEST_LOGIN: Final = 48
_LONGEST_NAME: Final = 200
_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderIdentity:
    """Who somebody is at the provider, from a token that was verified.

    Attributes:
        issuer, subject: together they name one person for ever.
        login: what the person is called there (`preferred_username`, else `email`); the user name here is made of it.
        name: to be shown.
        roles: the values of the claim `portal.sign_in.oidc.role_claim`.
    """

    issuer: str
    subject: str = field(repr=False)
    login: str
    name: str
    roles: tuple[str, ...]


class SigningInElsewhere:
    """For the pages of the sign-in at a provider."""

    def __init__(self, context: PeopleContext) -> None:
        self._in = context

    def leave(self, flow: str, browser: Browser) -> str:
        """Somebody goes to the provider; the token for the session's cookie, which must come back with them.

        Args:
            flow: JSON, kept sealed and for ten minutes: state, nonce, verifier.
        """
        context, now, token = self._in, self._in.now(), new_token(self._in.random)
        ends_at = now + SECOND_STEP
        with context.store.write() as conn:
            row = StoredSession(
                key=key_of(token),
                user_id=None,
                stage=SessionStage.LEAVING,
                created_at=now,
                seen_at=now,
                ends_at=ends_at,
                address=browser.address,
                browser=browser.agent,
            )
            sessions.add(conn, row)
            self._keep(conn, row.key, flow)
        return token

    def come_back(self, token: str) -> str | None:
        """What `leave` was given, once; None: it was taken before, is too old, or this browser never left."""
        context, now, key = self._in, self._in.now(), key_of(token)
        with context.store.write() as conn:
            row = sessions.find(conn, key, lock=True)
            if row is None or row.stage is not SessionStage.LEAVING or row.flow is None:
                return None
            sessions.end(conn, key)
            flow = None if now >= row.ends_at else FLOW.unseal(conn, context.vault, key, row.flow)
        return None if flow is None else flow.decode()

    def keep_flow(self, session_key: str, flow: str) -> bool:
        """As `leave`, for somebody who is signed in and goes to an EHR to prove access; False: the session was ended."""
        with self._in.store.write() as conn:
            row = sessions.find(conn, session_key, lock=True)
            if row is None or row.stage is not SessionStage.OPEN:
                return False
            self._keep(conn, session_key, flow)
        return True

    def take_flow(self, session_key: str) -> str | None:
        """What `keep_flow` was given, once. The caller looks at its age."""
        context = self._in
        with context.store.write() as conn:
            row = sessions.find(conn, session_key, lock=True)
            if row is None or row.stage is not SessionStage.OPEN or row.flow is None:
                return None
            sessions.keep_flow(conn, session_key, None)
            flow = FLOW.unseal(conn, context.vault, session_key, row.flow)
        return None if flow is None else flow.decode()

    def sign_in(
        self, identity: ProviderIdentity, browser: Browser, *, confirmed: bool = False
    ) -> SignedIn | SignInRefused:
        """Let in whoever the provider vouches for; a person who was never here before is added.

        Args:
            confirmed: the person proved there just now who it is; else an act that is hard to undo asks for that.
        """
        context, now, issuer = self._in, self._in.now(), identity.issuer
        role = self._role_of(identity.roles)
        with context.store.write() as conn:
            user = users.by_subject(conn, issuer, identity.subject, lock=True)
            author = authors.portal(None if user is None else user.login, browser.address)
            if role is None:
                return self._refused(conn, author, user, SignInRefused(reason="no_role"), "no role")
            if user is None:
                user = self._added(conn, identity, role)
            if user.disabled_at is not None:
                return self._refused(conn, author, user, SignInRefused(reason="switched_off"), "switched off")
            author = authors.portal(user.login, browser.address)
            changed = self._with_role(conn, user, role)
            name = _name_of(identity)
            if name and name != changed.name:
                users.set_name(conn, changed.id, name)
                changed = replace(changed, name=name)
            done = context.open_session(conn, changed, browser, now, confirmed=confirmed)
            before, after = (role_in_words(row.role, row.environments) for row in (user, changed))
            if before != after:
                context.record(conn, author, AuditAction.PERSON_ROLE, subject=user.login, before=before, after=after)
            context.record(conn, author, AuditAction.SIGN_IN, subject=user.login, after=issuer)
            return done

    def _keep(self, conn: Transaction, key: str, flow: str) -> None:
        context = self._in
        sealed = FLOW.seal(conn, context.vault, key, flow.encode(), until=context.now() + SECOND_STEP)
        sessions.keep_flow(conn, key, sealed)

    def _role_of(self, claimed: Sequence[str]) -> Role | None:
        """Of several roles the one that may most."""
        oidc = self._in.settings().sign_in.oidc
        given = {oidc.roles[value] for value in claimed if value in oidc.roles} if oidc is not None else set()
        return next((role for role in Role if role.value in given), None)

    def _with_role(self, conn: Transaction, user: User, role: Role) -> User:
        """With the provider's role. An analyst keeps the environments that an administrator gave; who is none has none."""
        environments = user.environments if role in OWN_ENVIRONMENTS_ONLY else ()
        if (user.role, user.environments) == (role.value, environments):
            return user
        users.set_role(conn, user.id, role.value, environments)
        sessions.end_all(conn, user.id)
        return replace(user, role=role.value, environments=environments)

    def _added(self, conn: Transaction, identity: ProviderIdentity, role: Role) -> User:
        """A new person. A user name that somebody has gets some letters more; a subject that came at the same moment is found."""
        context, wanted = self._in, _login_of(identity)
        login = wanted
        for _ in range(_TRIES):
            user = User(
                id=context.random(_ID_BYTES).hex(),
                login=login,
                name=_name_of(identity) or login,
                role=role.value,
                oidc_issuer=identity.issuer,
                oidc_subject=identity.subject,
                created_at=context.now(),
            )
            if users.add(conn, user):
                return user
            known = users.by_subject(conn, identity.issuer, identity.subject, lock=True)
            if known is not None:
                return known
            login = f"{wanted}-{context.random(3).hex()}"
        raise RuntimeError("no user name is free")

    def _refused(
        self, conn: Transaction, author: Author, user: User | None, refusal: SignInRefused, why: str
    ) -> SignInRefused:
        subject = "nobody" if user is None else user.login
        self._in.record(conn, author, AuditAction.SIGN_IN_FAIL, subject=subject, after=why)
        return refusal


def _login_of(identity: ProviderIdentity) -> str:
    """A user name that may be one here."""
    written = re.sub(r"[^a-z0-9._@-]+", "-", identity.login.strip().lower()).strip("-.")[:_LONGEST_LOGIN]
    return normal_login(written) or "person"


def _name_of(identity: ProviderIdentity) -> str:
    return " ".join("".join(letter for letter in identity.name if letter.isprintable()).split())[:_LONGEST_NAME]

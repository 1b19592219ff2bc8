"""What the portal's pages ask about people, and the answers: signing in, sessions, invitations, roles, second factors.

`People` is what the pages need; `carebell.staff.people` does it over the store. Every method blocks, some for the tenth of a
second that a password's hash takes: call them in a thread. A token is a secret that belongs into one cookie or one link: no
value here shows it in its `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """Who is at the other end.

    Attributes:
        address: IPv4 or IPv6 of the peer, as `trusted_proxies` let it be known.
        agent: as it names itself (`User-Agent`); None: it does not.
        known_by: the value of the long-lived cookie that a successful sign-in gave this browser; None: it has none.
    """

    address: str
    agent: str | None = None
    known_by: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who may use the portal, or might.

    Attributes:
        login: the user name, in lower case.
        role: administrator, analyst, support, auditor.
        environments: those that an analyst was given; empty for the other roles.
        approver_of: the environments whose approval names this person, as configured now.
        has_password: False: set none yet, or signs in elsewhere alone.
        signs_in_elsewhere: by OpenID Connect.
        disabled_at: switched off since; None: may sign in.
        is_locked: too many failures in a row; `carebell portal unlock` or an administrator ends that.
        invited_until: a set-up link is open until then; None: none is.
    """

    id: str
    login: str
    name: str
    role: str
    environments: tuple[str, ...] = ()
    approver_of: tuple[str, ...] = ()
    has_password: bool = False
    has_second_factor: bool = False
    signs_in_elsewhere: bool = False
    disabled_at: datetime | None = None
    is_locked: bool = False
    invited_until: datetime | None = None
    created_at: datetime
    last_sign_in_at: datetime | None = None

    @property
    def own_environments(self) -> tuple[str, ...]:
        """An analyst's: those that were given, and those that name this person as approver."""
        return tuple(dict.fromkeys((*self.environments, *self.approver_of)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is signed in.

    Attributes:
        key: names the session in lists and in the store; it is no secret.
        csrf: belongs into each form of this session.
        ends_at: the absolute end. idle_ends_at: the end if nothing more is asked for.
        confirmed_until: until then no password or code is asked for again; None: it is asked for.
        address, agent: of the browser that signed in.
    """

    key: str
    person: Person
    csrf: str = field(repr=False)
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    idle_ends_at: datetime
    confirmed_until: datetime | None
    address: str
    agent: str | None

    def is_confirmed(self, now: datetime) -> bool:
        """Whether the person proved a moment ago that it is still the same."""
        return self.confirmed_until is not None and now < self.confirmed_until


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """One of somebody's own sessions. `is_this`: the one that asks."""

    key: str
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    address: str
    agent: str | None
    is_this: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """The sign-in is complete.

    Attributes:
        token: of the new session, for its cookie; every token from before is void.
        known_by: for the long-lived cookie of this browser (`Browser.known_by`).
    """

    token: str = field(repr=False)
    session: Session
    known_by: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeNeeded:
    """The password is right; a code of the second factor is needed. `token` is for the session's cookie, until `ends_at`."""

    token: str = field(repr=False)
    ends_at: datetime


RefusalReason = Literal[
    "wrong", "wait", "locked", "expired", "busy", "unavailable", "incomplete", "no_role", "switched_off"
]
"""Why a sign-in, a code or a proof is refused.

wrong: user name, password or code is not right; which one is not said. wait: too many failures, the next attempt counts from
`until` on. locked: far too many; an administrator must unlock. expired: the step before is too long ago, or was done already: begin
anew. busy: too many passwords are being checked at once; try again in some seconds. unavailable: this way of signing in is off.
incomplete: the password is right, and the second factor that is asked for was never set up: a new set-up link is needed. no_role:
signed in elsewhere, where no role of the portal is given. switched_off: signed in elsewhere, and switched off here.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRefused:
    """Attributes: until: when the next attempt counts; None: at once, or `locked`."""

    reason: RefusalReason
    until: datetime | None = None


PasswordProblem = Literal["short", "long", "common", "organization", "login"]
"""short: fewer letters than `SetUp.shortest`. long: more than 128. common: on the list of common passwords. organization, login:
it is not much more than the organisation's name, or the person's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """A new second factor, for the person's app; it counts from its first right code on.

    Attributes:
        secret: base32, in groups of four letters. uri: `otpauth://totp/...` for a QR code or a link.
    """

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What the set-up page shows for a link that is good.

    Attributes:
        second_factor: to be set up with the password; None: the configuration asks for none.
        shortest: letters that the password needs at least.
        ends_at: the link's.
    """

    person: Person
    second_factor: SecondFactor | None
    shortest: int
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpRefused:
    """What is wrong with what was typed. `code`: the code is not right; both None: the link is used, replaced or too old."""

    password: PasswordProblem | None = None
    code: bool = False

    @property
    def is_link_void(self) -> bool:
        return self.password is None and not self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A set-up link that was made now. `token` belongs into `{portal.public_url}/set-up/{token}`, which is shown once."""

    person: Person
    token: str = field(repr=False)
    ends_at: datetime


ActRefusal = Literal[
    "last_administrator", "unknown_person", "login_taken", "login_unusable", "role_unknown", "environment_unknown",
    "not_allowed", "is_disabled", "no_second_factor", "wrong_code", "not_started",
    "wrong_password", "other_sign_in",
]  # fmt: skip
"""Why an act upon a person was refused; nothing was changed.

last_administrator: nobody could administer the portal afterwards. login_unusable: not 2 to 64 of `a-z 0-9 . _ @ -`.
not_allowed: who asks is no administrator any more.
not_started: no new second factor waits for its code. other_sign_in: the person signs in elsewhere, where this is done.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDone:
    """Attributes: password: what is wrong with a new password, where that is the reason."""

    reason: ActRefusal | None = None
    password: PasswordProblem | None = None


class People(Protocol):
    """Everything about people that pages ask for. `by` is the session of who asks; permissions were checked before."""

    # Signing in and out

    def is_empty(self) -> bool:
        """Whether nobody can sign in yet."""
        ...

    def sign_in(self, login: str, password: str, browser: Browser) -> SignedIn | CodeNeeded | SignInRefused: ...

    def check_code(self, token: str, code: str, browser: Browser) -> SignedIn | SignInRefused:
        """The second step. `token` is of `CodeNeeded`."""
        ...

    def session(self, token: str, *, touch: bool = True) -> Session | None:
        """Who is signed in with this token; None: nobody.

        Args:
            touch: False: a page that refreshes itself asks, which keeps no session open.
        """
        ...

    def confirm_again(self, by: Session, password_or_code: str, browser: Browser) -> Session | SignInRefused:
        """Prove that it is still the same person. Of somebody with a second factor a code is as good as the password."""
        ...

    def sign_out(self, token: str) -> None: ...

    def denied(self, by: Session, page: str, browser: Browser) -> None:
        """Record in the audit log that somebody asked for what is not theirs. `page` is the route, without its values."""
        ...

    # Set-up by a link

    def set_up_of(self, token: str) -> SetUp | None:
        """What the link is for; None: it is used, replaced or too old. Changes nothing."""
        ...

    def set_up(self, token: str, password: str, code: str, browser: Browser) -> SignedIn | SetUpRefused:
        """Use the link up. `code` is empty where `SetUp.second_factor` is None."""
        ...

    # Administrators

    def people(self) -> tuple[Person, ...]:
        """Everybody, by login."""
        ...

    def person(self, person_id: str) -> Person | None: ...

    def invite(
        self, by: Session, login: str, name: str, role: str, environments: tuple[str, ...], browser: Browser
    ) -> Invitation | NotDone: ...

    def invite_again(self, by: Session, person_id: str, browser: Browser) -> Invitation | NotDone:
        """A new set-up link, for a lost password or second factor. Older links are void."""
        ...

    def change_role(
        self, by: Session, person_id: str, role: str, environments: tuple[str, ...], browser: Browser
    ) -> Person | NotDone:
        """Whose role is changed is signed out everywhere."""
        ...

    def switch_off(self, by: Session, person_id: str, browser: Browser) -> Person | NotDone: ...

    def switch_on(self, by: Session, person_id: str, browser: Browser) -> Person | NotDone: ...

    def sign_out_everywhere(self, by: Session, person_id: str, browser: Browser) -> int | NotDone:
        """End all of somebody's sessions; how many there were."""
        ...

    def unlock(self, by: Session, person_id: str, browser: Browser) -> Person | NotDone: ...

    # One's own

    def change_password(
        self, by: Session, current: str, new: str, browser: Browser
    ) -> SignedIn | NotDone | SignInRefused:
        """Ends one's other sessions; this one goes on with a new token."""
        ...

    def begin_second_factor(self, by: Session, browser: Browser) -> SecondFactor | NotDone:
        """Make a new one, which waits for its first code; the one from before counts until then."""
        ...

    def new_second_factor(self, by: Session) -> SecondFactor | None:
        """The one that waits for its first code. Changes nothing."""
        ...

    def finish_second_factor(self, by: Session, code: str, browser: Browser) -> SignedIn | NotDone:
        """The new one counts. Ends one's other sessions; this one goes on with a new token."""
        ...

    def own_sessions(self, by: Session) -> tuple[OpenSession, ...]:
        """The newest first."""
        ...

    def end_session(self, by: Session, key: str, browser: Browser) -> bool:
        """End one of one's own; False: there is none of this key."""
        ...

    def end_other_sessions(self, by: Session, browser: Browser) -> int: ...

"""A clinic's staff at the portal: people with passwords and apps, and a clock that tests move."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pyotp import TOTP

from carebell.staff.administration import Administration
from carebell.staff.elsewhere import SigningInElsewhere
from carebell.staff.passwords import HashCost, Passwords
from carebell.staff.people import StaffPeople
from carebell.staff.people_context import PeopleContext
from config.portal_settings import PortalSection
from portal.people import Browser, CodeNeeded, Invitation, Session, SignedIn
from store import audit
from store.audit import Author
from store.engine import Store
from store.keys import KeyRing
from store.vault import Vault

NOW = datetime(2026, 12, 1, 17, 0, 5, tzinfo=UTC)
PASSWORD = "violet ladder and a spoon"
CHEAP = Passwords(HashCost(passes=1, memory_kib=8), strangers=100)
DESK = Browser(address="192.0.2.7", agent="Firefox")
"""Where Kim works."""
ELSEWHERE = Browser(address="203.0.113.9")
BROAD = {"sign_in": {"local": {"second_factor": "none"}}}
"""Settings without a second factor."""
CLI = Author(who="cli:ann", origin="host=here")


@dataclass
class ClinicStaff:
    """Attributes:
    secrets: base32, by login, of everybody's app. known_by: the cookie of a browser, for a test that needs it.
    approvers: by environment.
    """

    store: Store
    settings: PortalSection = field(default_factory=PortalSection)
    now: datetime = NOW
    secrets: dict[str, str] = field(default_factory=dict)
    known_by: str = ""
    approvers: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"north": (), "south": ()})

    def __post_init__(self) -> None:
        ring = KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32)
        self.context = PeopleContext(
            store=self.store,
            vault=Vault(ring),
            settings=lambda: self.settings,
            organization=lambda: "Lamna Healthcare",
            environments=lambda: self.approvers,
            now=lambda: self.now,
            passwords=CHEAP,
        )
        self.people = StaffPeople(self.context)
        self.elsewhere = SigningInElsewhere(self.context)

    def use(self, **settings: object) -> ClinicStaff:
        self.settings = PortalSection.model_validate(settings)
        return self

    def after(self, **time: float) -> datetime:
        self.now += timedelta(**time)
        return self.now

    def code(self, login: str) -> str:
        """What the app shows now."""
        return TOTP(self.secrets[login]).at(self.now)

    def invite(self, login: str = "kim", role: str = "administrator", environments: tuple[str, ...] = ()) -> str:
        """The token of a set-up link."""
        with self.store.write() as conn:
            made = Administration(self.context).invite(conn, CLI, login, login.title(), role, environments)
        assert isinstance(made, Invitation)
        return made.token

    def add(
        self,
        login: str = "kim",
        role: str = "administrator",
        environments: tuple[str, ...] = (),
        browser: Browser = DESK,
    ) -> SignedIn:
        """Somebody who has used a link; a minute later, so that the code of then is old."""
        token = self.invite(login, role, environments)
        offered = self.people.set_up_of(token)
        assert offered is not None
        code = ""
        if offered.second_factor is not None:
            self.secrets[login] = offered.second_factor.secret.replace(" ", "")
            code = self.code(login)
        done = self.people.set_up(token, PASSWORD, code, browser)
        assert isinstance(done, SignedIn)
        self.after(minutes=1)
        return done

    def sign_in(self, login: str = "kim", browser: Browser = DESK) -> SignedIn:
        outcome = self.people.sign_in(login, PASSWORD, browser)
        if isinstance(outcome, CodeNeeded):
            outcome = self.people.check_code(outcome.token, self.code(login), browser)
        assert isinstance(outcome, SignedIn)
        return outcome

    def session(self, token: str) -> Session:
        session = self.people.session(token)
        assert session is not None
        return session

    def audited(self) -> list[tuple[str, str, str, str | None]]:
        """Who, what, upon whom, with what."""
        with self.store.read() as conn:
            return [(entry.actor, entry.action, entry.subject, entry.after) for entry in audit.entries(conn)]

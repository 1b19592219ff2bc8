"""A request to a page, as its handler gets it, and what the handler may answer. A handler is a blocking function of values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from portal.forms import Form
from portal.people import Browser, Person, Session
from portal.roles import OWN_ENVIRONMENTS_ONLY, Permission, Role, may


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Attributes:
    path: without the query.
    parameters: the parts of the path that the route names, such as `environment`.
    query: of the address; the last value of a name that is repeated.
    repeated: every value of a name in the query.
    form: what was posted; empty for GET.
    browser: who is at the other end, behind trusted proxies too.
    token: of the session's cookie; "" if there is none.
    session: None on pages for everybody.
    now: UTC.
    """

    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    repeated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    form: Form = field(default_factory=Form)
    browser: Browser
    token: str = field(default="", repr=False)
    session: Session | None = None
    now: datetime

    @property
    def own_session(self) -> Session:
        """The session, on pages that need somebody: the gate lets nobody else in."""
        if self.session is None:
            raise LookupError("nobody is signed in")
        return self.session

    @property
    def person(self) -> Person:
        """Whoever is signed in. Only on pages that need somebody."""
        return self.own_session.person

    @property
    def role(self) -> Role:
        """Of whoever is signed in."""
        return Role(self.person.role)

    @property
    def scope(self) -> frozenset[str] | None:
        """The environments that this person may see; None: all."""
        return frozenset(self.person.own_environments) if self.role in OWN_ENVIRONMENTS_ONLY else None

    def chosen_environment(self, allowed: Sequence[str]) -> tuple[str, Sequence[str] | None]:
        """The environment that a list is asked for, and those whose rows it shows; ("", None): of all.

        Args:
            allowed: that this person may see. Another one's name counts as none.
        """
        chosen = self.query.get("environment", "")
        if chosen in allowed:
            return chosen, [chosen]
        return "", None if self.scope is None else allowed

    def may(self, permission: Permission, environment: str | None = None) -> bool:
        """Whether this person may, in an environment (None: in some)."""
        if self.session is None or not may(self.role, permission):
            return False
        return environment is None or self.scope is None or environment in self.scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A page.

    Attributes:
        template: file in `portal/templates`. Where htmx asks for one of its blocks by `hx-target`, that block alone is the answer.
        title: of the page; the template's `<h1>` too.
        view: the template's values, by name.
        form: what was typed; with errors, the title begins with "Error: " and a summary stands at the top.
    """

    template: str
    title: str
    view: Mapping[str, object] = field(default_factory=dict)
    status: int = 200
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """To another page of the portal (303): what follows a POST that changed something.

    Attributes:
        path: begins with one `/`; may have a query of words without anything of a patient.
        cookie: a new session's token, to be set; "": delete the cookie; None: leave it.
        known_by: for the long-lived cookie of this browser; None: leave it.
    """

    path: str
    cookie: str | None = field(default=None, repr=False)
    known_by: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """To a sign-in page of somebody else, such as an identity provider or an EHR (303)."""

    url: str
    cookie: str | None = field(default=None, repr=False)
    known_by: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to save. `chunks` is read in a worker thread, one after the other, so it may be as long as it likes."""

    name: str
    media_type: str
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainText:
    """A few words for a script of ours."""

    text: str


Answer = Shown | Redirect | Away | Download | PlainText


class NotThere(Exception):
    """A handler's answer where the thing that the address names is not there: 404."""


class NotAllowed(Exception):
    """A handler's answer where this person may not: 403. `permission` is what is missing, or a sentence says why."""

    def __init__(self, permission: Permission | None = None, sentence: str | None = None) -> None:
        super().__init__(sentence or "")
        self.permission = permission
        self.sentence = sentence

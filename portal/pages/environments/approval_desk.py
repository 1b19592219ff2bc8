"""What the page about an environment's approval asks for, and the answers. `carebell.staff.approval` implements it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol

from portal.pages.environments.new_desk import AddressCheck
from portal.people import Browser, Session

CALLBACK: Final = "/approval/callback"
"""Where an EHR sends the approver's browser back to, below the portal's address."""

ApprovalStanding = Literal["not required", "draft", "awaiting", "proved", "approved", "sent back"]
STANDING_WORDS: Final[dict[ApprovalStanding, str]] = {
    "not required": "not needed",
    "draft": "not asked for yet",
    "awaiting": "waits for an approver",
    "proved": "access is proved, waits for the approver's word",
    "approved": "approved",
    "sent back": "sent back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFactRow:
    """One fact. `before`: the approved value, where it is another one; None: as it was, or nothing was approved before."""

    label: str
    value: str
    before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalEvent:
    """One step, for the history. `proof`: how access was proved, in words; None: the step is no proof and no approval."""

    state: str
    by: str
    at: datetime
    comment: str | None
    proof: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingChange:
    """A change of the configuration that is written when an approver agrees."""

    proposal: str
    author: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """What is asked of an approver, and how it stands.

    Attributes:
        proposal: the change that is asked about; None: what is in force.
        proposed_by: its author's login.
        waiting: the changes of this environment that wait.
        fingerprint: of the facts that are shown; an approval is of these alone.
        approvers: (login, name).
        proof: the one that stands, in words; None: none does. proof_ends_at: until then it counts. proved_by: login.
        code: to be sent in a signed message by the person who asks; None: this person is no approver, or no proof is awaited.
        no_sign_in: why access cannot be proved by signing in to the EHR; "": it can.
        by_word: whether an administrator's word is enough, as for test environments.
    """

    standing: ApprovalStanding
    proposal: str | None = None
    proposed_by: str | None = None
    waiting: Sequence[WaitingChange] = ()
    facts: Sequence[ApprovalFactRow] = ()
    fingerprint: str = ""
    fhir_base_url: str | None = None
    approvers: Sequence[tuple[str, str]] = ()
    history: Sequence[ApprovalEvent] = ()
    proof: str | None = None
    proof_ends_at: datetime | None = None
    proved_by: str | None = None
    code: str | None = field(default=None, repr=False)
    no_sign_in: str = ""
    by_word: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToTheEhr:
    """To the EHR's sign-in. `shown`: what the request says, without its secrets."""

    url: str = field(repr=False)
    shown: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackFromTheEhr:
    """Somebody came back.

    Attributes:
        environment, proposal: what it was about; None: nothing was waited for.
        sentence: why nothing is proved; "": access is.
        shown_name: what the EHR calls the person, to be shown once.
    """

    environment: str | None = None
    proposal: str | None = None
    sentence: str = ""
    shown_name: str | None = field(default=None, repr=False)


class ApprovalDesk(Protocol):
    """What these pages ask for. A `str` answer says why nothing was done. `proposal` None: it is about what is in force."""

    def approval(self, by: Session, environment: str, proposal: str | None) -> ApprovalView | None:
        """None: there is no such environment, or no such change waits."""
        ...

    def check_address(self, environment: str, proposal: str | None) -> AddressCheck | None:
        """Ask the FHIR server; it blocks for some seconds at the most. None: no FHIR base URL is given."""
        ...

    def prove_by_word(
        self, by: Session, environment: str, proposal: str | None, fingerprint: str, browser: Browser
    ) -> str | None: ...

    def leave(self, by: Session, environment: str, proposal: str | None) -> ToTheEhr | str: ...

    def come_back(self, by: Session, parameters: Sequence[tuple[str, str]], browser: Browser) -> BackFromTheEhr: ...

    def approve(
        self, by: Session, environment: str, proposal: str | None, fingerprint: str, browser: Browser
    ) -> str | None: ...

    def send_back(
        self, by: Session, environment: str, proposal: str | None, fingerprint: str, comment: str, browser: Browser
    ) -> str | None: ...

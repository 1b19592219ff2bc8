"""What the patients' pages ask for, as values. `carebell.patients` implements it; tests build the pages with fakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from config.page_words import PageTexts, built_in_page_words

Stage = Literal["early", "lobby", "waiting", "admitted", "crowded", "canceled", "changed", "over"]
"""early: the link is not open yet. lobby: it is, and who has it has not come in. waiting: came in. admitted: may go on to the
meeting. crowded: it is open on too many devices. canceled. changed: no video visit any more. over: the visit is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPerson:
    """Somebody in the waiting room, as a provider of the visit sees them.

    Attributes:
        link: names the person's link; it leads nowhere.
        role: patient, guest or interpreter.
        since: when they came. admitted: they were let in. put_off: they were asked for more minutes.
        reference: in a group, the hospital's id of their appointment; None: it is the only visit.
    """

    link: str
    role: str
    since: datetime
    admitted: bool
    put_off: bool
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinView:
    """What a page says of a visit; nothing of the patient.

    Attributes:
        role: patient, guest, interpreter or provider: whose link it is.
        start: UTC; None: not known. zone: the clinic's.
        date_only: only the day is known. ends: of the visit, as far as that is known, for a calendar.
        opens_at: from when on patients can come in.
        provider: who it is with, if that may be shown.
        contact: whom to call. organization: who invites.
        waits_since: while `waiting`. put_off: staff asked for some more minutes.
        test: there is a device test for it.
        moved: while `early`: untold: the patient was last told another time. told: another may stand in an older text.
        languages: BCP 47 tags, the most wanted first. territory: whose dates a language without a region has, ISO 3166.
        waiting: who waits for the visit, or for a visit of its group, on the page of a provider's link; none on others.
        in_group: it is the page of a provider who sees a group.
    """

    stage: Stage
    role: str
    start: datetime | None
    zone: ZoneInfo
    date_only: bool
    ends: datetime | None
    opens_at: datetime
    contact: str
    organization: str
    provider: str | None = None
    waits_since: datetime | None = None
    put_off: bool = False
    test: bool = False
    waiting: tuple[WaitingPerson, ...] = ()
    moved: Literal["none", "untold", "told"] = "none"
    languages: tuple[str, ...] = ()
    territory: str = "US"
    in_group: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTheWay:
    """Where a person goes now.

    Attributes:
        url: of the meeting; None: there is none yet, and the page says so.
    """

    view: JoinView
    url: str | None = field(repr=False)


class JoinDesk(Protocol):
    """None everywhere: the link leads to no visit (unknown, revoked or over), which must look alike.

    Arguments: token: as it stands in the address, of any form. device: the page's own random name, 1 to 40 letters and digits.
    """

    def look(self, token: str) -> JoinView | None:
        """What the page shows. Changes nothing."""
        ...

    def stay(self, token: str, device: str, *, by_script: bool) -> JoinView | None:
        """Somebody is here.

        Args:
            by_script: the page says so again within seconds; without, it is believed for some minutes.
        """
        ...

    def leave(self, token: str, device: str) -> JoinView | None:
        """They left the waiting room."""
        ...

    def go(self, token: str, device: str) -> OnTheWay | None:
        """They go on to the meeting, if they may; `url` None also where they may not, with the stage that says why."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinWords:
    """What pages say, as it is now.

    Attributes:
        organization, contact: where no visit is known.
        languages: language -> its words.
    """

    organization: Callable[[], str]
    contact: Callable[[], str]
    languages: Callable[[], Mapping[str, PageTexts]] = built_in_page_words

"""Overview: each environment at a glance, and one line for each thing that needs a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, Protocol

from portal.page_request import Answer, PageRequest, Shown
from portal.roles import Permission
from portal.route_table import Page

ApprovalWords = Literal["not required", "approved", "awaiting", "proved", "draft", "sent back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentCard:
    """One environment now.

    Attributes:
        last_message: when the newest message arrived; None: none ever did. refused_today: messages, since midnight in its zone.
        certificate_days: until the first of its certificates expires; None: none can be read.
        waiting, late: texts. delivered: of the texts whose fate was learned in the last 24 hours, those that arrived, and all.
        replies: patients who answered a text and wait for a person.
        held: why its texts are held; None: they are not.
        approved_by, approved_at: if `approval` is "approved".
    """

    name: str
    kind: str
    enabled: bool
    last_message: datetime | None
    refused_today: int
    certificate_days: int | None
    waiting: int
    late: int
    delivered: tuple[int, int]
    held: str | None
    approval: ApprovalWords
    approved_by: str | None = None
    approved_at: datetime | None = None
    replies: int = 0

    @property
    def delivered_percent(self) -> str | None:
        """`98.2`; None: nothing was learned."""
        arrived, known = self.delivered
        return f"{100 * arrived / known:.1f}" if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsSomebody:
    """One thing that a person must look at.

    Attributes:
        advice: what to do. path: the page where that is done, or ""; link: its words.
        environment: that it is about, or "".
    """

    severity: Literal["critical", "warning"]
    sentence: str
    advice: str
    since: datetime | None = None
    path: str = ""
    link: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One running process of the service. `drifts`: it runs on another configuration than most of them."""

    name: str
    roles: str
    version: str
    configuration: str
    since: datetime
    drifts: bool
    restart_for: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayState:
    """Attributes: failure: why it does not answer, in words; None: it does, or was not asked yet."""

    kind: str
    live: bool
    answered: datetime | None
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything on the page. `everything_held`: why all texts are held; None: they are not."""

    cards: Sequence[EnvironmentCard]
    needs: Sequence[NeedsSomebody]
    nodes: Sequence[NodeRow]
    gateway: GatewayState
    everything_held: str | None


class OverviewDesk(Protocol):
    """What this page asks for."""

    def overview(self, scope: frozenset[str] | None) -> Overview:
        """Of these environments; None: of all."""
        ...


def pages(desk: OverviewDesk) -> tuple[Page, ...]:
    return (Page(name="Overview", path="/", permission=Permission.SEE, menu=True, handler=partial(show, desk)),)


def show(desk: OverviewDesk, request: PageRequest) -> Answer:
    overview = desk.overview(request.scope)
    return Shown(
        template="overview.html",
        title="Overview",
        view={
            "overview": overview,
            "may_hold": request.may(Permission.HOLD),
            "may_release": request.may(Permission.RELEASE),
        },
    )

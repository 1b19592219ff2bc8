"""The portal's pages, one module a page or a family of pages. `all_pages` is the route table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from portal.configuration import ConfigurationDesk
from portal.pages import (
    audit_page,
    configuration,
    environments,
    help_page,
    holds,
    log_page,
    messages,
    numbers,
    opt_outs,
    outbox,
    overview,
    own_session,
    people_page,
    replies,
    returns,
    set_up,
    sign_in,
    sign_in_elsewhere,
    sms_report,
    visit_report,
    visits_page,
    why,
    you,
)
from portal.pages.access import AccessDesk
from portal.pages.audit_page import AuditDesk
from portal.pages.environments import EnvironmentDesks
from portal.pages.help_page import HelpDesk
from portal.pages.holds import HoldDesk
from portal.pages.log_page import LogDesk
from portal.pages.messages import MessagesDesk
from portal.pages.numbers_desk import NumbersDesk
from portal.pages.opt_outs import OptOutDesk
from portal.pages.outbox import OutboxDesk
from portal.pages.overview import OverviewDesk
from portal.pages.own_session import OwnSessionDesk
from portal.pages.replies import ReplyDesk
from portal.pages.returns import ReturnsDesk
from portal.pages.sign_in import SignInWays
from portal.pages.sign_in_elsewhere import ProviderDesk
from portal.pages.sms_report import SmsReportDesk
from portal.pages.visit_report import VisitReportDesk
from portal.pages.visits_page import VisitsDesk
from portal.pages.why import WhyDesk
from portal.proposals import Proposer
from portal.route_table import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Desks:
    """What the pages ask for: one Protocol for each module. `carebell.staff` implements them."""

    access: AccessDesk
    sign_in_ways: Callable[[], SignInWays]
    provider: ProviderDesk
    own_session: OwnSessionDesk
    help: HelpDesk
    overview: OverviewDesk
    environments: EnvironmentDesks
    numbers: NumbersDesk
    proposer: Proposer
    why: WhyDesk
    sms_report: SmsReportDesk
    visit_report: VisitReportDesk
    outbox: OutboxDesk
    messages: MessagesDesk
    visits: VisitsDesk
    replies: ReplyDesk
    returns: ReturnsDesk
    holds: HoldDesk
    opt_outs: OptOutDesk
    log: LogDesk
    audit: AuditDesk
    configuration: ConfigurationDesk


def all_pages(desks: Desks) -> tuple[Page, ...]:
    """The route table. The order is that of the navigation."""
    return (
        *overview.pages(desks.overview),
        *environments.pages(desks.environments, desks.proposer),
        *numbers.pages(desks.numbers),
        *why.pages(desks.why),
        *sms_report.pages(desks.sms_report),
        *visit_report.pages(desks.visit_report),
        *outbox.pages(desks.outbox),
        *messages.pages(desks.messages),
        *visits_page.pages(desks.visits),
        *replies.pages(desks.replies),
        *returns.pages(desks.returns),
        *holds.pages(desks.holds),
        *opt_outs.pages(desks.opt_outs),
        *log_page.pages(desks.log),
        *configuration.pages(desks.configuration),
        *people_page.pages(desks.access),
        *audit_page.pages(desks.audit),
        *you.pages(desks.access),
        *sign_in.pages(desks.access, desks.sign_in_ways),
        *sign_in_elsewhere.pages(desks.provider),
        *set_up.pages(desks.access),
        *own_session.pages(desks.own_session),
        *help_page.pages(desks.help),
    )

"""What each page of the portal asks for, made for a running service: the one wiring file of the staff's pages."""

from __future__ import annotations

import os
from dataclasses import dataclass

from carebell.bootstrap.ehr_fetching import fetcher_for
from carebell.bootstrap.running_service import RunningService
from carebell.bootstrap.visit_recorder import recorder_of
from carebell.inquiries.day_sums import DaySums
from carebell.inquiries.overview import OverviewReader
from carebell.staff.approval import StaffApprovals
from carebell.staff.approval_questions import ApprovalQuestions
from carebell.staff.audit_log import StaffAudit
from carebell.staff.certificates import Certificates
from carebell.staff.configuration import StaffConfiguration
from carebell.staff.elsewhere import SigningInElsewhere
from carebell.staff.environments import Environments
from carebell.staff.fetching import fhir_checker, provider_fetcher
from carebell.staff.holding import Holding
from carebell.staff.integration_records import IntegrationRecords
from carebell.staff.log_lines import LogLines
from carebell.staff.messages import MessagesInquiry
from carebell.staff.new_environment import NewEnvironments
from carebell.staff.numbers import StaffNumbers
from carebell.staff.opt_outs import StaffOptOuts
from carebell.staff.outbox import OutboxInquiry
from carebell.staff.overview import StaffOverview
from carebell.staff.passwords import Passwords
from carebell.staff.people import people_of
from carebell.staff.people_context import PeopleContext, approvers_by_environment, author_of
from carebell.staff.provider import ProviderSignIn
from carebell.staff.replies import StaffReplies
from carebell.staff.returns import StaffReturns
from carebell.staff.running_source import RunningSource
from carebell.staff.sms_report import SmsReports
from carebell.staff.sms_texts import SmsTexts
from carebell.staff.visit_report import VisitReports
from carebell.staff.visits import StaffVisits
from carebell.staff.why import WhyInquiry
from portal.pages import Desks
from portal.pages.access import AccessDesk
from portal.pages.environments import EnvironmentDesks
from portal.pages.sign_in import SignInWays
from portal.people import People
from portal.roles import Role
from store import sms_pages, visit_pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Helpers:
    """`portal.pages.help_page.HelpDesk`: whom to ask."""

    people: People

    def administrators(self) -> list[str]:
        return [
            person.name
            for person in self.people.people()
            if person.role == Role.ADMINISTRATOR.value and person.disabled_at is None
        ]


def desks_for(running: RunningService, public_url: str) -> Desks:
    """Args:
    public_url: of the portal, for links.
    """
    source = RunningSource(running=running)

    def environments() -> dict[str, tuple[str, ...]]:
        return approvers_by_environment(running.loaded().configuration)

    context = PeopleContext(
        store=running.store,
        vault=running.vault,
        settings=lambda: running.loaded().configuration.portal,
        organization=lambda: running.loaded().configuration.organization.name,
        environments=environments,
        now=running.clock.now,
        passwords=Passwords(),
    )
    people = people_of(context)
    configuration = StaffConfiguration(
        store=running.store,
        vault=running.vault,
        loaded=running.loaded,
        environ=os.environ,
        now=running.clock.now,
        node=running.node,
    )
    questions = ApprovalQuestions(
        store=running.store,
        vault=running.vault,
        loaded=running.loaded,
        runtime_config=running.runtime_config,
        environ=os.environ,
        now=running.clock.now,
    )
    numbers = StaffNumbers(loaded=running.loaded, store=running.store, vault=running.vault, now=running.clock.now)
    return Desks(
        access=AccessDesk(people=people, public_url=public_url, environments=lambda: tuple(environments())),
        sign_in_ways=lambda: _ways(running),
        provider=ProviderSignIn(
            context=context, loaded=running.loaded, public_url=public_url, fetcher_of=provider_fetcher
        ),
        own_session=people,
        help=Helpers(people=people),
        overview=StaffOverview(reader=OverviewReader(source), approvals=questions.facts),
        environments=EnvironmentDesks(
            environments=Environments(loaded=running.loaded, approval_states=questions.words),
            certificates=Certificates(loaded=running.loaded, store=running.store),
            texts=SmsTexts(loaded=running.loaded, account_numbers=numbers.known),
            approval=StaffApprovals(
                questions=questions,
                elsewhere=SigningInElsewhere(context),
                people=people.people,
                fetcher=fetcher_for,
                public_url=public_url,
                write=configuration.write_approved,
                journal=running.journal,
            ),
            records=IntegrationRecords(
                loaded=running.loaded, approvals=questions.words, store=running.store, now=running.clock.now
            ),
            new=NewEnvironments(
                loaded=running.loaded,
                store=running.store,
                vault=running.vault,
                people=people.people,
                check_fhir=fhir_checker(running.loaded),
            ),
        ),
        numbers=numbers,
        configuration=configuration,
        proposer=configuration,
        why=WhyInquiry(source=source, author=author_of),
        sms_report=SmsReports(
            source=source,
            sums=DaySums(store=running.store, now=running.clock.now, count=sms_pages.sums),
            author=author_of,
        ),
        visit_report=VisitReports(
            source=source,
            sums=DaySums(store=running.store, now=running.clock.now, count=visit_pages.sums),
            author=author_of,
        ),
        outbox=OutboxInquiry(source=source),
        messages=MessagesInquiry(source=source),
        visits=StaffVisits(running=running, recorder=recorder_of(running)),
        replies=StaffReplies(source=source, author=author_of),
        returns=StaffReturns(source=source, author=author_of),
        holds=Holding(running=running),
        opt_outs=StaffOptOuts(running=running),
        log=LogLines(running=running),
        audit=StaffAudit(running=running),
    )


def _ways(running: RunningService) -> SignInWays:
    sign_in = running.loaded().configuration.portal.sign_in
    return SignInWays(local=sign_in.local.enabled, elsewhere=None if sign_in.oidc is None else sign_in.oidc.name)

"""The pages about environments, one module a page. `pages` is their part of the route table."""

from __future__ import annotations

from dataclasses import dataclass

from portal.environments import EnvironmentsDesk
from portal.pages.environments import approval, certificates, feed, new, records, sms, summary
from portal.pages.environments.approval_desk import ApprovalDesk
from portal.pages.environments.certificates import CertificatesDesk
from portal.pages.environments.new_desk import NewEnvironmentDesk
from portal.pages.environments.records import RecordsDesk
from portal.pages.environments.sms import TextsDesk
from portal.proposals import Proposer
from portal.route_table import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentDesks:
    """What the pages ask for: one Protocol for each module."""

    environments: EnvironmentsDesk
    certificates: CertificatesDesk
    texts: TextsDesk
    new: NewEnvironmentDesk
    approval: ApprovalDesk
    records: RecordsDesk


def pages(desks: EnvironmentDesks, proposer: Proposer) -> tuple[Page, ...]:
    return (
        *summary.pages(desks.environments),
        *feed.pages(desks.environments, proposer),
        *sms.pages(desks.environments, proposer, desks.texts),
        *certificates.pages(desks.environments, proposer, desks.certificates),
        *approval.pages(desks.approval),
        *records.pages(desks.records),
        *new.pages(desks.environments, proposer, desks.certificates, desks.texts, desks.new),
    )

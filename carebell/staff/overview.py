"""What the page Overview asks for: each environment, and everything that needs a person, with the page where it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from carebell.inquiries.overview import EnvironmentFact, OverviewReader, ServiceFacts
from carebell.maintenance.standing_alarms import StandingAlarm
from journal.alarms import ALARMS, AlarmName
from portal.pages.overview import (
    ApprovalWords,
    EnvironmentCard,
    GatewayState,
    NeedsSomebody,
    NodeRow,
    Overview,
)
from scheduler.sms import HoldScope

_PAGES: Final[Mapping[AlarmName, tuple[str, str]]] = {
    "overdue": ("/outbox", "See the outbox"),
    "breaker_open": ("/holds", "See what is stopped"),
    "held": ("/holds", "See the holds"),
    "unknown_texts": ("/outbox?state=unknown", "See these texts"),
    "feed_silent": ("/messages", "See the messages"),
    "signature_failures": ("/messages?answer=refused", "See the refused messages"),
    "log_incomplete": ("/logs?level=warning", "See the log"),
    "task_down": ("/logs?level=error", "See the log"),
}
"""The page that shows an alarm's matter, and the link's words."""
_OF_ENVIRONMENT: Final[Mapping[AlarmName, tuple[str, str]]] = {
    "certificate_expiring": ("certificates", "See the certificates"),
    "certificate_unused": ("certificates", "See the certificates"),
}
"""The same, below an environment's address."""
_IN_A_ROW: Final = 3
"""So many refusals without an accepted message between them are no single bad message; the alarm counts ten minutes' refusals."""
_APPROVAL: Final = ("approval", "See the approval")
_APPROVE: Final = "An approver looks at what it is connected to and approves it; then they leave."


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFact:
    """How an environment's approval stands. `by`, `at`: where it is approved."""

    state: ApprovalWords
    by: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffOverview:
    """`portal.pages.overview.OverviewDesk`.

    Attributes:
        approvals: how each environment's approval stands now; an environment that is missing needs none.
    """

    reader: OverviewReader
    approvals: Callable[[], Mapping[str, ApprovalFact]]

    def overview(self, scope: frozenset[str] | None) -> Overview:
        facts, approvals = self.reader.read(), self.approvals()
        return Overview(
            cards=[
                _card(environment, approvals.get(environment.name, ApprovalFact(state="not required")))
                for environment in facts.environments
                if scope is None or environment.name in scope
            ],
            needs=[
                *(
                    _need(alarm)
                    for alarm in facts.alarms
                    if scope is None or not alarm.environment or alarm.environment in scope
                ),
                *(
                    _refused(environment)
                    for environment in facts.environments
                    if (scope is None or environment.name in scope) and _only_refused(environment)
                ),
            ],
            nodes=_nodes(facts),
            gateway=_gateway(facts),
            everything_held=_everything_held(facts),
        )


def _card(fact: EnvironmentFact, approval: ApprovalFact) -> EnvironmentCard:
    days = [certificate.days_left for certificate in fact.certificates if certificate.days_left is not None]
    own = [hold.reason for hold in fact.holds if hold.scope is not HoldScope.ALL]
    refused_by_gateway = [f"the gateway refuses, code {breaker.code}" for breaker in fact.breakers]
    return EnvironmentCard(
        name=fact.name,
        kind=fact.environment.kind,
        enabled=fact.environment.enabled,
        last_message=fact.last_message,
        refused_today=fact.refused_today,
        certificate_days=min(days, default=None),
        waiting=fact.waiting,
        late=fact.late,
        delivered=(fact.delivered, fact.settled),
        held="; ".join([*own, *refused_by_gateway]) or None,
        approval=approval.state,
        approved_by=approval.by,
        approved_at=approval.at,
        replies=fact.replies,
    )


def _need(alarm: StandingAlarm) -> NeedsSomebody:
    waits_for_approver = alarm.alarm == "held" and alarm.subject.startswith(f"{HoldScope.APPROVAL} ")
    below = _APPROVAL if waits_for_approver else _OF_ENVIRONMENT.get(alarm.alarm)
    if below is not None and alarm.environment:
        path, link = f"/environments/{quote(alarm.environment, safe='')}/{below[0]}", below[1]
    else:
        path, link = _PAGES.get(alarm.alarm, ("", ""))
    return NeedsSomebody(
        severity=alarm.severity,
        sentence=f"{alarm.problem[:1].upper()}{alarm.problem[1:]}.",
        advice=_APPROVE if waits_for_approver else ALARMS[alarm.alarm].advice,
        since=alarm.since,
        path=path,
        link=link,
        environment=alarm.environment,
    )


def _only_refused(fact: EnvironmentFact) -> bool:
    """Whether nothing but refusals came from its sender, and no alarm says so yet: it counts more of them."""
    said = any(alarm.alarm == "signature_failures" for alarm in fact.alarms)
    return fact.environment.enabled and len(fact.refused_in_a_row) >= _IN_A_ROW and not said


def _refused(fact: EnvironmentFact) -> NeedsSomebody:
    newest, oldest = fact.refused_in_a_row[0], fact.refused_in_a_row[-1]
    path, link = _PAGES["signature_failures"]
    return NeedsSomebody(
        severity="warning",
        sentence=f"The last {len(fact.refused_in_a_row)} messages of {fact.name} were refused because of their signature, the "
        f"newest with {newest.code}, and none was accepted meanwhile.",
        advice=ALARMS["signature_failures"].advice,
        since=oldest.at,
        path=path,
        link=link,
        environment=fact.name,
    )


def _nodes(facts: ServiceFacts) -> Sequence[NodeRow]:
    """Those that run. A node drifts where most of them have another configuration, or this one, if there is no majority."""
    versions = Counter(node.configuration for node in facts.nodes if node.configuration is not None)
    ((usual, count),) = versions.most_common(1) or [(facts.configuration, 0)]
    usual = usual if count * 2 > len(facts.nodes) else facts.configuration
    return [
        NodeRow(
            name=node.name,
            roles=node.roles.replace(",", ", "),
            version=node.version,
            configuration=node.configuration or "unknown",
            since=node.started_at,
            drifts=node.configuration not in (None, usual),
            restart_for=node.restart_for,
        )
        for node in facts.nodes
    ]


def _gateway(facts: ServiceFacts) -> GatewayState:
    contact = facts.gateway
    failure = None
    if contact.failures:
        times = "once" if contact.failures == 1 else f"{contact.failures} times in a row"
        failure = f"{times}, the last with {contact.reason}"
    return GatewayState(
        kind=facts.gateway_kind, live=facts.gateway_is_live, answered=contact.answered_at, failure=failure
    )


def _everything_held(facts: ServiceFacts) -> str | None:
    reasons = {hold.reason for fact in facts.environments for hold in fact.holds if hold.scope is HoldScope.ALL}
    return "; ".join(sorted(reasons)) or None

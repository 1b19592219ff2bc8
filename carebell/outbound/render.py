"""Renders an appointment's text from the environment's templates and the organization's name; nothing else renders texts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from carebell.environment_policy import EnvironmentPolicy, says_feed_link
from config.model import Organization
from config.model import SmsSettings as SmsSection
from notifier.gateway import Sms
from notifier.templates import WHICH_VISIT
from notifier.text import Ask, ListedVisit, Rendered, TextSettings, Unrendered, Values, render
from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment
from scheduler.reply import AnswerRule, ReplyKind
from scheduler.sms import SmsKind
from store.claims import Claimed
from store.join_tokens import TOKEN_LENGTH
from store.outbox_row import OutboxRow

PREVIEWED_TOKEN: Final = "1" * TOKEN_LENGTH
"""Stands for a join link's token where a text is only shown: no link has it, and it is as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a text asks, or lists, beside what the appointment gives it.

    Attributes:
        ask: None: it does not ask.
    """

    ask: Ask | None = None
    visits: tuple[ListedVisit, ...] = ()
    visit_count: int = 0


NOTHING_ASKED: Final = Asking()


def compose(
    appointment: Appointment,
    kind: SmsKind,
    policy: EnvironmentPolicy,
    organization: Organization,
    token: str | None = None,
    *,
    rule: str = "",
    asking: Asking = NOTHING_ASKED,
    settings: TextSettings | None = None,
) -> Rendered | Unrendered:
    """The text as it would leave now. A cancellation names the time that the patient was last told.

    Args:
        settings: `text_settings` of this organization and environment, if the caller has them.
        token: of the visit's own join link (`visit_links.tokens`); None: it has none.
        rule: of an answer, which one; `scheduler.reply.AnswerRule`.
    """
    start, zone, date_only = appointment.start, appointment.zone, appointment.date_only
    if (
        kind is SmsKind.CANCELED
        and appointment.last_notified is not None
        and appointment.last_notified.start is not None
    ):
        start, zone, date_only = (
            appointment.last_notified.start,
            appointment.last_notified_zone,
            appointment.last_notified.date_only,
        )
    return render(
        policy.templates,
        kind.value,
        appointment.language,
        _answer_text(rule) if kind is SmsKind.ANSWER else appointment.visit_mode,
        Values(
            start=start,
            zone=zone,
            date_only=date_only,
            join_link=appointment.join_link if says_feed_link(policy.environment) else None,
            own_link=None if token is None or policy.join_url is None else f"{policy.join_url}{token}",
            facility=appointment.facility,
            location=appointment.location,
            provider=appointment.provider,
            patient_name=appointment.patient_name,
            ask=asking.ask,
            visits=asking.visits,
            visit_count=asking.visit_count,
        ),
        settings or text_settings(organization, policy.environment.sms),
    )


def text_settings(organization: Organization, sms: SmsSection) -> TextSettings:
    """The settings of the configuration that apply to every text."""
    return TextSettings(
        organization=organization.name,
        contact=organization.contact,
        fallback_language=sms.languages.fallback,
        max_segments=sms.max_segments,
        link_hosts=tuple(sms.join_link.allowed_hosts),
        territory=sms.countries[0],
        asks=sms.replies.enabled,
    )


def _answer_text(rule: str) -> str:
    """The template's key: a list has the same words, whichever answers it offers."""
    return WHICH_VISIT if AnswerRule(rule).lists is not None else rule


def first_ask(kind: SmsKind, policy: EnvironmentPolicy) -> Asking:
    """What a text asks whose visit is the only one of its telephone, and not confirmed."""
    asks = policy.replies is not None and kind.value in policy.environment.sms.replies.ask_in
    return Asking(ask=Ask(words=policy.replies.shown[ReplyKind.CONFIRM])) if asks and policy.replies else NOTHING_ASKED


def asked_in(row: OutboxRow, policy: EnvironmentPolicy) -> Asking:
    """What a text asked when it was claimed."""
    if row.question is None or policy.replies is None:
        return NOTHING_ASKED
    words = policy.replies.shown[ReplyKind.CONFIRM]
    return Asking(ask=Ask(words=words, number=None if row.question_alone else row.question))


def text_of(
    appointment: Appointment,
    kind: SmsKind,
    policy: EnvironmentPolicy,
    organization: Organization,
    token: str | None = None,
    *,
    rule: str = "",
    asking: Asking = NOTHING_ASKED,
    settings: TextSettings | None = None,
) -> Rendered | None:
    """The text as `compose` gives it; None: the templates give none."""
    text = compose(appointment, kind, policy, organization, token, rule=rule, asking=asking, settings=settings)
    return text if isinstance(text, Rendered) else None


def previewed_token(appointment: Appointment, policy: EnvironmentPolicy) -> str | None:
    """For a text that is only shown: `PREVIEWED_TOKEN` if the visit gets a link of its own."""
    return PREVIEWED_TOKEN if appointment.visit_mode in policy.environment.visits.modes else None


def sms_of(
    row: OutboxRow,
    appointment: Appointment,
    policy: EnvironmentPolicy,
    organization: Organization,
    *,
    to: PhoneNumber,
    valid_for: timedelta,
    token: str | None = None,
) -> Sms | None:
    """An outbox row's text as the gateway takes it; None: the templates give no text, or the row has no time."""
    text = text_of(appointment, row.kind, policy, organization, token, rule=row.rule, asking=asked_in(row, policy))
    if text is None or row.due is None:
        return None
    sender = row.sender or policy.environment.sms.sender
    return _sms(row, row.due, text.text, text.segments, to=to, sender=sender, valid_for=valid_for)


def claimed_sms(claim: Claimed, now: datetime) -> Sms | None:
    """A claimed text as the gateway takes it, in the words that the claim decided about; None: the row has no time."""
    row = claim.row
    if row.due is None or row.expires is None:
        return None
    segments, sender = row.segments or 0, row.sender or ""
    return _sms(row, row.due, claim.text, segments, to=claim.recipient, sender=sender, valid_for=row.expires - now)


def _sms(
    row: OutboxRow, due: datetime, text: str, segments: int, *, to: PhoneNumber, sender: str, valid_for: timedelta
) -> Sms:
    return Sms(
        id=row.id,
        attempt=row.attempts,
        environment=row.environment,
        appointment=row.reference,
        kind=row.kind.value,
        to=to,
        sender=sender,
        body=text,
        segments=segments,
        valid_for=valid_for,
        due=due,
    )

"""One environment's configuration in the form that the code uses. It is built once for each load and never changed.

`carebell.inbound.process` and `carebell.outbound.dispatcher` get policies; the code that they call does not read the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from carebell.approved_facts import approved_facts
from config.load import Loaded
from config.model import Environment, Organization, WritebackSection
from config.page_words import PageTexts, built_in_page_words, languages_with
from ehr.fingerprint import ApprovedFacts
from notifier.recipients import Allowed, NumberRules, may_text
from notifier.reply_meaning import ReplyVocabulary
from notifier.text import TemplateSet, placeholders_used
from parser.ack import Answer
from parser.answers import AnswerTable
from parser.phone_number import PhoneNumber
from parser.siu import Rules, rules_for
from scheduler.appointment import Appointment
from scheduler.plan import ReplannedTexts, replan
from scheduler.policy import Policy
from scheduler.sms import PlannedRow, Reason
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentPolicy:
    """Attributes:
    environment: its section of the configuration.
    rules: how its messages are read. answers: the answer to each failure.
    planning: the planner's settings. numbers: who may be texted. templates: its texts.
    writeback: which events go back to the EHR, and for how long they are tried.
    config_version: of the configuration that it was built from.
    facts: what must be approved before texts leave; None: no approval is needed.
    join_url: what stands before the token in join links of Carebell's own; None: this environment has none.
    replies: what patients may answer; None: `sms.replies` is switched off.
    """

    name: str
    environment: Environment
    rules: Rules = field(repr=False)
    answers: AnswerTable = field(repr=False)
    planning: Policy = field(repr=False)
    numbers: NumberRules = field(repr=False)
    templates: TemplateSet = field(repr=False)
    config_version: str
    facts: ApprovedFacts | None = None
    writeback: WritebackPolicy = field(default_factory=WritebackPolicy)
    join_url: str | None = None
    replies: ReplyVocabulary | None = field(default=None, repr=False)

    @property
    def zone(self) -> str:
        return self.environment.time_zone

    @property
    def refuses_reuse(self) -> bool:
        return self.environment.reuse_of_control_id == "refuse"

    @property
    def remembers_for(self) -> timedelta:
        """How long a message could still be replayed: the freshness window plus the allowed clock difference."""
        return self.environment.freshness.max_age + self.environment.freshness.max_ahead

    def reused(self) -> Answer:
        """The answer to a control id that was used for another message."""
        return self.answers.answer("SIG10", text="MSH-10 was used before, for another message")

    def judge(self, appointment: Appointment) -> Allowed | Reason:
        """The number that the appointment's texts go to, or the first reason against it."""
        return may_text(appointment.phone, appointment.phone_fault, self.numbers, appointment.consent)

    def blocked(self, appointment: Appointment, allowed: Allowed | Reason | None = None) -> Reason | None:
        """Why this patient cannot be texted at any time; None: the patient can be. The claim checks opt-outs and caps.

        Args:
            allowed: what `judge` says, if it was asked before.
        """
        if appointment.deceased:
            return Reason.DECEASED
        if allowed is None:
            allowed = self.judge(appointment)
        return allowed if isinstance(allowed, Reason) else None

    def replan(self, appointment: Appointment, history: Sequence[PlannedRow], now: datetime) -> ReplannedTexts:
        """Plan the appointment's texts at `now`, UTC, with this configuration.

        Args:
            history: the appointment's outbox rows.
        """
        return replan(appointment, self.planning, history, now, self.blocked(appointment))

    def recipient(self, appointment: Appointment) -> PhoneNumber | None:
        """The number that a text is really sent to. If the patient cannot be texted: the patient's number, if it is known."""
        allowed = self.judge(appointment)
        return appointment.phone if isinstance(allowed, Reason) else allowed.to


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """The policies of one load of the configuration. A changed configuration replaces the whole object.

    Attributes:
        policies: of the enabled environments.
        rates: sender -> SMS segments a second, if configured.
        page_words: language -> the words of the patients' pages.
    """

    policies: Mapping[str, EnvironmentPolicy]
    organization: Organization
    rates: Mapping[str, float]
    version: str
    page_words: Mapping[str, PageTexts] = field(default_factory=built_in_page_words, repr=False)

    @property
    def asking(self) -> frozenset[str]:
        """The environments whose texts may ask."""
        return frozenset(name for name, policy in self.policies.items() if policy.replies is not None)


def runtime_config(loaded: Loaded) -> RuntimeConfig:
    """Everything that inbound and outbound need from a configuration."""
    configuration = loaded.configuration
    return RuntimeConfig(
        policies={
            name: environment_policy(loaded, name)
            for name, section in configuration.environments.items()
            if section.enabled
        },
        organization=configuration.organization,
        rates=configuration.gateway.segments_per_second,
        version=loaded.version,
        page_words=languages_with(loaded.page_words),
    )


def environment_policy(loaded: Loaded, name: str) -> EnvironmentPolicy:
    """One environment's policy."""
    environment = loaded.configuration.environments[name]
    sms = environment.sms
    templates = TemplateSet.build(loaded.templates[name].texts)
    shown = frozenset[str]().union(*placeholders_used(templates).values())
    return EnvironmentPolicy(
        name=name,
        environment=environment,
        rules=rules_for(environment, loaded.field_maps[name], wants_name="patient_name" in shown),
        answers=AnswerTable(loaded.answer_rows, environment.answers),
        planning=Policy(sms=sms, shown=tuple(sorted(shown if says_feed_link(environment) else shown - {"join_link"}))),
        numbers=number_rules(environment),
        templates=templates,
        config_version=loaded.version,
        facts=approved_facts(loaded, name) if environment.approval.required else None,
        writeback=writeback_policy(environment.writeback),
        join_url=_join_url(loaded, environment),
        replies=ReplyVocabulary.of(sms.replies) if sms.replies.enabled else None,
    )


def writeback_policy(section: WritebackSection) -> WritebackPolicy:
    """Which events of an environment go back."""
    return WritebackPolicy(
        channels={
            WritebackEvent(event): WritebackChannel(channel)
            for event, channel in section.events.items()
            if channel != "none"
        },
        retry_for={str(event): lasts for event, lasts in section.retry_for.items()},
    )


def says_feed_link(environment: Environment) -> bool:
    """Whether the texts name the link that the message gave."""
    return environment.visits.join == "feed"


def _join_url(loaded: Loaded, environment: Environment) -> str | None:
    join = loaded.configuration.join
    own = environment.visits.join == "ours" and join.enabled and join.public_url is not None
    return f"{join.public_url}/j/" if own else None


def number_rules(environment: Environment) -> NumberRules:
    """Who may be texted by an environment's configuration."""
    sms = environment.sms
    return NumberRules(
        kind=environment.kind,
        countries=frozenset(sms.countries),
        landline=sms.landline,
        allow_list=None if sms.allow_list is None else frozenset(sms.allow_list),
        force_to=None if sms.force_to is None else PhoneNumber(sms.force_to),
        consented=sms.consent.organization_allows_sending and sms.consent.attendees_have_consented,
        approved=sms.approved,
    )

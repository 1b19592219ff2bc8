"""Environments: which there are, and what one of them says, each row with the page that changes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from config.model import Environment
from parser.phone_number import PhoneNumber
from portal.edit_forms import feed as feed_form
from portal.edit_forms.feed import AUTHENTICATIONS, ehr_options
from portal.edit_forms.reminders import reminder_words
from portal.environments import EnvironmentsDesk, PresentConfiguration
from portal.page_request import Answer, NotThere, PageRequest, Shown
from portal.roles import Permission
from portal.route_table import Page

KINDS: Final = {"production": "Production", "test": "Test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRow:
    """One line of the table."""

    name: str
    kind: str
    fhir_base_url: str | None
    ehr: str
    sender: str
    approval: str
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One line of an environment's summary. `change`: the page, and there the field, that changes it; None: no page does."""

    name: str
    value: str
    change: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A page about the same environment."""

    name: str
    path: str
    here: bool


def pages(desk: EnvironmentsDesk) -> tuple[Page, ...]:
    see = Permission.SEE_CONFIGURATION
    return (
        Page(name="Environments", path="/environments", handler=partial(show_all, desk), permission=see, menu=True),
        Page(name="Environment", path="/environments/{environment}", handler=partial(show, desk), permission=see),
    )


def show_all(desk: EnvironmentsDesk, request: PageRequest) -> Answer:
    approvals = desk.approvals()
    rows = [
        EnvironmentRow(
            name=name,
            kind=KINDS[environment.kind],
            fhir_base_url=environment.fhir_base_url,
            ehr=ehr_words(environment.ehr),
            sender=environment.sms.sender,
            approval=approvals.get(name, "not needed"),
            enabled=environment.enabled,
        )
        for name, environment in desk.in_force().configuration.environments.items()
        if request.scope is None or name in request.scope
    ]
    view = {"rows": rows, "may_add": request.may(Permission.CHANGE_CONFIGURATION)}
    return Shown(template="environments/list.html", title="Environments", view=view)


def show(desk: EnvironmentsDesk, request: PageRequest) -> Answer:
    name, environment, _ = wanted(desk, request)
    approval = desk.approvals().get(name, "not needed")
    may_change, may_change_feed = (
        request.may(Permission.CHANGE_CONFIGURATION),
        request.may(Permission.CHANGE_FEED, name),
    )
    rows = _summary(name, environment, approval)
    if not may_change:
        of_feed = {f"/environments/{name}/feed#{field.name}" for field in feed_form.SENDER}
        of_feed |= {f"/environments/{name}/certificates", f"/environments/{name}/approval"}
        rows = [row if may_change_feed and row.change in of_feed else replace(row, change=None) for row in rows]
    view = {"rows": rows, "tabs": tabs(name, request), "may_change": may_change}
    return Shown(template="environments/one.html", title=f"Environment {name}", view=view)


def wanted(desk: EnvironmentsDesk, request: PageRequest) -> tuple[str, Environment, PresentConfiguration]:
    """The environment that the address names. NotThere: there is none."""
    name, in_force = request.parameters["environment"], desk.in_force()
    environment = in_force.environment(name)
    if environment is None:
        raise NotThere
    return name, environment, in_force


def tabs(name: str, request: PageRequest) -> list[Tab]:
    """The pages about one environment."""
    base = f"/environments/{name}"
    paths = {
        "Summary": base,
        "Feed": f"{base}/feed",
        "SMS notifications": f"{base}/sms",
        "Certificates": f"{base}/certificates",
        "Approval": f"{base}/approval",
        "Integration records": f"{base}/records",
        "History": f"/configuration/history?environment={name}",
    }
    return [Tab(name=words, path=path, here=_is_here(request.path, path, base)) for words, path in paths.items()]


def _is_here(here: str, path: str, base: str) -> bool:
    """Whether a page is of a tab: its own, or one that its form leads to."""
    return here == path or (path != base and here.startswith(f"{path}/"))


def ehr_words(ehr: str) -> str:
    """`Epic`, or the file name of the organisation's own field map."""
    return dict(ehr_options(ehr))[ehr]


def _summary(name: str, environment: Environment, approval: str) -> list[SummaryRow]:
    feed, sms = f"/environments/{name}/feed", f"/environments/{name}/sms"
    sender, listener, texts = environment.sender, environment.listener, environment.sms
    authentications = {value: words for value, words, _ in AUTHENTICATIONS}
    rows = [
        ("Kind", KINDS[environment.kind], None),
        ("Takes messages and sends texts", "yes" if environment.enabled else "no: switched off", f"{feed}#enabled"),
        ("EHR", ehr_words(environment.ehr), f"{feed}#ehr"),
        ("FHIR base URL", environment.fhir_base_url or "not given", f"{feed}#fhir_base_url"),
        ("Time zone", environment.time_zone, f"{feed}#time_zone"),
        ("Listens on", f"{listener.host}, port {listener.port}{_tls(environment)}", f"{feed}#host"),
        ("The sender proves itself by", authentications[environment.authentication], f"{feed}#authentication"),
        ("MSH-4 sending facilities allowed", ", ".join(sender.facilities), f"{feed}#facilities"),
        ("MSH-5 receiving application", sender.receiving_application, f"{feed}#receiving_application"),
        ("MSH-6 receiving facility", sender.receiving_facility, f"{feed}#receiving_facility"),
        ("MSH-11 processing IDs allowed", ", ".join(sender.processing_ids), f"{feed}#processing_ids"),
        ("Certificates", str(len(environment.certificates)), f"/environments/{name}/certificates"),
        ("Approval", approval, f"/environments/{name}/approval"),
        ("Phone number", texts.sender, f"{sms}#sender"),
        ("Consent", _consent(environment), f"{sms}#consent_organization"),
        ("Confirmation SMS", _confirmations(environment), f"{sms}#confirmation_scheduled"),
        ("Reminder SMS", _reminders(environment), f"{sms}#reminders"),
        ("Quiet hours", _quiet_hours(environment), f"{sms}#quiet"),
        ("Texts for one number at most", f"{texts.caps.per_day} in a day, {texts.caps.per_week} in a week", f"{sms}#per_day"),
    ]  # fmt: skip
    if environment.kind == "test" or texts.allow_list is not None:
        numbers = ", ".join(PhoneNumber(number).masked for number in texts.allow_list or ())
        rows.append(("Texts only these numbers", numbers or "none", f"{sms}#allow_add"))
    if texts.force_to is not None:
        rows.append(("Every text goes to", PhoneNumber(texts.force_to).masked, None))
    return [SummaryRow(name=words, value=value, change=change) for words, value, change in rows]


def _tls(environment: Environment) -> str:
    return ", unencrypted" if environment.listener.tls is None else ", TLS"


def _consent(environment: Environment) -> str:
    consent = environment.sms.consent
    both = consent.organization_allows_sending and consent.attendees_have_consented
    return "both boxes are ticked" if both else "missing, so nothing is sent"


def _confirmations(environment: Environment) -> str:
    kinds = environment.sms.confirmation
    named = {"scheduled": kinds.scheduled, "updated": kinds.updated, "canceled": kinds.canceled}
    return ", ".join(name for name, chosen in named.items() if chosen) or "none"


def _reminders(environment: Environment) -> str:
    return "; ".join(map(reminder_words, environment.sms.reminders)) or "none"


def _quiet_hours(environment: Environment) -> str:
    quiet = environment.sms.quiet_hours
    return "none" if quiet is None else f"{quiet.begins:%H:%M} to {quiet.ends:%H:%M}"

"""Whether the patients' pages and the visits of the environments fit together. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from config.addresses import VISIT_CODE, host_allowed, is_loopback
from config.model import Configuration, DeviceTestSettings, Environment, MeetingSettings
from config.problems import Keys

_HOSTS: Final = {"zoom": "zoom.us and *.zoom.us", "teams": "teams.microsoft.com and visit.teams.microsoft.com"}


def visit_disagreements(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    """Every contradiction, at the key that should change."""
    join, portal = configuration.join, configuration.portal
    if join.enabled and join.public_url is None:
        yield ("join", "public_url"), "is missing: write the https:// address at which patients reach these pages"
    if join.enabled and join.public_url is not None and join.public_url == portal.public_url:
        yield ("join", "public_url"), "is also portal.public_url: patients' and staff's pages need hosts of their own"
    for name, environment in configuration.environments.items():
        if environment.visits.join == "ours":
            keys: Keys = ("environments", name, "visits")
            if not join.enabled:
                yield (*keys, "join"), "ours needs the patients' pages: join.enabled is false"
            yield from _modes(environment, keys)
            yield from _meeting(environment, keys)
            yield from _device_test(environment.visits.device_test, (*keys, "device_test"))
            yield from _launch(environment, (*keys, "launch"))


def _modes(environment: Environment, keys: Keys) -> Iterator[tuple[Keys, str]]:
    visit_mode = environment.sms.visit_mode
    values = {"video": visit_mode.video, "phone": visit_mode.phone}
    for index, mode in enumerate(environment.visits.modes):
        if mode in values and not values[mode]:
            yield (*keys, "modes", index), f"no visit is a {mode} visit: sms.visit_mode.{mode} is empty"


def _meeting(environment: Environment, keys: Keys) -> Iterator[tuple[Keys, str]]:
    """A meeting needs an address, of a host that is allowed, and what proves us to its server."""
    visits = environment.visits
    for name, why in _incomplete(visits.meeting):
        yield (*keys, "meeting", name), why
    if visits.meeting.url is None:
        if not visits.meeting.takes_given_address:
            if visits.meeting.is_service and not visits.allowed_hosts:
                yield (
                    (*keys, "allowed_hosts"),
                    f"is empty, so no patient would get into a meeting; name {_HOSTS[visits.meeting.kind]}",
                )
            return
        if environment.sms.join_link.field is None:
            why = "is missing, and sms.join_link.field names no field either: there would be no meeting to go to"
            yield (*keys, "meeting", "url"), why
        elif not visits.allowed_hosts:
            yield (*keys, "allowed_hosts"), "is empty, so no patient would get into a meeting; name the hosts"
        return
    if not meeting_allowed(visits.meeting.url.replace(VISIT_CODE, "code"), environment):
        host = urlsplit(visits.meeting.url).hostname
        yield (*keys, "allowed_hosts"), f"does not name {host}, where visits.meeting.url leads"


def _launch(environment: Environment, keys: Keys) -> Iterator[tuple[Keys, str]]:
    launch = environment.visits.launch
    if launch.client_id is None:
        if launch.client_secret_file is not None or launch.patients:
            yield (*keys, "client_id"), "is missing: write the client id that the EHR gave to Carebell for launches"
    elif environment.fhir_base_url is None:
        yield (*keys, "client_id"), "needs fhir_base_url: only a launch by that FHIR server (iss) counts"


def _incomplete(meeting: MeetingSettings) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) of a meeting that Carebell makes itself."""
    if meeting.kind == "jitsi":
        if meeting.url is None:
            yield "url", "is missing: write the address of your Jitsi server, such as https://meet.example"
        elif VISIT_CODE in meeting.url:
            yield "url", f"holds {VISIT_CODE}; with kind: jitsi it is the server's address alone"
        if not meeting.app_id:
            yield "app_id", "is missing: write what the server's prosody has as app_id"
        if meeting.secret_file is None:
            yield "secret_file", "is missing: name a file with what the server's prosody has as app_secret"
    if meeting.is_service:
        yield from _account(meeting, ("account_id", "client_id", "secret_file", "host"))


def _account(meeting: MeetingSettings, needed: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in needed:
        if not getattr(meeting, name):
            yield name, f"is missing; kind: {meeting.kind} needs it (docs/how-to/meetings.md)"
    if meeting.url is not None:
        yield "url", f"does nothing with kind: {meeting.kind}, whose meetings get their addresses when they are made"


def _device_test(settings: DeviceTestSettings, keys: Keys) -> Iterator[tuple[Keys, str]]:
    relays = any(url.startswith("turn") for url in settings.ice_servers)
    if settings.enabled and relays and settings.credential_file is None:
        yield (*keys, "credential_file"), "is missing: without the relay's secret no browser may use it"


def meeting_allowed(url: str, environment: Environment) -> bool:
    """Whether patients may be sent to this address. Asked when the file is read and again at each redirect.

    https and one of `visits.allowed_hosts`; in a test environment also this machine.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not url.isascii() or not url.isprintable() or " " in url or parts.username is not None:
        return False
    if environment.kind == "test" and parts.scheme in ("http", "https") and is_loopback(url):
        return True
    return parts.scheme == "https" and host_allowed(host, environment.visits.allowed_hosts)

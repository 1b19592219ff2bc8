"""Settings that are valid but have no effect, or an effect that is hardly ever wanted: warnings of `check-config`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import time, timedelta
from ipaddress import ip_network
from itertools import combinations
from typing import Final

from config.fieldmap import folded
from config.load import Loaded
from config.model import Configuration, Environment, ListenerSection, PortalSection, QuietHours, Reminder, SmsSettings
from config.problems import Keys, Problem
from config.sms_consistency import modes_of
from config.suggestions import countries_of, number_meant
from config.writeback_consistency import writeback_remarks

_OLD: Final = timedelta(days=31)


def pointless(loaded: Loaded) -> list[Problem]:
    """Every such value, in the order of the file."""
    configuration = loaded.configuration
    remarks = [*_gateway(configuration), *_portal(configuration), *_join(configuration)]
    for name, environment in configuration.environments.items():
        keys: Keys = ("environments", name)
        remarks += _approval(environment, configuration.portal, keys)
        remarks += _expected(environment, keys)
        remarks += _listener(environment.listener, (*keys, "listener"))
        granted: Keys = (*keys, "sms", "consent", "granted")
        if granted in loaded.places and environment.sms.consent.field is None:
            remarks.append((granted, "does nothing without consent.field"))
        most: Keys = (*keys, "listener", "max_connections_per_peer")
        if most in loaded.places and (
            environment.listener.max_connections_per_peer > environment.listener.max_connections
        ):
            remarks.append((most, "is more than max_connections, which is reached before"))
        remarks += _environment(environment, keys)
        if environment.location_zones and not loaded.field_maps[name].location_zone:
            why = f"is not looked at: the field map {environment.ehr} has no location_zone"
            remarks.append(((*keys, "location_zones"), why))
        remarks += _sms(environment, (*keys, "sms"))
        remarks += _visits(loaded, environment, (*keys, "visits"))
        of_writeback = writeback_remarks(environment, (*keys, "writeback"))
        remarks += [(at, why) for at, why in of_writeback if at in loaded.places or at[-1] == "events"]
    return sorted(loaded.problem(keys, why) for keys, why in remarks)


def _gateway(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    section = configuration.gateway
    senders = {environment.sms.sender for environment in configuration.environments.values()}
    for sender in section.segments_per_second:
        if sender not in senders:
            meant = number_meant(sender)
            hint = f" (did you mean {meant}?)" if meant in senders else ""
            yield ("gateway", "segments_per_second", sender), f"is no environment's sms.from{hint}"
    if section.public_url is not None and section.is_live and not configuration.http.enabled:
        why = "is false: the gateway's webhooks and patients' STOP reach nobody at public_url"
        yield ("http", "enabled"), why


def _portal(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    portal = configuration.portal
    if not portal.enabled:
        return
    if portal.public_url is None:
        yield ("portal", "public_url"), "is missing: only a browser on this machine can use the portal"
    networks = [ip_network(written) for written in portal.trusted_proxies]
    for index, trusted in enumerate(networks):
        if trusted.prefixlen == 0:
            why = "is everybody: anyone could give a false address and escape the limits of sign-in"
            yield ("portal", "trusted_proxies", index), why
    yield from _repeated(("portal", "trusted_proxies"), portal.trusted_proxies)
    if portal.session.idle > portal.session.absolute:
        yield ("portal", "session", "idle"), "is more than absolute, which ends the sign-in before"
    oidc = portal.sign_in.oidc
    if oidc is not None and not portal.sign_in.local.enabled and "administrator" not in oidc.roles.values():
        why = "makes nobody administrator, and local sign-in is switched off: nobody can change settings on the pages"
        yield ("portal", "sign_in", "oidc", "roles"), why


def _join(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    join = configuration.join
    if not join.enabled:
        return
    if all(environment.visits.join != "ours" for environment in configuration.environments.values()):
        yield ("join", "enabled"), "shows no visit: no environment has visits.join: ours"
    networks = [ip_network(written) for written in join.trusted_proxies]
    for index, network in enumerate(networks):
        if network.prefixlen == 0:
            why = "is everybody: anyone could give a false address and escape the limit of unknown links"
            yield ("join", "trusted_proxies", index), why
    yield from _repeated(("join", "trusted_proxies"), join.trusted_proxies)


def _visits(loaded: Loaded, environment: Environment, keys: Keys) -> Iterator[tuple[Keys, str]]:
    visits = environment.visits
    for name in type(visits).model_fields:
        if name != "join" and visits.join != "ours" and (*keys, name) in loaded.places:
            yield (*keys, name), "does nothing without visits.join: ours"
    if visits.join == "none" and environment.sms.join_link.field is not None:
        yield (*keys, "join"), "none: the link in sms.join_link.field is read and stands in no text"
    if visits.join == "ours" and visits.launch.group_visits and not loaded.field_maps[str(keys[1])].conference:
        why = "no message is read for a conference id: the field map has no `conference` (docs/how-to/group-visits.md)"
        yield (*keys, "launch", "group_visits"), why
    test = visits.device_test
    relays = any(url.startswith("turn") for url in test.ice_servers)
    if visits.join == "ours" and not test.enabled and (*keys, "device_test", "ice_servers") in loaded.places:
        yield (*keys, "device_test", "ice_servers"), "does nothing without device_test.enabled: true"
    if visits.join == "ours" and test.enabled and test.credential_file is not None and not relays:
        yield (*keys, "device_test", "credential_file"), "is not used: ice_servers names no turn: or turns: server"
    yield from _repeated((*keys, "device_test", "ice_servers"), test.ice_servers)
    yield from _repeated((*keys, "modes"), visits.modes)
    yield from _repeated((*keys, "allowed_hosts"), [host.lower() for host in visits.allowed_hosts])


def _approval(environment: Environment, portal: PortalSection, keys: Keys) -> Iterator[tuple[Keys, str]]:
    if environment.approval.required and not portal.enabled:
        yield (*keys, "approval", "required"), "needs the portal, which is off: until it is on, nobody can approve"
    yield from _repeated((*keys, "approval", "approvers"), environment.approval.approvers)


def _listener(listener: ListenerSection, keys: Keys) -> Iterator[tuple[Keys, str]]:
    networks = [ip_network(written) for written in listener.allow_from]
    for (first, wider), (second, narrower) in combinations(enumerate(networks), 2):
        if wider == narrower:
            yield (*keys, "allow_from", second), "stands twice"
        elif wider.version == narrower.version:
            if wider.supernet_of(narrower):  # type: ignore[arg-type]  # the versions agree
                yield (*keys, "allow_from", second), f"is part of {wider} already"
            elif narrower.supernet_of(wider):  # type: ignore[arg-type]
                yield (*keys, "allow_from", first), f"is part of {narrower} already"


def _environment(environment: Environment, keys: Keys) -> Iterator[tuple[Keys, str]]:
    placeless = environment.time_zone == "UTC" or environment.time_zone.startswith("Etc/")
    if placeless and environment.kind == "production":
        why = "is no place's clock: it knows no daylight saving, and texts show its time"
        yield (*keys, "time_zone"), why
    sender, freshness = environment.sender, environment.freshness
    yield from _repeated((*keys, "sender", "facilities"), sender.facilities)
    yield from _repeated((*keys, "sender", "processing_ids"), sender.processing_ids)
    if freshness.max_ahead > freshness.max_age:
        yield (*keys, "freshness", "max_ahead"), "is more than max_age: were the two exchanged?"
    if freshness.max_age > _OLD:
        yield (
            (*keys, "freshness", "max_age"),
            "is more than a month: so long a recorded message may be new, and is remembered",
        )
    if environment.kind == "production" and environment.sms.allow_list is not None:
        yield (*keys, "sms", "allow_list"), "is production's: no patient whose number does not stand here is texted"


def _sms(environment: Environment, keys: Keys) -> Iterator[tuple[Keys, str]]:
    sms = environment.sms
    yield from _repeated((*keys, "countries"), sms.countries)
    yield from _repeated((*keys, "join_link", "allowed_hosts"), [host.lower() for host in sms.join_link.allowed_hosts])
    for name in ("video", "phone"):
        words: list[str] = getattr(sms.visit_mode, name)
        yield from _repeated((*keys, "visit_mode", name), [folded(word) for word in words])
    if sms.join_link.allowed_hosts and sms.join_link.field is None:
        yield (*keys, "join_link", "allowed_hosts"), "does nothing without join_link.field"
    yield from _recipients(sms, keys)
    changes = sms.confirmation
    if not (changes.scheduled or changes.updated or changes.canceled or sms.reminders):
        yield (*keys, "confirmation"), "tells nothing, and there are no reminders: nothing is ever sent"
    if sms.quiet_hours is not None:
        yield from _quiet_hours(sms.quiet_hours, sms.reminders, keys)
    yield from _reminders(sms, keys)


def _recipients(sms: SmsSettings, keys: Keys) -> Iterator[tuple[Keys, str]]:
    """The texts contain no number."""
    if sms.force_to is not None and sms.allow_list is not None:
        yield (*keys, "allow_list"), "does nothing beside force_to, which takes every text"
    elif sms.allow_list is not None and not sms.allow_list:
        yield (*keys, "allow_list"), "is empty: nobody is texted"
    for index, number in enumerate(sms.allow_list or ()):
        if number in (sms.allow_list or ())[:index]:
            yield (*keys, "allow_list", index), "stands twice"
        elif len(countries_of(number)) > 1:
            yield (
                (*keys, "allow_list", index),
                "is in no country's numbering plan: texts to it are recorded as invalid_phone",
            )


def _expected(environment: Environment, keys: Keys) -> Iterator[tuple[Keys, str]]:
    """When messages are expected."""
    hours = environment.expect_during
    if hours is None:
        return
    if environment.expect_every is None:
        yield (*keys, "expect_during"), "does nothing without expect_every"
    yield from _repeated((*keys, "expect_during", "days"), hours.days)


def _quiet_hours(hours: QuietHours, reminders: Sequence[Reminder], keys: Keys) -> Iterator[tuple[Keys, str]]:
    begins, ends = f"{hours.begins:%H:%M}", f"{hours.ends:%H:%M}"
    if _is_quiet(time(12), hours) and not _is_quiet(time(0), hours):
        yield (*keys, "quiet_hours"), f'cover noon and not midnight (did you mean {{from: "{ends}", to: "{begins}"}}?)'
    elif _permitted(hours) < timedelta(hours=1):
        yield (
            (*keys, "quiet_hours"),
            f"leave only {_permitted(hours) // timedelta(minutes=1)} minutes of the day for texts",
        )
    for index, reminder in enumerate(reminders):
        if reminder.at is not None and not reminder.always and _is_quiet(reminder.at, hours):
            why = f"{reminder.at:%H:%M} lies in quiet hours: this reminder always moves to {ends}, or before {begins}"
            yield (*keys, "reminders", index, "at"), why


def _is_quiet(clock: time, hours: QuietHours) -> bool:
    if hours.begins < hours.ends:
        return hours.begins <= clock < hours.ends
    return clock >= hours.begins or clock < hours.ends


def _permitted(hours: QuietHours) -> timedelta:
    """How much of a day is not quiet."""
    begins, ends = (timedelta(hours=clock.hour, minutes=clock.minute) for clock in (hours.begins, hours.ends))
    return (begins - ends) % timedelta(days=1)


def _reminders(sms: SmsSettings, keys: Keys) -> Iterator[tuple[Keys, str]]:
    for index, reminder in enumerate(sms.reminders):
        yield from _repeated((*keys, "reminders", index, "visit_modes"), reminder.visit_modes)
    for (_, first), (index, second) in combinations(enumerate(sms.reminders), 2):
        untimed = first.at is None and second.at is None and first.wall_clock != second.wall_clock
        if untimed and first.offset == second.offset and modes_of(first) & modes_of(second):
            why = f"{second.rule} and {first.rule} are the same moment, but for the days when clocks change: two texts for one"
            yield (*keys, "reminders", index), why
    for name, cap, span in (
        ("per_day", sms.caps.per_day, timedelta(days=1)),
        ("per_week", sms.caps.per_week, timedelta(days=7)),
    ):
        most = max((_within(sms.reminders, reminder, span) for reminder in sms.reminders), default=0)
        if most > cap:
            why = f"is {cap}, and {most} reminders of one visit fall into that time: those above it never leave"
            yield (*keys, "caps", name), why
        elif most == cap and sms.confirmation.scheduled:
            why = (
                f"is {cap}, which {'the reminder' if most == 1 else f'the {most} reminders'} of one visit may use up: where its "
                "confirmation falls into the same time, the last of them never leaves"
            )
            yield (*keys, "caps", name), why


def _within(reminders: Sequence[Reminder], last: Reminder, span: timedelta) -> int:
    """How many reminders of one visit leave in the `span` that ends with `last`, that one included."""
    return max(
        sum(
            mode in modes_of(reminder) and timedelta() <= reminder.offset - last.offset < span for reminder in reminders
        )
        for mode in modes_of(last)
    )


def _repeated(keys: Keys, values: Sequence[str]) -> Iterator[tuple[Keys, str]]:
    for index, value in enumerate(values):
        if value in values[:index]:
            yield (*keys, index), "stands twice"

"""Whether an environment's `sms` section fits together: values that could never match, and pairs that contradict. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations
from typing import Final, get_args

from config.fieldmap import folded
from config.model import Environment, Reminder, SmsSettings, VisitMode
from config.problems import Keys
from config.suggestions import countries_of

LEAST_LATENESS: Final = timedelta(minutes=1)
TOLL_FREE: Final = re.compile(r"\+1(?:800|822|833|844|855|866|877|88[0-9])[0-9]{7}")
ALL_MODES: Final = frozenset(get_args(VisitMode))


def sms_disagreements(environment: Environment, sms_keys: Keys) -> Iterator[tuple[Keys, str]]:
    """Every contradiction, at the key that should change."""
    sms = environment.sms
    yield from _links_and_consent(sms, sms_keys)
    yield from _visit_modes(sms, sms_keys)
    yield from _reminders(sms, sms_keys)
    yield from _numbers(environment, sms_keys)
    yield from _replies(sms, sms_keys)
    if sms.quiet_hours is not None and sms.quiet_hours.begins == sms.quiet_hours.ends:
        why = "begin when they end, so that no time is quiet; write `quiet_hours: null` for none"
        yield (*sms_keys, "quiet_hours"), why
    if sms.max_lateness < LEAST_LATENESS:
        yield (
            (*sms_keys, "max_lateness"),
            "is less than 1m: every text leaves some seconds after its time, and none would",
        )
    if sms.caps.per_week < sms.caps.per_day:
        yield (*sms_keys, "caps", "per_week"), "is less than per_day"


def _links_and_consent(sms: SmsSettings, sms_keys: Keys) -> Iterator[tuple[Keys, str]]:
    if sms.join_link.field is not None and not sms.join_link.allowed_hosts:
        yield (*sms_keys, "join_link", "allowed_hosts"), "is empty, so no link would ever be sent; name the hosts"
    if sms.consent.field is not None and not sms.consent.granted:
        yield (*sms_keys, "consent", "granted"), "is empty, so no value of the field would mean yes; write [Y]"


def _visit_modes(sms: SmsSettings, sms_keys: Keys) -> Iterator[tuple[Keys, str]]:
    video = {folded(word) for word in sms.visit_mode.video}
    for index, word in enumerate(sms.visit_mode.phone):
        if folded(word) in video:
            yield (
                (*sms_keys, "visit_mode", "phone", index),
                f"{word} stands under video as well; one of them would never match",
            )


def _reminders(sms: SmsSettings, sms_keys: Keys) -> Iterator[tuple[Keys, str]]:
    values = {"video": sms.visit_mode.video, "phone": sms.visit_mode.phone}
    for index, reminder in enumerate(sms.reminders):
        for position, mode in enumerate(reminder.visit_modes):
            if mode in values and not values[mode]:
                keys: Keys = (*sms_keys, "reminders", index, "visit_modes", position)
                yield keys, f"no visit is a {mode} visit: sms.visit_mode.{mode} is empty"
    for (_, first), (index, second) in combinations(enumerate(sms.reminders), 2):
        if modes_of(first) & modes_of(second) and moment_of(first) == moment_of(second):
            yield (
                (*sms_keys, "reminders", index),
                f"{second.rule} is the same moment as {first.rule}; leave one of them out",
            )


def modes_of(reminder: Reminder) -> frozenset[str]:
    """The visits it is for."""
    return frozenset(reminder.visit_modes) or ALL_MODES


def moment_of(reminder: Reminder) -> tuple[object, ...]:
    """Equal for reminders that leave at the same moment before every visit: `60m` and `1h`, `7d` and `1w`; not `24h` and `1d`."""
    return reminder.wall_clock, reminder.offset, reminder.at


def _numbers(environment: Environment, sms_keys: Keys) -> Iterator[tuple[Keys, str]]:
    """No number stands in what is said."""
    sms = environment.sms
    allowed = frozenset(sms.countries)
    for index, number in enumerate(sms.allow_list or ()):
        countries = countries_of(number)
        if not countries & allowed:
            whose = " or ".join(sorted(countries))
            listed = ", ".join(sms.countries)
            yield (
                (*sms_keys, "allow_list", index),
                f"is a number of {whose}, which is not in countries ({listed}): it would never be texted",
            )
    if environment.kind == "production" and sms.force_to is not None:
        yield (*sms_keys, "force_to"), "belongs to test environments: production texts would not reach patients"
    if sms.force_to is not None and sms.force_to == sms.sender:
        yield (*sms_keys, "force_to"), "is the sender's own number, which cannot text itself"


def _replies(sms: SmsSettings, sms_keys: Keys) -> Iterator[tuple[Keys, str]]:
    if sms.replies.enabled and sms.replies.ask_in and TOLL_FREE.fullmatch(sms.sender):
        why = "asks from a toll-free number, whose network answers some words itself; use another number, or write `ask_in: []`"
        yield (*sms_keys, "replies", "ask_in"), why

"""`rehearse`: a folder of messages, or an invented feed, through the configuration: what patients would get, day by day.

Nothing is stored or sent: `carebell.bootstrap.rehearsal` runs in memory.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from carebell.bootstrap.components import environment_named, load
from carebell.bootstrap.rehearsal import RehearsedText, ServiceRehearsal
from carebell.commands.files import message_files, messages
from carebell.commands.history import is_from, read_event
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.commands.progress import progress, with_progress
from carebell.commands.rehearsal_calendar import Calendar, calendar_of, midnight
from carebell.commands.rehearsal_page import Heading, day_table, duration, page
from carebell.commands.simulated_ehr import feed_of
from carebell.commands.timeline import TimelineEntry, print_timeline
from carebell.environment_policy import EnvironmentPolicy, runtime_config
from carebell.exits import OK, REFUSED, Stop, UsageStop
from carebell.sms_words import WHY, title_of
from carebell.times import iso
from certs.unverified import unverified
from config.load import Loaded
from journal.lines import plain
from parser.event import Action, Rejection, SchedulingEvent
from scheduler.sms import Cap
from simulator.ehr import histories

_AROUND: Final = timedelta(days=28)
"""The invented feed begins so long before the first day and books so far ahead, so that the days have a usual load."""


@dataclass(slots=True, kw_only=True)
class _Heard:
    """The messages of a rehearsal.

    Attributes:
        first: environment and time of the first message that can be used.
        messages: all that were read. rejected: code and text -> how many cannot be used. unreadable: files, with the reason.
    """

    source: str
    events: list[SchedulingEvent] = field(default_factory=list)
    messages: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)


def rehearse(
    config: Path | None,
    folder: Path | None,
    *,
    simulate: int | None,
    environment: str | None,
    begins: date | None,
    days: int,
    seed: int,
    html: Path | None,
    lists_texts: bool,
    as_json: bool,
    now: datetime | None = None,
) -> int:
    """Print the calendar; 1 if no message could be used.

    Args:
        simulate: visits a day of an invented feed, in the place of `folder`.
        environment: every message is for this one; None: for the first whose sender fits its header.
        begins: the first day, by the clinic's clock; None: that of the first message, or today for an invented feed.
    """
    now = now or datetime.now(UTC)
    if (folder is None) == (simulate is None):
        raise UsageStop("give a folder of messages, or --simulate with how many visits a day")
    loaded = load(config)
    if environment is not None and not environment_named(loaded, environment).enabled:
        raise UsageStop(f"{loaded.path}: the environment {environment} is switched off (enabled: false)")
    runtime = runtime_config(loaded)
    policies = runtime.policies if environment is None else {environment: runtime.policies[environment]}
    if not policies:
        raise UsageStop(f"{loaded.path}: no environment is switched on")
    policy = next(iter(policies.values()))
    if simulate is not None:
        begins = begins or now.astimezone(ZoneInfo(policy.zone)).date()
        heard = _invented(policy, simulate, begins, days, seed)
    else:
        assert folder is not None
        heard = _read(folder, policies, now)
        begins = begins or _first_day(heard, policies)
    texts: list[RehearsedText] = []
    if begins is not None:
        until = max(midnight(begins + timedelta(days=days), policy.zone) for policy in policies.values())
        addressed = {event.environment: policies[event.environment] for event in heard.events}
        with progress("Rehearsing", len(heard.events)) as step:
            texts = ServiceRehearsal(replace(runtime, policies=addressed), step).run(
                heard.events, until - timedelta(microseconds=1)
            )
    calendars = [
        calendar_of(
            texts, environment=name, zone=policy.zone, caps=policy.environment.sms.caps, begins=begins, days=days
        )
        for name, policy in policies.items()
        if begins is not None and any(text.row.environment == name for text in texts)
    ]
    if html is not None:
        html.write_text(_page(loaded, heard, calendars, now), encoding="utf-8")
    if as_json:
        _print_json(calendars, heard, html)
    else:
        _print(calendars, heard, html, lists_texts=lists_texts)
    return OK if heard.events else REFUSED


# The messages


def _read(folder: Path, policies: Mapping[str, EnvironmentPolicy], now: datetime) -> _Heard:
    """The folder's messages in the order of their sending. A message that cannot be used is counted and left out."""
    if not folder.exists():
        raise Stop(f"{folder}: no such file or folder")
    heard = _Heard(source=f"the folder {folder.name}" if folder.is_dir() else f"the file {folder.name}")
    files = list(message_files([folder]))
    digests: set[bytes] = set()
    for content in _contents(files, heard):
        heard.messages += 1
        policy = _addressee(content, policies, now)
        if policy is None:
            heard.rejected["no environment of the configuration takes its MSH-4, MSH-5, MSH-6 and MSH-11"] += 1
            continue
        received, event = read_event(content, policy, now)
        if isinstance(event, Rejection):
            heard.rejected[f"{event.code} {event.text}"] += 1
        elif event.action is not Action.SLOT and received.digest not in digests:
            heard.events.append(event)
        digests.add(received.digest)
    heard.events.sort(key=lambda event: (event.received_at, event.occurred_at))
    return heard


def _contents(files: Sequence[Path], heard: _Heard) -> Iterator[bytes]:
    for file in with_progress("Reading", files, len(files)):
        try:
            for message in messages(file):
                yield message.content
        except Stop as stop:
            heard.unreadable.append(str(stop))


def _addressee(content: bytes, policies: Mapping[str, EnvironmentPolicy], now: datetime) -> EnvironmentPolicy | None:
    """The environment that takes a message by its header; the only one takes every message."""
    if len(policies) == 1:
        return next(iter(policies.values()))
    for policy in policies.values():
        message = unverified(content, environment=policy.name, zone=policy.environment.zone, received_at=now)
        if is_from(policy.environment.sender, message.msh):
            return policy
    return None


def _invented(policy: EnvironmentPolicy, visits: int, begins: date, days: int, seed: int) -> _Heard:
    first, end = midnight(begins, policy.zone), midnight(begins + timedelta(days=days), policy.zone)
    feed = feed_of(policy.environment)
    heard = _Heard(source=f"an invented feed of {visits} visits a day (seed {seed})")
    sendings = histories(
        random.Random(seed),  # noqa: S311 (a rehearsal's, not a secret)
        count=visits * (days + 2 * _AROUND.days),
        begins=first - _AROUND,
        ends=end + _AROUND,
        feed=feed,
    )
    wanted = [sending for sending in sendings if sending.at < end]
    for sending in with_progress("Inventing", wanted, len(wanted)):
        heard.messages += 1
        _, event = read_event(sending.write(feed), policy, end)
        if isinstance(event, Rejection):
            heard.rejected[f"{event.code} {event.text}"] += 1
        else:
            heard.events.append(event)
    return heard


def _first_day(heard: _Heard, policies: Mapping[str, EnvironmentPolicy]) -> date | None:
    if not heard.events:
        return None
    first = heard.events[0]
    return first.received_at.astimezone(ZoneInfo(policies[first.environment].zone)).date()


# The results


def _page(loaded: Loaded, heard: _Heard, calendars: Sequence[Calendar], now: datetime) -> str:
    heading = Heading(
        organization=loaded.configuration.organization.name,
        configuration=loaded.version,
        source=heard.source,
        messages=heard.messages,
        rejected=dict(heard.rejected.most_common()),
        made_at=now.astimezone(UTC),
    )
    return page(heading, calendars)


def _print_json(calendars: Sequence[Calendar], heard: _Heard, html: Path | None) -> None:
    for calendar in calendars:
        for text in calendar.texts:
            print_json(_row(text, calendar))
    for calendar in calendars:
        print_json(_sums(calendar))
    print_json({
        "messages": heard.messages, "rejected": dict(heard.rejected.most_common()), "unreadable": heard.unreadable,
        "html": None if html is None else str(html),
    })  # fmt: skip


def _row(text: RehearsedText, calendar: Calendar) -> dict[str, Any]:
    return {
        "date": calendar.local(text).date().isoformat(),
        "environment": text.row.environment,
        "appointment": text.row.reference,
        "kind": text.row.kind.value,
        "rule": text.row.rule,
        "due": iso(text.row.due),
        "left": iso(text.row.claimed_at),
        "status": "sent" if text.left else "suppressed",
        "reason": text.row.reason.value,
        "cap": text.cap.value if text.cap is not None else None,
        "to": text.to.masked if text.to is not None else None,
        "text": text.text.text if text.text is not None else None,
        "segments": text.text.segments if text.text is not None else None,
    }


def _sums(calendar: Calendar) -> dict[str, Any]:
    late = calendar.late()
    caps: dict[Cap, Any] = {cap: calendar.cap(cap) for cap in Cap}
    return {
        "environment": calendar.environment,
        "from": calendar.begins.isoformat(),
        "days": calendar.days,
        "sent": len(calendar.sent),
        "segments": calendar.segments(),
        "suppressed": dict(calendar.reasons()),
        "late": len(late),
        "latest_seconds": int(max(late).total_seconds()) if late else 0,
        "later": calendar.later,
        "caps": {
            cap.value: {
                "limit": use.limit,
                "stopped": use.stopped,
                "numbers": {str(k): v for k, v in use.numbers.items()},
            }
            for cap, use in caps.items()
        },
    }


def _print(calendars: Sequence[Calendar], heard: _Heard, html: Path | None, *, lists_texts: bool) -> None:
    print_sentence(
        f"{heard.messages} messages of {plain(heard.source)}; {heard.rejected.total()} of them cannot be used"
    )
    for why, count in heard.rejected.most_common():
        print_sentence(plain(why), lead=f"  {count:6} ")
    for line in heard.unreadable:
        print_sentence(plain(line), lead="         ")
    for calendar in calendars:
        print(f"\n{calendar.environment}, times in {calendar.zone}")
        table = day_table(calendar)
        print_table(table.headings, table.rows, empty="")
        reasons = [(reason, count, WHY[reason]) for reason, count in calendar.reasons()]
        if reasons:
            print()
            print_table(["Not sent", "Texts", "Because"], reasons, empty="")
        print_sentence(_last_words(calendar))
        if lists_texts:
            print()
            print_timeline([_entry(text) for text in calendar.texts], calendar.zone, empty="no texts")
    if not calendars:
        print_sentence("they cause no text and suppress none")
    if html is not None:
        print_sentence(f"the page is {html}: open it in a browser")


def _last_words(calendar: Calendar) -> str:
    words = [f"{len(calendar.sent)} texts, {calendar.segments()} segments"]
    for cap, span in ((Cap.PER_DAY, "24 hours"), (Cap.PER_WEEK, "7 days")):
        use = calendar.cap(cap)
        most = max(use.numbers, default=0)
        words.append(f"one number gets at most {most} in {span} (caps.{cap.value} {use.limit} stops {use.stopped})")
    late = calendar.late()
    if late:
        words.append(f"{len(late)} leave late, the latest by {duration(max(late))}, because of the sender's rate")
    if calendar.later:
        words.append(f"{calendar.later} wait for a later day")
    return "; ".join(words)


def _entry(text: RehearsedText) -> TimelineEntry:
    title = f"{title_of(text.row.kind, text.row.rule)}, appointment {text.row.reference}"
    notes = [f"{text.row.reason.value}: {WHY[text.row.reason]}"]
    if text.left:
        notes.append(f"to {text.to.masked if text.to else 'nobody'}: {text.text.text if text.text else ''}")
    return TimelineEntry(at=text.at, verdict="sent" if text.left else "not sent", title=title, notes=tuple(notes))

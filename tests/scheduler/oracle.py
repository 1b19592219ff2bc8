"""The planner's oracle: a clinic's service acted out minute by minute, written from the planner's rules and not from its code.

It imports nothing of `scheduler`. It knows a clinic's clock only by looking at it (what does the wall show at this UTC
minute?), waits for a permitted minute by trying one after the other, and decides a text's fate in the minute it would
leave. Slow and simple on purpose: where it and `scheduler.rehearsal` differ, one of the two is wrong, and
docs/decisions/0003-planner-fine-print.md says what was decided where the rules are silent.

In each minute what is due leaves first, then the messages of that minute are heard. Minutes in which nothing is due and
nothing is heard are skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from config.model import QuietHours, Reminder, SmsSettings
from parser.event import SchedulingEvent, Start, Status

MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)
DAY = timedelta(hours=24)
END = datetime(2100, 1, 1, tzinfo=UTC)

ON, WANTED, CANCELLED, ENDED, DELETED = (
    "on",
    "wanted",
    "cancelled",
    "ended",
    "deleted",
)  # WANTED: a visit nobody has booked
SWITCHES = {"booked": "scheduled", "updated": "updated", "canceled": "canceled"}
NAMED = {"S15": CANCELLED, "S16": CANCELLED, "S17": DELETED, "S26": ENDED}
STATUSES = {
    Status.CANCELED: CANCELLED,
    Status.DELETED: DELETED,
    Status.ARRIVED: ENDED,
    Status.COMPLETED: ENDED,
    Status.NO_SHOW: ENDED,
    Status.WAITLIST: WANTED,
    Status.PENDING: WANTED,
    Status.BLOCKED: WANTED,
}
TAKEN_BACK = {ON: "superseded", WANTED: "not_booked", CANCELLED: "canceled", DELETED: "canceled", ENDED: "past"}
RESOURCES = ("S18", "S19", "S20", "S21", "S22")


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one text. `verdict` is `goes` or the reason why not; `expires` only for those that go."""

    kind: str
    rule: str
    due: datetime | None
    verdict: str
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a patient can see of a visit."""

    start: Start
    mode: str | None
    details: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A confirmation that has not left. `visit` is the start that it must leave before."""

    kind: str
    due: datetime
    visit: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """A reminder that has not left. `own` is its time before quiet hours moved it."""

    reminder: Reminder
    own: datetime
    due: datetime
    start: datetime


def oracle(events: Sequence[SchedulingEvent], sms: SmsSettings, shown: tuple[str, ...] = ()) -> list[Fate]:
    """The fate of every text of one appointment's history, the service having been up all along.

    `events` stand in the order of their receipt, and none is certainly older than one before it.
    """
    service = Service(sms, shown)
    for event in events:
        service.everything_due(event.received_at)
        service.hear(event)
    service.everything_due(END)
    return list(service.fates.values())


def wall(moment: datetime, zone: str) -> datetime:
    """What the clinic's clock shows at a UTC moment."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def is_quiet(moment: datetime, zone: str, hours: QuietHours | None) -> bool:
    if hours is None:
        return False
    clock = wall(moment, zone).time().replace(second=0, microsecond=0)
    if hours.begins <= hours.ends:
        return hours.begins <= clock < hours.ends
    return clock >= hours.begins or clock < hours.ends


def whole_minute(moment: datetime) -> datetime:
    """The first whole minute at or after a moment."""
    floor = moment.replace(second=0, microsecond=0)
    return floor if floor == moment else floor + MINUTE


def minute_that_shows(wanted: datetime, zone: str) -> datetime:
    """The first UTC minute at which the clinic's clock shows `wanted`; where it never does, as much later as it jumps.

    Offsets from UTC are whole quarters of an hour, so only every fifteenth minute can show it.
    """
    first = wanted.replace(tzinfo=UTC) - 15 * timedelta(hours=1)
    candidates = [first + n * QUARTER for n in range(30 * 4)]
    for moment in candidates:
        if wall(moment, zone) == wanted:
            return moment
    jumps = [wall(moment + QUARTER, zone) - wall(moment, zone) - QUARTER for moment in candidates]
    return minute_that_shows(wanted + max(jumps), zone)


def own_due(reminder: Reminder, start: Start) -> datetime:
    """When a reminder would leave if there were no quiet hours."""
    if not reminder.wall_clock:
        return whole_minute(start.instant - reminder.offset)
    wanted = wall(start.instant, start.zone) - reminder.offset  # naive: days of the calendar
    if reminder.at is not None:
        wanted = datetime.combine(wanted.date(), reminder.at)
    return whole_minute(minute_that_shows(wanted, start.zone))


def over(start: Start) -> datetime:
    """When it is too late to speak of a visit: at its start, or when the day ends of which no more is known."""
    if not start.date_only:
        return start.instant
    midnight = datetime.combine(wall(start.instant, start.zone).date() + timedelta(days=1), time())
    return minute_that_shows(midnight, start.zone)


Period = tuple[datetime, datetime]
"""Two UTC moments: the first at which a message may have been sent, and the first at which it no longer may."""


def certainly_older(message: Period, other: Period) -> bool:
    """Whether every moment at which the message may have been sent lies before every moment of the other one."""
    return max(message) <= min(other)


def sent(written: str, zone: str) -> Period:
    """When a message with this MSH-7, without an offset, may have been sent: by looking for every moment that shows it.

    `written` is `YYYYMMDDHHMM`, `YYYYMMDDHHMMSS` or `YYYYMMDDHHMMSS.S`.
    """
    shown = datetime.strptime(written[:12], "%Y%m%d%H%M")  # noqa: DTZ007  (what the clock shows)
    seconds = float(written[12:] or 0)
    lasts = {12: 60.0, 14: 1.0, 16: 0.1}[len(written)]
    moments = [moment for n in range(30 * 4) if wall(moment := _candidate(shown, n), zone) == shown]
    moments = moments or [minute_that_shows(shown, zone)]
    begins = [moment + timedelta(seconds=seconds) for moment in moments]
    return min(begins), max(begins) + timedelta(seconds=lasts)


def _candidate(shown: datetime, number: int) -> datetime:
    return shown.replace(tzinfo=UTC) - 15 * timedelta(hours=1) + number * QUARTER


class Service:
    """One appointment, and everything the service does about it."""

    def __init__(self, sms: SmsSettings, shown: tuple[str, ...]) -> None:
        self.sms = sms
        self.shown = shown
        self.fates: dict[tuple[str, str, int], Fate] = {}  # by kind, rule, and which window or plan it belongs to
        self.status: str | None = None  # None: never heard of
        self.sight: Sight | None = None
        self.last_notified: Sight | None = None  # what the patient was told last; None: nothing, or not by us
        self.named: Start | None = None  # of a visit moved before our time: the start that its cancellation named
        self.untold = False  # the patient does not know of the visit
        self.told_off = False  # the patient was told that it is cancelled
        self.off_until = (
            END  # of a visit that is off: every message sent from here on is newer than the one that said so
        )
        self.waiting: Waiting | None = None
        self.windows = 0  # how many times a confirmation began to wait
        self.pending: list[Pending] = []
        self.planned = datetime.min.replace(tzinfo=UTC)  # receipt of the message that planned the reminders
        self.plans = 0  # how many times the reminders were planned anew
        self.born: dict[str, datetime] = {}  # rule of the present plan -> receipt of the message that planned it
        self.gone: list[datetime] = []  # confirmations that went

    # What leaves

    def everything_due(self, until: datetime) -> None:
        """Let leave what is due up to and at this moment."""
        while True:
            minutes = [each.due for each in self.pending] + ([self.waiting.due] if self.waiting else [])
            if not minutes or min(minutes) > until:
                return
            self.minute(min(minutes))

    def minute(self, now: datetime) -> None:
        verdicts = self.outlook()
        for each in [each for each in self.pending if each.due == now]:
            verdict = verdicts[each.reminder.rule]
            expires = self.reminder_expires(now, each.start) if verdict == "goes" else None
            self.remember(each, verdict, expires)
            self.pending.remove(each)
        if self.waiting and self.waiting.due == now:
            self.confirm(self.waiting)

    def outlook(self) -> dict[str, str]:
        """What would become of each reminder that waits if no message came any more."""
        verdicts = {}
        for now in {each.due for each in self.pending}:
            ready = [each for each in self.pending if each.due == now]
            free = [each for each in ready if each.reminder.always or not self.too_close(now)]
            nearest = max(reversed(free), key=lambda each: each.own, default=None)
            for each in ready:
                lost = "superseded" if each in free else "too_close"
                verdicts[each.reminder.rule] = "goes" if each is nearest else lost
        return verdicts

    def too_close(self, now: datetime) -> bool:
        confirmations = list(self.gone)
        if self.waiting and self.silence(self.waiting) is None:
            confirmations.append(self.waiting.due)
        return any(abs(now - due) < self.sms.min_gap for due in confirmations)

    def silence(self, text: Waiting) -> str | None:
        """Why a confirmation would not leave when its minute comes; None: it would."""
        if text.kind == "booked" and self.status == CANCELLED:
            return "canceled"
        if text.due >= text.visit:
            return "past"
        return None if getattr(self.sms.confirmation, SWITCHES[text.kind]) else "switched_off"

    def confirm(self, text: Waiting) -> None:
        """The debounce is over: the text leaves, or is found not to. A news that comes too late leaves known what was known."""
        silence = self.silence(text)
        expires = text.visit if text.kind != "booked" else min(text.visit, text.due + self.sms.max_lateness)
        self.note(text, silence or "goes", None if silence else expires)
        self.waiting = None
        if silence is None:
            self.gone.append(text.due)
        if silence in (None, "switched_off") or (silence == "past" and self.untold):
            self.untold = False
            self.told_off = text.kind == "canceled"
            self.last_notified = None if self.told_off else self.sight
            self.named = None

    def reminder_expires(self, due: datetime, start: datetime) -> datetime:
        latest = min(due + self.sms.max_lateness, start - self.sms.min_lead)
        return latest if latest > due else min(due + timedelta(minutes=5), start)

    def note(self, text: Waiting, verdict: str, expires: datetime | None = None) -> None:
        rule = SWITCHES[text.kind]
        self.fates[text.kind, rule, self.windows] = Fate(text.kind, rule, text.due, verdict, expires)

    def remember(self, each: Pending, verdict: str, expires: datetime | None = None) -> None:
        self.validate(each.reminder.rule, each.due, verdict, expires)

    def validate(self, rule: str, due: datetime | None, verdict: str, expires: datetime | None = None) -> None:
        self.fates["reminder", rule, self.plans] = Fate("reminder", rule, due, verdict, expires)

    def nothing_to_see(self, kind: str) -> None:
        self.fates[kind, "nothing", len(self.fates)] = Fate(kind, SWITCHES[kind], None, "no_visible_change")

    # What is heard

    def hear(self, event: SchedulingEvent) -> None:
        before, seen_before, verdicts = self.status, self.sight, self.outlook()
        silent = self.silence(self.waiting) if self.waiting else None
        self.sight = self.look(event)
        self.status = self.life_after(event)
        if before is None:
            self.first_message(event)
        elif self.status == WANTED:
            self.say_nothing(silent)
        elif self.status == before == ON and self.sight == seen_before:
            self.nothing_to_see("updated")
        elif self.status == CANCELLED and before in (CANCELLED, DELETED):
            self.nothing_to_see("canceled")
        elif not (self.status in (ENDED, DELETED) and before in (ENDED, DELETED)):
            if event.event == "S12" and self.told_off and self.status == ON != before:  # booked again
                self.untold, self.told_off = True, False
            self.decide(event.received_at, silent)
        moved = seen_before is None or seen_before.start != self.sight.start
        self.remind(event.received_at, verdicts, anew=moved or self.status == ON != before)

    def look(self, event: SchedulingEvent) -> Sight:
        """What there is to see after a message; where it is silent, what there was."""
        old = self.sight
        start = event.start or (old.start if old else None)
        assert start is not None, "the oracle's first message gives a start"
        mode = event.visit_mode or (old.mode if old else None)
        said = [getattr(event, name) for name in self.shown]
        kept = old.details if old else (None,) * len(said)
        return Sight(start, mode, tuple(new or was for new, was in zip(said, kept, strict=True)))

    def life_after(self, event: SchedulingEvent) -> str:
        """A visit that is off stays off where the message may be older than the one that put it off."""
        said = self.said_of_life(event)
        if said is None:
            return self.status or ON
        off = said in (CANCELLED, DELETED)
        if self.status in (CANCELLED, DELETED) and not off and event.occurred_at < self.off_until:
            return self.status
        if said == WANTED and self.status == CANCELLED and self.waiting and self.waiting.kind == "canceled":
            return CANCELLED  # the patient still has to be told
        if off:
            until = event.occurred_at + event.occurred_within
            self.off_until = max(self.off_until, until) if self.status in (CANCELLED, DELETED) else until
        return said

    def said_of_life(self, event: SchedulingEvent) -> str | None:
        if event.event in RESOURCES:
            return None
        if event.event in NAMED:
            return NAMED[event.event]
        if event.status in STATUSES:
            return STATUSES[event.status]
        revives = event.event in ("S12", "S13") or event.status is Status.BOOKED
        return ON if revives else None

    def first_message(self, event: SchedulingEvent) -> None:
        if self.status == WANTED:
            self.untold = True
            self.say_nothing(None)
            return
        self.untold = event.event == "S12"
        self.told_off = self.status == DELETED
        if event.event not in ("S12", "S13") and not self.told_off:
            self.last_notified = self.sight  # known to the patient, by whatever way
        if self.wanted() is not None:
            self.decide(event.received_at, None)

    def say_nothing(self, silent: str | None) -> None:
        """The visit is not booked, or not any more: what waits is withdrawn, and what was told stands."""
        if self.waiting:
            self.note(self.waiting, silent or TAKEN_BACK[WANTED])
            self.waiting = None
        kind = "booked" if self.untold else "updated"
        self.fates[kind, "not booked", len(self.fates)] = Fate(kind, SWITCHES[kind], None, "not_booked")

    def wanted(self) -> str | None:
        """The confirmation that is called for by what the patient knows and what is true."""
        if self.status in (ENDED, DELETED):
            return None
        if self.untold:
            return "booked"
        if self.status == CANCELLED:
            return None if self.told_off else "canceled"
        return "updated" if self.told_off or self.last_notified != self.sight else None

    def decide(self, received: datetime, silent: str | None) -> None:
        """After a change that the patient would see: replace the text that waits by the one now called for.

        A text that was not going to leave keeps the reason (`silent`) that it had.
        """
        kind, old, status = self.wanted(), self.waiting, self.status or ON
        if old and old.kind != kind:
            back_again = kind is None and status == ON
            self.note(old, silent or ("no_visible_change" if back_again else TAKEN_BACK[status]))
        elif kind is None and status in (ON, CANCELLED):
            self.nothing_to_see("updated" if status == ON else "canceled")
        if old is None:
            self.windows += 1
        self.waiting = None if kind is None else self.confirmation(kind, received)

    def confirmation(self, kind: str, received: datetime) -> Waiting:
        assert self.sight is not None
        due = whole_minute(received + self.sms.debounce)
        start = self.sight.start
        if kind == "canceled" and self.last_notified is None and self.named is None:
            self.named = start
        known = self.last_notified.start if self.last_notified else self.named
        ends, nearest, zone = over(start), start.instant, start.zone
        if known is not None and kind == "canceled":
            ends, nearest, zone = over(known), known.instant, known.zone
        if known is not None and kind == "updated" and over(known) > due:
            nearest = min(nearest, known.instant)
        dead = kind == "booked" and self.status == CANCELLED
        urgent = dead or nearest - due <= DAY
        while not urgent and is_quiet(due, zone, self.sms.quiet_hours):
            due += MINUTE
        return Waiting(kind, due, ends)

    # Reminders

    def remind(self, received: datetime, verdicts: dict[str, str], *, anew: bool) -> None:
        gone = TAKEN_BACK[self.status or ON]
        kept = []
        for each in self.pending:
            if self.status == ON and not anew and self.applies(each.reminder):
                kept.append(each)
            else:
                verdict = verdicts[each.reminder.rule]
                lost = "no_rule" if self.status == ON and not anew else gone
                self.remember(each, lost if verdict == "goes" else verdict)
        self.pending = kept
        if anew:
            self.planned = received
            self.plans += 1
            self.born = {}
        if self.status == WANTED:
            self.not_reminded()
        if self.status != ON:
            return
        waits = [each.reminder.rule for each in self.pending]
        for reminder in self.sms.reminders:
            if not self.applies(reminder) or reminder.rule in waits:
                continue
            known = self.fates.get(("reminder", reminder.rule, self.plans))
            if known is None or (known.due is not None and known.due > received):
                self.plan(reminder, self.born.setdefault(reminder.rule, received))

    def not_reminded(self) -> None:
        """A visit that is not booked: each reminder that nothing is known of yet is a silence at its own time."""
        assert self.sight is not None
        start = self.sight.start
        for reminder in self.sms.reminders:
            if self.applies(reminder) and ("reminder", reminder.rule, self.plans) not in self.fates:
                self.validate(reminder.rule, None if start.date_only else own_due(reminder, start), "not_booked")

    def applies(self, rule: Reminder) -> bool:
        assert self.sight is not None
        return not rule.visit_modes or (self.sight.mode or "in-person") in rule.visit_modes

    def plan(self, reminder: Reminder, received: datetime) -> None:
        assert self.sight is not None
        start = self.sight.start
        if start.date_only:
            self.validate(reminder.rule, None, "no_time")
            return
        own = own_due(reminder, start)
        if own <= received:
            self.validate(reminder.rule, own, "late_booking" if own <= self.planned else "late_rule")
        elif (due := own if reminder.always else self.permitted(own, start, received)) is None:
            self.validate(reminder.rule, own, "quiet_hours")
        elif due >= start.instant:
            self.validate(reminder.rule, due, "past")
        else:
            self.pending.append(Pending(reminder, own, due, start.instant))

    def permitted(self, own: datetime, start: Start, received: datetime) -> datetime | None:
        """The minute at which a reminder may leave: its own, the next opening, the last minute before, or never."""
        if not is_quiet(own, start.zone, self.sms.quiet_hours):
            return own
        after = before = own
        while is_quiet(after, start.zone, self.sms.quiet_hours):
            after += MINUTE
        if after < start.instant and start.instant - after >= self.sms.min_lead:
            return after
        while is_quiet(before, start.zone, self.sms.quiet_hours):
            before -= MINUTE
        if before > received and start.instant - before >= self.sms.min_lead:
            return before
        return None


def texts_sent(fates: Iterable[Fate]) -> list[Fate]:
    """Those that go, by time."""
    return sorted((each for each in fates if each.verdict == "goes"), key=lambda each: (each.due, each.kind, each.rule))

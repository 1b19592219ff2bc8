"""The planner's oracle: a clinic's service acted out minute by minute, written from the planner's rules and not from its code.

It imports nothing of `scheduler`. It knows a clinic's clock only by looking at it (what does the wall show at this UTC
minute?), waits for a permitted minute by trying one after the other, and decides a text's fate in the minute it would
leave. Slow and simple on purpose: where it and `scheduler.rehearsal` differ, one of the two is wrong, and
docs/decisions/0003-planner-fine-print.md says what was decided where the rules are silent.

In each minute what is due leaves first, then the messages of that minute are heard. Minutes in which nothing is due and
nothing is heard are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from config.model import QuietHours, Reminder, Sms
from parser.event import SchedulingEvent, Start, Status

MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)
DAY = timedelta(hours=24)
END = datetime(2100, 1, 1, tzinfo=UTC)

ON, CANCELLED, ENDED = "on", "cancelled", "ended"
SWITCHES = {"booked": "scheduled", "updated": "updated", "canceled": "canceled"}
SPEAKS_OF_A_VISIT = (Status.BOOKED, Status.PENDING, Status.WAITLIST)
STOPS = (Status.ARRIVED, Status.COMPLETED, Status.NO_SHOW, Status.DELETED)
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


def oracle(events: Sequence[SchedulingEvent], sms: Sms, shown: tuple[str, ...] = ()) -> list[Fate]:
    """The fate of every text of one appointment's history, the service having been up all along.

    `events` stand in the order of their receipt, which is also that of MSH-7.
    """
    service = Service(sms, shown)
    for event in events:
        service.everything_due(event.received_at)
        service.hear(event)
    service.everything_due(END)
    return service.fates


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
        return start.instant - reminder.offset
    wanted = wall(start.instant, start.zone) - reminder.offset  # naive: days of the calendar
    if reminder.at is not None:
        wanted = datetime.combine(wanted.date(), reminder.at)
    return minute_that_shows(wanted, start.zone)


class Service:
    """One appointment, and everything the service does about it."""

    def __init__(self, sms: Sms, shown: tuple[str, ...]) -> None:
        self.sms = sms
        self.shown = shown
        self.fates: list[Fate] = []
        self.life: str | None = None  # None: never heard of
        self.sight: Sight | None = None
        self.told: Sight | None = None  # what the patient was told last; None: nothing, or not by us
        self.untold = False  # the patient does not know of the visit
        self.told_off = False  # the patient was told that it is cancelled
        self.comeback = "updated"  # what tells a patient who was told so that it takes place after all
        self.waiting: Waiting | None = None
        self.pending: list[Pending] = []
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
        ready = [each for each in self.pending if each.due == now]
        self.pending = [each for each in self.pending if each.due != now]
        free = []
        for each in ready:
            if not each.reminder.always and self.too_close(now):
                self.note("reminder", each.reminder.rule, now, "too_close")
            else:
                free.append(each)
        nearest = max(free, key=lambda each: each.own, default=None)
        for each in free:
            if each is nearest:
                self.note("reminder", each.reminder.rule, now, "goes", self.reminder_expires(now, each.start))
            else:
                self.note("reminder", each.reminder.rule, now, "superseded")
        if self.waiting and self.waiting.due == now:
            self.confirm(self.waiting)

    def too_close(self, now: datetime) -> bool:
        confirmations = list(self.gone)
        if self.waiting and self.will_go(self.waiting):
            confirmations.append(self.waiting.due)
        return any(abs(now - due) < self.sms.min_gap for due in confirmations)

    def will_go(self, text: Waiting) -> bool:
        return text.due < text.visit and bool(getattr(self.sms.confirmation, SWITCHES[text.kind]))

    def confirm(self, text: Waiting) -> None:
        self.waiting = None
        if text.due >= text.visit:
            self.note(text.kind, SWITCHES[text.kind], text.due, "past")
            return
        if self.will_go(text):
            latest = text.visit if text.kind != "booked" else min(text.visit, text.due + self.sms.max_lateness)
            self.note(text.kind, SWITCHES[text.kind], text.due, "goes", latest)
            self.gone.append(text.due)
        else:
            self.note(text.kind, SWITCHES[text.kind], text.due, "switched_off")
        self.untold = False
        self.told_off = text.kind == "canceled"
        if not self.told_off:
            self.told = self.sight

    def reminder_expires(self, due: datetime, start: datetime) -> datetime:
        latest = min(due + self.sms.max_lateness, start - self.sms.min_lead)
        return latest if latest > due else min(due + timedelta(minutes=5), start)

    def note(self, kind: str, rule: str, due: datetime | None, verdict: str, expires: datetime | None = None) -> None:
        self.fates.append(Fate(kind, rule, due, verdict, expires))

    # What is heard

    def hear(self, event: SchedulingEvent) -> None:
        before, seen_before = self.life, self.sight
        self.sight = self.look(event)
        self.life = self.life_after(event)
        if self.sight is None:
            return
        if before is None:
            self.first_sight(event)
        elif before == self.life == ON and self.sight == seen_before:
            self.note("updated", "updated", None, "no_visible_change")
        elif before == ON or self.life == ON:
            if before != ON:
                self.comeback = "booked" if event.event == "S12" else "updated"
            self.decide(event.received_at)
        elif (
            self.life == ENDED and self.waiting
        ):  # a cancellation that waits, then S17 or S26: silent, the phone is forgotten
            self.decide(event.received_at)
        self.remind(event.received_at, fresh=before != ON or seen_before is None, old=seen_before)

    def look(self, event: SchedulingEvent) -> Sight | None:
        """What there is to see after a message; where it is silent, what there was."""
        old = self.sight
        start = event.start or (old.start if old else None)
        if start is None:
            return None
        mode = event.visit_mode or (old.mode if old else None)
        said = [getattr(event, name) for name in self.shown]
        kept = old.details if old else (None,) * len(said)
        return Sight(start, mode, tuple(new or was for new, was in zip(said, kept, strict=True)))

    def life_after(self, event: SchedulingEvent) -> str:
        if event.event in ("S15", "S16"):
            return CANCELLED
        if event.event in ("S17", "S26"):
            return ENDED
        if event.event not in RESOURCES:
            if event.status is Status.CANCELED:
                return CANCELLED
            if event.status in STOPS:
                return ENDED
        revives = event.event in ("S12", "S13") or event.status in SPEAKS_OF_A_VISIT
        return ON if self.life is None or revives else self.life

    def first_sight(self, event: SchedulingEvent) -> None:
        self.untold = event.event == "S12"
        if event.event not in ("S12", "S13"):
            self.told = self.sight  # known to the patient, by whatever way
        self.decide(event.received_at)

    def wanted(self) -> str | None:
        """The confirmation that is called for by what the patient knows and what is true."""
        if self.life == ENDED:
            return None
        if self.life == CANCELLED:
            return None if self.untold or self.told_off else "canceled"
        if self.untold:
            return "booked"
        if self.told_off:
            return self.comeback
        return None if self.told == self.sight else "updated"

    def decide(self, received: datetime) -> None:
        """After a change that the patient would see: replace the text that waits by the one now called for."""
        kind = self.wanted()
        if self.waiting and self.waiting.kind != kind:
            why = "superseded" if self.life == ON else "canceled"
            self.note(self.waiting.kind, SWITCHES[self.waiting.kind], self.waiting.due, why)
        self.waiting = None if kind is None else self.confirmation(kind, received)

    def confirmation(self, kind: str, received: datetime) -> Waiting:
        assert self.sight is not None
        due = whole_minute(received + self.sms.debounce)
        visit = nearest = self.sight.start.instant
        zone = self.sight.start.zone
        if self.told is not None and kind == "canceled":
            visit = nearest = self.told.start.instant
            zone = self.told.start.zone
        if self.told is not None and kind == "updated" and self.told.start.instant > due:
            nearest = min(nearest, self.told.start.instant)
        if nearest - due > DAY:
            while is_quiet(due, zone, self.sms.quiet_hours):
                due += MINUTE
        return Waiting(kind, due, visit)

    # Reminders

    def remind(self, received: datetime, *, fresh: bool, old: Sight | None) -> None:
        assert self.sight is not None
        if self.life != ON:
            self.drop("canceled")
        elif fresh or old is None or old.start != self.sight.start:
            self.drop("superseded")
            self.plan(received, lambda rule: self.applies(rule, self.sight))
        else:
            self.drop("superseded", lambda rule: not self.applies(rule, self.sight))
            self.plan(received, lambda rule: self.applies(rule, self.sight) and not self.applies(rule, old))

    @staticmethod
    def applies(rule: Reminder, sight: Sight | None) -> bool:
        return not rule.visit_modes or (sight is not None and (sight.mode or "in-person") in rule.visit_modes)

    def drop(self, why: str, which: Callable[[Reminder], bool] = lambda _: True) -> None:
        for each in self.pending:
            if which(each.reminder):
                self.note("reminder", each.reminder.rule, each.due, why)
        self.pending = [each for each in self.pending if not which(each.reminder)]

    def plan(self, received: datetime, which: Callable[[Reminder], bool]) -> None:
        assert self.sight is not None
        start = self.sight.start
        for reminder in filter(which, self.sms.reminders):
            if start.date_only:
                self.note("reminder", reminder.rule, None, "no_time")
                continue
            own = own_due(reminder, start)
            if own <= received:
                self.note("reminder", reminder.rule, own, "late_booking")
            elif own >= start.instant:
                self.note("reminder", reminder.rule, own, "past")
            else:
                due = own if reminder.always else self.permitted(own, start, received)
                if due is None:
                    self.note("reminder", reminder.rule, own, "quiet_hours")
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


def told(fates: Iterable[Fate]) -> list[Fate]:
    """Those that go, by time."""
    return sorted((each for each in fates if each.verdict == "goes"), key=lambda each: (each.due, each.kind, each.rule))

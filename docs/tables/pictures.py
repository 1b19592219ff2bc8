"""The pictures of the documentation, as SVG: how a message and a text flow, and what the planner's rules do to a few visits.

The planner's picture is drawn from what the planner answers, with the shipped configuration. Both have a card of their own colour,
light or dark as the reader's system is, so that they can be read on any page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from config.load import load
from config.model import SmsSettings
from parser.event import Action, SchedulingEvent, Start, Status
from parser.phone_number import PhoneNumber
from scheduler.policy import Policy
from scheduler.quiet_hours import is_quiet
from scheduler.rehearsal import Rehearsed, rehearse
from scheduler.sms import SmsKind

_ZONE: Final = ZoneInfo("America/Los_Angeles")
_STYLE: Final = """
<style>
svg{font:13px system-ui,sans-serif}
.card{fill:#fff}.ink{fill:#1b1b1b}.soft{fill:#565c63}.line{stroke:#565c63;fill:none}.quiet{fill:#dfe4ea}
.box{fill:#eef3f8;stroke:#41719c}.sent{fill:#00734f}.not{fill:#fff;stroke:#b3261e;stroke-width:2}.came{fill:#0b62b4}
.head{font-weight:600}.small{font-size:11px}.arrow{fill:#565c63}
@media (prefers-color-scheme:dark){
.card{fill:#16191d}.ink{fill:#e8e8e8}.soft{fill:#a9b1ba}.line{stroke:#a9b1ba}.quiet{fill:#2a3138}
.box{fill:#1f2b36;stroke:#6cb6ff}.sent{fill:#56d39b}.not{fill:#16191d;stroke:#ff8a80}.came{fill:#6cb6ff}.arrow{fill:#a9b1ba}}
</style>"""


def _document(width: int, height: int, title: str, description: str, content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d">'
        f'<title id="t">{escape(title)}</title><desc id="d">{escape(description)}</desc>{_STYLE}'
        f'<rect class="card" width="{width}" height="{height}" rx="8"/>{content}</svg>\n'
    )


# How a message and a text flow

_STATIONS: Final = (
    ("interface engine", "sends signed SIU", "messages"),
    ("listener", "takes MLLP blocks,", "limits everything"),
    ("certs", "checks signature,", "sender and age"),
    ("parser", "reads the message", "by a field map"),
    ("scheduler", "decides which texts,", "when, why not"),
    ("store", "one transaction:", "visit and outbox rows"),
)
_DELIVERY: Final = (
    ("store", "a row's time", "has come"),
    ("dispatcher", "checks again: opt-out,", "caps, cancelled, held"),
    ("notifier", "renders the text", "from a template"),
    ("gateway", "takes it: accepted,", "refused or unknown"),
    ("patient", "reads it, replies,", "says STOP"),
)
_BOX: Final = (134, 66, 152)
"""Width and height of a box, and the distance from one to the next."""


def flow() -> str:
    """From the sender's message to its answer, and from a row of the outbox to the patient."""
    parts = [
        _words(20, 28, "A message, until it is answered", "ink head"),
        *_row(_STATIONS, 44),
        _return(len(_STATIONS), 110),
        _words(466, 148, "AA, sent only after the commit; AE or AR with a code if a step refuses it", "soft", "middle"),
        _words(20, 194, "A text, until its outcome is known", "ink head"),
        *_row(_DELIVERY, 210),
        _return(len(_DELIVERY), 276),
        _words(390, 314, "status and STOP come back by webhook; what is unknown is asked, never sent twice", "soft", "middle"),
    ]  # fmt: skip
    description = (
        "A message goes from the interface engine through listener, certs, parser and scheduler into the store, in one "
        "transaction; the answer is sent after the commit. When a row's time has come, the dispatcher checks again, the notifier "
        "renders the text, the gateway takes it, and its status and the patient's STOP come back by webhook."
    )
    return _document(934, 330, "How a message and a text flow", description, "".join(parts))


def _row(stations: Sequence[tuple[str, str, str]], y: int) -> Iterator[str]:
    width, height, step = _BOX
    for at, (name, *lines) in enumerate(stations):
        x = 20 + at * step
        yield f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'
        yield _words(x + width / 2, y + 22, name, "ink head", "middle")
        for number, line in enumerate(lines):
            yield _words(x + width / 2, y + 40 + 15 * number, line, "soft small", "middle")
        if at:
            middle = y + height / 2
            yield f'<path class="line" d="M{x - step + width} {middle:g}h{step - width - 8}"/>'
            yield f'<path class="arrow" d="M{x} {middle:g}l-9 -5v10z"/>'


def _return(stations: int, y: int) -> str:
    """The line from below the last of so many boxes back to the first."""
    width, _, step = _BOX
    first, last = 20 + width / 2, 20 + (stations - 1) * step + width / 2
    return f'<path class="line" d="M{last:g} {y}v22H{first:g}v-14"/><path class="arrow" d="M{first:g} {y}l-5 9h10z"/>'


def _words(x: float, y: float, words: str, classes: str, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{classes}" text-anchor="{anchor}">{escape(words)}</text>'


# What the planner's rules do


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One visit of the picture.

    Attributes:
        messages: (event, when it arrives, the visit's start), on the clinic's clock.
        reminders: instead of the shipped ones.
    """

    title: str
    rule: str
    messages: tuple[tuple[str, str, str], ...]
    reminders: tuple[Mapping[str, Any], ...] | None = None


SCENES: Final = (
    Scene(
        title="Booked well before",
        rule="The confirmation waits for `debounce`; reminders go at their own times.",
        messages=(("S12", "2026-11-23 09:13", "2026-12-03 14:00"),),
    ),
    Scene(
        title="Booked at night",
        rule="In quiet hours a confirmation waits until the morning, unless the visit is within a day.",
        messages=(("S12", "2026-12-01 22:40", "2026-12-04 14:00"),),
    ),
    Scene(
        title="A reminder at night",
        rule="It moves to the end of quiet hours; if `min_lead` is not left then, to the evening before.",
        messages=(("S12", "2026-12-01 09:00", "2026-12-03 08:15"),),
        reminders=({"before": "25h"}, {"before": "1h"}),
    ),
    Scene(
        title="Booked late",
        rule="A reminder whose time has passed, or that is within `min_gap` of a confirmation, does not go.",
        messages=(("S12", "2026-12-02 12:30", "2026-12-03 14:00"),),
    ),
    Scene(
        title="Moved",
        rule="The patient hears of the new time; reminders of the old one are taken back.",
        messages=(("S12", "2026-11-23 09:13", "2026-12-03 14:00"), ("S13", "2026-11-25 11:00", "2026-12-04 09:30")),
    ),
    Scene(
        title="Cancelled",
        rule="One text tells it; nothing follows.",
        messages=(("S12", "2026-11-30 09:13", "2026-12-03 14:00"), ("S15", "2026-12-01 16:00", "2026-12-03 14:00")),
    ),
)
_ACTIONS: Final = {
    "S12": (Action.BOOK, Status.BOOKED, "booked"),
    "S13": (Action.RESCHEDULE, Status.BOOKED, "moved"),
    "S15": (Action.CANCEL, Status.CANCELED, "cancelled"),
}
_WIDTH: Final = 900
_EDGE: Final = 60
_ROW_HEIGHT: Final = 150


def planning() -> str:
    """A few visits on the clinic's clock: messages above the line, texts below it."""
    shipped = load(Path(__file__).parents[2] / "config" / "carebell.yaml", {}).configuration
    sms = shipped.environments["production"].sms
    rows = "".join(
        f'<g transform="translate(0 {44 + _ROW_HEIGHT * at})">{_scene(scene, sms)}</g>'
        for at, scene in enumerate(SCENES)
    )
    key = (
        f'<path class="came" d="M20 16l7 11h-14z"/>{_words(34, 27, "a message", "soft")}'
        f'<circle class="sent" cx="130" cy="22" r="6"/>{_words(142, 27, "a text that goes", "soft")}'
        f'<circle class="not" cx="270" cy="22" r="5"/>{_words(282, 27, "one that does not, and why", "soft")}'
        f'<path class="ink" d="M480 16h11v11h-11z"/>{_words(498, 27, "the visit", "soft")}'
        f'<rect class="quiet" x="580" y="14" width="26" height="16"/>{_words(612, 27, "quiet hours, 21:00 to 08:00", "soft")}'
    )
    description = "; ".join(
        f"{scene.title}: "
        + ", ".join(f"{_said(text)} {_clock(text.row.due)}" for text in _texts(scene, sms) if text.row.due is not None)
        for scene in SCENES
    )
    height = 44 + _ROW_HEIGHT * len(SCENES)
    return _document(_WIDTH, height, "What the planner's rules do to six visits", description, key + rows)


def _texts(scene: Scene, sms: SmsSettings) -> list[Rehearsed]:
    if scene.reminders is not None:
        values = sms.model_dump(by_alias=True, mode="json") | {"reminders": [dict(rule) for rule in scene.reminders]}
        sms = SmsSettings.model_validate(values)
    texts = rehearse([_event(*message) for message in scene.messages], Policy(sms=sms), lambda _: None, zone=str(_ZONE))
    shown = [text for text in texts.texts if "15m" not in text.row.rule]  # video visits only
    return sorted(shown, key=lambda text: text.row.due or datetime.max.replace(tzinfo=UTC))


def _event(name: str, at: str, start: str) -> SchedulingEvent:
    action, status, _ = _ACTIONS[name]
    received = _instant(at)
    return SchedulingEvent(
        environment="production",
        event=name,
        action=action,
        status=status,
        reference="1",
        aliases=("EHR|LAMNA|filler|1|",),
        occurred_at=received,
        received_at=received,
        start=Start(instant=_instant(start), zone=str(_ZONE)),
        phone=PhoneNumber("+12025550143"),
    )


def _instant(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=_ZONE).astimezone(UTC)


def _clock(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant.astimezone(_ZONE):%a %H:%M}"


def _said(text: Rehearsed) -> str:
    """`booked`, `reminder 24h`; with the reason if it does not go."""
    name = f"reminder {text.row.rule}" if text.row.kind is SmsKind.REMINDER else text.row.kind.value
    return name if text.leaves else f"{name}: {text.row.reason.value}"


def _scene(scene: Scene, sms: SmsSettings) -> str:
    texts = _texts(scene, sms)
    visits = list(dict.fromkeys(_instant(start) for _, _, start in scene.messages))
    arrivals = [(name, _instant(at)) for name, at, _ in scene.messages]
    first, last = arrivals[0][1], visits[-1]
    pad = (last - first) / 30
    begins, span = first - pad, (last - first) + 2 * pad

    def x(instant: datetime) -> float:
        return _EDGE + (_WIDTH - 2 * _EDGE) * max(0.0, (instant - begins) / span)

    axis = 76
    parts = [
        _words(20, 18, scene.title, "ink head"),
        _words(170, 18, scene.rule.replace("`", ""), "soft"),
        *(
            f'<rect class="quiet" x="{x(since):.1f}" y="{axis - 9}" width="{x(until) - x(since):.1f}" height="18"/>'
            for since, until in _quiet(begins, begins + span, sms)
        ),
        f'<path class="line" d="M{_EDGE} {axis}H{_WIDTH - _EDGE}"/>',
    ]
    above = _Labels(axis - 16, -14)
    for name, at in arrivals:
        parts.append(f'<path class="came" d="M{x(at):.1f} {axis - 1}l-6 -11h12z"/>')
        parts.append(above.put(x(at), f"{name} {_ACTIONS[name][2]} {_clock(at)}"))
    for visit in visits:
        cancelled = visit != visits[-1]
        parts.append(f'<path class="{"soft" if cancelled else "ink"}" d="M{x(visit) - 6:.1f} {axis - 6}h12v12h-12z"/>')
        parts.append(above.put(x(visit), f"{'no longer' if cancelled else 'visit'} {_clock(visit)}"))
    below = _Labels(axis + 24, 14)
    for text in texts:
        due = text.row.due
        if due is None or due < begins:
            continue
        mark = ('class="sent"', 6) if text.leaves else ('class="not"', 5)
        parts.append(f'<circle {mark[0]} cx="{x(due):.1f}" cy="{axis}" r="{mark[1]}"/>')
        parts.append(below.put(x(due), f"{_said(text)} {_clock(due)}"))
    unseen = [text for text in texts if text.row.due is not None and text.row.due < begins]
    if unseen:
        words = "; ".join(f"{_said(text)} (was due {_clock(text.row.due)})" for text in unseen)
        parts.append(_words(20, axis + 24 + 3 * 14, f"Also recorded: {words}", "soft small"))
    return "".join(parts)


class _Labels:
    """Puts words beside the axis, on the next line where they would run into the last ones."""

    def __init__(self, y: int, step: int) -> None:
        self._y, self._step = y, step
        self._ends: list[float] = [0.0, 0.0, 0.0]

    def put(self, x: float, words: str) -> str:
        half = len(words) * 3.1
        middle = min(max(x, half + 8), _WIDTH - half - 8)
        level = next((at for at, end in enumerate(self._ends) if middle - half > end + 6), 0)
        self._ends[level] = middle + half
        return _words(middle, self._y + self._step * level, words, "ink small", "middle")


def _quiet(begins: datetime, ends: datetime, sms: SmsSettings) -> Iterator[tuple[datetime, datetime]]:
    """The quiet spans between two instants, found minute by quarter."""
    hours, step = sms.quiet_hours, timedelta(minutes=15)
    if hours is None:
        return
    at = begins.replace(minute=0, second=0, microsecond=0)
    since: datetime | None = None
    while at < ends:
        quiet = is_quiet(at, hours, _ZONE)
        if quiet and since is None:
            since = max(at, begins)
        if not quiet and since is not None:
            yield since, at
            since = None
        at += step
    if since is not None:
        yield since, ends

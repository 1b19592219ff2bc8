"""Render an appointment's text for one patient from templates; pure.

`TemplateSet.build(*layers)` -> `check(template_set, settings)` when the configuration loads -> `render(...)` for each text.

- Language: the patient's BCP-47 tag, then its parents (es-MX, es), then the environment's fallback.
- Visit mode: the mode's own text, else the kind's `default`.
- A date-only appointment has no `{time}`: the optional part with it is left out (`on {date}[ at {time}].`).
- If the text is too long, optional parts with details are left out one by one, the last first, those with the join link at the
  end. If it is still too long, there is no text: `TextFault.TOO_LONG`. A text is never cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from babel import Locale

from notifier.dates import date_words, fallbacks, locale_for
from notifier.lint import check
from notifier.segments import Encoding, count
from notifier.templates import (
    ANSWER,
    DETAILS,
    ONE_VISIT,
    REPLY,
    Finding,
    Severity,
    Template,
    TemplateSet,
    placeholders_used,
)
from notifier.values import Ask, ListedVisit, TextSettings, Values, clean_detail, clean_line, clean_link, clean_name

__all__ = [
    "Ask",
    "Finding",
    "ListedVisit",
    "Rendered",
    "Severity",
    "TemplateSet",
    "TextFault",
    "TextSettings",
    "Unrendered",
    "Values",
    "check",
    "placeholders_used",
    "render",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A text that is ready to be sent.

    Attributes:
        segments: the segments that the carrier charges, at most `TextSettings.max_segments`.
        language: the templates' language, which may be a fallback.
        left_out: details that had a value but did not fit, or broke their rule.
        asks: whether it says what to reply.
    """

    text: str = field(repr=False)
    segments: int
    encoding: Encoding
    language: str
    left_out: tuple[str, ...] = ()
    asks: bool = False


class TextFault(StrEnum):
    """Why there is no text. All but NO_START are faults of the templates that `check` reports beforehand."""

    NO_TEMPLATE = "no_template"
    NO_START = "no_start"  # unknown, or beyond what a calendar can show
    MISSING_VALUE = "missing_value"  # a placeholder outside the optional parts has no value
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrendered:
    """No text, and why; holds no value of the appointment."""

    fault: TextFault


def render(
    template_set: TemplateSet,
    kind: str,
    language: str | None,
    visit_mode: str | None,
    values: Values,
    settings: TextSettings,
) -> Rendered | Unrendered:
    """The text of one kind (booked, updated, canceled, reminder, answer) for one appointment. Never raises for a value.

    Args:
        language: the patient's, as BCP-47; None or junk: the fallback's.
        visit_mode: in-person, video, phone; None: not known. Of an answer: which one (`templates.ANSWERS`).
    """
    tags = fallbacks(language)
    match = template_set.find(kind, visit_mode, (*tags, *fallbacks(settings.fallback_language)))
    if match is None:
        return Unrendered(fault=TextFault.NO_TEMPLATE)
    chosen, template, opt_out = match
    if values.start is None:
        return Unrendered(fault=TextFault.NO_START)
    # es-MX uses the texts of es, but the date style of Mexico.
    locale = locale_for(tags[0] if chosen in tags else chosen, settings.territory)
    try:
        dates = date_words(values.start, values.zone, locale)
    except (KeyError, ValueError, OverflowError):  # no such zone; beyond year 1 or 9999 once shifted into it
        return Unrendered(fault=TextFault.NO_START)
    asked_in = fallbacks(chosen)
    words: dict[str, str | None] = {
        **dates,
        REPLY: None if values.ask is None else values.ask.reply(asked_in),
        "count": str(values.visit_count),
        "time": None if values.date_only else dates["time"],
        "organization": clean_line(settings.organization),
        "contact": clean_line(settings.contact),
        "opt_out": opt_out,
        "facility": clean_detail(values.facility),
        "location": clean_detail(values.location),
        "provider": clean_detail(values.provider),
        "patient_name": clean_name(values.patient_name),
        "join_link": values.own_link or clean_link(values.join_link, settings.link_hosts),
    }
    if values.visits:
        line = template_set.find(ANSWER, ONE_VISIT, (chosen, *fallbacks(settings.fallback_language)))
        words["visits"] = None if line is None else _listed(line[1], values.visits, words, asked_in, locale)
    for piece in template.fields:
        if piece.part is None and not words.get(piece.value):
            return Unrendered(fault=TextFault.MISSING_VALUE)
    return _fit(template, words, chosen, values, settings)


def _listed(
    line: Template,
    visits: Sequence[ListedVisit],
    words: Mapping[str, str | None],
    languages: Sequence[str],
    locale: Locale,
) -> str:
    """A line for each visit whose date can be shown."""
    lines = []
    for visit in visits:
        if visit.start is None:
            continue
        try:
            dates = date_words(visit.start, visit.zone, locale)
        except (KeyError, ValueError, OverflowError):
            continue
        time = None if visit.date_only else dates["time"]
        lines.append(line.fill({**words, **dates, "time": time, REPLY: visit.ask.reply(languages)}))
    return " ".join(lines)


def _fit(
    template: Template, words: dict[str, str | None], language: str, values: Values, settings: TextSettings
) -> Rendered | Unrendered:
    for size in range(len(template.droppable) + 1):
        dropped = template.droppable[:size]
        text = template.fill(words, dropped)
        counted = count(text)
        if counted.segments <= settings.max_segments:
            return Rendered(
                text=text,
                segments=counted.segments,
                encoding=counted.encoding,
                language=language,
                left_out=_left_out(template, words, dropped, values),
                asks=_asks(template, words, dropped),
            )
    return Unrendered(fault=TextFault.TOO_LONG)


def _asks(template: Template, words: Mapping[str, str | None], dropped: tuple[int, ...]) -> bool:
    return bool(words[REPLY]) and any(piece.value == REPLY and piece.part not in dropped for piece in template.fields)


def _left_out(
    template: Template, words: dict[str, str | None], dropped: tuple[int, ...], values: Values
) -> tuple[str, ...]:
    """The placeholders of the template whose given value is not in the text."""
    missing = [
        piece.value
        for piece in template.fields
        if piece.value in DETAILS and (piece.part in dropped or not words[piece.value])
    ]
    if not missing:
        return ()
    provided = {
        "facility": values.facility,
        "location": values.location,
        "provider": values.provider,
        "patient_name": values.patient_name,
        "join_link": values.own_link or values.join_link,
    }
    return tuple(dict.fromkeys(name for name in missing if provided[name]))

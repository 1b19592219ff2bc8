"""Rendering: the shipped texts as patients get them, languages, date-only days, hostile values, and no room."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.segments import INVISIBLE, Encoding, count
from notifier.text import Rendered, TemplateSet, TextFault, TextSettings, Unrendered, Values, render
from notifier.values import Ask, ListedVisit, clean_link
from tests.notifier.samples import LINK, SETTINGS, VALUES, built_in, built_in_set
from tests.notifier.test_values import HOSTILE

SHIPPED = built_in_set()
SHOWING_ALL = TemplateSet.build(
    built_in("en"),
    {
        "en": {
            "reminder": {
                "default": "{organization} {date}[ at {time}] {contact} {opt_out}"
                "[ Join {join_link} ][ for {patient_name}][ at {facility}, {location}][ with {provider}]"
            }
        }
    },
)


def rendered(
    kind: str,
    language: str | None = "en",
    visit_mode: str | None = None,
    values: Values = VALUES,
    texts: TemplateSet = SHIPPED,
    rules: TextSettings = SETTINGS,
) -> Rendered:
    result = render(texts, kind, language, visit_mode, values, rules)
    assert isinstance(result, Rendered)
    return result


@pytest.mark.parametrize(
    ("kind", "language", "visit_mode", "expected"),
    [
        (
            "booked",
            "en",
            None,
            "Lamna Healthcare: your appointment is on Mon, Mar 9 at 2:05 PM. "
            "Questions or changes: +1 425 555 0100. Reply STOP to opt out.",
        ),
        (
            "reminder",
            "en",
            "video",
            "Lamna Healthcare: a reminder of your video visit on Mon, Mar 9 at 2:05 PM. "
            "Join: https://video.lamna.example/j/12345 Questions: +1 425 555 0100. Reply STOP to opt out.",
        ),
        (
            "canceled",
            "es-US",
            "in-person",
            "Lamna Healthcare: su visita del lun, 9 de mar, 2:05 p.m. fue cancelada. Preguntas: +1 425 555 0100. "
            "Responda STOP para no recibir mensajes.",
        ),
        (
            "updated",
            "es-MX",
            "phone",
            "Lamna Healthcare: su cita por llamada tiene cambios. Ahora es el lun 9 de mar, 2:05 p.m. "
            "Preguntas: +1 425 555 0100. Responda STOP para no recibir mensajes.",
        ),
    ],
)
def test_shipped_texts(kind: str, language: str, visit_mode: str | None, expected: str) -> None:
    assert rendered(kind, language, visit_mode, replace(VALUES, join_link=LINK)).text == expected


def test_the_count_is_of_the_text_itself() -> None:
    result = rendered("booked")
    assert (result.segments, result.encoding, result.language, result.left_out) == (1, Encoding.GSM7, "en", ())
    assert count(result.text).segments == 1


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [("es-419", "es"), ("es_mx", "es"), ("EN-us", "en"), ("fr-CA", "en"), (None, "en"), ("x; DROP", "en"), ("", "en")],
)
def test_language_falls_back(asked: str | None, chosen: str) -> None:
    assert rendered("booked", asked).language == chosen


def test_the_fallback_is_the_environments() -> None:
    assert rendered("booked", "fr", rules=replace(SETTINGS, fallback_language="es")).language == "es"


def test_an_unknown_visit_mode_takes_the_default_text() -> None:
    assert rendered("booked", visit_mode="telepathy").text == rendered("booked", visit_mode=None).text


@pytest.mark.parametrize("kind", ["booked", "updated", "canceled", "reminder"])
@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("visit_mode", [None, "in-person", "video", "phone"])
def test_a_date_only_appointment_shows_no_time(kind: str, language: str, visit_mode: str | None) -> None:
    midnight = datetime(2026, 3, 9, 7, tzinfo=UTC)
    text = rendered(kind, language, visit_mode, Values(start=midnight, zone="America/Los_Angeles", date_only=True)).text
    assert "Mar 9" in text or "9 de mar" in text
    assert "00" not in text.replace("+1 425 555 0100", "")
    assert " at ." not in text
    assert ".." not in text


def test_a_video_visit_without_a_link_reads_well() -> None:
    text = rendered("booked", visit_mode="video").text
    assert "2:05 PM. Questions" in text


@pytest.mark.parametrize("hostile", list(HOSTILE.values()), ids=list(HOSTILE))
def test_hostile_values_leave_the_text_as_if_they_were_missing(hostile: str) -> None:
    values = replace(
        VALUES, patient_name=hostile, facility=hostile, location=hostile, provider=hostile, join_link=hostile
    )
    result = rendered("reminder", values=values, texts=SHOWING_ALL)
    assert result.text == rendered("reminder", texts=SHOWING_ALL).text
    assert result.left_out == ("join_link", "patient_name", "facility", "location", "provider")


def test_details_are_shown_where_a_text_asks_for_them() -> None:
    values = replace(
        VALUES, patient_name="Alex Q", facility="Lamna West", location="Suite 2", provider="Dr. Example", join_link=LINK
    )
    assert rendered("reminder", values=values, texts=SHOWING_ALL).text == (
        "Lamna Healthcare Mon, Mar 9 at 2:05 PM +1 425 555 0100 Reply STOP to opt out. "
        "Join https://video.lamna.example/j/12345 for Alex Q at Lamna West, Suite 2 with Dr. Example"
    )


def test_without_room_details_go_first_and_the_link_last() -> None:
    values = replace(VALUES, patient_name="अ" * 40, provider="B" * 60, join_link=LINK)
    # One letter outside GSM-7 leaves 70 characters a segment: the name and the provider make room for the link.
    shortened = rendered("reminder", values=values, texts=SHOWING_ALL, rules=replace(SETTINGS, max_segments=1))
    assert shortened.left_out == ("patient_name", "provider")
    assert LINK in shortened.text
    shortest = rendered(
        "reminder",
        values=replace(values, join_link=f"{LINK}?{'a' * 90}"),
        texts=SHOWING_ALL,
        rules=replace(SETTINGS, max_segments=1),
    )
    assert shortest.left_out == ("join_link", "patient_name", "provider")
    assert shortest.segments == 1


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        (render(SHIPPED, "booked", "en", None, replace(VALUES, start=None), SETTINGS), TextFault.NO_START),
        (render(SHIPPED, "booked", "en", None, replace(VALUES, zone="Mars/Base"), SETTINGS), TextFault.NO_START),
        (
            render(SHIPPED, "booked", "en", None, replace(VALUES, start=datetime(1, 1, 1, tzinfo=UTC)), SETTINGS),
            TextFault.NO_START,
        ),
        (render(TemplateSet.build(), "booked", "en", None, VALUES, SETTINGS), TextFault.NO_TEMPLATE),
        (render(SHIPPED, "greeting", "en", None, VALUES, SETTINGS), TextFault.NO_TEMPLATE),
        (
            render(
                TemplateSet.build({"en": {"booked": {"default": "at {facility}"}}}),
                "booked",
                "en",
                None,
                VALUES,
                SETTINGS,
            ),
            TextFault.MISSING_VALUE,
        ),
        (
            render(
                SHIPPED,
                "booked",
                "en",
                None,
                VALUES,
                replace(SETTINGS, organization="A" * 60, contact="B" * 60, max_segments=1),
            ),
            TextFault.TOO_LONG,
        ),
    ],
    ids=["no-start", "no-zone", "year-1", "no-texts", "no-kind", "no-value", "no-room"],
)
def test_no_text_has_its_reason(result: Rendered | Unrendered, fault: TextFault) -> None:
    assert result == Unrendered(fault=fault)


def test_nothing_of_the_patient_is_in_a_repr() -> None:
    values = replace(VALUES, patient_name="Alex Q", join_link=LINK)
    result = rendered("reminder", values=values, texts=SHOWING_ALL)
    assert "Alex" not in repr(values) + repr(result)
    assert "lamna.example" not in repr(values) + repr(result)


anything = st.none() | st.text(max_size=80)


@settings(deadline=None, max_examples=300)
@given(
    name=anything,
    place=anything,
    link=anything | st.text(max_size=40).map(lambda tail: f"{LINK}{tail}"),
    language=anything,
    start=st.datetimes(timezones=st.just(UTC)),
    date_only=st.booleans(),
    limit=st.integers(1, 3),
)
def test_render_never_raises_and_never_lets_anything_through(
    name: str | None,
    place: str | None,
    link: str | None,
    language: str | None,
    start: datetime,
    date_only: bool,
    limit: int,
) -> None:
    values = Values(
        start=start,
        zone="America/New_York",
        date_only=date_only,
        patient_name=name,
        facility=place,
        location=place,
        provider=place,
        join_link=link,
    )
    result = render(SHOWING_ALL, "reminder", language, None, values, replace(SETTINGS, max_segments=limit))
    if isinstance(result, Unrendered):
        assert result.fault is TextFault.NO_START
        return
    assert count(result.text).segments == result.segments <= limit
    allowed = clean_link(link, SETTINGS.link_hosts)
    without_link = result.text.replace(allowed, "") if allowed else result.text
    assert not set(without_link) & (INVISIBLE | set("{}[]<>=@$`\\\r\n\x1b\x00|~^;!?"))
    assert "://" not in without_link


# Questions and answers

ASK = Ask(words={"en": "C", "es": "SI"})


@pytest.mark.parametrize(("language", "asks"), [("en", "Reply C2 to confirm."), ("es", "Confirme con SI2.")])
def test_a_text_that_asks_names_its_word_and_number(language: str, asks: str) -> None:
    text = rendered("reminder", language, values=replace(VALUES, ask=replace(ASK, number=2)))
    assert asks in text.text
    assert text.asks
    silent = rendered("reminder", language)
    assert asks not in silent.text
    assert not silent.asks


@pytest.mark.parametrize(("length", "asks", "joins"), [(120, True, True), (140, False, True), (160, False, False)])
def test_without_room_the_question_goes_before_the_join_link(length: int, asks: bool, joins: bool) -> None:
    link = f"https://video.lamna.example/{'x' * length}"
    values = replace(VALUES, ask=ASK, join_link=link)
    text = rendered("reminder", visit_mode="video", values=values, rules=replace(SETTINGS, max_segments=2))
    assert (text.asks, link in text.text) == (asks, joins)


def test_a_list_names_each_visit_with_its_time() -> None:
    visits = tuple(
        ListedVisit(start=VALUES.start, zone=VALUES.zone, date_only=date_only, ask=replace(ASK, number=number))
        for number, date_only in ((1, False), (2, True))
    )
    text = rendered("answer", visit_mode="which_visit", values=replace(VALUES, visits=visits, visit_count=2))
    assert "2 visits: C1 for Mon, Mar 9, 2:05 PM. C2 for Mon, Mar 9. Questions:" in text.text


def test_every_answer_is_one_text_in_each_language() -> None:
    for language in ("en", "es"):
        for rule in ("confirmed", "cannot_come", "call_me", "moved", "unknown"):
            assert rendered("answer", language, rule, values=replace(VALUES, ask=ASK)).segments <= 2

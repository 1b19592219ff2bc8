"""Taking texts apart: optional parts, escapes, layers, and every way a file can be wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.templates import PLACEHOLDERS, TemplateError, TemplateSet, placeholders_used, take_apart
from tests.notifier.samples import built_in, built_in_set

PATH = ("en", "booked", "default")
WORDS: dict[str, str | None] = {"organization": "Lamna Inc.", "date": "Mon, Mar 9", "time": "2:05 p.m.", "contact": "x"}


def fill(text: str, dropped: tuple[int, ...] = (), **more: str | None) -> str:
    return take_apart(PATH, text).fill({**WORDS, **more}, dropped)


def test_values_take_the_place_of_placeholders() -> None:
    assert fill("{organization}: {date}") == "Lamna Inc.: Mon, Mar 9"


def test_a_full_stop_is_not_doubled() -> None:
    assert fill("{organization}. On {date} at {time}. Bye...") == "Lamna Inc. On Mon, Mar 9 at 2:05 p.m. Bye..."


def test_an_optional_part_goes_with_its_missing_value() -> None:
    text = "On {date}[ at {time}]. [Join: {join_link} ]Call {contact}"
    assert fill(text, join_link="https://a.example/") == "On Mon, Mar 9 at 2:05 p.m. Join: https://a.example/ Call x"
    assert fill(text, time=None) == "On Mon, Mar 9. Call x"
    assert fill(text, (1,), join_link="https://a.example/") == "On Mon, Mar 9 at 2:05 p.m. Call x"


def test_doubled_marks_are_literal() -> None:
    assert fill("[[a]] {{b}} {contact}") == "[a] {b} x"


def test_values_are_never_templates() -> None:
    assert fill("{contact}", contact="{organization} [x] {{y}}") == "{organization} [x] {{y}}"


def test_parts_with_the_join_link_are_the_last_to_go_and_the_time_never() -> None:
    template = take_apart(PATH, "{date}[ at {time}][ {join_link} ][ {facility}][ {provider} {location}]")
    assert template.droppable == (3, 2, 1)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{contact", "braces"),
        ("contact}", "braces"),
        ("{{contact}", "braces"),
        ("[{contact}", "brackets"),
        ("{contact}]", "brackets"),
        ("[a [b] c]", "brackets"),
        ("{contact!r}", "conversion"),
        ("{contact:>1000000000}", "conversion"),
        ("{contact:{date}}", "conversion"),
        ("{}", "unknown_placeholder"),
        ("{0}", "unknown_placeholder"),
        ("{diagnosis}", "unknown_placeholder"),
        ("{contact.__class__}", "unknown_placeholder"),
        ("{contact[0]}", "unknown_placeholder"),
        ("{ contact }", "unknown_placeholder"),
        ("{'a'*10**9}", "unknown_placeholder"),
    ],
)
def test_what_is_not_a_template(text: str, code: str) -> None:
    with pytest.raises(TemplateError) as caught:
        take_apart(PATH, text)
    assert caught.value.code == code


@settings(deadline=None)
@given(st.text(alphabet="ab[]{}.! :", max_size=30))
def test_any_text_is_taken_apart_or_refused_with_a_code(text: str) -> None:
    built = TemplateSet.build({"en": {"booked": {"default": text}}})
    assert {finding.code for finding in built.findings} <= {"braces", "brackets", "conversion", "unknown_placeholder"}
    assert len(built.texts) + len(built.findings) == 1
    assert all(piece.value in PLACEHOLDERS for template in built.texts.values() for piece in template.fields)


def test_a_later_layer_replaces_single_texts() -> None:
    overrides = {"en": {"booked": {"video": "{organization} {contact} {opt_out} mine"}}}
    both = TemplateSet.build(built_in("en"), overrides)
    video = both.find("booked", "video", ["en"])
    phone = both.find("booked", "phone", ["en"])
    assert video is not None
    assert phone is not None
    assert video[1].literal.endswith("mine")
    assert "phone visit" in phone[1].literal
    assert video[2] == "Reply STOP to opt out."


def test_a_region_inherits_its_languages_texts_and_opt_out_words() -> None:
    both = TemplateSet.build(built_in("es"), {"es-MX": {"booked": {"default": "{contact} MX"}}})
    assert both.languages == ("es", "es-MX")
    template = both.find("booked", "video", ["es-MX", "es"])
    assert template is not None
    assert (template[0], template[2]) == ("es-MX", "Responda STOP para no recibir mensajes.")
    inherited = both.find("canceled", None, ["es-MX", "es"])
    assert inherited is not None
    assert inherited[0] == "es"


@pytest.mark.parametrize(
    ("layer", "path", "code"),
    [
        ({"english!": {}}, ("english!",), "language"),
        ({"EN": {}}, ("EN",), "language"),
        ({"en": "text"}, ("en",), "shape"),
        ({"en": {"opt_out": 7}}, ("en", "opt_out"), "shape"),
        ({"en": {"booked": "text"}}, ("en", "booked"), "shape"),
        ({"en": {"bokked": {}}}, ("en", "bokked"), "unknown_kind"),
        ({"en": {"booked": {"tele": "x"}}}, ("en", "booked", "tele"), "unknown_visit_mode"),
        ({"en": {"booked": {"video": ["x"]}}}, ("en", "booked", "video"), "shape"),
        ({"en": {"booked": {"video": "{x}"}}}, ("en", "booked", "video"), "unknown_placeholder"),
    ],
)
def test_a_misshapen_file_is_named_by_its_keys(layer: dict[str, object], path: tuple[str, ...], code: str) -> None:
    (finding,) = TemplateSet.build(layer).findings
    assert (finding.path, finding.code, finding.severity) == (path, code, "error")


def test_keys_that_are_no_strings_are_findings_too() -> None:
    findings = TemplateSet.build({7: {}, "en": {True: {}, "booked": {None: "x"}}}).findings  # type: ignore[dict-item]  # YAML can
    assert [finding.code for finding in findings] == ["language", "unknown_kind", "unknown_visit_mode"]


def test_the_details_that_texts_show() -> None:
    assert placeholders_used(built_in_set()) == {
        "booked": {"join_link"},
        "updated": {"join_link"},
        "canceled": set(),
        "reminder": {"join_link"},
    }
    overrides = TemplateSet.build({"en": {"reminder": {"phone": "[{provider} {facility}] {contact} {date}"}}})
    assert placeholders_used(overrides)["reminder"] == {"provider", "facility"}

"""Every finding of `check`, and that the shipped texts have none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.text import Severity, TemplateSet, TextSettings, check
from tests.notifier.samples import SETTINGS, built_in, built_in_set

GOOD = "{organization} {date}[ at {time}] {contact} {opt_out}"


def findings(text: str, settings: TextSettings = SETTINGS, mode: str = "video") -> list[tuple[str, str]]:
    """(severity, code) of what is said about one text laid over the shipped English ones."""
    findings_of_text = check(TemplateSet.build(built_in("en"), {"en": {"reminder": {mode: text}}}), settings)
    assert {finding.path for finding in findings_of_text} <= {("en", "reminder", mode)}
    return [(finding.severity.value, finding.code) for finding in findings_of_text]


def test_the_shipped_texts_have_no_finding() -> None:
    assert check(built_in_set(), SETTINGS) == []


def test_the_shipped_texts_need_two_segments_at_most_and_one_without_a_link() -> None:
    ordinary = replace(SETTINGS, organization="Lamna Healthcare", max_segments=1)
    findings_of_text = check(built_in_set(), ordinary)
    assert {(finding.path[2], finding.code) for finding in findings_of_text} == {("video", "details_left_out")}
    assert (
        check(
            built_in_set(), replace(SETTINGS, organization="Northwest Community Hospital and Clinics", max_segments=2)
        )
        == []
    )


def test_a_good_text_has_no_finding() -> None:
    assert findings(GOOD) == []


@pytest.mark.parametrize(
    ("text", "severity", "code"),
    [
        ("{date} {contact} {opt_out}", "error", "required_missing"),
        ("{organization} {date} {opt_out}", "error", "required_missing"),
        ("{organization} {date} {contact}", "error", "required_missing"),
        ("{organization} {date} {contact}[ {opt_out} {join_link} ]", "error", "required_missing"),
        ("{organization} {contact} {opt_out} at {time}", "error", "outside_brackets"),
        ("{organization} {contact} {opt_out} {join_link} ", "error", "outside_brackets"),
        (GOOD + " Reply YES to confirm", "error", "forbidden_word"),
        (GOOD + " text 'cancel' to cancel", "error", "forbidden_word"),
        (GOOD + " responda con SÍ", "error", "forbidden_word"),
        (GOOD + " envíe cancelar", "error", "forbidden_word"),
        (GOOD + " See http://lamna.example/a now", "error", "url"),
        (GOOD + " See https://lamna.example@evil.example/ now", "error", "url"),
        (GOOD + " See https://lаmna.example/ now", "error", "url"),
        (GOOD + " See https://[[x now", "error", "url"),
        (GOOD + " See javascript://lamna.example now", "error", "url"),
        (GOOD + " See https://bit.ly/a now", "warning", "url_shortener"),
        (GOOD + " See https://lamna.example/a. Bye", "warning", "link_end"),
        (GOOD + "[ Join {join_link}.]", "warning", "link_end"),
        (GOOD + " Cardiology", "warning", "discloses"),
        (GOOD + " Departamento de Ojos", "warning", "discloses"),
        (GOOD + "[ Dr. {provider}]", "warning", "discloses"),
        (GOOD + " 中", "warning", "not_gsm7"),
        (GOOD + " a" * 240, "error", "too_long"),
        (GOOD + " a" * 170 + "[ {join_link} ]", "warning", "details_left_out"),
    ],
)
def test_what_is_found(text: str, severity: str, code: str) -> None:
    assert (severity, code) in findings(text)


def test_a_text_of_ones_own_may_say_stop_itself_and_link_with_https() -> None:
    assert findings("{organization} {date} {contact} STOP ends these. See https://lamna.example/a now") == []


def test_the_word_canceled_is_no_request() -> None:
    assert findings(GOOD + " Your visit was canceled. Please call to cancel or confirm.") == []


@pytest.mark.parametrize(
    ("words", "code"),
    [("Reply END", "required_missing"), ("STOP {contact}", "conversion"), ("STOP or reply YES", "forbidden_word")],
)
def test_opt_out_words_are_checked(words: str, code: str) -> None:
    findings_of_text = check(TemplateSet.build(built_in("en"), {"en": {"opt_out": words}}), SETTINGS)
    assert [(finding.path, finding.code) for finding in findings_of_text] == [(("en", "opt_out"), code)]


def test_a_missing_fallback_is_an_error_and_a_gap_elsewhere_a_warning() -> None:
    missing = check(built_in_set(), replace(SETTINGS, fallback_language="fr"))
    assert {finding.code for finding in missing} == {"fallback_missing"}
    assert missing[0].path == ("fr", "booked")
    assert len(missing) == 5
    gap = check(TemplateSet.build(built_in("en"), {"fr": {"opt_out": "STOP", "booked": {"default": GOOD}}}), SETTINGS)
    assert {(finding.severity, finding.code) for finding in gap} == {(Severity.WARNING, "falls_back")}
    assert len(gap) == 3


def test_a_regional_fallback_may_rest_on_its_language() -> None:
    assert check(built_in_set(), replace(SETTINGS, fallback_language="es-US")) == []


def test_findings_of_the_shape_come_along() -> None:
    findings_of_text = check(TemplateSet.build(built_in("en"), {"en": {"booked": {"video": "{diagnosis}"}}}), SETTINGS)
    assert [(finding.path, finding.code) for finding in findings_of_text] == [
        (("en", "booked", "video"), "unknown_placeholder")
    ]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("words", ["a.", "a-", "reply with the "])
def test_a_text_of_any_length_is_checked(words: str) -> None:
    assert ("error", "too_long") in findings(GOOD + words * (2_000_000 // len(words)))

"""The words of the patients' pages: every language has them all, nothing else holds any, and a page has those of one language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Final, get_args
from zoneinfo import ZoneInfo

import pytest

from config.page_words import ENGLISH, OTHER, PageText, PageTexts, built_in_page_words, names_in
from portal.join.browsers import PatientBrowser
from portal.join.calendar import calendar_file
from portal.join.desk import JoinView, JoinWords, OnTheWay, Stage
from portal.join.device_words import sentences_for, steps_for
from portal.join.rendering import JoinRenderer, static_files
from portal.join.words import PageWords, accepted, choose

LANGUAGES: Final = built_in_page_words()
FOLDER: Final = Path(str(files("portal"))) / "join"
NOW: Final = datetime(2026, 3, 12, 20, 30, tzinfo=UTC)
OF_STAFF: Final = "provider.html"
"""The page of a provider's link is English."""


def _written(text: PageText) -> list[str]:
    return [text] if isinstance(text, str) else list(text.values())


def _phrases(texts: PageTexts) -> Iterator[str]:
    """The author's own words between what is filled in, long enough to be of one language."""
    for text in texts.values():
        for written in _written(text):
            for literal, *_ in Formatter().parse(written):
                if len(literal.split()) > 1:
                    yield literal.strip()


# The data


@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {ENGLISH}))
def test_every_phrase_is_there_in_every_language(language: str) -> None:
    english, other = LANGUAGES[ENGLISH], LANGUAGES[language]
    assert other.keys() == english.keys()
    assert {key for key in english if names_in(english[key]) != names_in(other[key])} == set()
    assert {key for key in english if isinstance(english[key], str) != isinstance(other[key], str)} == set()
    same = {key for key in english if english[key] == other[key]}
    assert same == {"visit.day"}, "each is translated"


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_text_that_is_several_has_one_for_all_the_rest(language: str) -> None:
    several = {key: text for key, text in LANGUAGES[language].items() if not isinstance(text, str)}
    assert "lobby.waited" in several
    assert [key for key, text in several.items() if OTHER not in text] == []


def test_spanish_speaks_to_patients_as_one_does_to_strangers() -> None:
    """Usted: no verb and no pronoun of tú."""
    familiar = re.compile(r"\b(?:tú|tu|tus|te|contigo|puedes|tienes|abre|pulsa|toca|prueba|espera|llámanos)\b")
    nouns = {"prueba", "espera"}
    written = [text for texts in LANGUAGES["es"].values() for text in _written(texts)]
    hits = {word for text in written for word in familiar.findall(text)}
    assert hits <= nouns


def test_templates_hold_no_words_of_their_own() -> None:
    left = {}
    for template in sorted((FOLDER / "templates").glob("*.html")):
        if template.name != OF_STAFF:
            bare = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", " ", template.read_text("utf-8"), flags=re.DOTALL)
            said = " ".join(re.findall(r'(?:aria-label|title|alt|placeholder)="([^"]*)"', bare))
            shown = re.sub(r"<[^>]*>", " ", bare)
            left[template.name] = re.findall(r"[A-Za-z]+", said + shown)
    assert left != {}
    assert {name: words for name, words in left.items() if words} == {}


def test_scripts_hold_no_words_of_their_own() -> None:
    sentence = re.compile(r"[A-Z][a-z']+ [a-z]")
    scripts = sorted((FOLDER / "static").glob("*.js"))
    assert scripts != []
    for script in scripts:
        code = re.sub(r"^\s*//.*$|\s//.*$", "", script.read_text("utf-8"), flags=re.MULTILINE)
        literals = re.findall(r'"[^"\n]*"|`[^`]*`', code)
        assert [literal for literal in literals if sentence.search(literal)] == [], script.name


def test_every_phrase_is_used_and_every_phrase_used_is_there() -> None:
    sources = [path.read_text("utf-8") for path in FOLDER.rglob("*") if path.suffix in (".py", ".html")]
    named = {key for source in sources for key in re.findall(r"""["']([a-z]+\.[a-z_]*[a-z])["']""", source)} - {
        "visit.ics"
    }
    by_part = {"says", "preview", "visit", "launch", "allow", *(step["name"] for step in steps_for(_words("en")))}
    keys = LANGUAGES[ENGLISH].keys()
    assert {key for key in named if key.partition(".")[0] in {key.partition(".")[0] for key in keys}} - keys == set()
    assert {key for key in keys if key.partition(".")[0] not in by_part} - named == set()


# The choice


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("es-MX,es;q=0.9,en;q=0.8", ("es-MX", "es", "en")),
        ("en;q=0.5, es;q=0.9", ("es", "en")),
        ("de;q=0, es", ("es",)),
        ("*", ()),
        ("", ()),
        ("es;q=two, ;;;, en", ("en",)),
        ("x" * 300 + ", es", ()),
    ],
)
def test_a_browser_says_which_languages_it_wants(header: str, tags: tuple[str, ...]) -> None:
    assert accepted(header) == tags


@pytest.mark.parametrize(
    ("wanted", "territory", "language", "clock"),
    [
        (("es",), "US", "es", "2:00 p.m."),
        (("es-ES", "es"), "US", "es", "14:00"),
        (("en",), "US", "en", "2:00 PM"),
        (("en",), "GB", "en", "14:00"),
        (("vi", "es"), "US", "es", "2:00 p.m."),
        (("vi",), "US", "en", "2:00 PM"),
        ((), "US", "en", "2:00 PM"),
    ],
)  # fmt: skip
def test_words_are_those_of_the_first_language_that_has_any(
    wanted: tuple[str, ...], territory: str, language: str, clock: str
) -> None:
    words = choose(wanted, LANGUAGES, territory=territory)
    assert words.language == language
    assert words.clock(datetime(2026, 3, 12, 21, tzinfo=UTC), ZoneInfo("America/Los_Angeles")) == clock


def test_what_is_put_into_a_page_is_escaped() -> None:
    assert str(_words("es").html("page.questions", contact="<b>&")) == "Preguntas: &lt;b&gt;&amp;."


# The pages


def _words(language: str) -> PageWords:
    return choose([language], LANGUAGES)


def _view(stage: Stage, language: str, **more: object) -> JoinView:
    values: dict[str, object] = {
        "stage": stage,
        "role": "patient",
        "start": NOW + timedelta(minutes=30),
        "zone": ZoneInfo("America/Los_Angeles"),
        "date_only": False,
        "ends": None,
        "opens_at": NOW - timedelta(minutes=30),
        "contact": "+1 425 555 0100",
        "organization": "Lamna",
        "test": True,
        "languages": (language,),
        **more,
    }
    return JoinView(**values)  # type: ignore[arg-type]


def _pages(language: str) -> Mapping[str, str]:
    """Everything that a patient may read in this language."""
    renderer = JoinRenderer(JoinWords(organization=lambda: "Lamna", contact=lambda: "+1 425 555 0100"), static_files())
    views = {stage: _view(stage, language) for stage in get_args(Stage)} | {
        "that day": _view("early", language, date_only=True),
        "moved": _view("early", language, moved="untold"),
        "moved and told": _view("early", language, moved="told"),
        "no time": _view("early", language, start=None),
        "waited": _view("waiting", language, waits_since=NOW - timedelta(minutes=5)),
        "put off": _view("waiting", language, put_off=True, waits_since=NOW - timedelta(minutes=1)),
        "with": _view("waiting", language, provider="Dr. Rivera"),
    }
    pages = {name: renderer.page(view, "t" * 17, "d1", NOW) for name, view in views.items()}
    words, ready = _words(language), _view("admitted", language)
    pages |= {
        "on the way": renderer.on_the_way(OnTheWay(view=ready, url="https://meet.example/x"), "t" * 17, "d1"),
        "no room": renderer.on_the_way(OnTheWay(view=ready, url=None), "t" * 17, "d1"),
        "nothing": renderer.nothing(language),
        "failed": renderer.failed(language),
        "refused": renderer.line("page.too_many", language),
        "state": str(renderer.state(_view("waiting", language), NOW)),
        "calendar": calendar_file(_view("early", language), words, now=NOW) or "",
    }
    for browser in (
        PatientBrowser(family="chrome", version=126, place="android"),
        PatientBrowser(family="other", version=None, place="computer"),
        PatientBrowser(family="safari", version=17, place="iphone"),
    ):
        pages[f"device test {browser.family}"] = renderer.plain(
            "device_test.html",
            words,
            token="t" * 17,
            family=browser.family,
            waiting=True,
            call_seconds=10,
            steps=steps_for(words),
            sentences=sentences_for(words, browser),
            **renderer.around(),
        )
    pages["launch"] = renderer.plain(
        "launch_refused.html", words, sentence=words.say("launch.failed"), code="sign_in", **renderer.around()
    )
    return pages


@pytest.mark.parametrize(("language", "other"), [("es", "en"), ("en", "es")])
def test_no_page_mixes_languages(language: str, other: str) -> None:
    strange = set(_phrases(LANGUAGES[other])) - set(_phrases(LANGUAGES[language]))
    assert len(strange) > 100
    for name, page in _pages(language).items():
        assert {phrase for phrase in strange if phrase in page} == set(), name
        if "<html" in page:
            assert f'<html lang="{language}">' in page, name


def test_spanish_dates_are_in_words() -> None:
    page = _pages("es")
    assert "Fecha de su visita: <strong>jueves, 12 de marzo, 2:00 p.m. (hora del Pacífico)</strong>." in page["early"]
    assert "a partir de esta hora: 1:00 p.m." in page["early"]
    assert "Lleva 5 minutos de espera." in page["waited"]
    assert "Lleva 1 minuto de espera." in page["put off"]
    assert "SUMMARY;LANGUAGE=es:Su visita\r\n" in page["calendar"]


def test_a_providers_page_stays_english() -> None:
    renderer = JoinRenderer(JoinWords(organization=lambda: "Lamna", contact=lambda: "+1 425 555 0100"), static_files())
    page = renderer.page(_view("admitted", "en", role="provider"), "t" * 17, None, NOW)
    assert '<html lang="en">' in page
    assert "Nobody waits." in page

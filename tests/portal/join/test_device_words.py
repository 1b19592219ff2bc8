"""The device test's words: one sentence for each code, and each browser's own way to allow a camera."""

from __future__ import annotations

import pytest

from config.page_words import built_in_page_words
from portal.join.browsers import PatientBrowser, browser_of
from portal.join.device_words import codes, sentences_for, steps_for
from portal.join.words import PageWords, choose
from scheduler.device_test import DeviceTestStep

APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {APPLE}"
ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("header", "family", "version", "place"),
    [
        (f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1", "safari", 17, "iphone"),
        (f"{IPHONE} CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1", "chrome", 126, "iphone"),
        (f"{IPHONE} FxiOS/127.0 Mobile/15E148 Safari/605.1.15", "firefox", 127, "iphone"),
        (f"{IPHONE} Version/17.0 EdgiOS/125.0.2535.60 Mobile/15E148 Safari/605.1.15", "edge", 125, "iphone"),
        (f"{IPHONE} Mobile/15E148 [FBAN/FBIOS;FBAV/468.0]", "in_app", None, "iphone"),
        (f"{IPHONE} Mobile/15E148", "in_app", None, "iphone"),
        (f"{ANDROID} Chrome/126.0.0.0 Mobile Safari/537.36", "chrome", 126, "android"),
        (f"{ANDROID} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36", "samsung", 25, "android"),
        (f"{ANDROID} Chrome/126.0.0.0 Mobile Safari/537.36 EdgA/126.0.0.0", "edge", 126, "android"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0", "firefox", 127, "android"),
        (ANDROID.replace("Pixel 8", "Pixel 8; wv") + " Version/4.0 Chrome/126.0.0.0 Mobile", "in_app", 126, "android"),
        (f"{WINDOWS} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", "edge", 126, "computer"),
        (f"{WINDOWS} Chrome/126.0.0.0 Safari/537.36", "chrome", 126, "computer"),
        (
            f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {APPLE} Version/17.5 Safari/605.1.15",
            "safari",
            17,
            "computer",
        ),
        ("curl/8.5", "other", None, "computer"),
        ("", "other", None, "computer"),
        ("Chrome/" + "9" * 4000, "chrome", 9999, "computer"),
    ],
)
def test_a_browser_is_known_by_its_header(header: str, family: str, version: int | None, place: str) -> None:
    assert browser_of(header) == PatientBrowser(family=family, version=version, place=place)  # type: ignore[arg-type]


def _words(language: str) -> PageWords:
    return choose([language], built_in_page_words())


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_code_has_a_sentence_and_every_sentence_a_code(language: str) -> None:
    """Beside a step's heading, what to do, and its button."""
    steps = {step.value for step in DeviceTestStep}
    keys = {key for key in _words(language).texts if key.partition(".")[0] in steps}
    named = {key for key in keys if key.partition(".")[2] not in ("title", "to_do", "button")}
    assert named == set(codes())
    assert [step["name"] for step in steps_for(_words(language)) if step["button"]] == [
        "camera",
        "microphone",
        "speaker",
    ]
    said = sentences_for(_words(language), browser_of(""))
    assert [code for code, sentence in said.items() if "{" in sentence and not code.startswith("says.")] == []


@pytest.mark.parametrize(
    ("header", "words", "spanish"),
    [
        (
            f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1",
            "Tap aA or the page symbol in the address bar",
            "Toque aA o el símbolo de la página en la barra de direcciones",
        ),
        (
            f"{IPHONE} CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1",
            "Open the iPhone's Settings, Apps, Chrome",
            "Abra Configuración del iPhone, Apps, Chrome, y active Cámara.",
        ),
        (
            f"{ANDROID} Chrome/126.0.0.0 Mobile Safari/537.36",
            "Tap the symbol left of the address, then Permissions",
            "Toque el símbolo a la izquierda de la dirección, luego Permisos",
        ),
        (
            f"{WINDOWS} Chrome/126.0.0.0 Safari/537.36",
            "Click the symbol left of the address, and switch Camera on.",
            "Haga clic en el símbolo a la izquierda de la dirección y active Cámara.",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
            "Click the crossed-out Camera symbol",
            "Haga clic en el símbolo tachado de Cámara",
        ),
        (
            "",
            "Look into the browser's settings for this site, and allow Camera.",
            "Busque en la configuración del navegador para este sitio y permita Cámara.",
        ),
    ],
)
def test_a_blocked_camera_is_allowed_where_this_browser_has_it(header: str, words: str, spanish: str) -> None:
    browser = browser_of(header)
    assert f"Your browser blocked the camera. {words}" in sentences_for(_words("en"), browser)["camera.blocked"]
    assert f"Su navegador bloqueó la cámara. {spanish}" in sentences_for(_words("es"), browser)["camera.blocked"]


def test_an_unknown_browser_of_a_telephone_has_the_telephones_sentence() -> None:
    browser = PatientBrowser(family="other", version=None, place="iphone")
    assert "Update the iPhone" in sentences_for(_words("en"), browser)["browser.no_calls"]

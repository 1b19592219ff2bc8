"""The device test's words: one sentence for each code, and each browser's own way to allow a camera."""

from __future__ import annotations

import pytest

from portal.join.browsers import PatientBrowser, browser_of
from portal.join.device_words import SENTENCES, missing, words_for

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


def test_every_code_has_a_sentence_and_every_sentence_a_code() -> None:
    assert missing() == set()


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1", "Tap aA or the page symbol in the address bar"),
        (f"{IPHONE} CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1", "Open the iPhone's Settings, Apps, Chrome"),
        (f"{ANDROID} Chrome/126.0.0.0 Mobile Safari/537.36", "Tap the symbol left of the address, then Permissions"),
        (f"{WINDOWS} Chrome/126.0.0.0 Safari/537.36", "Click the symbol left of the address, and switch Camera on."),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "Click the crossed-out Camera symbol"),
        ("", "Look into the browser's settings for this site, and allow Camera."),
    ],
)  # fmt: skip
def test_a_blocked_camera_is_allowed_where_this_browser_has_it(header: str, words: str) -> None:
    assert f"Your browser blocked the camera. {words}" in words_for(browser_of(header))["camera.blocked"]


def test_every_row_with_browsers_has_one_for_all_others() -> None:
    assert [key for key, row in SENTENCES.items() if not isinstance(row, str) and "" not in row] == []

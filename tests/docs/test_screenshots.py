"""The pictures of the portal: each is shown, light and dark, says in words what it shows, and is small."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Final

import pytest

from docs.generate import DOCS
from tests.browser.scenes import SCENES

ROOT: Final = DOCS.parent
IMAGES: Final = DOCS / "images"
PAGES: Final = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
PICTURE: Final = re.compile(r"<picture>(.*?)</picture>", re.DOTALL)
LARGEST: Final = 60 * 1024
ALL: Final = 1024 * 1024
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture on a page: both files, and its words."""

    page: Path
    light: Path
    dark: Path
    words: str


def _shown() -> list[Shown]:
    return [
        Shown(
            page=page,
            light=(page.parent / _one(r'src="([^"]*)"', picture)).resolve(),
            dark=(page.parent / _one(r'\(prefers-color-scheme: dark\)" srcset="([^"]*)"', picture)).resolve(),
            words=unescape(_one(r'alt="([^"]*)"', picture)),
        )
        for page in PAGES
        for picture in PICTURE.findall(page.read_text("utf-8"))
    ]


def _one(pattern: str, picture: str) -> str:
    [found] = re.findall(pattern, picture)
    return str(found)


def test_each_picture_is_there_light_and_dark() -> None:
    for shown in _shown():
        assert shown.light.is_file(), f"{shown.page}: {shown.light.name}: run make screenshots"
        assert shown.dark == shown.light.with_name(f"{shown.light.stem}-dark.png"), shown.page
        assert shown.dark.is_file(), f"{shown.page}: {shown.dark.name}: run make screenshots"


def test_each_picture_says_in_words_what_it_shows() -> None:
    """The same words wherever it is shown, and no other picture's."""
    words: dict[str, str] = {}
    for shown in _shown():
        assert len(shown.words.split()) >= 10, f"{shown.page}: {shown.light.name}"
        assert words.setdefault(shown.light.name, shown.words) == shown.words, shown.page
    assert len(set(words.values())) == len(words)


def test_no_picture_is_shown_without_words_in_another_way() -> None:
    for page in PAGES:
        text = PICTURE.sub("", page.read_text("utf-8"))
        assert "images/" not in re.sub(r"`[^`]*`", "", text), page
        assert "<img" not in text, page


def test_no_picture_is_unused_and_each_is_of_a_scene() -> None:
    used = {path.name for shown in _shown() for path in (shown.light, shown.dark)}
    assert used == {path.name for path in IMAGES.iterdir()}
    taken = {
        f"{name}{size}{scheme}.png"
        for name, scene in SCENES.items()
        for size in (("", "-narrow") if scene.narrow else ("",))
        for scheme in ("", "-dark")
    }
    assert used == taken


@pytest.mark.parametrize("picture", sorted(IMAGES.glob("*.png")), ids=lambda path: path.stem)
def test_a_picture_is_small(picture: Path) -> None:
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content[25] == 3, "it has no palette"
    assert len(content) <= LARGEST


def test_all_pictures_together_are_small() -> None:
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) <= ALL


def test_the_front_door_shows_a_desktop_and_a_telephone() -> None:
    names = [shown.light.name for shown in _shown() if shown.page == ROOT / "README.md"]
    assert any(name.endswith("-narrow.png") for name in names)
    assert any(not name.endswith("-narrow.png") for name in names)

"""The pictures: readable by everybody, within their card, and true to the planner."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from docs.generate import PICTURES
from docs.tables.pictures import SCENES, planning

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_says_what_it_shows(name: str) -> None:
    root = ET.fromstring(PICTURES[name]())
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert len((description.text or "").split()) > 30
    assert "prefers-color-scheme:dark" in (root.findtext(f"{SVG}style") or "")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_needs_nothing_else(name: str) -> None:
    drawn = PICTURES[name]().replace("http://www.w3.org/2000/svg", "")
    assert "://" not in drawn
    assert "href" not in drawn
    assert "<script" not in drawn


@pytest.mark.parametrize("name", PICTURES)
def test_words_stay_on_the_card(name: str) -> None:
    root = ET.fromstring(PICTURES[name]())
    width, height = (float(number) for number in (root.get("viewBox") or "").split()[2:])
    for text in root.iter(f"{SVG}text"):
        letters = len(text.text or "") * 6.4
        x, anchor = float(text.get("x", "0")), text.get("text-anchor")
        left = x - letters / 2 if anchor == "middle" else x
        assert left > -8, text.text
        assert left + letters < width + 40, text.text
        assert float(text.get("y", "0")) < height


def test_each_class_has_a_colour_on_both_cards() -> None:
    drawn = "".join(draw() for draw in PICTURES.values())
    light, dark = re.findall(r"<style>(.*?)</style>", drawn, re.DOTALL)[0].split("prefers-color-scheme:dark")
    used = {word for words in re.findall(r'class="([^"]+)"', drawn) for word in words.split()} - {"head", "small"}
    assert [word for word in used if f".{word}{{" not in light or f".{word}{{" not in dark] == []


def test_the_planners_picture_shows_its_rules() -> None:
    """If the planner decided otherwise, the sentences beside the lines would be wrong."""
    drawn = planning()
    assert len(SCENES) == 6
    for words in (
        "booked Wed 08:00",  # out of quiet hours
        "reminder 25h Wed 08:00",  # to their end
        "reminder 1h Wed 20:59",  # to the evening before
        "reminder 24h: too_close Wed 14:00",
        "late_booking",
        "reminder 24h: superseded Wed 14:00",
        "reminder 24h Thu 09:30",  # of the new time
        "canceled Tue 16:01",
    ):
        assert words in drawn

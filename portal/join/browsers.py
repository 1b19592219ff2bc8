"""Which browser a patient has, as far as its own header says: family, version, and where its settings are. Pure.

The header is a claim, so that nothing depends on it but the words of an advice and what the result is filed under.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Place = Literal["iphone", "android", "computer"]
"""Where the browser runs; iphone: iPads too, as far as they say so."""

_IN_APP: Final = re.compile(r"FBAN|FBAV|FB_IAB|Instagram|Line/|MicroMessenger|Snapchat|; wv\)")
"""Browsers inside other apps; `; wv)` is how Android names them all."""
_FAMILIES: Final = (
    ("edge", re.compile(r"Edg(?:e|A|iOS)?/([0-9]{1,4})")),
    ("samsung", re.compile(r"SamsungBrowser/([0-9]{1,4})")),
    ("firefox", re.compile(r"(?:Firefox|FxiOS)/([0-9]{1,4})")),
    ("chrome", re.compile(r"(?:HeadlessChrome|Chrome|CriOS)/([0-9]{1,4})")),
    ("safari", re.compile(r"Version/([0-9]{1,4})[0-9.]* (?:Mobile/\S+ )?Safari/")),
)
"""In this order: each of the first ones also names a later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientBrowser:
    """Attributes:
    family: chrome, edge, firefox, safari, samsung, in_app or other. version: the major one; None: it says none.
    """

    family: str
    version: int | None
    place: Place

    @property
    def words(self) -> str:
        """`chrome 126`: what is stored."""
        return self.family if self.version is None else f"{self.family} {self.version}"


def browser_of(header: str) -> PatientBrowser:
    """By a User-Agent header, of any content."""
    header = header[:512]
    if re.search(r"iPhone|iPad|iPod", header):
        place: Place = "iphone"
    else:
        place = "android" if "Android" in header else "computer"
    family, version = "other", None
    for name, pattern in _FAMILIES:
        if match := pattern.search(header):
            family, version = name, int(match[1])
            break
    apple_view = place == "iphone" and "AppleWebKit" in header and "Safari/" not in header
    if apple_view or _IN_APP.search(header):
        return PatientBrowser(family="in_app", version=version, place=place)
    return PatientBrowser(family=family, version=version, place=place)

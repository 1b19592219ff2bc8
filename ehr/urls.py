"""What a FHIR base URL's words tell, without asking anybody; pure.

Nothing here decides: each function gives a hint that a person may follow.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_OLD_VERSION: Final = re.compile(r"(?<=/)(dstu-?2|dstu-?3|stu-?3|r2|r3)(?=/|\Z)", re.IGNORECASE)
_APPENDED: Final = re.compile(r"/(metadata|\.well-known(/.*)?|Patient|Appointment)/?\Z", re.IGNORECASE)
_WORD: Final = re.compile(r"[a-z]+|[0-9]+", re.IGNORECASE)
_TEST: Final = frozenset({
    "demo", "dev", "development", "nonprod", "nonproduction", "playground", "ply", "poc", "preprod", "qa", "sandbox", "stage",
    "staging", "stg", "sup", "support", "test", "testing", "tests", "train", "training", "tst", "uat",
})  # fmt: skip
_PRODUCTION: Final = frozenset({"live", "prd", "prod", "production"})


def clean(base_url: str) -> str:
    """As it is compared: without blanks around it and slashes at its end, scheme and host in lower case."""
    parts = urlsplit(base_url.strip())
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def without_appendix(base_url: str) -> str | None:
    """The base URL in an address of something below it, such as `…/metadata`; None: nothing was appended."""
    cut = _APPENDED.sub("", clean(base_url))
    return cut if cut != clean(base_url) else None


def as_r4(base_url: str) -> str | None:
    """The URL with an old FHIR version's name replaced by R4, written as the old one was; None: it names none."""
    url = clean(base_url)
    corrected = _OLD_VERSION.sub(lambda match: "r4" if match[0].islower() else "R4", url, count=1)
    return corrected if corrected != url else None


def word_of_other_kind(base_url: str, kind: str) -> str | None:
    """A word in the URL that speaks of the other kind of environment, such as `TST` for a production one; None: there is none."""
    parts = urlsplit(clean(base_url))
    other = _PRODUCTION if kind == "test" else _TEST
    for label in re.split(
        r"[^a-z0-9]+", f"{parts.hostname or ''}/{urlsplit(base_url.strip()).path}", flags=re.IGNORECASE
    ):
        words = _WORD.findall(label)
        if words and words[0].lower() in other and all(word.isdigit() for word in words[1:]):
            return label
    return None

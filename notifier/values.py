"""Clean the appointment's values for a text, so that no value can add a message of its own; pure.

Patients' and hospitals' fields come from outside. Nothing in them may become a link, a number to call, a control character or
a template (sms.md, Text). A value that breaks its rule is dropped completely and never repaired, because a repaired hostile value
may still be hostile.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from notifier.segments import INVISIBLE, fold

NAME_LIMIT: Final = 40
DETAIL_LIMIT: Final = 60
LINK_LIMIT: Final = 300

_NAME_MARKS: Final = frozenset(" '-.")
_DETAIL_MARKS: Final = frozenset(" '-.,#&()/")
_DIGITS: Final = frozenset("0123456789")
_DETAIL_CHARACTERS: Final = _DETAIL_MARKS | _DIGITS
# `evil.example` is shown as a link; `J.R.` and `St. Mary` are not. A dot between two words makes a domain.
_DOMAIN: Final = re.compile(r"\w\w\.\w|\w\.\w\w")
# Seven digits and more are a number to call; a street number and a ZIP code are shorter.
_CALLABLE: Final = re.compile(r"(?:[0-9][\s()./'-]*){7,}")
_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
_LINK: Final = re.compile(r"https://[A-Za-z0-9._~:/?#\[\]!$&'()*+,;=%-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a patient may answer.

    Attributes:
        words: language -> the word that texts name. number: of the question; None: the word alone is enough.
    """

    words: Mapping[str, str]
    number: int | None = None

    def reply(self, languages: Sequence[str]) -> str:
        """`C`, or `C2`, in the first of these languages that has a word; else in any."""
        word = next((self.words[tag] for tag in languages if tag in self.words), None)
        return f"{word or next(iter(self.words.values()))}{'' if self.number is None else self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVisit:
    """A visit in a list of several. Attributes as in `Values`; `ask`: how to name it."""

    start: datetime | None
    zone: str
    date_only: bool
    ask: Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """One appointment's uncleaned values; `render` cleans them.

    Attributes:
        start: UTC; for a date-only start, midnight in `zone`; None: not known.
        zone: the clinic's IANA zone.
        join_link, facility, location, provider, patient_name: details; None: not given.
        own_link: a join link of Carebell's own, which stands in the text instead of `join_link`; it is not cleaned.
        ask: what the text asks for; None: it does not ask.
        visits: those that the text lists. visit_count: how many there are in all.
    """

    start: datetime | None
    zone: str
    date_only: bool = False
    join_link: str | None = field(default=None, repr=False)
    facility: str | None = None
    location: str | None = None
    provider: str | None = None
    patient_name: str | None = field(default=None, repr=False)
    own_link: str | None = field(default=None, repr=False)
    ask: Ask | None = None
    visits: tuple[ListedVisit, ...] = ()
    visit_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSettings:
    """One environment's settings of its texts.

    Attributes:
        organization, contact: shown to patients, as configured.
        fallback_language: its texts must be complete.
        max_segments: no text is longer; see `notifier.segments`.
        link_hosts: where join links may lead, see `clean_link`.
        territory: ISO 3166 code of the clinic, for the date style of a language without a region.
        asks: whether patients may answer (`sms.replies`), so that there must be texts for that.
    """

    organization: str
    contact: str
    fallback_language: str = "en"
    max_segments: int = 3
    link_hosts: tuple[str, ...] = ()
    territory: str = "US"
    asks: bool = False


def clean_name(name: str | None) -> str | None:
    """A person's name, or None: letters, marks, space and `'-.` alone, at most 40 characters, beginning with a letter."""
    return None if name is None else _clean(name, _NAME_MARKS, NAME_LIMIT)


def clean_detail(detail: str | None) -> str | None:
    """A place's or provider's display name, or None: a name's characters, digits and `,#&()/`, at most 60 characters.

    It is also dropped if it looks like a domain, or holds seven digits in a row, which a phone would offer to call.
    """
    cleaned = None if detail is None else _clean(detail, _DETAIL_CHARACTERS, DETAIL_LIMIT)
    return None if cleaned is None or _CALLABLE.search(cleaned) else cleaned


def _clean(value: str, others: frozenset[str], limit: int) -> str | None:
    if len(value) > 4 * limit:
        return None
    # Also checked before folding: an invisible character is a reason to drop the value, not to remove the character.
    if not (value.isascii() and value.isprintable()) and any(map(_is_hidden, value)):
        return None
    folded = " ".join(fold(value).split())
    allowed = all(char in others or char.isalpha() or unicodedata.category(char)[0] == "M" for char in folded)
    if not folded or len(folded) > limit or not allowed or _DOMAIN.search(folded):
        return None
    return folded if folded[0].isalpha() or folded[0] in others & _DIGITS else None


def _is_hidden(char: str) -> bool:
    return char in INVISIBLE or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")


def clean_link(link: str | None, hosts: Iterable[str]) -> str | None:
    """A join link whose host is on the list, unchanged; or None.

    `https` only, printable ASCII, no user information, no port but 443, at most 300 characters. An entry `video.example.org`
    allows exactly that host; `*.example.org` allows every name below it, not `example.org` itself.
    """
    if link is None or len(link) > LINK_LIMIT or _LINK.fullmatch(link) is None:
        return None
    try:
        parts = urlsplit(link)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if host is None or "@" in parts.netloc or port not in (None, 443) or _HOST.fullmatch(host) is None:
        return None
    return link if any(_covers(entry, host) for entry in hosts) else None


def _covers(entry: str, host: str) -> bool:
    host_pattern = entry.strip().lower()
    if host_pattern.startswith("*."):
        return host.endswith(host_pattern[1:])
    return host == host_pattern


@lru_cache(maxsize=256)  # the same few words in every text
def clean_line(text: str) -> str:
    """The configuration's own words (organisation, contact) on one line: folded, without control characters."""
    visible = "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)
    visible = "".join(char for char in visible if unicodedata.category(char) != "Cs")
    return " ".join(fold(visible).split())

"""Check an environment's templates before any text is sent; pure.

With an error the configuration does not load; `carebell check-config` shows warnings.

Errors: `shape` `language` `unknown_kind` `unknown_visit_mode` (not the file's shape), `braces` `brackets` `conversion`
`unknown_placeholder` (not a template), `fallback_missing`, `required_missing` (organisation, contact, opt-out words),
`outside_brackets` (a value that may be missing), `too_long`, `forbidden_word`, `url`.
Warnings: `falls_back`, `details_left_out`, `not_gsm7`, `discloses` (HIPAA's minimum necessary), `url_shortener`, `link_end`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from notifier.dates import fallbacks, locale_for, longest_date_words
from notifier.segments import Encoding, count
from notifier.templates import (
    ANSWER,
    ANSWERS,
    DEFAULT_MODE,
    DETAILS,
    KINDS,
    ONE_VISIT,
    OPT_OUT,
    REPLY,
    Finding,
    Path,
    Severity,
    Template,
    TemplateSet,
)
from notifier.values import DETAIL_LIMIT, NAME_LIMIT, TextSettings, clean_line

# Gateways handle these words themselves: a patient who replies CANCEL to cancel a visit is opted out of all texts.
_FORBIDDEN: Final = re.compile(
    r"\b(?:CANCEL|CANCELAR|YES|SI|SÍ)\b"
    r"|\b(?i:reply|respond|answer|text|send|type|responda|responde|conteste|env[ií]e|escriba|mande)\b"
    r"[\s\"':(]*(?:(?i:with|back|con|the|word|la|palabra)[\s\"':(]+){0,3}(?i:cancel|cancelar|yes|s[ií])\b"
)
_LONGEST_REPLY: Final = "CONFIRM12"
_STOP: Final = re.compile(r"\bSTOP\b")
_URL: Final = re.compile(
    r"\b[A-Za-z][A-Za-z0-9+.-]{0,30}://\S*|\bwww\.\S+"
)  # a bound: else the search takes quadratic time
_SHORTENERS: Final = frozenset(
    (
        "bit.ly",
        "bitly.com",
        "tinyurl.com",
        "t.co",
        "goo.gl",
        "is.gd",
        "ow.ly",
        "rb.gy",
        "cutt.ly",
        "tiny.cc",
        "rebrand.ly",
    )
)
_SPECIALTY: Final = re.compile(
    r"\b(?:cardiol|oncol|psychiatr|psycholog|psiquiatr|psicolog|dermatol|neurol|urolog|gyn[ae]*col|ginecol|obstetri|pediatr"
    r"|orthop|ortop|radiol|nephrol|nefrol|hematol|infectio|infeccio|fertilit|fertilidad|addiction|adiccion|dialysis|dialisis"
    r"|chemo|quimio|behavioral health|mental health|salud mental|hospice|hiv|vih|cancer|surgery|cirug|transplant"
    r"|department of|departamento de)",
    re.IGNORECASE,
)


def check(template_set: TemplateSet, settings: TextSettings) -> list[Finding]:
    """Every finding, in the order of the files; empty: there is none."""
    findings = list(template_set.findings)
    findings += _fallback(template_set, settings)
    for language, words in template_set.opt_out.items():
        findings += _opt_out(language, words)
    for (language, _, _), template in template_set.texts.items():
        tags = fallbacks(language)
        opt_out = next((template_set.opt_out[tag] for tag in tags if tag in template_set.opt_out), "")
        findings += _tokens(template, opt_out)
        findings += _words(template)
        findings += _length(template, opt_out, language, settings)
    return findings


def _error(path: Path, code: str, message: str) -> Finding:
    return Finding(path=path, severity=Severity.ERROR, code=code, message=message)


def _warning(path: Path, code: str, message: str) -> Finding:
    return Finding(path=path, severity=Severity.WARNING, code=code, message=message)


def _fallback(template_set: TemplateSet, settings: TextSettings) -> Iterator[Finding]:
    tags = fallbacks(settings.fallback_language)
    for kind in KINDS:
        if not any((tag, kind, DEFAULT_MODE) in template_set.texts for tag in tags):
            message = f"the fallback language {settings.fallback_language} has no text for {kind}.{DEFAULT_MODE}"
            yield _error((settings.fallback_language, kind), "fallback_missing", message)
    for answer in ANSWERS if settings.asks else ():
        if not any((tag, ANSWER, answer) in template_set.texts for tag in tags):
            message = f"the fallback language {settings.fallback_language} has no text for {ANSWER}.{answer}"
            yield _error((settings.fallback_language, ANSWER), "fallback_missing", message)
    if not any(tag in template_set.opt_out for tag in tags):
        message = f"the fallback language {settings.fallback_language} has no {OPT_OUT}"
        yield _error((settings.fallback_language,), "fallback_missing", message)
    for language in template_set.languages:
        if language in tags:
            continue
        for kind in KINDS:
            if not any((tag, kind, DEFAULT_MODE) in template_set.texts for tag in fallbacks(language)):
                message = f"has no {kind}.{DEFAULT_MODE}: patients get it in {settings.fallback_language}"
                yield _warning((language,), "falls_back", message)


def _opt_out(language: str, words: str) -> Iterator[Finding]:
    path = (language, OPT_OUT)
    if _STOP.search(words) is None:
        yield _error(path, "required_missing", "must contain the word STOP in capitals, because carriers act on it")
    if "{" in words or "}" in words:
        yield _error(path, "conversion", "is plain text without placeholders")
    yield from _forbidden(path, words)


def _tokens(template: Template, opt_out: str) -> Iterator[Finding]:
    sure = {piece.value for piece in template.fields if piece.part is None}
    is_answer = template.path[1] == ANSWER
    required = set() if is_answer and template.path[2] == ONE_VISIT else {"organization", "contact"} - sure
    if is_answer:
        pass  # it was asked for, and the text that asked says how to opt out
    elif "opt_out" not in sure and _STOP.search(template.literal) is None:
        required.add("opt_out")
    elif "opt_out" in sure and not opt_out:
        yield _error(template.path, "required_missing", f"uses {{opt_out}}, but {template.path[0]} has no {OPT_OUT}")
    for name in sorted(required):
        yield _error(template.path, "required_missing", f"must show {{{name}}} outside optional parts")
    for name in sorted(sure & ({*DETAILS, "time"} | (set() if is_answer else {REPLY}))):
        message = f"shows {{{name}}}, which an appointment may lack: put it into an optional part, [... {{{name}}} ...]"
        yield _error(template.path, "outside_brackets", message)


def _words(template: Template) -> Iterator[Finding]:
    path, literal = template.path, template.literal
    yield from _forbidden(path, literal)
    specialty = _SPECIALTY.search(literal)
    if specialty is not None:
        message = f"names a specialty or department near {specialty[0]!r}: anyone who sees the phone can read it"
        yield _warning(path, "discloses", message)
    for name in sorted({piece.value for piece in template.fields} & (set(DETAILS) - {"join_link"})):
        yield _warning(path, "discloses", f"shows {{{name}}}: anyone who sees the phone can read it")
    for url in _URL.findall(literal):
        yield from _url(path, url)
    pieces = template.pieces
    for link, after in itertools.pairwise(pieces):
        if link.is_field and link.value == "join_link" and (after.is_field or not after.value[0].isspace()):
            yield _warning(
                path, "link_end", "a space must follow {join_link}: phones read the next characters as part of the link"
            )


def _forbidden(path: Path, words: str) -> Iterator[Finding]:
    word = _FORBIDDEN.search(words)
    if word is not None:
        message = f"must not ask for {word[0].split()[-1]!r}: phone companies read such a reply as an opt-out or opt-in"
        yield _error(path, "forbidden_word", message)


def _url(path: Path, url: str) -> Iterator[Finding]:
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host = parts.hostname or ""
    except ValueError:
        yield _error(path, "url", "has a link that is not a URL")
        return
    if parts.scheme != "https":
        yield _error(path, "url", "has a link that is not https")
    if "@" in parts.netloc or not host.isascii() or "." not in host:
        yield _error(path, "url", "has a link whose host is not a plain domain name")
    if host.removeprefix("www.") in _SHORTENERS:
        yield _warning(
            path, "url_shortener", "has a shortened link: phone companies block texts with public shorteners"
        )
    if url[-1] in ".,;:!?)":
        yield _warning(path, "link_end", "has a link that touches punctuation: phones read it as the link's end")


def _length(template: Template, opt_out: str, language: str, settings: TextSettings) -> Iterator[Finding]:
    """Counted with the longest date of a year in this language and the configured organisation and contact."""
    words: dict[str, str | None] = {
        **dict(longest_date_words(locale_for(language, settings.territory))),
        "organization": clean_line(settings.organization),
        "contact": clean_line(settings.contact),
        "opt_out": opt_out,
        REPLY: _LONGEST_REPLY if settings.asks or template.path[1] == ANSWER else None,
    }
    least = count(template.fill(words, template.droppable))
    if least.segments > settings.max_segments:
        message = (
            f"takes {least.segments} segments without its details; sms.max_segments allows {settings.max_segments}"
        )
        yield _error(template.path, "too_long", message)
        return
    longest = dict.fromkeys(DETAILS, "W" * DETAIL_LIMIT) | {"patient_name": "W" * NAME_LIMIT}
    link = max((len(host) for host in settings.link_hosts), default=0) + len("https:///j/12345678901?pwd=") + 32
    longest["join_link"] = "w" * link
    most = count(template.fill({**words, **longest}))
    if most.segments > settings.max_segments:
        message = (
            f"takes up to {most.segments} segments with its details; sms.max_segments allows {settings.max_segments}: "
            "details that do not fit are left out"
        )
        yield _warning(template.path, "details_left_out", message)
    if most.encoding is Encoding.UCS2:
        shown = " ".join(f"{char} (U+{ord(char):04X})" for char in most.offending[:8])
        yield _warning(
            template.path,
            "not_gsm7",
            f"has, with the organization's name and contact, characters that make a segment 70 characters instead of 160: {shown}",
        )

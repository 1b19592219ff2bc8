"""What a message says about the patient besides the telephone: language, death, consent, and the name if it is used.

Source: HL7 v2.9 chapter 3: PID-15 (table 0296), PID-29 and PID-30. The standard has no field for consent; the
configuration names one. Names are never written into a trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from parser.display import one_line
from parser.er7 import Message
from parser.event import ParseWarning
from parser.evidence import Offer, Trace, choose, everywhere, offered, texts
from parser.language import language_tag
from parser.parse_warnings import Oddity, warning


def find_language(
    message: Message, paths: Sequence[str], words: Mapping[str, str], trace: Trace | None = None
) -> tuple[str | None, tuple[ParseWarning, ...]]:
    """The patient's language as a BCP 47 tag. An unknown language counts as not given.

    Args:
        words: folded local code or word to tag.
    """
    unknown: list[str] = []

    def offers() -> Iterator[Offer[str]]:
        for offer in texts(message, paths):
            tag = language_tag(offer.value, words) if offer.value else None
            if offer.why_not is None and tag is None:
                unknown.append(offer.field)
                yield offer._replace(why_not="no known language")
            else:
                yield offer._replace(value=tag)

    choice = choose(offers(), trace)
    tag = None if choice.winner is None else choice.winner.value
    if trace is not None:
        trace.note("language", tag, None if choice.winner is None else choice.winner.field, choice.candidates)
    return tag, (warning(Oddity.LANGUAGE_UNKNOWN, unknown[0]),) if tag is None and unknown else ()


def find_deceased(message: Message, flag: str, date: str, trace: Trace | None = None) -> bool:
    """Whether the message says that the patient has died: the flag is Y, or a date of death is given."""

    def offers() -> Iterator[Offer[str]]:
        offer = offered(flag, message.get(flag))
        no = offer.value is not None and offer.value.upper() not in ("Y", "YES")
        yield offer._replace(why_not="does not say Y") if no and offer.why_not is None else offer
        yield offered(date, message.get(date))

    choice = choose(offers(), trace)
    if trace is not None:
        field = None if choice.winner is None else choice.winner.field
        trace.note("deceased", None if field is None else "true", field, choice.candidates)
    return choice.winner is not None


def find_consent(
    message: Message, path: str | None, granted: frozenset[str], trace: Trace | None = None
) -> bool | None:
    """The patient's consent; None: no field is configured, or it is empty. One refusal among several values is a refusal.

    Args:
        granted: values that mean yes, in small letters; any other value means no.
    """
    if path is None:
        return None
    given = [offered(spot.field, spot.value) for spot in everywhere(message, path)]
    answers = [offer for offer in given if offer.why_not is None and offer.value is not None]
    refusals = [offer for offer in answers if (offer.value or "").casefold() not in granted]
    decisive = refusals or answers
    consent = None if not answers else not refusals
    if trace is not None:
        value = None if consent is None else str(consent).lower()
        trace.note("consent", value, decisive[0].field if decisive else None, choose(decisive, trace).candidates)
    return consent


def find_name(message: Message, path: str, trace: Trace | None = None) -> str | None:
    """The patient's name for templates, as one short line."""
    value = message.get(path)
    name = one_line(value) if isinstance(value, str) else ""
    if trace is not None:
        trace.note("patient_name", "***" if name else None, path if name else None, note="names are not shown")
    return name or None

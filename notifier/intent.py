"""What a patient's reply asks for: STOP, START, HELP, or something that only looks like a STOP; pure.

The words are data (`config/reply_words/*.yaml`, read by `notifier.reply_words`). docs/reference/stop-words.md describes the rule
for users, and this module implements it:

1. Words are compared without case, accents, punctuation, invisible characters and typographic width. What follows a mail
   program's signature line does not count.
2. A message that consists of words of STOP and polite words is a STOP, however often it repeats them. So is one with a line, a
   sentence or a part between commas that does; there the words do not count that are a STOP only alone.
3. A message of at most `FEW` words with a word of STOP among them is a STOP, and so is a longer one with a phrase that can mean
   nothing else. Phrases that hold a word of STOP and mean something else ("stop by") are taken out first.
4. A message that consists of words of START and polite words is a START. START among other words is not heard: a START that was
   not meant is the greater harm.
5. A message that holds a word of STOP and is none of these is `UNCLEAR`: a person looks at it.
6. Of a message longer than `LONGEST` only the beginning is read. It is a STOP where that beginning is one, and else `UNCLEAR`,
   because the rest is not known.

Gateways know fewer words, and hear a keyword only as the whole message. A wish to be left alone that the gateway did not
understand is still heard here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from notifier.phrase_sequence import PhraseSequence

FEW: Final = 6
"""The most words of a message in which one STOP word decides: "please stop sending me these messages"."""

LONGEST: Final = 2_000
"""Characters that are read. A gateway's longest SMS has 1,600; 10 segments, the most that telephones join, have 1,530."""

KEYS: Final = (
    "stop",
    "stop_alone",
    "stop_anywhere",
    "not_stop",
    "quoted",
    "polite",
    "start",
    "start_alone",
    "help",
    "signature",
)
"""The keys of a language's file; each holds a list of words or phrases."""

# Letters by their category, but invisible: Hangul fillers and the braille blank.
_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_NOT: Final = re.compile(r"(?<=n)['’ʼ＇`´](?=t\b)", re.IGNORECASE)
_LONG_DRAWN: Final = re.compile(r"(\S)\1{2,}")
_RULE: Final = re.compile(r"[\s\-_—–=*~]{2,}")
_PARTS: Final = re.compile(r"[.,;:!?…。，！？]+")
_BOUNDARY: Final = " | "
"""The mark of a removed phrase: no other phrase matches across it."""


class Intent(Enum):
    """What a text asks for."""

    STOP = "stop"  # it says nothing else
    STOP_IN_WORDS = "stop_in_words"  # among other words
    START = "start"
    HELP = "help"
    UNCLEAR = "unclear"  # holds a STOP word and is not a STOP
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyWords:
    """The words of all languages together, because a patient may write in any language.

    All of them are for texts as `plain` leaves them.

    Attributes:
        stop, stop_alone, stop_anywhere, not_stop, quoted, polite, signature: find one of the phrases of that key.
        stop_message, stop_part, start_message, start_alone_message, help_message: match a whole message, or a part of one,
            without its blanks.
    """

    stop: re.Pattern[str]
    stop_alone: re.Pattern[str]
    stop_anywhere: re.Pattern[str]
    not_stop: re.Pattern[str]
    quoted: re.Pattern[str]
    polite: re.Pattern[str]
    signature: re.Pattern[str]
    stop_message: PhraseSequence
    stop_part: PhraseSequence
    start_message: PhraseSequence
    start_alone_message: PhraseSequence
    help_message: PhraseSequence

    @classmethod
    def build(cls, languages: Iterable[Mapping[str, Iterable[str]]]) -> ReplyWords:
        """The patterns of these languages: for each, `KEYS` -> phrases; a missing key has none."""
        phrases: dict[str, set[str]] = {key: set() for key in KEYS}
        for language in languages:
            for key, entries in language.items():
                phrases[key] |= {plain(entry) for entry in entries} - {""}
        return cls(
            stop=_any_of(phrases["stop"]),
            stop_alone=_any_of(phrases["stop_alone"]),
            stop_anywhere=_any_of(phrases["stop_anywhere"]),
            not_stop=_any_of(phrases["not_stop"]),
            quoted=_any_of(phrases["quoted"]),
            polite=_any_of(phrases["polite"]),
            signature=_any_of(phrases["signature"]),
            stop_message=PhraseSequence.build(phrases["stop"] | phrases["stop_alone"] | phrases["stop_anywhere"]),
            stop_part=PhraseSequence.build(phrases["stop"] | phrases["stop_anywhere"]),
            start_message=PhraseSequence.build(phrases["start"]),
            start_alone_message=PhraseSequence.build(phrases["start_alone"]),
            help_message=PhraseSequence.build(phrases["help"]),
        )


def intent(body: str, words: ReplyWords) -> Intent:
    """What `body` asks for, by the rules above. Any length, any characters."""
    if len(body) <= LONGEST:
        return _intent(body, words)
    beginning = "".join(body[:LONGEST].rsplit(maxsplit=1)[:1])  # without the last word, which may be cut
    asked = _intent(beginning, words)
    return asked if asked in (Intent.STOP, Intent.STOP_IN_WORDS) else Intent.UNCLEAR


def _intent(body: str, words: ReplyWords) -> Intent:
    written = tuple(_above_signature(body, words))
    lines = [line for line in map(plain, written) if line]
    message = " ".join(lines)
    if _consists_of(message, words.help_message):
        return Intent.HELP
    if _consists_of(message, words.stop_message, words.polite) or _any_is_stop(lines, words):
        return Intent.STOP
    if _consists_of(message, words.start_message, words.polite) or _consists_of(message, words.start_alone_message):
        return Intent.START
    if _any_is_stop((plain(part) for line in written for part in _PARTS.split(line)), words):
        return Intent.STOP_IN_WORDS
    short = message.count(" ") < FEW
    own_words = message if short else words.quoted.sub(_BOUNDARY, message)
    meant = words.not_stop.sub(_BOUNDARY, own_words)
    if words.stop_anywhere.search(meant) or (short and words.stop.search(meant)):
        return Intent.STOP_IN_WORDS
    if words.stop.search(own_words) or (short and words.stop_alone.search(own_words)):
        return Intent.UNCLEAR
    return Intent.OTHER


def _any_is_stop(parts: Iterable[str], words: ReplyWords) -> bool:
    return any(_consists_of(part, words.stop_part, words.polite) for part in parts)


def plain(text: str) -> str:
    """`text` as it is compared: its words in lower case, a blank between two, `cant stop` of "Can’t  STÓP!!"."""
    return _LONG_DRAWN.sub(r"\1", " ".join("".join(_letters(_NOT.sub("", text))).split()))


def _letters(text: str) -> Iterator[str]:
    """Letters and digits without accents, a blank for word separators, nothing for invisible characters."""
    for char in text:
        if unicodedata.category(char)[0] in "PSZ" or char.isspace():
            letter = unicodedata.normalize("NFKD", char).casefold()
            yield letter if len(letter) == 1 and letter.isalnum() else " "  # the circled letter, not the trade mark
            continue
        for part in unicodedata.normalize("NFKD", char):
            if part.isalnum() and part not in _BLANK_LETTERS:  # a mark is neither; its lower case may be a letter
                yield from filter(str.isalnum, unicodedata.normalize("NFKD", part.casefold()))


def _above_signature(body: str, words: ReplyWords) -> Iterator[str]:
    """The message's lines until a mail program's signature begins."""
    spoken = False
    for line in body.splitlines():
        if spoken and (_RULE.fullmatch(line) or words.signature.match(plain(line))):
            return
        spoken = spoken or plain(line) != ""
        yield line


def _consists_of(message: str, only: PhraseSequence, polite: re.Pattern[str] | None = None) -> bool:
    """Whether a message is these words and nothing else but polite ones; also with blanks between its letters."""
    texts = (message,) if polite is None else (message, polite.sub("", message))
    return any(only.matches(text.replace(" ", "")) for text in texts)


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    """Finds one phrase, the longest where several begin at the same word; without any phrase it finds nothing."""
    alternatives = "|".join(sorted(phrases, key=lambda phrase: (-len(phrase), phrase))) or "(?!)"
    return re.compile(rf"(?<!\S)(?:{alternatives})(?!\S)")

"""What a patient's reply says by the configured words (`sms.replies.words`); pure. The body is read and kept nowhere.

- A word is the whole message. Case, accents, punctuation and blanks do not matter: "c.", "Confírm" and "C 2" are heard.
- A number behind the word names the question ("C2"). A word that ends in a digit itself cannot be followed by one.
- 👍 alone says confirm. Beside a word it must not contradict it. What telephones write for a tapback ("Liked ...", "Le gustó ...")
  is no word, so it is not understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from config.problems import Keys
from config.reply_settings import MEANINGS, Replies
from notifier.intent import Intent, ReplyWords, intent, plain
from notifier.replies import LONGEST_ANSWER
from scheduler.reply import NOT_UNDERSTOOD, Meaning, ReplyKind

_THUMB: Final = "\U0001f44d"
_TONES: Final = re.compile("[\U0001f3fb-\U0001f3ff\ufe0f]")
_NUMBERED: Final = re.compile(r"(.*[^0-9])([1-9][0-9]?)")
_LONG_NUMBER: Final = re.compile(r"([0-9])\1{2}")
_BY_THREE: Final = {Intent.STOP: "stop all texts", Intent.START: "ask for texts again", Intent.HELP: "ask for help"}


@dataclass(frozen=True, slots=True)
class ReplyVocabulary:
    """Attributes:
    words: as `_compared` writes them -> meaning.
    shown: meaning -> language -> the word that texts name.
    """

    words: Mapping[str, ReplyKind] = field(repr=False)
    shown: Mapping[ReplyKind, Mapping[str, str]]

    @classmethod
    def of(cls, settings: Replies) -> ReplyVocabulary:
        words = {
            _compared(word): ReplyKind(meaning)
            for lists in settings.words.values()
            for meaning in MEANINGS
            for word in lists.of(meaning)
        }
        shown = {
            ReplyKind(meaning): {language: lists.of(meaning)[0] for language, lists in settings.words.items()}
            for meaning in MEANINGS
        }
        return cls(words, shown)

    def meaning(self, body: str) -> Meaning:
        """What a message says."""
        if len(body) > LONGEST_ANSWER:
            return NOT_UNDERSTOOD
        bare = _TONES.sub("", body)
        said = self._worded(bare.replace(_THUMB, " "))
        if _THUMB not in bare or said == Meaning(kind=ReplyKind.CONFIRM, number=said.number):
            return said
        only_thumbs = not bare.replace(_THUMB, "").strip()
        return Meaning(kind=ReplyKind.CONFIRM) if only_thumbs else NOT_UNDERSTOOD

    def _worded(self, body: str) -> Meaning:
        if _LONG_NUMBER.search(body):  # `plain` shortens what is drawn out
            return NOT_UNDERSTOOD
        compared = _compared(body)
        kind = self.words.get(compared)
        if kind is not None:
            return Meaning(kind=kind)
        numbered = _NUMBERED.fullmatch(compared)
        kind = None if numbered is None else self.words.get(numbered[1])
        if kind is None or numbered is None:
            return NOT_UNDERSTOOD
        return Meaning(kind=kind, number=int(numbered[2]))


def says_yes(body: str) -> bool:
    """Whether it is YES alone: to a gateway a START, to a text that asks a confirmation."""
    return _compared(body) == "yes"


def _compared(text: str) -> str:
    return plain(text).replace(" ", "")


def unusable_words(settings: Replies, words: ReplyWords) -> Iterator[tuple[Keys, str]]:
    """Each word of `sms.replies.words` that means something else already, at its keys below `replies`, and why.

    Args:
        words: of STOP, START and HELP in every language.
    """
    seen: dict[str, str] = {}
    for language, lists in settings.words.items():
        for meaning in MEANINGS:
            for index, word in enumerate(lists.of(meaning)):
                keys: Keys = ("words", language, meaning, index)
                compared = _compared(word)
                other = seen.setdefault(compared, meaning)
                does = _BY_THREE.get(intent(word, words))
                if not compared:
                    yield keys, f"{word}: must hold a letter or a digit"
                elif does is not None:
                    yield keys, f"{word}: patients who send it {does}"
                elif other != meaning:
                    yield keys, f"{word}: stands under {other} as well"

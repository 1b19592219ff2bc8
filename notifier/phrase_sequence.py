"""Whether a text consists of given phrases and nothing else, in time proportional to its length; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseSequence:
    """Phrases that follow one another without blanks, in any order, each any number of times, at least one of them.

    A regular expression `(?:a|b|...)+` accepts the same texts, but needs time exponential in the text's length where one run of
    letters divides into phrases in two ways ("unsubscribe" and "me", or "unsubscribe me").

    Attributes:
        phrases: without blanks; none of them empty.
        lengths: those that phrases have, in characters.
    """

    phrases: frozenset[str]
    lengths: tuple[int, ...]

    @classmethod
    def build(cls, phrases: Iterable[str]) -> PhraseSequence:
        """Of phrases as people write them; their blanks are left out."""
        written = frozenset(phrase.replace(" ", "") for phrase in phrases) - {""}
        return cls(phrases=written, lengths=tuple(sorted({len(phrase) for phrase in written})))

    def matches(self, text: str) -> bool:
        """Whether `text`, without blanks, is such a sequence from its first to its last character."""
        reachable = bytearray(len(text) + 1)  # 1 at every offset up to which the text is a sequence of phrases
        reachable[0] = 1
        for start in range(len(text)):
            if not reachable[start]:
                continue
            for length in self.lengths:
                end = start + length
                if end > len(text):
                    break
                if text[start:end] in self.phrases:
                    reachable[end] = 1
        return text != "" and reachable[-1] == 1

"""What a patient's reply means for the visits that texts asked about, and what is answered; pure.

A text **asks** where it ends in "Reply C to confirm". Its question is open as long as the visit is still to come, at the time that
the text named. Each question of a telephone has a number of its own. Where one alone is open a bare word means it. Where several
are, texts ask "Reply C2", and a bare word is answered with the list. The word itself is forgotten once it is understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar


class ReplyKind(StrEnum):
    """What a reply says."""

    CONFIRM = "confirm"
    CANNOT_COME = "cannot_come"
    CALL_ME = "call_me"
    UNKNOWN = "unknown"


class ReplyReason(StrEnum):
    """Why a reply changed nothing."""

    NO_WORD = "no_word"  # it is no word of the configuration
    NO_QUESTION = "no_question"  # nothing that it could be about was asked, or the visit has begun
    WHICH_VISIT = "which_visit"  # several visits are asked about, and it names none
    MOVED = "moved"  # it is about a time at which the visit no longer takes place


class AnswerRule(StrEnum):
    """Which text answers a reply: the rule of its row in the outbox."""

    CONFIRMED = "confirmed"
    CANNOT_COME = "cannot_come"
    CALL_ME = "call_me"
    MOVED = "moved"
    WHICH_CONFIRM = "which_confirm"
    WHICH_CANNOT_COME = "which_cannot_come"
    WHICH_CALL_ME = "which_call_me"
    UNKNOWN = "unknown"

    @property
    def lists(self) -> ReplyKind | None:
        """Of a list of visits: with which words they can be answered; None: it is no list."""
        return _LISTS.get(self)


_LISTS = {
    AnswerRule.WHICH_CONFIRM: ReplyKind.CONFIRM,
    AnswerRule.WHICH_CANNOT_COME: ReplyKind.CANNOT_COME,
    AnswerRule.WHICH_CALL_ME: ReplyKind.CALL_ME,
}
_ANSWERS = {
    ReplyKind.CONFIRM: AnswerRule.CONFIRMED,
    ReplyKind.CANNOT_COME: AnswerRule.CANNOT_COME,
    ReplyKind.CALL_ME: AnswerRule.CALL_ME,
}
_WHICH = {kind: rule for rule, kind in _LISTS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """A reply as far as its words say it.

    Attributes:
        number: of the question that it names (`C2`); None: it names none.
    """

    kind: ReplyKind
    number: int | None = None


NOT_UNDERSTOOD = Meaning(kind=ReplyKind.UNKNOWN)


class OpenQuestion(Protocol):
    """What `judge` looks at of an open question."""

    @property
    def number(self) -> int: ...

    @property
    def moved(self) -> bool:
        """Whether the visit has another time than the text named."""


AnyQuestion = TypeVar("AnyQuestion", bound=OpenQuestion)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Generic[AnyQuestion]):
    """Attributes:
    question: the one that the reply is about; None: none, or it is not known which.
    reason: why it changes nothing; None: it takes effect.
    """

    question: AnyQuestion | None = None
    reason: ReplyReason | None = None


def judge(meaning: Meaning, questions: Sequence[AnyQuestion]) -> Judged[AnyQuestion]:
    """What a reply is about.

    Args:
        questions: those open for this telephone and sender, one for each visit.
    """
    if meaning.kind is ReplyKind.UNKNOWN:
        return Judged(reason=ReplyReason.NO_WORD)
    meant = [question for question in questions if meaning.number in (None, question.number)]
    if len(meant) == 1:
        moved = meant[0].moved and meaning.kind is not ReplyKind.CALL_ME
        return Judged(question=meant[0], reason=ReplyReason.MOVED if moved else None)
    return Judged(reason=ReplyReason.WHICH_VISIT if len(questions) > 1 else ReplyReason.NO_QUESTION)


def answer_to(kind: ReplyKind, reason: ReplyReason | None) -> AnswerRule:
    """Which text answers a reply that was judged so."""
    match reason:
        case None:
            return _ANSWERS[kind]
        case ReplyReason.MOVED:
            return AnswerRule.MOVED
        case ReplyReason.WHICH_VISIT:
            return _WHICH[kind]
        case ReplyReason.NO_WORD | ReplyReason.NO_QUESTION:
            return AnswerRule.UNKNOWN


def free_number(taken: Sequence[int]) -> int:
    """The lowest number from 1 that no open question has."""
    return next(number for number in range(1, len(taken) + 2) if number not in taken)

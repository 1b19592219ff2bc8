"""`sms.replies`: what patients may answer to a text, and what comes of it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from config.fieldmap import Language
from config.section import Section
from config.values import Word

AskingKind = Literal["booked", "updated", "reminder"]
ASKING_KINDS: Final[tuple[AskingKind, ...]] = get_args(AskingKind)
ReplyWordList = Annotated[list[Word], Field(min_length=1)]
MEANINGS: Final = ("confirm", "cannot_come", "call_me")
"""The keys of `ReplyWordLists`."""


class ReplyWordLists(Section):
    """One language's words; each is a whole message. Case, accents and punctuation do not matter. Texts show the first one."""

    confirm: ReplyWordList
    """I am coming."""
    cannot_come: ReplyWordList
    """I cannot come."""
    call_me: ReplyWordList
    """Call me."""

    def of(self, meaning: str) -> list[str]:
        """The words of one of `MEANINGS`."""
        return list(getattr(self, meaning))


def _words() -> dict[str, ReplyWordLists]:
    return {
        "en": ReplyWordLists(
            confirm=["C", "CONFIRM", "Y", "1"], cannot_come=["N", "NO", "2"], call_me=["R", "CALL", "3"]
        ),
        "es": ReplyWordLists(
            confirm=["C", "CONFIRMAR", "SI", "1"], cannot_come=["N", "NO", "2"], call_me=["R", "LLAMAR", "3"]
        ),
    }


class Replies(Section):
    """Patients confirm a visit, or say that they cannot come, by answering a text. STOP, START and HELP are heard in any case."""

    enabled: bool = False
    """true: texts ask, and answers are understood."""
    ask_in: list[AskingKind] = Field(default_factory=lambda: list(ASKING_KINDS))
    """These texts ask ("Reply C to confirm.") as long as the visit is not confirmed."""
    words: dict[Language, ReplyWordLists] = Field(default_factory=_words, min_length=1)
    """By language; those of all languages are understood together. None may be one of STOP, START or HELP in any language."""
    answer: bool = True
    """Thank for an answer with a text. Quiet hours do not hold it, and it does not count for `caps`."""
    cannot_come: Literal["report", "ask_ehr"] = "report"
    """report: the EHR is told that the patient cannot come. ask_ehr: it is asked to cancel. Carebell never cancels by itself."""
    unknown: Literal["once_a_day", "never"] = "once_a_day"
    """How often a number is told that its messages are not read."""

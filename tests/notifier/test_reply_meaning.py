"""What a patient's words mean by the configured lists, and which words cannot be in them."""

from __future__ import annotations

import pytest

from config.model import Replies, ReplyWordLists
from notifier.reply_meaning import ReplyVocabulary, says_yes, unusable_words
from notifier.reply_words import read_reply_words
from scheduler.reply import Meaning, ReplyKind

WORDS = ReplyVocabulary.of(Replies())
UNKNOWN = Meaning(kind=ReplyKind.UNKNOWN)


@pytest.mark.parametrize(
    "body", ["C", " c. ", "Confírm", "CONFIRMAR!", "y", "1", "Sí", "👍", "👍🏽👍", "C 👍", "ccc", "“C”"]
)
def test_a_word_confirms_in_any_spelling(body: str) -> None:
    assert WORDS.meaning(body) == Meaning(kind=ReplyKind.CONFIRM)


@pytest.mark.parametrize(("body", "number"), [("C2", 2), ("c 12", 12), ("C-1", 1), ("Confirm 3", 3)])
def test_a_number_behind_the_word_names_the_question(body: str, number: int) -> None:
    assert WORDS.meaning(body) == Meaning(kind=ReplyKind.CONFIRM, number=number)


@pytest.mark.parametrize(
    ("body", "kind"),
    [("n", "cannot_come"), ("NO", "cannot_come"), ("2", "cannot_come"), ("Call", "call_me"), ("llamar", "call_me")],
)
def test_the_other_meanings(body: str, kind: str) -> None:
    assert WORDS.meaning(body) == Meaning(kind=ReplyKind(kind))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "see you then",
        "C you there",
        "11",
        "111",
        "12",
        "C0",
        "👍 2",
        "👍 N",
        "Liked “Reply C to confirm”",
        "Le gustó “Responda C”",
        "Reacted 👍 to “Reply C”",
        "C" + " " * 60,
    ],
)
def test_anything_else_is_not_understood(body: str) -> None:
    assert WORDS.meaning(body) == UNKNOWN


@pytest.mark.parametrize(("body", "yes"), [("YES", True), ("yes!", True), ("yes please", False), ("y", False)])
def test_yes_is_the_whole_message(body: str, yes: bool) -> None:
    assert says_yes(body) is yes


def test_the_shipped_words_are_usable() -> None:
    assert list(unusable_words(Replies(), read_reply_words())) == []


def test_words_that_mean_something_else_are_named() -> None:
    lists = ReplyWordLists(confirm=["YES", "C", "N"], cannot_come=["CANCEL", "n", "Arrêt"], call_me=["HELP", "..."])
    assert list(unusable_words(Replies(words={"en": lists}), read_reply_words())) == [
        (("words", "en", "confirm", 0), "YES: patients who send it ask for texts again"),
        (("words", "en", "cannot_come", 0), "CANCEL: patients who send it stop all texts"),
        (("words", "en", "cannot_come", 1), "n: stands under confirm as well"),
        (("words", "en", "cannot_come", 2), "Arrêt: patients who send it stop all texts"),
        (("words", "en", "call_me", 0), "HELP: patients who send it ask for help"),
        (("words", "en", "call_me", 1), "...: must hold a letter or a digit"),
    ]

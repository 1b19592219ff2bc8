"""Which visit a reply is about, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from scheduler.reply import AnswerRule, Meaning, ReplyKind, ReplyReason, answer_to, free_number, judge


@dataclass(frozen=True)
class Asked:
    number: int
    moved: bool = False


ONE, TWO, MOVED = Asked(1), Asked(2), Asked(1, moved=True)
C, N, R, UNKNOWN = ReplyKind


@pytest.mark.parametrize(
    ("kind", "number", "questions", "question", "reason"),
    [
        (C, None, [], None, ReplyReason.NO_QUESTION),
        (C, None, [ONE], ONE, None),
        (C, 1, [ONE], ONE, None),
        (C, 2, [ONE], None, ReplyReason.NO_QUESTION),
        (N, None, [ONE, TWO], None, ReplyReason.WHICH_VISIT),
        (N, 2, [ONE, TWO], TWO, None),
        (N, 3, [ONE, TWO], None, ReplyReason.WHICH_VISIT),
        (C, None, [MOVED], MOVED, ReplyReason.MOVED),
        (N, 1, [MOVED, TWO], MOVED, ReplyReason.MOVED),
        (R, None, [MOVED], MOVED, None),  # to be called is wanted whatever the time
        (UNKNOWN, None, [ONE], None, ReplyReason.NO_WORD),
        (C, 1, [ONE, Asked(1)], None, ReplyReason.WHICH_VISIT),  # of two senders
    ],
)
def test_a_reply_is_judged_by_the_open_questions(
    kind: ReplyKind, number: int | None, questions: list[Asked], question: Asked | None, reason: ReplyReason | None
) -> None:
    judged = judge(Meaning(kind=kind, number=number), questions)
    assert (judged.question, judged.reason) == (question, reason)


def test_every_judgement_has_its_answer() -> None:
    assert answer_to(C, None) is AnswerRule.CONFIRMED
    assert answer_to(N, ReplyReason.MOVED) is AnswerRule.MOVED
    assert answer_to(N, ReplyReason.WHICH_VISIT).lists is N
    assert answer_to(UNKNOWN, ReplyReason.NO_WORD) is AnswerRule.UNKNOWN
    assert answer_to(C, ReplyReason.NO_QUESTION) is AnswerRule.UNKNOWN


@pytest.mark.parametrize(("taken", "free"), [([], 1), ([1], 2), ([2], 1), ([1, 3], 2), ([1, 2, 2], 3)])
def test_a_new_question_has_the_lowest_free_number(taken: list[int], free: int) -> None:
    assert free_number(taken) == free

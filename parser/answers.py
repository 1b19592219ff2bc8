"""The answer to each failure: config/answers.yaml as a table, with an environment's own settings applied; pure.

The file maps each code to `answer`, `err3`, `meaning` and `advice`; the caller reads it and passes the mapping. A code
with several values of table 0357 (TYPE is 200 or 201) lists them, the usual one first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from parser.ack import ERROR_TEXTS, Answer, AnswerCode

_ANSWERS: Final[tuple[AnswerCode, ...]] = get_args(AnswerCode)
_KEYS: Final = frozenset({"answer", "err3", "meaning", "advice"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """One failure.

    Attributes:
        code: stable, upper case: SIG01, TYPE, ...
        answer: in original mode; enhanced mode follows from it.
        err3: values of HL7 table 0357, the usual one first.
        meaning: one line for the sender's screen (ERR-8) and the documentation.
        advice: what the interface analyst should do.
    """

    code: str
    answer: AnswerCode
    err3: tuple[str, ...]
    meaning: str
    advice: str


class AnswerTable:
    """The table of one environment: immutable, iterable over its rows in the file's order."""

    __slots__ = ("_rows",)

    def __init__(
        self, rows: Mapping[str, Mapping[str, Any]], overrides: Mapping[str, AnswerCode] | None = None
    ) -> None:
        """Check and store `rows`, with the answers that `overrides` (the environment's `answers`) changes.

        Raises:
            ValueError: a row or an override is wrong; the message begins with its code.
        """
        overrides = overrides or {}
        for code in overrides:
            if code not in rows:
                raise ValueError(f"{code}: no such failure; there are {', '.join(rows)}")
        self._rows = {code: _row(code, row, overrides.get(code)) for code, row in rows.items()}

    def __iter__(self) -> Iterator[AnswerRow]:
        return iter(self._rows.values())

    def __contains__(self, code: object) -> bool:
        return code in self._rows

    def row(self, code: str) -> AnswerRow:
        """The row of a code. KeyError if there is none: a fault of the program, not of a message."""
        return self._rows[code]

    def answer(
        self, code: str, err3: str | None = None, text: str | None = None, location: str | None = None
    ) -> Answer:
        """The answer to one failure.

        Args:
            code: as in the table; KeyError otherwise.
            err3: table 0357, if the failure needs another value than the row's usual one.
            text: what was found; without it, the row's meaning.
            location: as `Answer.location`.
        """
        row = self._rows[code]
        return Answer(
            answer=row.answer,
            code=code,
            err3=err3 or row.err3[0],
            text=text or row.meaning,
            meaning=row.meaning,
            severity="W" if row.answer == "AA" else "E",
            location=location,
        )


def _row(code: str, row: Mapping[str, Any], override: AnswerCode | None) -> AnswerRow:
    if set(row) != _KEYS:
        raise ValueError(f"{code}: a row has the keys {', '.join(sorted(_KEYS))}")
    answer = override or row["answer"]
    if answer not in _ANSWERS:
        raise ValueError(f"{code}: answer is one of {', '.join(_ANSWERS)}")
    if code == "TRANSIENT" and answer == "AA":
        raise ValueError(f"{code}: AA would acknowledge a message that was not stored")
    err3: Sequence[str] = row["err3"]
    if isinstance(err3, str) or not err3 or any(value not in ERROR_TEXTS for value in err3):
        raise ValueError(f"{code}: err3 is a list of values of HL7 table 0357, in quotes")
    meaning, advice = str(row["meaning"]).strip(), str(row["advice"]).strip()
    if not meaning or not advice:
        raise ValueError(f"{code}: meaning and advice must say something")
    return AnswerRow(code=code, answer=answer, err3=tuple(err3), meaning=meaning, advice=advice)

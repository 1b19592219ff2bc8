"""Give an edited text its secrets back: somebody saw a file with `***` in it, changed it, and never saw what stands there.

Lines that were not touched come from the file. In a line that was touched, `***0143` becomes the only number that ended so in the
lines in its place, or in the file; `:***@` becomes the file's only password. Whatever stays masked, `config.redaction.masked_keys`
finds. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import SequenceMatcher
from typing import Final

from config.redaction import ANY_NUMBER, REMOVED

_BOM: Final = "\ufeff"
_NUMBER: Final = re.compile(rf"{re.escape(REMOVED)}(\d{{4}})(?!\d)")
_PASSWORD: Final = re.compile(rf"(://[^\s/@:\"']*:){re.escape(REMOVED)}(?=@)")


def unmasked(edited: str, original: str, shown: str, numbers: Collection[str], passwords: Collection[str] = ()) -> str:
    """The edited text as the file is to have it.

    Args:
        edited: what came back. A browser sends it with CRLF, whatever the file has.
        original: the file's text. shown: the same, redacted, line by line; `edited` was made from it.
        numbers: telephone numbers of the file that are shown nowhere. passwords: those of its database's URL.

    Returns:
        It has the file's line ends, and its byte order mark.
    """
    newline = "\r\n" if "\r\n" in original else "\n"
    own, seen, lines = (_lines(text) for text in (original.removeprefix(_BOM), shown.removeprefix(_BOM), edited))
    result: list[str] = []
    for operation, begin, end, new_begin, new_end in SequenceMatcher(None, seen, lines, autojunk=False).get_opcodes():
        if operation == "equal":
            result += own[begin:end]
        else:
            near = ANY_NUMBER.findall("\n".join(own[begin:end]))
            result += [_restored(line, near, numbers, passwords) for line in lines[new_begin:new_end]]
    return (_BOM if original.startswith(_BOM) else "") + newline.join(result)


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _restored(line: str, near: Collection[str], numbers: Collection[str], passwords: Collection[str]) -> str:
    """One line without masks, where it is certain what stood there.

    Args:
        near: numbers as they are spelled in the lines that this one replaces.
    """

    def number(match: re.Match[str]) -> str:
        for candidates in (near, numbers):
            ending = {number for number in candidates if _digits(number).endswith(match[1])}
            if len({_digits(number) for number in ending}) == 1:
                return min(ending)
        return match[0]

    if len(set(passwords)) == 1:
        [password] = set(passwords)
        line = _PASSWORD.sub(lambda match: f"{match[1]}{password}", line)
    return _NUMBER.sub(number, line)


def _digits(written: str) -> str:
    return "".join(letter for letter in written if letter.isdecimal())

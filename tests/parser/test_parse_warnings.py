"""parser/parse_warnings.py: every warning in the parser's code has a meaning, and every meaning a warning."""

from __future__ import annotations

import re
from pathlib import Path

from parser import parse_warnings
from parser.parse_warnings import MEANINGS, Oddity, warning

ROOM = Path(parse_warnings.__file__).parent


def test_the_table_is_the_code() -> None:
    """Codes are used as `Oddity.X`, or written out where `_warning` or `ParseWarning` makes one.

    conformance.py is another matter: its codes are those of its report, not of what reading a message met.
    """
    others = ("oddity.py", "conformance.py")
    code = "\n".join(path.read_text() for path in ROOM.glob("*.py") if path.name not in others)
    used = set(re.findall(r"Oddity\.([A-Z_]+)", code))
    used |= set(re.findall(r'(?:_warning\(|ParseWarning\(code=)"([A-Z_]+)"', code))
    assert (
        used
        == {parse_warnings.name for parse_warnings in Oddity}
        == {parse_warnings.value for parse_warnings in MEANINGS}
    )


def test_meanings_are_sentences_and_hold_no_content() -> None:
    for code, meaning in MEANINGS.items():
        assert meaning.isascii()
        assert meaning.endswith(".")
        assert warning(code, "SCH-11.4").text == meaning

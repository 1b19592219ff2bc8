"""Who edits a text with `***` in it gives back the numbers that they never saw."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.unmasking import unmasked

ORIGINAL = "# ask Ann, +1 202 555 0177\nallow_list:\n  - '+12025550143'\n  - '+12025550188'\nurl: postgres://u:pw@db/x\nport: 1\n"
SHOWN = "# ask Ann, ***0177\nallow_list:\n  - '***0143'\n  - '***0188'\nurl: postgres://u:***@db/x\nport: 1\n"
NUMBERS = ("+12025550143", "+12025550188")


def _unmasked(edited: str, original: str = ORIGINAL) -> str:
    return unmasked(edited, original, SHOWN, NUMBERS, ("pw",))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("port: 1", "port: 2", ("port: 1", "port: 2")),
        ("  - '***0143'\n", "", ("  - '+12025550143'\n", "")),
        ("  - '***0143'\n", "  - '***0143'  # Ben\n", ("  - '+12025550143'\n", "  - '+12025550143'  # Ben\n")),
        ("  - '***0143'\n", "  - '+12025550111'\n", ("  - '+12025550143'\n", "  - '+12025550111'\n")),
        ("# ask Ann, ***0177", "# ask Ben, ***0177", ("# ask Ann", "# ask Ben")),
        ("***@db/x", "***@db/y", ("pw@db/x", "pw@db/y")),
        ("allow_list", "# more\nallow_list", ("allow_list", "# more\nallow_list")),
    ],
)
def test_what_was_not_touched_comes_back_whole(before: str, after: str, expected: tuple[str, str]) -> None:
    assert before in SHOWN
    assert _unmasked(SHOWN.replace(before, after)) == ORIGINAL.replace(*expected)


def test_line_ends_and_byte_order_mark_are_the_files() -> None:
    posted = SHOWN.replace("\n", "\r\n")
    assert _unmasked(posted) == ORIGINAL
    windows = "\ufeff" + ORIGINAL.replace("\n", "\r\n")
    assert _unmasked(posted, windows) == windows


def test_two_numbers_with_one_ending_stay_masked() -> None:
    own = "a: ['+12025550143', '+13035550143']\n"
    line = unmasked("a: ['***0143'] # x\n", own, "a: ['***0143', '***0143']\n", ("+12025550143", "+13035550143"))
    assert line == "a: ['***0143'] # x\n"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["a: 1", "b: '***0143'", "b: '***0188'", "", "# c"]), max_size=10))
def test_a_text_that_nobody_edited_is_the_file(lines: list[str]) -> None:
    shown = "\n".join(lines)
    original = shown.replace("***", "+1202555")
    assert unmasked(shown, original, shown, ()) == original

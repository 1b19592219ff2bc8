"""Differences by lines: nothing of the three texts is lost, and who changed what is right."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from config.line_diff import Origin, Region, Side, shown, three_way, two_way

LINES = st.lists(st.sampled_from("abcde"), max_size=12)


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


@settings(max_examples=300, deadline=None)
@given(base=LINES, yours=LINES, theirs=LINES)
def test_each_text_comes_out_again(base: list[str], yours: list[str], theirs: list[str]) -> None:
    regions = three_way(_joined(base), _joined(yours), _joined(theirs))
    for name, lines in (("base", base), ("yours", yours), ("theirs", theirs)):
        assert [line for region in regions for line in getattr(region, name)] == lines
    place = 1
    for region in regions:
        assert region.line == place
        place += len(region.base)


@settings(max_examples=200, deadline=None)
@given(base=LINES, changed=LINES)
def test_one_change_is_nobody_elses(base: list[str], changed: list[str]) -> None:
    old, new = _joined(base), _joined(changed)
    assert {region.origin for region in three_way(old, new, old)} <= {Origin.NOBODY, Origin.YOURS}
    assert {region.origin for region in three_way(old, old, new)} <= {Origin.NOBODY, Origin.THEIRS}
    assert {region.origin for region in two_way(old, new)} <= {Origin.NOBODY, Origin.BOTH}


def test_two_changes_of_one_line_are_a_conflict_and_others_are_not() -> None:
    base = "a: 1\nb: 2\nc: 3\nd: 4\n"
    regions = three_way(base, "a: 1\nb: 20\nc: 3\nd: 40\n", "a: 10\nb: 21\nc: 3\nd: 40\n")
    assert [region.origin for region in regions] == [Origin.CONFLICT, Origin.NOBODY, Origin.BOTH]
    regions = three_way(base, "a: 1\nb: 20\nc: 3\nd: 4\n", "a: 1\nb: 2\nc: 3\nd: 40\n")
    assert [region.origin for region in regions] == [Origin.NOBODY, Origin.YOURS, Origin.NOBODY, Origin.THEIRS]


def test_what_is_shown_has_numbers_and_leaves_out_what_is_far_away() -> None:
    base = [f"line {number}" for number in range(1, 21)]
    changed = [*base[:9], "ten", *base[10:]]
    lines = list(shown(two_way(_joined(base), _joined(changed))))
    assert [line.left_out for line in lines if line.text is None] == [6, 7]
    assert [(line.side, line.number, line.text) for line in lines if line.side is not Side.ALL] == [
        (Side.BASE, 10, "line 10"), (Side.BOTH, None, "ten"),
    ]  # fmt: skip
    assert [line.number for line in lines if line.side is Side.ALL and line.text] == [7, 8, 9, 11, 12, 13]
    assert list(shown(two_way("a\n", "a\n"))) == []


def test_a_gap_of_one_line_is_no_gap() -> None:
    nobody = Region(origin=Origin.NOBODY, line=1, base=("a",) * 7, yours=("a",) * 7, theirs=("a",) * 7)
    changed = Region(origin=Origin.YOURS, line=8, base=("b",), yours=(), theirs=("b",))
    lines = list(shown([changed, nobody, changed]))
    assert all(line.text is not None for line in lines)
    assert len(lines) == 9

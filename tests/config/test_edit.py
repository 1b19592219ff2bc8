"""Edits of carebell.yaml by key: the wanted values, and every other byte as it was."""

from __future__ import annotations

import difflib
import json
import re
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.document import parse_document
from config.edit import REMOVED, Edit, EditRefused, edited
from config.problems import ConfigurationError, Keys

SHIPPED = resources.files("config").joinpath("carebell.yaml").read_bytes()
SMS: Keys = ("environments", "production", "sms")


def difference(before: bytes, after: bytes) -> list[str]:
    """The changed lines, `-` and `+` before them, without their line ends."""
    lines = difflib.ndiff(before.decode().splitlines(), after.decode().splitlines())
    return [line for line in lines if line[0] in "+-"]


def changed(text: str, *edits: Edit) -> str:
    return edited(text.encode(), edits, "carebell.yaml").decode()


def values(content: bytes) -> Any:
    return parse_document(content, "carebell.yaml").values


@pytest.mark.parametrize(
    ("keys", "value", "difference_wanted"),
    [
        ((*SMS, "quiet_hours", "from"), "22:00", [
            '-       quiet_hours: {from: "21:00", to: "08:00"}   # texts wait until `to`; null: none',
            '+       quiet_hours: {from: "22:00", to: "08:00"}   # texts wait until `to`; null: none',
        ]),
        ((*SMS, "reminders", 1, "before"), "48h", [
            "-         - {before: 24h}               # m and h are elapsed time",
            "+         - {before: 48h}               # m and h are elapsed time",
        ]),
        ((*SMS, "reminders", 3), {"before": "1h"}, ["+         - {before: 1h}"]),
        ((*SMS, "reminders", 0), REMOVED, [
            '-         - {before: 7d, at: "10:00"}   # d and w count days on the clinic\'s calendar; '
            "`at` is the time of day it leaves",
        ]),
        ((*SMS, "caps"), None, [
            "-       caps: {per_day: 3, per_week: 10}   # per number; a cancellation always goes",
            "+       caps: null   # per number; a cancellation always goes",
        ]),
        ((*SMS, "caps", "per_day"), REMOVED, [
            "-       caps: {per_day: 3, per_week: 10}   # per number; a cancellation always goes",
            "+       caps: {per_week: 10}   # per number; a cancellation always goes",
        ]),
        (("http", "enabled"), False, ["+   enabled: false"]),
        (("http", "port"), REMOVED, ["-   port: 8080"]),
        (("environments", "production", "certificates", 1), "certs/next.cer", ["+       - certs/next.cer"]),
        (("environments", "test", "sms", "caps"), {"per_day": 2, "per_week": 4},
            ["+       caps: {per_day: 2, per_week: 4}"]),
        (("alarms", "overdue_after"), "9m", ["+ alarms: {overdue_after: 9m}"]),
    ],
)  # fmt: skip
def test_an_edit_of_the_shipped_file_changes_its_line_alone(
    keys: Keys, value: Any, difference_wanted: list[str]
) -> None:
    after = edited(SHIPPED, [Edit(keys, value)], "carebell.yaml")
    assert difference(SHIPPED, after) == difference_wanted


def test_a_new_key_stands_under_the_comment_that_shows_it() -> None:
    after = edited(SHIPPED, [Edit(("http", "enabled"), False)], "carebell.yaml").decode()
    assert "  # enabled: true\n  enabled: false\n" in after


@pytest.mark.parametrize(
    ("before", "edits", "after"),
    [
        ("a: 1\n", [Edit(("a",), 2)], "a: 2\n"),
        ("a: 1", [Edit(("b",), 2)], "a: 1\nb: 2"),
        ("a:\nb: 1\n", [Edit(("a",), "x")], "a: x\nb: 1\n"),
        ("a:   # why\nb: 1\n", [Edit(("a",), "x")], "a: x   # why\nb: 1\n"),
        ("a: 1\r\n# c\r\nb: 2\r\n", [Edit(("c",), 3)], "a: 1\r\n# c\r\nb: 2\r\nc: 3\r\n"),
        ("\ufeffa: 1\n", [Edit(("a",), 2)], "\ufeffa: 2\n"),
        ("a: 'it''s'\n", [Edit(("a",), "it's two")], "a: 'it''s two'\n"),
        ('a: "x"\n', [Edit(("a",), "y")], 'a: "y"\n'),
        ("a: |\n  one\n  two\n# c\nb: 1\n", [Edit(("a",), "x")], "a: x\n# c\nb: 1\n"),
        ("a:\n  # why\n  - 1\n  - 2\nb: 1\n", [Edit(("a",), [])], "a: []\nb: 1\n"),
        ("a:  # why\n  b: 1\n", [Edit(("a",), None)], "a: null  # why\n"),
        ("a: [1, 2,  3]\n", [Edit(("a", 1), REMOVED)], "a: [1, 3]\n"),
        ("a: [ 1 ]\n", [Edit(("a", 1), 2)], "a: [ 1, 2 ]\n"),
        ("a: {}\n", [Edit(("a", "b", "c"), 2)], "a: {b: {c: 2}}\n"),
        ("a:\n- 1\n- 2\nb: 3\n", [Edit(("a", 0), REMOVED)], "a:\n- 2\nb: 3\n"),
        ("a:\n- 1\nb: 3\n", [Edit(("a", 1), 2)], "a:\n- 1\n- 2\nb: 3\n"),
        ("a:\n  - b: 1\n    c: 2\n", [Edit(("a", 0, "b"), REMOVED)], "a:\n  - c: 2\n"),
        ("a: 1\n", [Edit(("b",), "0123")], 'a: 1\nb: "0123"\n'),
        ("a: 1\n", [Edit(("b",), "no")], 'a: 1\nb: "no"\n'),
        ("a: 1\n", [Edit(("b",), 'q"\\\n\x07é')], 'a: 1\nb: "q\\"\\\\\\n\\x07é"\n'),
        ("a: 1\n", [Edit(("b",), True), Edit(("a",), REMOVED)], "b: true\n"),
        ("---\na: 1\n...\n", [Edit(("b",), 2)], "---\na: 1\nb: 2\n...\n"),
    ],
)  # fmt: skip
def test_small_files(before: str, edits: list[Edit], after: str) -> None:
    assert changed(before, *edits) == after


@pytest.mark.parametrize(
    ("text", "edit", "place", "why"),
    [
        ("a: &x 1\nb: *x\n", Edit(("a",), 2), (1, 4), "shares its value with other keys"),
        ("a: &x {c: 1}\nb: *x\n", Edit(("b", "c"), 2), (2, 4), "shares its value with other keys"),
        ("a: &x {c: 1}\nb: *x\n", Edit(("a", "c"), 2), (1, 4), "shares its value with other keys"),
        ("a: {b: 1,\n  c: 2}\n", Edit(("a", "d"), 2), (1, 4), "stands in brackets over several lines"),
        ("a: 1\n", Edit(("a", "b"), 2), (1, 1), "leads to nothing"),
        ("a: [1]\n", Edit(("a", 2), 2), (1, 1), "leads to nothing"),
        ("a: 1\n", Edit(("b",), REMOVED), (1, 1), "is not in the file"),
        ("a: 1\n", Edit(("a",), REMOVED), (1, 1), "would become empty"),
        ("a:\n- - 1\n  - 2\n", Edit(("a", 0, 0), REMOVED), (2, 5), "stands in a list inside a list"),
    ],
)
def test_what_an_edit_by_key_would_damage_is_refused(text: str, edit: Edit, place: tuple[int, int], why: str) -> None:
    with pytest.raises(EditRefused) as refused:
        changed(text, edit)
    problem = refused.value.problem
    assert (problem.line, problem.column) == place
    assert why in problem.why
    assert problem.why.endswith("; edit the file's text")


def test_what_is_no_document_is_not_edited() -> None:
    with pytest.raises(ConfigurationError, match="is given twice"):
        changed("a: 1\na: 2\n", Edit(("a",), 3))


# Any file, any edit

scalars = st.one_of(
    st.integers(-99, 9999),
    st.booleans(),
    st.none(),
    st.text(max_size=8),
    st.sampled_from(["24h", "21:00", "+1425", "no"]),
)
names = st.sampled_from(["a", "b", "sms", "quiet hours", "from", "08", "x-y"])
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
sections = st.dictionaries(names, trees, min_size=1, max_size=5)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file as people write them: blocks and brackets, comments, blank lines, any indentation, line ends and a byte order mark."""
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    lines: list[str] = []

    def comment() -> None:
        if draw(st.integers(0, 4)) == 0:
            lines.append(draw(st.sampled_from(["", "# why", "    # - indented: comment", "# b: 2"])))

    def spelt(value: Any) -> str:
        plain = (
            isinstance(value, str)
            and value.isascii()
            and value.isalpha()
            and value.lower() not in ("null", "true", "false")
        )
        if value is None and draw(st.booleans()):
            return ""
        return value if plain and draw(st.booleans()) else json.dumps(value)

    def block(value: Any, indent: int, head: str) -> None:
        tail = draw(st.sampled_from(["", "", "  # behind", " "]))
        if not isinstance(value, dict | list) or not value or draw(st.integers(0, 3)) == 0:
            lines.append(f"{head} {spelt(value)}{tail}")
            return
        lines.append(head + tail)
        deeper = indent + draw(st.sampled_from([2, 2, 4]))
        if isinstance(value, dict):
            for key, inner in value.items():
                comment()
                block(inner, deeper, f"{' ' * deeper}{json.dumps(key) if key == '08' else key}:")
        else:
            for item in value:
                comment()
                block(item, deeper, f"{' ' * deeper}-")

    for key, value in draw(sections).items():
        comment()
        block(value, 0, f"{json.dumps(key) if key == '08' else key}:")
    comment()
    return draw(st.sampled_from(["", "\ufeff"])) + newline.join(lines) + draw(st.sampled_from(["", newline]))


def paths(value: Any, keys: Keys = ()) -> list[Keys]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [keys, *(path for key, below in inner for path in paths(below, (*keys, key)))]


def laid(value: Any, keys: Keys, new: Any) -> Any:
    """The wanted values, by a way of their own: a copy through JSON, and Python's own assignment."""
    copy = json.loads(json.dumps(value))
    holder = copy
    for key in keys[:-1]:
        holder = holder[key]
    if new is REMOVED:
        del holder[keys[-1]]
    elif isinstance(holder, list) and keys[-1] == len(holder):
        holder.append(new)
    else:
        holder[keys[-1]] = new
    return copy


def is_subsequence(short: list[str], long: list[str]) -> bool:
    rest = iter(long)
    return all(line in rest for line in short)


@settings(max_examples=400, deadline=None)
@given(files(), st.data())
def test_any_edit_of_any_file_gives_the_wanted_values_or_a_refusal(text: str, data: st.DataObject) -> None:
    check_any_edit(text, data)


def check_any_edit(text: str, data: st.DataObject) -> None:
    """Draw an edit of the file; also for `tests.faults`, many times."""
    before = values(text.encode())
    places = [keys for keys in paths(before) if keys]
    keys = data.draw(st.sampled_from(places))
    kind = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if kind == "add":
        holders = [keys for keys in paths(before) if isinstance(_at(before, keys), dict | list)]
        holder = data.draw(st.sampled_from(holders))
        keys = (*holder, "new" if isinstance(_at(before, holder), dict) else len(_at(before, holder)))
    new = REMOVED if kind == "remove" else data.draw(trees)
    try:
        after = changed(text, Edit(keys, new))
    except EditRefused:
        return
    # As the edit's own check: keys that stay keep their lines, and YAML gives their order no meaning.
    expected = json.dumps(laid(before, keys, new), sort_keys=True)
    assert json.dumps(values(after.encode()), sort_keys=True) == expected
    old_lines, new_lines = text.splitlines(), after.splitlines()
    in_blocks = "{" not in text.replace("{}", "") and "[" not in text.replace("[]", "")
    if kind == "add" and in_blocks and _at(before, keys[:-1]):
        assert is_subsequence(old_lines, new_lines), "a line that was there is gone"
    if kind == "replace" and not isinstance(_at(before, keys), dict | list) and not isinstance(new, dict | list):
        assert len(difference(text.encode(), after.encode())) <= 2 + 2, "more than the value's line changed"
        assert len(old_lines) == len(new_lines)
    assert _line_ends(after) <= (_line_ends(text) or {"\n"}), "a line ends as none did"
    assert after.startswith("\ufeff") == text.startswith("\ufeff")


def _line_ends(text: str) -> set[str]:
    return set(re.findall(r"\r?\n", text))


def _at(value: Any, keys: Keys) -> Any:
    for key in keys:
        value = value[key]
    return value


@settings(max_examples=150, deadline=None)
@given(files(), st.data())
def test_refusals_are_rare_where_nothing_is_shared(text: str, data: st.DataObject) -> None:
    """A scalar in a file without anchors is always editable."""
    before = values(text.encode())
    leaves = [keys for keys in paths(before) if keys and not isinstance(_at(before, keys), dict | list)]
    if leaves:
        keys = data.draw(st.sampled_from(leaves))
        assert _at(values(changed(text, Edit(keys, "changed")).encode()), keys) == "changed"

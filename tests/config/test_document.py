"""YAML 1.2 as far as we take it, and the bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.document import DEEPEST, MOST_BYTES, MOST_NODES, parse_document, parse_value, read_document, read_shipped
from config.problems import ConfigurationError, SourceLocation


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("21:00", "21:00"),  # 1260 in YAML 1.1
        ("yes", "yes"),  # true in YAML 1.1
        ("0123", 123),  # 83 in YAML 1.1
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("+1", 1),
        ('"+1"', "+1"),
        ("2026-03-09", "2026-03-09"),
        ("~", None),
        ("null", None),
        ("'null'", "null"),
        ("True", True),
        ("! 12", "12"),
        (">-\n  a\n  b", "a b"),
        ("&x a", "a"),
        ("9" * 40, "9" * 40),  # a number of no use to us: text
    ],
)
def test_scalars_have_the_types_of_yaml_1_2(written: str, value: Any) -> None:
    assert parse_document(f"key: {written}\n".encode(), "f").values == {"key": value}


def test_every_key_and_item_has_its_place() -> None:
    document = parse_document(b"\xef\xbb\xbfa:\n  b: [1, {c: 2}]\n", "f")

    assert document.places == {
        ("a",): SourceLocation("f", 1, 1),
        ("a", "b"): SourceLocation("f", 2, 3),
        ("a", "b", 0): SourceLocation("f", 2, 7),
        ("a", "b", 1): SourceLocation("f", 2, 10),
        ("a", "b", 1, "c"): SourceLocation("f", 2, 11),
    }


def test_aliases_are_taken() -> None:
    document = parse_document(b"a: &hours {from: 1}\nb: *hours\n", "f")

    assert document.values == {"a": {"from": 1}, "b": {"from": 1}}
    assert document.where(("b", "from")) == SourceLocation("f", 2, 1)


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(ConfigurationError, match=f"aliases make more than {MOST_NODES} values"):
        parse_document("\n".join(lines).encode(), "f")
    with pytest.raises(ConfigurationError, match=f"aliases make more than {MOST_NODES} values"):
        parse_value(f"{{{', '.join(lines)}}}")  # as in an environment variable


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [" + b"1," * MOST_NODES + b"1]", f"the file has more than {MOST_NODES} values"),
        (b"a: " + b"[" * (DEEPEST + 1), f"is nested more than {DEEPEST} deep"),
        (b"a: " + b"{a: " * 5000, f"is nested more than {DEEPEST} deep"),
        (b"a" * (MOST_BYTES + 1), "is larger than 256 KiB"),
        (b"\xff\xfea\x00", "f:1:1: is UTF-16"),
        (b"a: 1\nb: \xe9\n", "f:2:4: is not UTF-8 here"),
        (b"a: 1\nb: \x00\n", "f:2:4: has a control character here"),
        (b"a: &a [*a]", "has no anchor"),
        (b'a: "\\UFFFFFFFF"', "is not valid YAML"),
    ],
    ids=["wide", "deep list", "deep section", "large", "utf-16", "latin-1", "nul", "self", "beyond unicode"],
)
def test_bounds_and_encodings(content: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_document(content, "f")

    assert len(raised.value.problems) == 1
    assert said in str(raised.value)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        read_document(tmp_path / "none.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read: is a directory"):
        read_document(tmp_path)


def test_a_single_value() -> None:
    assert parse_value("[a, {b: 1}]") == ["a", {"b": 1}]


def test_a_shipped_file_is_parsed_once_until_its_content_differs(tmp_path: Path) -> None:
    path = tmp_path / "shipped.yaml"
    path.write_text("key: 1\n")
    first = read_shipped(path)
    assert first == read_document(path)
    assert read_shipped(path) is first
    path.write_text("key: 2\n")
    assert read_shipped(path).values == {"key": 2}
    path.unlink()
    with pytest.raises(ConfigurationError, match="there is no such file"):
        read_shipped(path)

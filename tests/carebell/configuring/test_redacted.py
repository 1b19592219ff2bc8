"""Whatever carebell.yaml looks like, what is shown of it has its lines and none of its numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from carebell.configuring.redacted import redacted_file
from tests.story.folder import make

NUMBER = "+12025550177"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    content = {"environments": {"test": {"sms": {"allow_list": [NUMBER]}}}}
    return make(tmp_path_factory.mktemp("redacted") / "clinic", content)


@pytest.mark.parametrize(
    ("old", "new", "makes_one"),
    [
        ("", "", True),
        (f"'{NUMBER}'", '"\\x2b12025550177"', True),
        (f"'{NUMBER}'", f"'{NUMBER}", False),
        ("organization:", "organisation:", False),
    ],
    ids=["sound", "spelled otherwise", "no YAML", "an unknown key"],
)
def test_no_number_is_shown(path: Path, old: str, new: str, makes_one: bool) -> None:
    text = path.read_text("utf-8")
    assert old in text
    content = text.replace(old, new, 1)
    seen = redacted_file(path, content.encode(), {})
    assert (seen.loaded is not None, seen.problems == ()) == (makes_one, makes_one)
    assert "2025550177" not in seen.text
    assert "***0177" in seen.text
    assert len(seen.text.splitlines()) == len(content.splitlines())

"""What came from elsewhere is what was taken in, and a licence stands beside it."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from portal import static_files


def test_a_vendored_file_that_was_changed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name = next(iter(static_files.VENDORED))
    monkeypatch.setattr(static_files, "VENDORED", {name: "0" * 64})
    with pytest.raises(ValueError, match=re.escape(name)):
        static_files.read_all.__wrapped__()


def test_every_file_from_elsewhere_has_its_row_and_licence() -> None:
    folder = files("portal") / "static" / "vendor"
    rows = (folder / "LICENSES.md").read_text("utf-8")
    present = {path.name for path in folder.iterdir() if path.name.endswith((".js", ".css"))}
    assert present == set(static_files.VENDORED)
    for name in present:
        assert f"`{name}`" in rows
        assert (folder / f"{re.sub(r'[.]min[.].*', '', name)}.LICENSE").is_file()


def test_no_page_needs_a_third_party_or_an_inline_script() -> None:
    """Of the files that are ours; browsers check the pages themselves (tests/browser)."""
    for template in (files("portal") / "templates").iterdir():
        if not template.name.endswith(".html"):
            continue
        text = re.sub(r'<a href="https://[^"]*"', "<a", template.read_text("utf-8"))  # followed, if at all, by a reader
        assert re.findall(r"\bon\w+=|\bstyle=|<style|javascript:|https?://", text) == [], template.name
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), template.name
        assert "| safe" not in text, template.name
        assert "|safe" not in text, template.name


def test_the_first_load_is_small() -> None:
    """Less than 100 KB in all, of which the page itself may have 60."""
    assert sum(len(file.packed) for file in static_files.read_all().values()) < 40_000

"""The documentation's site: it builds without a warning, every link leads somewhere, and no page asks the network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest

from docs.generate import DOCS
from docs.site.navigation import SECTIONS

pytest.importorskip("sphinx", reason="sphinx is not installed here: make test installs requirements-dev.lock")

ROOT: Final = DOCS.parent
LOADED: Final = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "srcset"),
    ("use", "href"),
}
"""What a browser fetches by itself; a link that is only followed may lead outside."""


class Page(HTMLParser):
    """What a page links to and loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.images_without_words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        relation = given.get("rel", "")
        self.loads += [
            value
            for name, value in given.items()
            if (tag, name) in LOADED and relation not in ("next", "prev", "index")
        ]
        if tag == "img" and len(given.get("alt", "").split()) < 3:
            self.images_without_words.append(given.get("src", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    words = [
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-c",
        "docs/site",
        "-d",
        str(out / "trees"),
        "docs",
        str(out / "html"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return out / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> Mapping[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_every_page_is_in_the_navigation_once() -> None:
    listed = [page for names in SECTIONS.values() for page in names]
    assert len(listed) == len(set(listed))
    written = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md") if path.parent != DOCS}
    assert set(listed) == written


def test_every_link_and_every_anchor_leads_somewhere(pages: Mapping[Path, Page], site: Path) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / unquote(name.partition("?")[0])).resolve() if name else path
            if not target.is_file() or (anchor and target in pages and unquote(anchor) not in pages[target].anchors):
                broken.append((str(path.relative_to(site)), link))
    assert broken == []


def test_no_page_asks_the_network(pages: Mapping[Path, Page], site: Path) -> None:
    loads = {(str(path.relative_to(site)), load) for path, page in pages.items() for load in page.loads}
    assert loads
    assert [load for load in loads if re.match(r"(?:[a-z]+:)?//", load[1])] == []
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\(\s*['\"]?(?:https?:)?//[^)]*|@import[^;]*//[^;]*", styles) == []
    for path in site.rglob("*.js"):
        script = path.read_text("utf-8")
        assert not re.search(r"(?:fetch|open|import)\(\s*[^)]{0,20}['\"`](?:https?:)?//", script), path


def test_it_can_be_searched_from_a_disk(site: Path) -> None:
    """The index is a script, which a browser loads from a file; it knows a word of a how-to."""
    index = (site / "searchindex.js").read_text("utf-8")
    assert index.startswith("Search.setIndex(")
    assert "debounc" in index
    assert (site / "search.html").is_file()
    assert (site / "index.html").read_text("utf-8") == (site / "README.html").read_text("utf-8")


def test_each_reader_has_an_entry_page(pages: Mapping[Path, Page], site: Path) -> None:
    front = pages[site / "index.html"]
    for reader in ("analyst", "administrator", "support", "auditor", "installer"):
        assert f"for/{reader}.html" in front.links
        assert len([link for link in pages[site / "for" / f"{reader}.html"].links if "how-to" in link]) >= 1


def test_every_picture_is_told_in_words(pages: Mapping[Path, Page], site: Path) -> None:
    silent = {str(path.relative_to(site)): page.images_without_words for path, page in pages.items()}
    assert {page: images for page, images in silent.items() if images} == {}

"""The documentation's site: `make site` builds docs/ with Sphinx into build/site. It needs no network, to build and to read.

The pages are plain Markdown, as a code host shows them. What the site needs besides (navigation, a front page) is made here.
"""

from __future__ import annotations

import shutil
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Final

from docs.site.navigation import SECTIONS

project = "Carebell"
author = "the Carebell maintainers"
version = release = installed_version("carebell")
language = "en"

extensions = ["myst_parser"]
root_doc = "README"
exclude_patterns = ["site", "tables", "how-to/signing", "**/__pycache__"]
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_block"]
suppress_warnings = [
    "myst.header",  # generated pages may begin below the first level
    "misc.highlighting_failure",  # a block whose language Pygments does not know is shown without colours
]

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = f"Carebell {version}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_last_updated_fmt = None
html_theme_options: Final = {"footer_icons": [], "top_of_page_buttons": []}

_FRONT: Final = "index.html"
_IMAGES: Final = "images"
"""Shown by <picture>, which Sphinx copies as it stands."""


def _with_navigation(app: Any, page: str, source: list[str]) -> None:
    """The front page carries the tables of contents that the side bar shows."""
    if page == root_doc:
        source[0] += "".join(
            f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "".join(f"{name}\n" for name in pages) + "```\n"
            for caption, pages in SECTIONS.items()
        )


def _with_front_page(app: Any, error: Exception | None) -> None:
    if error is None:
        folder = Path(app.outdir)
        shutil.copy(folder / f"{root_doc}.html", folder / _FRONT)
        shutil.copytree(Path(app.srcdir) / _IMAGES, folder / _IMAGES, dirs_exist_ok=True)


def setup(app: Any) -> None:
    app.connect("source-read", _with_navigation)
    app.connect("build-finished", _with_front_page)

"""Where the database is, from a configuration file that cannot be used: a typo must not take away the emergency stop.

The section `storage` is read alone, whatever stands above and below it. Where that is what is broken, the first database URL that
stands anywhere in the file outside a comment is taken. An environment variable goes over both, as it does over a whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from config.document import MOST_BYTES, parse_document
from config.model import Storage
from config.overlay import PREFIX
from config.problems import ConfigurationError
from config.regular_file import read_regular

_VARIABLE: Final = f"{PREFIX}STORAGE__URL"
_SECTION: Final = re.compile(
    r"^(?P<quote>[\"']?)storage(?P=quote)[ \t]*:.*\n?(?:(?:[ \t#].*|)(?:\n|\Z))*", re.MULTILINE
)
_SCHEMES: Final = r"(?:sqlite:///|postgresql\+psycopg://)"
_URL: Final = re.compile(
    rf"^[^#\n]*?(?:(?P<quote>[\"'])(?P<quoted>{_SCHEMES}[^\"'\n]+)(?P=quote)|(?P<plain>{_SCHEMES}[^\s\"',}}#]+))",
    re.MULTILINE,
)


def salvage_url(path: Path, environ: Mapping[str, str]) -> str:
    """The URL of the database, a relative file resolved against the configuration's folder; the default where nothing is left."""
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8", errors="replace")
    except OSError:
        text = ""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    url = next(_candidates(text, environ), Storage().url)
    name = url.removeprefix("sqlite:///")
    return url if name == url else f"sqlite:///{path.absolute().parent / name}"


def _candidates(text: str, environ: Mapping[str, str]) -> Iterator[str]:
    section = _SECTION.search(text)
    written: list[object] = [environ.get(_VARIABLE)]
    if section is not None:
        try:
            storage = parse_document(section[0].encode(), "").values["storage"]
        except ConfigurationError:
            storage = None
        written.append(storage.get("url") if isinstance(storage, dict) else None)
    written += [match["quoted"] or match["plain"] for match in _URL.finditer(text)]
    for url in written:
        try:
            yield Storage.model_validate({"url": url}).url
        except ValidationError:
            continue

"""Find the database and the log in a configuration file that cannot be used, so that a typo does not disable the emergency stop.

Only the section `storage`, or `log`, is read, whatever the rest of the file holds. If that section itself is broken, the first
database URL, or the first `file` whose name ends in `.log`, anywhere in the file outside a comment is used. An
environment variable overrides both, as for a whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from config.document import MOST_BYTES, parse_document
from config.model import Log, Storage
from config.overlay import PREFIX
from config.problems import ConfigurationError
from config.regular_file import read_regular

_VARIABLE: Final = f"{PREFIX}STORAGE__URL"
_LOG_VARIABLE: Final = f"{PREFIX}LOG__FILE"
_SECTION: Final = r"^(?P<quote>[\"']?){name}(?P=quote)[ \t]*:.*\n?(?:(?:[ \t#].*|)(?:\n|\Z))*"
_SCHEMES: Final = r"(?:sqlite:///|postgresql\+psycopg://)"
_URL: Final = re.compile(
    rf"^[^#\n]*?(?:(?P<quote>[\"'])(?P<quoted>{_SCHEMES}[^\"'\n]+)(?P=quote)|(?P<plain>{_SCHEMES}[^\s\"',}}#]+))",
    re.MULTILINE,
)
_LOG_FILE: Final = re.compile(
    r"""^[^#\n]*?\bfile["']?[ \t]*:[ \t]*(?:(?P<quote>["'])(?P<quoted>[^"'\n]+\.log)(?P=quote)|(?P<plain>[^\s"',}#]+\.log)\b)""",
    re.MULTILINE,
)


def salvage_url(path: Path, environ: Mapping[str, str]) -> str:
    """The URL of the database, with a relative file resolved against the configuration's folder; the default if none is found."""
    url = next(_urls(_text(path), environ), Storage().url)
    name = url.removeprefix("sqlite:///")
    return url if name == url else f"sqlite:///{path.absolute().parent / name}"


def salvage_log_file(path: Path, environ: Mapping[str, str]) -> Path | None:
    """The log file, a relative one resolved against the configuration's folder; None: the file asks for none."""
    text, default = _text(path), Log().file
    written = environ.get(_LOG_VARIABLE)
    section = _section(text, "log")
    file = default
    if written is not None:
        file = None if written == "null" else Path(written)
    elif "file" in section and section["file"] is None:
        file = None
    elif isinstance(section.get("file"), str) and section["file"]:
        file = Path(section["file"])
    elif (match := _LOG_FILE.search(text)) is not None:
        file = Path(match["quoted"] or match["plain"])
    return None if file is None else path.absolute().parent / file


def _text(path: Path) -> str:
    """The readable text of the file; empty if it cannot be read."""
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8", errors="replace")
    except OSError:
        text = ""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _section(text: str, name: str) -> dict[str, Any]:
    """One section, read without the rest of the file; empty if that is not possible."""
    match = re.search(_SECTION.format(name=name), text, re.MULTILINE)
    if match is None:
        return {}
    try:
        values = parse_document(match[0].encode(), "").values[name]
    except ConfigurationError:
        return {}
    return values if isinstance(values, dict) else {}


def _urls(text: str, environ: Mapping[str, str]) -> Iterator[str]:
    written: list[object] = [environ.get(_VARIABLE), _section(text, "storage").get("url")]
    written += [match["quoted"] or match["plain"] for match in _URL.finditer(text)]
    for url in written:
        try:
            yield Storage.model_validate({"url": url}).url
        except ValidationError:
            continue

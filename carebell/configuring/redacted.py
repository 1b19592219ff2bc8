"""carebell.yaml as it may be shown: without telephone numbers and passwords, also where it is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from config.document import parse_document
from config.load import Loaded
from config.load import load as load_configuration
from config.problems import ConfigurationError, Problem
from config.redaction import redacted, redacted_unread, shows_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedFile:
    """Attributes:
    text: with as many lines as the content, without a byte order mark.
    loaded: the configuration that the content makes; None: `problems` say why it makes none.
    """

    text: str = field(repr=False)
    loaded: Loaded | None = field(repr=False)
    problems: tuple[Problem, ...] = ()


def redacted_file(path: Path, content: bytes, environ: Mapping[str, str]) -> RedactedFile:
    """A file's content. What is spelled so that a number or a password might stay in it is redacted as a broken file is.

    Args:
        environ: as `config.load.load`.
    """
    text = content.decode("utf-8-sig", errors="replace")
    try:
        loaded = load_configuration(path, environ, content=content)
    except ConfigurationError as error:
        return RedactedFile(text=redacted_unread(text), loaded=None, problems=error.problems)
    shown = redacted(text, loaded.configuration)
    if shows_secrets(parse_document(shown.encode(), str(path)).values):
        shown = redacted_unread(text)
    return RedactedFile(text=shown, loaded=loaded)

"""Make the log records of libraries safe: twilio, uvicorn, sqlalchemy, alembic, asyncio and any other.

The rule is an allow-list. A library's constant words may be logged; the values in them may not:
- of `logger.warning("retry %s after %d s", url, 3)` the words and the numbers stay, text becomes `...`;
- of a logger that is not in `KNOWN` no words are logged: only its name, its level and the line of code;
- of an exception only type and frames (`journal.traces`);
- the rest is searched once more for digits, quoted text, HL7 and query strings, in case a text was formatted before it
  reached the logger.
"""

from __future__ import annotations

import logging
import re
from pathlib import PurePath
from typing import Any, Final

from journal.events.service import Library
from journal.events.shared import NO_TRACE
from journal.lines import LONGEST_VALUE
from journal.traces import trace

KNOWN: Final = (
    "alembic",
    "asyncio",
    "concurrent.futures",
    "sqlalchemy",
    "starlette",
    "twilio",
    "urllib3",
    "uvicorn",
    "watchfiles",
)
"""Loggers with constant words; each name includes the loggers below it."""

_PLACEHOLDER = re.compile(r"%(?:\((?P<name>\w+)\))?[#0\- +]*[0-9.*]*[hlL]?(?P<kind>[a-zA-Z%])")
_WARNING = re.compile(r"\A(?P<file>[^\n]*?):(?P<line>[0-9]+): (?P<category>\w+):")
_SWEEPS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\[(?:parameters|SQL):.*", re.DOTALL), "[...]"),
    (re.compile(r"\b(?:exception|result|coro)=.*", re.DOTALL), "..."),  # asyncio's description of its futures
    (re.compile(r"\S*(?:\|[^|]*){2,}"), "..."),  # HL7, and any table
    (re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|<[^>]*>"), "..."),
    (re.compile(r"\?\S*"), "?..."),
    (re.compile(r"[\w.+-]+@[\w.-]+"), "..."),
    (re.compile(r"\+?(?:[0-9][\s().\-/]*){5,}"), "#"),
    (re.compile(r"\b(?:AC|SM|MM|MG|SK)[0-9a-fA-F]{32}\b"), "..."),
)


def redacted(record: logging.LogRecord, template: object, args: object, error: BaseException | None) -> Library:
    """The `library` line for one record of the standard library's logging.

    Args:
        template: the record's `msg` before its values are put in.
        args: its values.
        error: the exception logged with it, if any.
    """
    text, where = None, _place(record.pathname, record.lineno)
    if record.name == "py.warnings":
        text, where = _python_warning(template, args) or (None, where)
    elif _known(record.name) and isinstance(template, str):
        text = sweep(_words(template, args))
    return Library(logger=record.name, text=text, where=where, trace=NO_TRACE if error is None else trace(error))


def _place(path: str, line: int | str) -> str:
    """`folder/file.py:12`, without the machine's path."""
    return f"{'/'.join(PurePath(path).parts[-2:])}:{line}"


def sweep(text: str) -> str:
    """The first line of `text` without digits runs, quoted text, HL7, addresses, query strings and account ids."""
    text = text.lstrip().partition("\n")[0][: 4 * LONGEST_VALUE]
    for pattern, instead in _SWEEPS:
        text = pattern.sub(instead, text)
    return text.rstrip()


def _known(logger: str) -> bool:
    return logger.startswith(KNOWN) and any(logger == name or logger.startswith(f"{name}.") for name in KNOWN)


def _words(template: str, args: object) -> str:
    """The template with its numbers, and every other value as `...`."""
    values: Any = args[0] if isinstance(args, tuple) and len(args) == 1 and isinstance(args[0], dict) else args
    position = 0

    def put(match: re.Match[str]) -> str:
        nonlocal position
        if match["kind"] == "%":
            return "%"
        value: object = None
        if match["name"] is not None and isinstance(values, dict):
            value = values.get(match["name"])
        elif isinstance(values, tuple) and position < len(values):
            value = values[position]
            position += 1
        return str(value) if isinstance(value, (int, float)) and abs(value) < 100_000 else "..."

    return _PLACEHOLDER.sub(put, template) if args else template


def _python_warning(template: object, args: object) -> tuple[str, str] | None:
    """Category and place of a Python warning; its text may quote a value."""
    # Python 3.11 and later log it as the template itself, earlier ones as the value of "%s".
    text = args[0] if isinstance(args, tuple) and args else template
    match = _WARNING.match(text) if isinstance(text, str) else None
    return None if match is None else (match["category"], _place(match["file"], match["line"]))

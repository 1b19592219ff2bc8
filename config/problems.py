"""What is wrong with a configuration, and exactly where.

ConfigurationError      holds every Problem found, in the order of the file
    Problem             a Place, the key's path, and why
        Place           file, line, column; or the environment variable that set the value
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Keys = tuple[str | int, ...]
"""A path into the configuration: `("environments", "test", "certificates", 0)`."""


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where a value stands.

    Attributes:
        file: as the caller named it; or `environment variable CAREBELL_...`, with line 0.
        line, column: counted from 1; 0 where the file as a whole is meant.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to correct. Sorted by place. No value of a secret, and no telephone number, stands in `why`.

    Attributes:
        key: `environments.test.sms.reminders[0].before`; empty where no key can be named.
        why: a phrase that follows the key: `is missing`, `must be one of ...`.
    """

    file: str
    line: int
    column: int
    key: str
    why: str

    @classmethod
    def at(cls, place: SourceLocation, keys: Keys, why: str) -> Problem:
        return cls(place.file, place.line, place.column, key_path(keys), _printable(why))

    @property
    def place(self) -> SourceLocation:
        return SourceLocation(self.file, self.line, self.column)

    def __str__(self) -> str:
        parts = [str(self.place), self.key, self.why]
        return ": ".join(part for part in parts if part)


class ConfigurationError(Exception):
    """The configuration cannot be used. Its text is one problem a line, `file:line:column: key: why`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def key_path(keys: Keys) -> str:
    """`("sms", "reminders", 0)` as `sms.reminders[0]`; characters a terminal could act on are escaped."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{_visible(key)}" for key in keys)
    return text.removeprefix(".")


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _visible(key: str) -> str:
    shown = key if len(key) <= 60 else key[:60] + "..."
    return shown if shown.isprintable() and shown else ascii(shown)

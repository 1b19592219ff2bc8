"""Passwords: which are good enough, and argon2id for those who chose them (RFC 9106; OWASP: 19 MiB, 2 passes, 1 lane).

NIST SP 800-63B-4: at least 15 characters, or 8 beside a second factor; nothing about capitals and digits; a list of those that are
tried first. A password is compared in the form NFKC, so that it is the same from every keyboard.

Hashing takes a core for some hundredths of a second, so two at most are made at once. People who were here before wait their turn;
of strangers only two are let in at a time, and further ones are told to try again: a crowd of them keeps nobody else waiting.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from portal.people import PasswordProblem

SHORTEST_ALONE: Final = 15
SHORTEST_WITH_CODE: Final = 8
LONGEST: Final = 128
_MEANT: Final = 4
"""Fewer letters beside a name make no password of it."""


class PasswordsBusy(Exception):
    """Too many passwords are being checked at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HashCost:
    """Attributes: passes: over the memory. memory_kib: that one hash needs."""

    passes: int = 2
    memory_kib: int = 19 * 1024


class Passwords:
    """Hashes passwords and checks them. Thread-safe; every call blocks.

    Args:
        cost: cheaper in tests alone.
        at_once: hashes that are computed at the same time.
        strangers: who are computed for or wait. More would take the threads in which everybody's pages are made.
    """

    def __init__(self, cost: HashCost | None = None, *, at_once: int = 2, strangers: int = 2) -> None:
        cost = cost or HashCost()
        self._hasher = PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=1)
        self._turns = threading.Semaphore(at_once)
        self._strangers = threading.Semaphore(strangers)
        self._nobodys = self._hasher.hash("nobody's password, which is compared where there is none")

    def hash(self, password: str) -> str:
        """In argon2's own notation, with a fresh salt."""
        with self._turns:
            return self._hasher.hash(_bytes(password))

    def verify(self, stored: str | None, password: str, *, stranger: bool) -> bool:
        """Whether it is the password.

        Args:
            stored: as `hash` made it; None: there is none, which takes as long to find out.
            stranger: did not sign in from here before.

        Raises:
            PasswordsBusy: only a stranger; nothing was checked.
        """
        right = False
        with self._turn(stranger=stranger), suppress(Argon2Error, InvalidHashError):
            right = self._hasher.verify(stored or self._nobodys, _bytes(password))
        return right and stored is not None and len(password) <= LONGEST

    def is_outdated(self, stored: str) -> bool:
        """Whether it was hashed at another cost than today's."""
        return self._hasher.check_needs_rehash(stored)

    @contextmanager
    def _turn(self, *, stranger: bool) -> Iterator[None]:
        if stranger and not self._strangers.acquire(blocking=False):
            raise PasswordsBusy
        try:
            with self._turns:
                yield
        finally:
            if stranger:
                self._strangers.release()


def problem_of(
    password: str, *, shortest: int, organization: str, login: str, common: Callable[[], frozenset[str]] | None = None
) -> PasswordProblem | None:
    """What is wrong with a new password; None: nothing.

    Args:
        shortest: characters that it needs.
        common: what everybody tries; None: the list that comes with Carebell.
    """
    normal = unicodedata.normalize("NFKC", password)
    if len(normal) > LONGEST:
        return "long"
    if len(normal) < shortest:
        return "short"
    folded = normal.casefold()
    core = folded.strip("0123456789!?.,-_*#@$%&+=/ ")
    listed = (common or common_passwords)()
    if folded in listed or core in listed or _repeats(folded):
        return "common"
    letters = _letters(folded)
    if _is_little_more(letters, _letters(login.casefold())):
        return "login"
    names = (organization.casefold(), *organization.casefold().split(), "carebell")
    if any(_is_little_more(letters, _letters(name)) for name in names):
        return "organization"
    return None


@cache
def common_passwords() -> frozenset[str]:
    """Those of the list, in lower case."""
    lines = resources.files("carebell.staff").joinpath("common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("# "))


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _letters(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum())


def _is_little_more(letters: str, name: str) -> bool:
    """Whether too little is left without the name, wherever and however often it stands there."""
    return len(name) >= _MEANT and name in letters and len(letters.replace(name, "")) < _MEANT


def _repeats(text: str) -> bool:
    """Whether it is a few characters again and again, such as 12341234123412."""
    return any(text == (text[:period] * len(text))[: len(text)] for period in range(1, len(text) // 3 + 1))

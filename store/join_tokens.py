"""Tokens of patients' join links: 17 characters that nobody can guess and that can be read aloud."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""Base58: without 0, O, I and l, which look alike; no sign at a link's end that telephones cut off."""
TOKEN_LENGTH: Final = 17
"""17 of 58 characters are 99 random bits."""
_CODE_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
"""Small letters alone: Jitsi writes the name of a room so."""
_CODE_LENGTH: Final = 17


def new_join_token(random: Callable[[int], int] = secrets.randbelow) -> str:
    """A link's token.

    Args:
        random: n -> a number from 0 to n - 1.
    """
    return _drawn(ALPHABET, TOKEN_LENGTH, random)


def new_visit_code(random: Callable[[int], int] = secrets.randbelow) -> str:
    """A visit's code, 84 random bits: the name of its room in a meeting's address, where no patient should find another's."""
    return _drawn(_CODE_ALPHABET, _CODE_LENGTH, random)


def is_join_token(text: str) -> bool:
    """Whether it has a token's form; what has not is no link, and no database is asked about it."""
    return len(text) == TOKEN_LENGTH and set(text) <= _CHARACTERS


def _drawn(alphabet: str, length: int, random: Callable[[int], int]) -> str:
    return "".join(alphabet[random(len(alphabet))] for _ in range(length))


_CHARACTERS: Final = frozenset(ALPHABET)

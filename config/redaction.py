"""A configuration file's text without its secrets, to keep it where others may read it: comments and layout stay.

Removed are telephone numbers of `allow_list` and `force_to`, wherever they stand; passwords in URLs; and in comments what looks
like a secret, or like a telephone number that is not the organisation's own. Tokens stand in files of their own, never in this one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from config.model import Configuration
from config.problems import Keys

REMOVED: Final = "***"
_PASSWORD: Final = re.compile(r"(://[^\s/@:\"']*:)[^\s@\"']+(?=@)")
_QUERY_PASSWORD: Final = re.compile(r"([?&](?:ssl)?password=)(?!\*\*\*)[^\s&#\"'}\],]+")
_URL_PASSWORDS: Final = (re.compile(r"://[^:/@]*:([^@]+)@"), re.compile(r"[?&](?:ssl)?password=([^&]+)"))
"""Where the database's driver finds a password: before the first `@`, or among the options."""
_COMMENT: Final = re.compile(r"(?<!\S)#.*")
_SECRET: Final = re.compile(
    r"(?i)((?:token|secret|password|passwd|pwd)(?!\w*_file)\w*[\"']?\s*[:=]\s*[\"']?)[^\s\"']\S*?(?=[\"'\])},;]*(?:\s|$))"
)
_NUMBER: Final = re.compile(r"\+?\d(?:[ ().-]{0,2}\d){9,}")
ANY_NUMBER: Final = re.compile(r"\+?\d(?:[ ().-]{0,2}\d){6,}")
"""Also shorter ones: where the file cannot be read, nothing says which numbers are the organisation's own."""
_SHOWN_DIGITS: Final = 4


def redacted(text: str, configuration: Configuration) -> str:
    """The text of the file that was read as `configuration`."""
    for number in sorted(kept_out_numbers(configuration), key=len, reverse=True):
        text = text.replace(number, f"{REMOVED}{number[-_SHOWN_DIGITS:]}")
    for password in kept_out_passwords(configuration):
        for spelling in (password, password.replace("'", "''"), password.replace("\\", r"\\").replace('"', r"\"")):
            text = text.replace(f":{spelling}@", f":{REMOVED}@").replace(f"password={spelling}", f"password={REMOVED}")
    text = _QUERY_PASSWORD.sub(rf"\1{REMOVED}", _PASSWORD.sub(rf"\1{REMOVED}", text))
    own = {_digits(environment.sms.sender) for environment in configuration.environments.values()}
    own.add(_digits(configuration.organization.contact))
    return _COMMENT.sub(lambda match: _without_traces(match[0], own), text)


def redacted_unread(text: str) -> str:
    """The text of a file that makes no configuration: everything in it that looks like a number or a secret is removed."""
    text = _QUERY_PASSWORD.sub(rf"\1{REMOVED}", _PASSWORD.sub(rf"\1{REMOVED}", text))
    return ANY_NUMBER.sub(
        lambda match: f"{REMOVED}{_digits(match[0])[-_SHOWN_DIGITS:]}", _SECRET.sub(rf"\1{REMOVED}", text)
    )


def shows_secrets(values: Mapping[str, Any]) -> bool:
    """Whether the values of a redacted text still hold what must not be kept, because the file spells it in a way of its own."""
    return any(
        _whole_number(value)
        if keys != ("storage", "url")
        else any(REMOVED not in password for password in _passwords(value))
        for keys, value in _kept_out(values)
    )


def is_kept_out(keys: Keys, value: Any) -> bool:
    """Whether a key's value is kept nowhere in the clear, or a key below it has such a value: telephone numbers, and a database's
    URL, which may have a password."""
    if {"allow_list", "force_to"} & set(keys) or keys == ("storage", "url"):
        return True
    return isinstance(value, dict) and any(is_kept_out((*keys, key), below) for key, below in value.items())


def kept_out_passwords(configuration: Configuration) -> list[str]:
    """The passwords in the database's URL."""
    return _passwords(configuration.storage.url)


def masked_keys(values: Mapping[str, Any]) -> list[Keys]:
    """The keys of numbers and passwords whose value still is, or has in it, what stands for one that was removed."""
    return [keys for keys, value in _kept_out(values) if REMOVED in value]


def _kept_out(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """The texts at keys whose values are kept nowhere."""
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _kept_out(below, (*keys, key))
    elif isinstance(value, str) and is_kept_out(keys, None):
        yield keys, value


def _whole_number(written: str) -> bool:
    return REMOVED not in written and any(letter.isdecimal() for letter in written)


def _passwords(url: str) -> list[str]:
    return [password for pattern in _URL_PASSWORDS for password in pattern.findall(url)]


def kept_out_numbers(configuration: Configuration) -> set[str]:
    """The telephone numbers that are kept nowhere in the clear."""
    numbers: set[str] = set()
    for environment in configuration.environments.values():
        numbers |= set(environment.sms.allow_list or ())
        numbers |= {environment.sms.force_to} if environment.sms.force_to is not None else set()
    return numbers


def _without_traces(comment: str, own: Collection[str]) -> str:
    def masked(match: re.Match[str]) -> str:
        digits = _digits(match[0])
        return match[0] if digits in own else f"{REMOVED}{digits[-_SHOWN_DIGITS:]}"

    return _NUMBER.sub(masked, _SECRET.sub(rf"\1{REMOVED}", comment))


def _digits(written: str) -> str:
    return "".join(letter for letter in written if letter.isdecimal())

"""Read a URL that is to be called: its host, port and path, or the reason why it is no URL to call. Pure.

Python's `urlsplit` removes tabs and line ends and lets much through that other readers read otherwise, so everything unusual is
refused here: what is checked must be what is called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from oauth.faults import FetchCode, FetchFault

LONGEST_URL: Final = 2_000
"""Characters."""
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*", re.IGNORECASE)
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_UNUSUAL: Final = re.compile(r"[^!-~]|[\\\"<>^`{|}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a request goes.

    Attributes:
        host: lower case, without a final dot; an IPv6 address without brackets.
        path: with the query, as the request line needs it; begins with `/`.
    """

    https: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.https else 80) else f"{host}:{self.port}"

    @property
    def names_this_machine(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_target(url: str, *, loopback: bool = False) -> Target:
    """The parts of `url`.

    Args:
        loopback: http:// is accepted for localhost, 127.0.0.0/8 and ::1. Other hosts always need https://.

    Raises:
        FetchFault: `bad_url`, `not_https` or `user_info`.
    """
    if len(url) > LONGEST_URL or _UNUSUAL.search(url) is not None:
        raise _bad("it holds a blank, a character that URLs do not have, or is very long")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _bad("its host or port cannot be read") from None
    if parts.scheme not in ("http", "https") or not host:
        raise _bad("it does not begin with https:// and a host name")
    if "@" in parts.netloc:
        raise FetchFault(
            FetchCode.USER_INFO,
            "The address holds a user name or password before its host. Carebell sends none: give the address without it.",
        )
    if parts.fragment or url.endswith("#"):
        raise _bad("it has a fragment (#), which no server sees")
    host = host.rstrip(".").lower()
    if not _is_host(host) or port == 0:
        raise _bad("its host is neither a name nor a plain address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    https = parts.scheme == "https"
    target = Target(https=https, host=host, port=port or (443 if https else 80), path=path)
    if not https and not (loopback and target.names_this_machine):
        raise FetchFault(
            FetchCode.NOT_HTTPS,
            "The address begins with http://, so anybody on the way could read and change what is said. Use the address "
            "that begins with https://.",
        )
    return target


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        # 0x7f.1, 2130706433 and 0177.0.0.1 are addresses to some resolvers.
        return _HOST.fullmatch(host) is not None and not _NUMERIC_LABEL.fullmatch(host.rsplit(".", 1)[-1])
    return "%" not in host


def _bad(why: str) -> FetchFault:
    return FetchFault(
        FetchCode.BAD_URL,
        f"This is not an address that Carebell can call: {why}. It should look like https://ehr.clinic.example/api/FHIR/R4.",
    )

"""Rules for URLs, networks and telephone numbers in the configuration. Pure: nothing is resolved or asked.

A host name can still resolve to a private address; whoever opens the connection checks that again after resolving.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from config.suggestions import countries_of

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)


def is_loopback(url: str) -> bool:
    """Whether `url` points at this machine: localhost, 127.0.0.0/8 or ::1."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _literal(host)
    return address is not None and address.is_loopback


def https_or_loopback(url: str) -> str:
    """An http(s) URL whose traffic nobody on the way can read: https, or http to this machine."""
    parts = _split(url)
    if parts.scheme != "https" and not is_loopback(url):
        raise ValueError("must be https:// (http:// only for this machine, such as http://127.0.0.1:8080)")
    return url.rstrip("/")


def https_or_loopback_origin(url: str) -> str:
    """As `https_or_loopback`, of a whole host: scheme, host and port as browsers write them in `Origin`."""
    parts = _split(https_or_loopback(url))
    if parts.path:
        raise ValueError("must not have a path: the pages take the whole host")
    host = (parts.hostname or "").lower()
    named = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{named}" + ("" if parts.port in (None, default) else f":{parts.port}")


VISIT_CODE: Final = "{visit_code}"
"""Stands in a meeting's address for the visit's own code."""


def meeting_url(url: str) -> str:
    """A meeting's address: https, or http to this machine, with at most one `{visit_code}` behind the host."""
    plain = url.replace(VISIT_CODE, "code", 1)
    if "{" in plain or "}" in plain:
        raise ValueError(f"may hold {VISIT_CODE} once, and no other braces")
    if VISIT_CODE in url.partition("//")[2].partition("/")[0]:
        raise ValueError(f"has {VISIT_CODE} in its host; it belongs into the path")
    https_or_loopback(plain)
    return url


_ICE: Final = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:?/@\s]+)(?::(?P<port>[0-9]{1,5}))?(?P<transport>\?transport=(?:udp|tcp))?"
)


def ice_url(url: str) -> str:
    """A server for browsers' calls, as RFC 7064 and 7065 write it. Credentials never stand in it."""
    match = _ICE.fullmatch(url)
    host = "" if match is None else match["host"].strip("[]")
    if match is None or not (_literal(host) or (_HOST.fullmatch(host) and not _NUMERIC_LABEL.fullmatch(host))):
        raise ValueError("is not a server such as stun:turn.example.org or turns:turn.example.org:5349?transport=tcp")
    if match["port"] is not None and not 0 < int(match["port"]) < 65536:
        raise ValueError("has a port that is none; ports are 1 to 65535")
    if match["transport"] is not None and match["scheme"].startswith("stun"):
        raise ValueError("has a transport, which only turn: and turns: can have")
    return url


def host_allowed(host: str, allowed: Iterable[str]) -> bool:
    """Whether a host is one of `video.example.org` and `*.example.org`, which stands for every name below it."""
    name = host.rstrip(".").lower()
    for written in allowed:
        pattern = written.rstrip(".").lower()
        if name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:])):
            return True
    return False


def issuer(url: str) -> str:
    """The name of an OpenID provider. It is compared letter by letter, so that a `/` at its end stays."""
    https_or_loopback(url)
    return url


def public_https(url: str) -> str:
    """An https URL that does not name this machine or a private network by address (server-side request forgery)."""
    parts = _split(url)
    if parts.scheme != "https":
        raise ValueError("must be https://")
    host = (parts.hostname or "").rstrip(".").lower()
    if is_loopback(url):
        raise ValueError("must not point to this machine")
    address = _literal(host)
    if address is None and _NUMERIC_LABEL.fullmatch(host.rsplit(".", 1)[-1]):
        # 0x7f.1, 2130706433 and 0177.0.0.1 are addresses to some resolvers.
        raise ValueError("has a host that is neither a name nor a plain address")
    if address is not None and not _is_public(address):
        raise ValueError("must not point to a private, link-local or reserved address")
    return url


def ehr_server(url: str) -> str:
    """An EHR's FHIR server: `public_https`, or a simulated one on this machine, by http too."""
    if is_loopback(url):
        _split(url)
        return url
    return public_https(url)


def network(written: str) -> str:
    """A source address or CIDR network."""
    try:
        ip_network(written)
    except ValueError:
        try:
            hint = f" (did you mean {ip_network(written, strict=False)}?)"
        except ValueError:
            hint = ""
        raise ValueError(f"is not an address or network such as 10.0.0.5 or 10.0.0.0/24{hint}") from None
    return written


def listen_host(written: str) -> str:
    """An address of this machine to listen on, or its name: no port, no URL, no blanks."""
    if _literal(written.partition("%")[0]) is not None:
        return written
    named = _HOST.fullmatch(written) is not None and not _NUMERIC_LABEL.fullmatch(written.rsplit(".", 1)[-1])
    if not named:
        address, _, port = written.rpartition(":")
        with_port = port.isdecimal() and (_literal(address.strip("[]")) is not None or _HOST.fullmatch(address))
        hint = f"; the port {port} stands under `port` (did you mean {address.strip('[]')}?)" if with_port else ""
        hint = " (did you mean 0.0.0.0?)" if written in ("*", "0", "any", "all") else hint
        raise ValueError(f"is not an address to listen on such as 127.0.0.1, 0.0.0.0 or ::1{hint}")
    return written


def peer_host(written: str) -> str:
    """Another machine's name or address: no port, no URL, no blanks."""
    if _literal(written) is not None:
        return written
    if _HOST.fullmatch(written) and not _NUMERIC_LABEL.fullmatch(written.rstrip(".").rsplit(".", 1)[-1]):
        return written
    address, _, port = written.rpartition(":")
    hint = f"; the port {port} stands under `port` (did you mean {address}?)" if port.isdecimal() and address else ""
    raise ValueError(f"is not a host such as engine.example.org or 10.1.2.3{hint}")


def link_host(written: str) -> str:
    """A host that links may have, `video.example.org`, or every name below one, `*.example.org`."""
    host = written.removeprefix("*.")
    if "." in host and _HOST.fullmatch(host) and not _NUMERIC_LABEL.fullmatch(host.rstrip(".").rsplit(".", 1)[-1]):
        return written
    meant = (
        urlsplit(written).hostname if "//" in written else written.strip().partition("/")[0].partition(":")[0]
    ) or ""
    hint = f" (did you mean {meant}?)" if meant != written and "." in meant and _HOST.fullmatch(meant) else ""
    raise ValueError(f"is not a host such as video.example.org or *.example.org: no https://, path or port{hint}")


def e164(written: str) -> str:
    """A telephone number as `+12025550143`. The error does not repeat the number."""
    if _E164.fullmatch(written) is None or not countries_of(written):
        raise ValueError('is not a telephone number in E.164 form: "+", country code, number, without spaces')
    return written


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("is not a URL such as https://host.example; it begins with https://")
    if _literal(host) is None and _HOST.fullmatch(host) is None:
        raise ValueError("has a host name with characters that host names do not have")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password")
    if parts.query or parts.fragment:
        raise ValueError("must not have a query (?) or fragment (#)")
    return parts


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        # Addresses that carry an IPv4 address inside are judged by that one.
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return _is_public(inner)
        if address in ip_network("64:ff9b::/96"):
            return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast

"""Where a request comes from: the host it names, the site that sent it, the address behind trusted proxies. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network


def host_of(public_url: str) -> str:
    """`host` or `host:port` as a browser writes it in the Host header."""
    return urlsplit(public_url).netloc.lower()


def is_same_origin(headers: Mapping[str, str], public_url: str) -> bool:
    """Whether a request that may change something comes from a page of this site.

    Fetch metadata decides where the browser sends it (https://www.w3.org/TR/fetch-metadata/); else the Origin header must be ours.
    A request with neither is refused.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    url = urlsplit(public_url)
    return headers.get("origin") == f"{url.scheme}://{url.netloc}"


def peer_of(peer: str | None, forwarded_for: str | None, trusted: Sequence[Network]) -> str | None:
    """The address that asks: the last one in X-Forwarded-For that is not a trusted proxy, if the peer is one."""
    hops = [part.strip() for part in (forwarded_for or "").split(",") if part.strip()]
    while peer is not None and hops and _is_in(peer, trusted):
        hop = hops.pop()
        if not _is_address(hop):
            break
        peer = hop
    return peer


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _is_address(written: str) -> bool:
    try:
        ip_address(written)
    except ValueError:
        return False
    return True

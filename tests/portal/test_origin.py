"""The address behind proxies: only what a trusted proxy says counts, and only as far as trusted proxies go."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from portal.origin import host_of, peer_of

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("::1/128")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.2", None, "10.0.0.2"),
        ("10.0.0.2", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "198.51.100.1, 10.0.0.3", "198.51.100.1"),
        ("10.0.0.2", "<script>", "10.0.0.2"),
        ("10.0.0.2", "10.0.0.3", "10.0.0.3"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("not an address", "198.51.100.1", "not an address"),
        (None, "198.51.100.1", None),
    ],
)
def test_the_address_behind_proxies(peer: str | None, forwarded: str | None, expected: str | None) -> None:
    assert peer_of(peer, forwarded, TRUSTED) == expected


def test_a_host_is_as_browsers_write_it() -> None:
    assert host_of("https://Portal.Lamna.example") == "portal.lamna.example"
    assert host_of("http://127.0.0.1:8443") == "127.0.0.1:8443"

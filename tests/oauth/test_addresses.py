"""Only public addresses are called, however they are written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oauth.addresses import refusal_of

SPECIAL = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
    "2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
    "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "4000::/2", "8000::/1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "99.255.255.255",
    "100.128.0.0",
    "168.63.129.17",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00::1",
]


@pytest.mark.parametrize("written", SPECIAL)
def test_the_ends_of_every_special_range_are_refused(written: str) -> None:
    network = ip_network(written)
    assert refusal_of(network[0]) is not None
    assert refusal_of(network[-1]) is not None
    assert refusal_of(network[network.num_addresses // 2]) is not None


@pytest.mark.parametrize("written", PUBLIC)
def test_public_addresses_beside_the_ranges_are_called(written: str) -> None:
    assert refusal_of(ip_address(written)) is None


@given(st.ip_addresses())
@example(ip_address("169.254.169.254"))
@example(ip_address("fd00:ec2::254"))
@example(ip_address("::ffff:8.8.8.8"))
def test_what_python_calls_not_global_is_refused_too(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_link_local:
        assert refusal_of(address) is not None


@given(st.ip_addresses(v=4))
def test_no_ipv6_form_of_an_ipv4_address_is_a_way_round(inner: IPv4Address) -> None:
    number = int(inner)
    forms = (
        number,  # IPv4-compatible
        0xFFFF << 32 | number,  # IPv4-mapped
        0x64FF9B << 96 | number,  # NAT64
        0x0064FF9B0001 << 80 | number,  # NAT64 with a local prefix
        0x2002 << 112 | number << 80,  # 6to4
        0x20010000 << 96 | (number ^ 0xFFFFFFFF),  # Teredo
    )
    assert [form for form in forms if refusal_of(IPv6Address(form)) is None] == []


def test_loopback_is_open_to_simulators_alone() -> None:
    for written in ("127.0.0.1", "127.9.9.9", "::1"):
        assert refusal_of(ip_address(written)) == "this machine"
        assert refusal_of(ip_address(written), loopback=True) is None
    for written in ("0.0.0.0", "::", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"):
        assert refusal_of(ip_address(written), loopback=True) is not None


def test_a_listed_network_opens_private_addresses_and_nothing_worse() -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert refusal_of(ip_address("10.1.2.3"), networks=(ip_network("10.1.0.0/16"),)) is None
    assert refusal_of(ip_address("10.2.2.3"), networks=(ip_network("10.1.0.0/16"),)) == "a private network"
    assert refusal_of(ip_address("fd12::1"), networks=everything) is None
    for written in (
        "127.0.0.1",
        "::1",
        "169.254.169.254",
        "168.63.129.16",
        "224.0.0.1",
        "::ffff:10.0.0.1",
        "2002:a00::1",
        "fe80::1",
    ):
        assert refusal_of(ip_address(written), networks=everything) is not None


def test_an_address_with_a_zone_is_refused() -> None:
    assert refusal_of(ip_address("2606:4700::1111%eth0")) is not None

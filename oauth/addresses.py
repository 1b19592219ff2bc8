"""Which addresses may be called: public ones. Pure: nothing is resolved or asked.

A table, not `ipaddress.is_global`: that property has changed between releases of Python, and it counts addresses as global that
lead back into a private network (6to4, NAT64 with a local prefix) or to a cloud's own services.
Sources: the IANA special-purpose address registries (RFC 6890); each row names its RFC.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

_LOOPBACK: Final = "this machine"
_LINK_LOCAL: Final = "a link-local address, where cloud machines keep their credentials"
_METADATA: Final = "an address of a cloud's own services"
_PRIVATE: Final = "a private network"
_RESERVED: Final = "a reserved address"
_TRANSLATED: Final = "an address that carries another address inside"

_IPV4: Final[tuple[tuple[str, str], ...]] = (
    ("0.0.0.0/8", _LOOPBACK),  # RFC 791; Linux connects it to the machine itself
    ("10.0.0.0/8", _PRIVATE),  # RFC 1918
    ("100.64.0.0/10", "a provider's shared network"),  # RFC 6598; Alibaba Cloud keeps credentials at 100.100.100.200
    ("127.0.0.0/8", _LOOPBACK),  # RFC 1122
    ("168.63.129.16/32", _METADATA),  # Azure's host agent: a public address that no public server has
    ("169.254.0.0/16", _LINK_LOCAL),  # RFC 3927
    ("172.16.0.0/12", _PRIVATE),  # RFC 1918
    ("192.0.0.0/24", _RESERVED),  # RFC 6890
    ("192.0.2.0/24", _RESERVED),  # RFC 5737, for documentation
    ("192.88.99.0/24", _TRANSLATED),  # RFC 7526, relays of 6to4
    ("192.168.0.0/16", _PRIVATE),  # RFC 1918
    ("198.18.0.0/15", _RESERVED),  # RFC 2544, for benchmarks
    ("198.51.100.0/24", _RESERVED),  # RFC 5737
    ("203.0.113.0/24", _RESERVED),  # RFC 5737
    ("224.0.0.0/4", "a multicast address"),  # RFC 5771
    ("240.0.0.0/4", _RESERVED),  # RFC 1112
)
_IPV6: Final[tuple[tuple[str, str], ...]] = (
    ("::/128", _LOOPBACK),  # RFC 4291; Linux connects it to the machine itself
    ("::1/128", _LOOPBACK),  # RFC 4291
    ("::/96", _TRANSLATED),  # RFC 4291, IPv4-compatible
    ("::ffff:0:0/96", _TRANSLATED),  # RFC 4291, IPv4-mapped
    ("64:ff9b::/96", _TRANSLATED),  # RFC 6052, NAT64
    ("64:ff9b:1::/48", _TRANSLATED),  # RFC 8215, NAT64 with a local prefix
    ("2001::/23", _RESERVED),  # RFC 2928, with Teredo (RFC 4380), benchmarks and ORCHID
    ("2001:db8::/32", _RESERVED),  # RFC 3849, for documentation
    ("2002::/16", _TRANSLATED),  # RFC 3056, 6to4
    ("3fff::/20", _RESERVED),  # RFC 9637, for documentation
    ("fc00::/7", _PRIVATE),  # RFC 4193; Amazon keeps credentials at fd00:ec2::254
    ("fe80::/10", _LINK_LOCAL),  # RFC 4291
    ("fec0::/10", _PRIVATE),  # RFC 3879, site-local
    ("ff00::/8", "a multicast address"),  # RFC 4291
)
_SPECIAL: Final[tuple[tuple[IpNetwork, str], ...]] = tuple((ip_network(text), word) for text, word in (*_IPV4, *_IPV6))
_LOOPBACK_V4: Final = IPv4Network("127.0.0.0/8")
_LOOPBACK_V6: Final = IPv6Address("::1")
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NEVER_LISTED: Final = frozenset({_LOOPBACK, _LINK_LOCAL, _METADATA, _TRANSLATED, "a multicast address"})


def refusal_of(address: IpAddress, *, loopback: bool = False, networks: tuple[IpNetwork, ...] = ()) -> str | None:
    """Why `address` may not be called, as the end of "it leads to ..."; None: it may.

    Args:
        loopback: 127.0.0.0/8 and ::1 may be called.
        networks: private networks that may be called. Listing one opens no loopback, link-local, multicast, metadata or
            translated address.
    """
    if loopback and (address in _LOOPBACK_V4 or address == _LOOPBACK_V6):
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return _LINK_LOCAL  # only such addresses need one
    word = next((word for network, word in _SPECIAL if address in network), None)
    if word is None and isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        word = _RESERVED  # RFC 4291: nothing else is given out
    if word is not None and word not in _NEVER_LISTED and any(address in network for network in networks):
        return None
    return word

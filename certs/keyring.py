"""Which certificate belongs to which environment: the certificates of a listener's environments, chosen by thumbprint alone.

Signing profile, sections 6 and 7. A listener may serve several environments on one port; the thumbprint in a message names
the certificate, the certificate its environment. So no key may stand in two of them: it could not tell them apart, and a test
system could speak for production.

How many certificates may be active is the configuration's rule (one or two); a keyring holds what it is given.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from certs.certificate import SigningCertificate

Authentication: TypeAlias = Literal["signature", "mutual-tls"]


class State(enum.Enum):
    """The state of a certificate in its rotation. Only an active one is accepted; the others are kept to explain a refusal."""

    PENDING = "pending"  # uploaded for later
    ACTIVE = "active"
    RETIRED = "retired"  # never accepted again


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A certificate in an environment. It may have expired: validity is checked when a message is received."""

    certificate: SigningCertificate
    state: State = State.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The required header fields of P. After the signature they are compared byte for byte (first components, UTF-8).

    Attributes:
        facilities: allowed MSH-4.
        receiving_application: required MSH-5.
        receiving_facility: required MSH-6.
        processing_ids: allowed MSH-11.
    """

    facilities: tuple[str, ...]
    receiving_application: str
    receiving_facility: str
    processing_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How far MSH-7 may be from the time of receipt, both limits included."""

    max_age: timedelta = timedelta(days=7)
    max_ahead: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """One environment as verification uses it.

    Attributes:
        environment: its name.
        kind: production or test, for people.
        zone: of an MSH-7 without offset.
        authentication: signature: every message carries ZSG. mutual-tls: the connection's client certificate is one of
            the active ones, ZSG is optional.
        certificates: all registered certificates that refusals should still name, in any state.
    """

    environment: str
    kind: Literal["production", "test"]
    zone: ZoneInfo
    authentication: Authentication = "signature"
    binding: Binding
    freshness: Freshness = field(default_factory=Freshness)
    certificates: tuple[Held, ...] = ()


class KeyringError(ValueError):
    """The trusts contradict each other. The text names the environments and says what to do."""


class Keyring:
    """The trusts of one listener: immutable, iterable in the order given."""

    __slots__ = ("_by_thumbprint", "_switched_off", "_trusts")

    def __init__(
        self, trusts: Iterable[Trust], switched_off: Mapping[str, Iterable[SigningCertificate]] | None = None
    ) -> None:
        """Index the trusts by thumbprint.

        Args:
            switched_off: environment -> its certificates, for environments that take no messages, so that a refusal can say so.

        Raises:
            KeyringError: an environment is given twice, a certificate is twice in one, or one key is in two.
        """
        self._trusts = tuple(trusts)
        self._switched_off = {
            certificate.thumbprint: (environment, certificate)
            for environment, certificates in (switched_off or {}).items()
            for certificate in certificates
        }
        self._by_thumbprint: dict[str, tuple[Trust, Held]] = {}
        names: set[str] = set()
        owners: dict[bytes, str] = {}
        for trust in self._trusts:
            if trust.environment in names:
                raise KeyringError(f"environment {trust.environment} is given twice")
            names.add(trust.environment)
            for held in trust.certificates:
                self._add(trust, held, owners)

    def _add(self, trust: Trust, held: Held, owners: dict[bytes, str]) -> None:
        certificate = held.certificate
        owner = owners.setdefault(certificate.key_digest, trust.environment)
        if owner != trust.environment:
            raise KeyringError(
                f"the same key is in {owner} and {trust.environment} (certificate {certificate.thumbprint[:8]}):"
                " each environment needs a key of its own"
            )
        if certificate.thumbprint in self._by_thumbprint:
            raise KeyringError(f"certificate {certificate.thumbprint[:8]} is twice in {trust.environment}")
        self._by_thumbprint[certificate.thumbprint] = (trust, held)

    def __iter__(self) -> Iterator[Trust]:
        return iter(self._trusts)

    def find(self, thumbprint: str) -> tuple[Trust, Held] | None:
        """The certificate with that x5t#S256, in any state, and its environment; None: nobody uploaded it."""
        return self._by_thumbprint.get(thumbprint)

    def switched_off(self, thumbprint: str) -> tuple[str, SigningCertificate] | None:
        """The switched-off environment of a certificate, and the certificate, if it belongs to no other environment."""
        return None if thumbprint in self._by_thumbprint else self._switched_off.get(thumbprint)

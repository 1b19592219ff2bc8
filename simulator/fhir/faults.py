"""What the simulated FHIR server does wrong, by script: each attack and accident of a sign-in or a write-back has a name here."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class FhirFault(enum.Enum):
    """As a client meets it, in the order of a sign-in."""

    # Discovery and metadata
    DSTU2 = "dstu2"  # answers as an old FHIR server
    NO_SMART = "no_smart"  # has no SMART configuration
    OLD_SCOPES = "old_scopes"  # knows scopes of SMART 1 alone
    OTHER_ISSUER_IN_DOCUMENT = "other_issuer_in_document"
    # The callback
    WRONG_STATE = "wrong_state"
    NO_STATE = "no_state"
    WRONG_CALLBACK_ISSUER = "wrong_callback_issuer"  # RFC 9207's `iss` names another server
    NO_CALLBACK_ISSUER = "no_callback_issuer"
    ACCESS_DENIED = "access_denied"
    SWAPPED_CODE = "swapped_code"  # the code of somebody else's sign-in
    # The token endpoint
    IGNORES_PKCE = "ignores_pkce"
    INVALID_CLIENT = "invalid_client"
    NO_ID_TOKEN = "no_id_token"  # noqa: S105 (the name of a fault)
    # The id token
    WRONG_NONCE = "wrong_nonce"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    OTHER_PARTY = "other_party"  # azp names another application
    ALG_NONE = "alg_none"
    ALG_HS256 = "alg_hs256"  # HMAC with the public key as its secret
    WRONG_KEY = "wrong_key"
    EXPIRED = "expired"
    FROM_THE_FUTURE = "from_the_future"
    CHANGED = "changed"  # another subject put in after signing
    # The connection; `Endpoint` says where
    SLOW = "slow"  # a byte now and then, without end
    HUGE = "huge"
    REDIRECT = "redirect"
    NOT_JSON = "not_json"


class ResourceAct(enum.Enum):
    """What happens to one request for a resource, or to the connection status' service."""

    OK = "ok"
    HTTP_400 = "400"
    HTTP_401 = "401"  # the token does not count any more, and none issued before
    HTTP_403 = "403"
    HTTP_404 = "404"
    HTTP_409 = "409"
    HTTP_412 = "412"
    HTTP_422 = "422"
    HTTP_423 = "423"
    HTTP_424 = "424"
    HTTP_429 = "429"  # with Retry-After
    HTTP_500 = "500"
    HTTP_503 = "503"  # with Retry-After
    CHANGED = "changed"  # somebody else changes the appointment at this moment
    LOST_BEFORE = "lost_before"  # the connection ends, and nothing was done
    LOST_AFTER = "lost_after"  # it was done, and the connection ends without an answer
    SLOW = "slow"  # it was done, and the answer does not end


class Endpoint(enum.Enum):
    """Where faults of the connection happen."""

    SMART_CONFIGURATION = "smart_configuration"
    OPENID_CONFIGURATION = "openid_configuration"
    METADATA = "metadata"
    KEYS = "keys"
    TOKEN = "token"  # noqa: S105 (the name of an endpoint)


CONNECTION_FAULTS = frozenset({FhirFault.SLOW, FhirFault.HUGE, FhirFault.REDIRECT, FhirFault.NOT_JSON})


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirFaultPlan:
    """The faults in force. `at`: where those of the connection happen; by default everywhere."""

    faults: frozenset[FhirFault] = frozenset()
    at: frozenset[Endpoint] = frozenset(Endpoint)

    def connection_fault(self, endpoint: Endpoint) -> FhirFault | None:
        """The fault of the connection at this endpoint, if any."""
        return next(iter(self.faults & CONNECTION_FAULTS), None) if endpoint in self.at else None


def read_fhir_plan(given: Mapping[str, object]) -> FhirFaultPlan:
    """A plan from JSON: `{"faults": ["wrong_nonce"], "at": ["token"]}`. ValueError says what is wrong."""
    if unknown := set(given) - {"faults", "at"}:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}; known: at, faults")
    faults, at = given.get("faults", []), given.get("at")
    if not isinstance(faults, list) or not (at is None or isinstance(at, list)):
        raise ValueError("faults and at are lists of names")
    return FhirFaultPlan(
        faults=frozenset(FhirFault(name) for name in faults),
        at=frozenset(Endpoint) if at is None else frozenset(Endpoint(name) for name in at),
    )


def read_acts(given: Mapping[str, object]) -> list[ResourceAct]:
    """What happens to the next requests, from JSON: `{"next": ["409", "slow"]}`. ValueError says what is wrong."""
    names = given.get("next")
    if set(given) != {"next"} or not isinstance(names, list):
        raise ValueError("next is a list of names; nothing else is known")
    return [ResourceAct(name) for name in names]

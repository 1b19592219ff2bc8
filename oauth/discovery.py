"""Read what a sign-in server says about itself: OpenID Connect's and SMART's discovery documents.

Sources: OpenID Connect Discovery 1.0, section 4; SMART App Launch 2.2.0, "Conformance"; RFC 8414; RFC 9207, section 3.
The issuer in a document must be the one that was asked, character by character: otherwise one server could speak for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from oauth.faults import FetchFault, SignInCode, SignInFault
from oauth.fetcher import Fetcher, JsonObject

OPENID_PATH: Final = "/.well-known/openid-configuration"
SMART_PATH: Final = "/.well-known/smart-configuration"
_MOST_WORDS: Final = 100
Launch = Literal["launch-standalone", "launch-ehr"]
"""Where a sign-in begins, as SMART's capabilities call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInServer:
    """A server that signs people in and says who they are.

    Attributes:
        issuer: the `iss` of its id tokens, compared character by character.
        authorization_endpoint: where the browser goes; checked like an address that Carebell itself would call.
        names_issuer: its callback must carry `iss` (RFC 9207).
        takes_basic: a client secret goes into the Authorization header, otherwise into the form.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_issuer: bool = False
    takes_basic: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SmartConfiguration:
    """A FHIR server's SMART configuration.

    Attributes:
        capabilities: as written, such as `launch-standalone`.
        scopes: those that it names.
        server: where people sign in; None: it offers no sign-in that says who signed in.
        lacks: why there is no `server`, as the end of "it ..."; None: there is one.
    """

    base_url: str
    capabilities: frozenset[str]
    scopes: frozenset[str]
    server: SignInServer | None
    lacks: str | None = None


def discover_openid(fetcher: Fetcher, issuer: str) -> SignInServer:
    """The sign-in server at `issuer`.

    Raises:
        FetchFault: its document could not be fetched.
        SignInFault: `issuer` if the document is another server's, `discovery` if an address in it cannot be used.
    """
    document = fetcher.get(issuer.rstrip("/") + OPENID_PATH)
    if document.get("issuer") != issuer:
        raise SignInFault(
            SignInCode.ISSUER,
            f"The document at {issuer.rstrip('/')}{OPENID_PATH} says that it is another server's. The issuer must be written "
            "exactly as the server writes it, with or without a slash at its end, and with the tenant's own name.",
        )
    return _server(fetcher, document, issuer=issuer, jwks_uri=_address(fetcher, document, "jwks_uri"))


def discover_smart(fetcher: Fetcher, base_url: str, *, launch: Launch = "launch-standalone") -> SmartConfiguration:
    """What the FHIR server at `base_url` says about sign-in. If it names an issuer and no keys, the issuer's document is read too.

    Args:
        launch: how a sign-in will begin, which the server must be able to take.

    Raises:
        FetchFault: a document could not be fetched.
        SignInFault: `issuer` or `discovery`, as `discover_openid`.
    """
    base_url = base_url.rstrip("/")
    document = fetcher.get(base_url + SMART_PATH)
    capabilities, scopes = _words(document.get("capabilities")), _words(document.get("scopes_supported"))
    lacks = _lacking(document, capabilities, launch)
    if lacks is not None:
        return SmartConfiguration(
            base_url=base_url, capabilities=capabilities, scopes=scopes, server=None, lacks=lacks
        )  # fmt: skip
    issuer = _address(fetcher, document, "issuer")
    keys_at = _address(fetcher, document, "jwks_uri") if "jwks_uri" in document else None
    keys_at = keys_at or discover_openid(fetcher, issuer).jwks_uri
    server = _server(fetcher, document, issuer=issuer, jwks_uri=keys_at)
    return SmartConfiguration(base_url=base_url, capabilities=capabilities, scopes=scopes, server=server)


def _lacking(document: JsonObject, capabilities: frozenset[str], launch: Launch) -> str | None:
    if "authorization_endpoint" not in document or "token_endpoint" not in document:
        return "names no address to sign in at"
    if capabilities and launch not in capabilities:
        place = "outside" if launch == "launch-standalone" else "within"
        return f"takes no sign-in that begins {place} the EHR ({launch})"
    if "issuer" not in document:
        return "does not say who signed in (sso-openid-connect)"
    return None


def _server(fetcher: Fetcher, document: JsonObject, *, issuer: str, jwks_uri: str) -> SignInServer:
    methods = _words(document.get("token_endpoint_auth_methods_supported"))
    return SignInServer(
        issuer=issuer,
        authorization_endpoint=_address(fetcher, document, "authorization_endpoint"),
        token_endpoint=_address(fetcher, document, "token_endpoint"),
        jwks_uri=jwks_uri,
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        takes_basic=not methods or "client_secret_basic" in methods,
    )


def _address(fetcher: Fetcher, document: JsonObject, key: str) -> str:
    value = document.get(key)
    if isinstance(value, str):
        try:
            fetcher.check(value)
        except FetchFault as fault:
            raise SignInFault(
                SignInCode.DISCOVERY,
                f"The server's document names an address that cannot be used ({key}). {fault.sentence}",
            ) from None
        return value
    raise SignInFault(
        SignInCode.DISCOVERY,
        f"The server's document does not name its {key}, which sign-in needs. Ask whoever runs that server.",
    )


def _words(value: Any) -> frozenset[str]:
    return (
        frozenset(word for word in value[:_MOST_WORDS] if isinstance(word, str))
        if isinstance(value, list)
        else frozenset()
    )

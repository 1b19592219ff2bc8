"""Verify an id token: whose key signed it, for whom it is, whether it is fresh, and whether it answers this sign-in.

    size and form ─> algorithm allowed ─> a fitting key of the issuer ─> signature ─> iss, aud, azp ─> exp, iat, nbf ─> nonce ─> sub

Sources: OpenID Connect Core 1.0, section 3.1.3.7; RFC 7515; RFC 8725 (JWT best practice). joserfc, of the extra `sso`, verifies the
signature. A header's own keys and addresses (`jwk`, `jku`, `x5u`) are never used; `none` and HMAC are never accepted.
Not verified: `at_hash`, since no access token is used, and `acr` and `amr`, since no strength is asked for.
"""

from __future__ import annotations

import base64
import hmac
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from oauth.discovery import SignInServer
from oauth.faults import SignInCode, SignInFault, SsoExtraMissing
from oauth.fetcher import Fetcher, JsonObject

ALGORITHMS: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
}
"""Algorithm -> the key type that goes with it, and its curve."""
CLOCK_SKEW: Final = timedelta(seconds=60)
OLDEST: Final = timedelta(minutes=15)
"""Longer ago it was not issued for this sign-in, which lasts ten minutes at most."""
LONGEST_TOKEN: Final = 32_768
_MOST_KEYS: Final = 50
_SMALLEST_RSA: Final = 2048
_LONGEST_SUBJECT: Final = 255
_OWN_FAULT: Final = "Nobody was signed in. Ask whoever runs that server."


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInUser:
    """Who signed in, as the issuer says it.

    Attributes:
        subject: the issuer's own id of the person; together with `issuer` it never names anybody else.
        claims: the whole verified content, for a role claim or a name; it may hold personal data.
    """

    issuer: str
    subject: str = field(repr=False)
    claims: JsonObject = field(repr=False)

    @property
    def shown_name(self) -> str | None:
        """A name to show once, from the first claim that has one; printable, at most 80 characters."""
        for claim in ("name", "preferred_username", "email", "fhirUser"):
            value = self.claims.get(claim)
            if isinstance(value, str) and value.strip() and value.isprintable():
                return value.strip()[:80]
        return None


def require_sso() -> None:
    """Raises SsoExtraMissing if joserfc is not installed."""
    if importlib.util.find_spec("joserfc") is None:
        raise SsoExtraMissing


def fetch_keys(fetcher: Fetcher, server: SignInServer) -> Sequence[JsonObject]:
    """The issuer's public keys (RFC 7517).

    Raises:
        FetchFault: they could not be fetched.
        SignInFault: `keys`.
    """
    keys = fetcher.get(server.jwks_uri, accept="application/jwk-set+json, application/json").get("keys")
    if not isinstance(keys, list) or not keys:
        raise _keys_fault("published no keys")
    return [key for key in keys[:_MOST_KEYS] if isinstance(key, dict)]


def verify_id_token(
    token: str, keys: Sequence[JsonObject], *, issuer: str, client_id: str, nonce: str, now: datetime
) -> SignedInUser:
    """The user whom `token` names.

    Raises:
        SignInFault: `malformed`, `algorithm`, `keys`, `signature`, `issuer`, `audience`, `token_expired`, `token_time`,
            `nonce` or `subject`.
        SsoExtraMissing: joserfc is not installed.
    """
    header = _header(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise SignInFault(
            SignInCode.ALGORITHM,
            f"The server's answer is not signed in a way that proves who wrote it (allowed: {', '.join(ALGORITHMS)}). {_OWN_FAULT}",
        )
    if "crit" in header or "b64" in header:
        raise _malformed()
    claims = _verified(token, algorithm, list(_fitting(keys, algorithm, header.get("kid"))))
    _check_parties(claims, issuer=issuer, client_id=client_id)
    _check_times(claims, now)
    if not isinstance(claims.get("nonce"), str) or not hmac.compare_digest(claims["nonce"].encode(), nonce.encode()):
        raise SignInFault(
            SignInCode.NONCE,
            "The server's answer belongs to another sign-in than this one, so nobody was signed in. Start the sign-in again, in "
            "one window. If it happens again, tell whoever runs Carebell.",
        )
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise SignInFault(SignInCode.SUBJECT, f"The server's answer does not say who signed in. {_OWN_FAULT}")
    return SignedInUser(issuer=issuer, subject=subject, claims=claims)


def _header(token: str) -> JsonObject:
    parts = token.split(".")
    if len(token) > LONGEST_TOKEN or not token.isascii() or len(parts) != 3 or not all(parts[:2]):
        raise _malformed()
    try:
        header = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except (ValueError, RecursionError):
        raise _malformed() from None
    if not isinstance(header, dict):
        raise _malformed()
    return header


def _fitting(keys: Sequence[JsonObject], algorithm: str, key_id: Any) -> Iterator[JsonObject]:
    """The keys that may have signed: of the algorithm's type, meant for signatures, and with the header's id if it names one."""
    key_type, curve = ALGORITHMS[algorithm]
    for key in keys:
        if key.get("kty") != key_type or key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
            continue
        if (curve is None or key.get("crv") == curve) and (key_id is None or key.get("kid") == key_id):
            yield key


def _verified(token: str, algorithm: str, keys: Sequence[JsonObject]) -> JsonObject:
    """The content of a token that one of `keys` signed."""
    require_sso()
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, RSAKey

    if not keys:
        raise _keys_fault("has published no key that fits its answer")
    for key in keys:
        try:
            if key["kty"] == "RSA":
                if len(key["n"]) * 6 < _SMALLEST_RSA:  # Base64url: six bits a character
                    continue
                public: RSAKey | ECKey = RSAKey.import_key({"kty": "RSA", "n": key["n"], "e": key["e"]})
            else:
                public = ECKey.import_key({name: key[name] for name in ("kty", "crv", "x", "y")})
            signed = jws.deserialize_compact(token, public, algorithms=[algorithm])
            claims = json.loads(signed.payload)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if isinstance(claims, dict):
            return claims
    raise SignInFault(
        SignInCode.SIGNATURE,
        "The server's answer is not signed with a key that the server publishes: it was changed on the way, or comes from somebody "
        f"else. {_OWN_FAULT}",
    )


def _check_parties(claims: JsonObject, *, issuer: str, client_id: str) -> None:
    if claims.get("iss") != issuer:
        raise SignInFault(
            SignInCode.ISSUER,
            f"The server's answer names another issuer than the one that was asked. {_OWN_FAULT}",
        )
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp", client_id if len(audiences) == 1 else None)
    if client_id not in audiences or party != client_id:
        raise SignInFault(
            SignInCode.AUDIENCE,
            "The server's answer was made for another application than Carebell, so nobody was signed in. Check the client id.",
        )


def _check_times(claims: JsonObject, now: datetime) -> None:
    moment, skew = now.timestamp(), CLOCK_SKEW.total_seconds()
    expires, issued, not_before = (_seconds(claims, name) for name in ("exp", "iat", "nbf"))
    if expires is None or issued is None:
        raise _malformed()
    if moment >= expires + skew:
        raise SignInFault(
            SignInCode.TOKEN_EXPIRED,
            "The server's answer has expired. Start the sign-in again; if it happens again, compare this machine's clock with the "
            "server's.",
        )
    early = issued > moment + skew or (not_before is not None and not_before > moment + skew)
    if early or issued < moment - OLDEST.total_seconds() - skew:
        raise SignInFault(
            SignInCode.TOKEN_TIME,
            "The server's answer was not made just now: its time differs from this machine's by more than a minute, or it is old. "
            "Compare the clocks of both, then start the sign-in again.",
        )


def _seconds(claims: JsonObject, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed()
    return float(value) if abs(value) < 1e12 else float("inf") if value > 0 else float("-inf")


def _malformed() -> SignInFault:
    return SignInFault(SignInCode.MALFORMED, f"The server's answer about who signed in cannot be read. {_OWN_FAULT}")


def _keys_fault(what: str) -> SignInFault:
    return SignInFault(
        SignInCode.KEYS,
        f"The sign-in server {what}, so its answers cannot be verified. Nobody was signed in. Try again later; if it stays so, ask "
        "whoever runs that server.",
    )

"""The simulated token endpoint for backend services: it verifies assertions and issues short tokens; no socket, no clock.

cryptography alone, so that what `oauth` signs with another library is tested against foreign work. Strict where a real server is:
the algorithm, the key's id, the audience, five minutes at most, and each `jti` once.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_LIFE: Final = timedelta(minutes=5)
_P384_BYTES: Final = 48


class AssertionRefused(Exception):
    """Why an assertion proves nothing, for tests and people who watch; the client is told `invalid_client` alone."""


@dataclass(slots=True, kw_only=True)
class SimulatedBackend:
    """Who may ask for tokens, and the tokens that count. Not for several threads at once.

    Attributes:
        keys: the client's registered public keys, JWKs.
        lasts: of a token.
    """

    client_id: str
    keys: Sequence[Mapping[str, Any]] = ()
    lasts: timedelta = timedelta(minutes=5)
    random_token: Callable[[int], str] = field(default=secrets.token_urlsafe, repr=False)
    _used: set[str] = field(default_factory=set, init=False)
    _tokens: dict[str, tuple[datetime, frozenset[str]]] = field(default_factory=dict, init=False, repr=False)

    def issue(self, form: Mapping[str, str], *, endpoint: str, now: datetime) -> dict[str, Any]:
        """The token endpoint's answer to a good request. AssertionRefused: it is none."""
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise AssertionRefused("client_assertion_type is another one")
        self._check(form.get("client_assertion", ""), endpoint, now)
        token, scope = self.random_token(24), form.get("scope", "")
        self._tokens[token] = (now + self.lasts, frozenset(scope.split()))
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(self.lasts.total_seconds()),
            "scope": scope,
        }

    def allows(self, authorization: str, scope: str, now: datetime) -> bool | None:
        """Whether a request's token is for `scope`, such as `Appointment.u`; None: there is no token that counts."""
        kind, _, token = authorization.partition(" ")
        ends_at, scopes = self._tokens.get(token, (None, frozenset[str]()))
        if kind != "Bearer" or ends_at is None or now >= ends_at:
            return None
        resource, _, action = scope.partition(".")
        older = {"r": "read", "s": "read", "c": "write", "u": "write"}
        if f"system/{resource}.{older[action]}" in scopes:
            return True
        granted = (word.removeprefix("system/").partition(".") for word in scopes)
        return any(name == resource and action in actions for name, _, actions in granted)

    def forget_tokens(self) -> None:
        """None of those issued counts any more."""
        self._tokens.clear()

    def _check(self, assertion: str, endpoint: str, now: datetime) -> None:
        try:
            head, content, signature = assertion.split(".")
            header, claims = _object(head), _object(content)
            signed, given = f"{head}.{content}".encode("ascii"), _decoded(signature)
        except ValueError:
            raise AssertionRefused("it is no JWT") from None
        self._check_signature(header, signed, given)
        if claims.get("iss") != self.client_id or claims.get("sub") != self.client_id:
            raise AssertionRefused("iss and sub are not the client's id")
        if claims.get("aud") != endpoint:
            raise AssertionRefused("aud is not this endpoint")
        expires, token_id = claims.get("exp"), claims.get("jti")
        moment = now.timestamp()
        if not isinstance(expires, int) or not moment < expires <= moment + _LONGEST_LIFE.total_seconds():
            raise AssertionRefused("exp is over, or more than five minutes away")
        if not isinstance(token_id, str) or not token_id or token_id in self._used:
            raise AssertionRefused("jti was used before")
        self._used.add(token_id)

    def _check_signature(self, header: Mapping[str, Any], signed: bytes, given: bytes) -> None:
        key = next((key for key in self.keys if key.get("kid") == header.get("kid")), None)
        if key is None:
            raise AssertionRefused("kid is no registered key's")
        try:
            if header.get("alg") == "RS384" and key.get("kty") == "RSA":
                numbers = rsa.RSAPublicNumbers(e=_number(key["e"]), n=_number(key["n"]))
                numbers.public_key().verify(given, signed, padding.PKCS1v15(), SHA384())
            elif header.get("alg") == "ES384" and key.get("crv") == "P-384" and len(given) == 2 * _P384_BYTES:
                points = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), ec.SECP384R1())
                halves = (int.from_bytes(given[:_P384_BYTES], "big"), int.from_bytes(given[_P384_BYTES:], "big"))
                points.public_key().verify(encode_dss_signature(*halves), signed, ec.ECDSA(SHA384()))
            else:
                raise AssertionRefused("alg is not RS384 or ES384, or not the key's")
        except (InvalidSignature, ValueError, KeyError):
            raise AssertionRefused("the signature is not the key's") from None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text), "big")


def _object(text: str) -> Mapping[str, Any]:
    read = json.loads(_decoded(text))
    if not isinstance(read, dict):
        raise ValueError("no object")
    return read

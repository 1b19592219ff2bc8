"""Tokens signed with HMAC-SHA256 (RFC 7515, RFC 7519), which a meeting's server verifies with the secret that it shares with us."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any


def hs256_token(claims: Mapping[str, Any], secret: bytes) -> str:
    """The claims as a JWT in its compact form."""
    head = _part({"alg": "HS256", "typ": "JWT"})
    signed = f"{head}.{_part(claims)}"
    return f"{signed}.{_encoded(hmac.new(secret, signed.encode('ascii'), hashlib.sha256).digest())}"


def _part(content: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(content, separators=(",", ":")).encode("utf-8"))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")

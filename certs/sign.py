"""Sign messages with profile 1, for `carebell sign`, the simulator and tests.

Sign last, with raw bytes, nothing after it (signing profile, sections 1 to 4).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from certs.algorithms import ALGORITHMS, PrivateKey
from certs.certificate import SigningCertificate, key_digest, protected_header
from certs.envelope import Unsigned, canonical, encode_base64url, signing_input, split

_MOST_KEY_BYTES: Final = 64 * 1024


class SigningError(ValueError):
    """The message cannot be signed in this way, or the key cannot be used. The text is one sentence."""


def sign(
    content: bytes,
    *,
    key: PrivateKey,
    certificate: SigningCertificate,
    alg: str | None = None,
    diagnosis: bool = True,
) -> bytes:
    """The message in its canonical form (CR after each segment) with ZSG as its last segment.

    Args:
        content: a message without MLLP framing.
        alg: one of `certificate.algorithms`; None: the first.
        diagnosis: add ZSG-3, so that a broken signature can be explained.

    Raises:
        SigningError: not a message, already signed, the key of another certificate, or an algorithm that does not fit the key.
    """
    if not content.startswith(b"MSH"):
        raise SigningError("this is not a bare HL7 message: it does not begin with MSH")
    if not isinstance(split(content), Unsigned):
        raise SigningError("the message has a ZSG segment already; sign it once, before sending")
    if key_digest(key.public_key()) != certificate.key_digest:
        raise SigningError("the key is not the one the certificate was made for")
    alg = alg or certificate.algorithms[0]
    if alg not in certificate.algorithms:
        raise SigningError(
            f"{alg} does not fit the certificate's key, which takes {' or '.join(certificate.algorithms)}"
        )
    payload = canonical(content) + b"\r"
    header = encode_base64url(protected_header(alg, certificate.thumbprint).encode("ascii"))
    signature = ALGORITHMS[alg].sign(key, signing_input(header, payload))
    segment = b"ZSG|1|" + header + b".." + encode_base64url(signature)
    if diagnosis:
        segment += b"|%d^%b" % (len(payload), hashlib.sha256(payload).hexdigest().encode("ascii"))
    return payload + segment + b"\r"


def load_key(path: Path) -> PrivateKey:
    """A private key from a PEM file (PKCS#8, PKCS#1 or SEC1) without passphrase.

    Raises:
        SigningError: it is missing, unreadable, protected by a passphrase, or no key of profile 1.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_KEY_BYTES)
    except FileNotFoundError:
        raise SigningError(f"there is no key file {path}") from None
    except (OSError, ValueError):
        raise SigningError(f"the key file {path} cannot be read by this account") from None
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        raise SigningError(
            f"the key in {path} is protected by a passphrase; decrypt it with `openssl pkey -in IN.pem -out OUT.pem`"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SigningError(f"{path} holds no private key in PEM form") from None
    if isinstance(key, (rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise SigningError(f"the key in {path} is not RSA, P-256 or Ed25519")

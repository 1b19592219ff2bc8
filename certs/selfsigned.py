"""Whether a self-signed certificate is undamaged (signing profile, section 5).

Of a certificate that another issuer signed nothing can be checked here: there is no chain, the upload is the trust. One that
signed itself carries its own proof against a damaged copy, so that proof must hold. Damage to one of its two names would make
it look like another issuer's; that is told from a real one exactly, by trying the names the way they were.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from certs.der import CONTEXT_0, elements


def is_damaged(certificate: x509.Certificate) -> bool:
    """Whether a certificate is or was self-signed, and its bytes are not the signed bytes.

    Args:
        certificate: with a key of profile 1.
    """
    if certificate.issuer == certificate.subject:
        return not _signs(certificate, certificate.tbs_certificate_bytes)
    return _was_self_signed(certificate)


def _was_self_signed(certificate: x509.Certificate) -> bool:
    """Whether its own signature is right after its two different names are made equal."""
    whole = certificate.tbs_certificate_bytes
    content = next(elements(whole)).content
    parts = [element.raw for element in elements(content)]
    # RFC 5280 4.1: version (absent in version 1), serial number, algorithm, issuer, validity, subject, ...
    issuer = 3 if parts[0][0] == CONTEXT_0 else 2
    subject = issuer + 2
    if len(parts[issuer]) != len(parts[subject]):
        return False
    header = whole[: -len(content)]
    for name in (parts[issuer], parts[subject]):
        before = [name if at in (issuer, subject) else part for at, part in enumerate(parts)]
        if _signs(certificate, header + b"".join(before)):
            return True
    return False


def _signs(certificate: x509.Certificate, signed: bytes) -> bool:
    """Whether the certificate's own key made its signature over these bytes."""
    key, how = certificate.public_key(), certificate.signature_algorithm_parameters
    try:
        if isinstance(key, rsa.RSAPublicKey) and isinstance(how, padding.PKCS1v15 | padding.PSS):
            assert certificate.signature_hash_algorithm is not None
            key.verify(certificate.signature, signed, how, certificate.signature_hash_algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(how, ec.ECDSA):
            key.verify(certificate.signature, signed, how)
        elif isinstance(key, ed25519.Ed25519PublicKey) and how is None:
            key.verify(certificate.signature, signed)
        else:
            return False  # another kind of key signed it
    except InvalidSignature:
        return False
    return True

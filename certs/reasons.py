"""The reasons for refusing an upload: every code with the sentence that an administrator reads. signing.md section 5; pure."""

from __future__ import annotations

_EXPORT = "Export the certificate alone as 'Base-64 encoded X.509 (.CER)'."
_EXPOSED = "That key is now exposed: make a new key and certificate, and stop using this one. Nothing was stored."

REASONS: dict[str, str] = {
    "TOO_LARGE": "The file is larger than 64 KiB; one certificate is about 2 KiB. " + _EXPORT,
    "UNREADABLE": "The file cannot be read: {why}.",
    "EMPTY": "The file is empty.",
    "PRIVATE_KEY": "The file contains a private key. " + _EXPOSED,
    "PKCS12": "The file is a PKCS#12 (.pfx, .p12) container, which carries the private key. " + _EXPOSED,
    "PKCS7": "The file is a PKCS#7 (.p7b) container, not a single certificate. " + _EXPORT,
    "CSR": "The file is a certificate request; upload the certificate that was issued for it.",
    "CRL": "The file is a revocation list, not a certificate.",
    "BARE_KEY": "The file is a public key without a certificate, so it has no validity dates. "
    "Upload a certificate for this key; a self-signed one will do.",
    "TRUSTED": "The file is in OpenSSL's 'TRUSTED CERTIFICATE' form. Convert it: openssl x509 -in FILE -out FILE.cer",
    "OTHER_PEM": "The file contains a PEM block that is not a certificate. " + _EXPORT,
    "DER": "The file is a binary (DER) certificate. Convert it: openssl x509 -inform der -in FILE -out FILE.cer",
    "NOT_TEXT": "The file is neither plain text nor text with a UTF-8 or UTF-16LE byte-order mark. " + _EXPORT,
    "NOT_BASE64": "The file contains no certificate in Base64. " + _EXPORT,
    "NOT_A_CERTIFICATE": "The Base64 text does not contain a certificate. " + _EXPORT,
    "TRUNCATED": "The certificate is cut short: its end is missing. Copy the whole file again.",
    "TRAILING": "Something follows the certificate. The file must end with it.",
    "DAMAGED": "The certificate cannot be read: the copy is damaged.",
    "BUNDLE": "The file contains more than one certificate ({subjects}). Upload the signing certificate alone.",
    "KEY_TYPE": "The certificate's key is {kind}; no algorithm of profile 1 uses such a key. Use RSA, EC P-256 or Ed25519.",
    "PSS_KEY": "The certificate's key is restricted to RSASSA-PSS; use an ordinary RSA key, which signs PS256 too.",
    "KEY_SIZE": "The RSA key has {bits} bits; it must have 2048 to 8192.",
    "KEY_EXPONENT": "The RSA key's public exponent is {exponent}; it must be 65537 or more.",
    "REENCODE": "The certificate spells its public key in an unusual way (for instance with explicit curve parameters); "
    "make a new certificate with a named curve and ordinary encoding.",
    "WEAK_HASH": "The certificate is signed with {name}, which is broken. Have it issued again with SHA-256.",
    "SIGNATURE_ALGORITHM": "The certificate is signed with an algorithm that is not known here. Use SHA-256 with RSA.",
    "KEY_USAGE": "The certificate's key usage does not include digitalSignature, so it may not sign messages.",
    "SELF_SIGNATURE": "The certificate is self-signed, but its own signature is wrong: the copy is damaged.",
    "EXPIRED": "The certificate expired on {day}.",
    "NOT_YET_VALID": "The certificate is not valid before {day}.",
}
"""Code -> reason. A code is stable; its sentence may be improved. `{...}` is filled with facts of the certificate."""


class UploadError(Exception):
    """Carries a code of `REASONS` and the facts that its sentence needs. It is never raised outside `certs`."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.reason = REASONS[code].format(**facts)

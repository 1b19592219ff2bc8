"""TLS contexts for the listener and for `carebell send`: TLS 1.2 at least, client certificates by pinning or by CA.

**What OpenSSL decides, and what the application decides.** With `check_time=False` the handshake proves that the
peer holds the private key of a certificate that is an anchor, or is issued by one, and nothing more. Whether this
certificate is one of the environment's, and valid at the time of the message by the application's clock, is decided
per message from `Peer.thumbprint`, so that an expired certificate gets the same answer (SIG06) as an expired signing
certificate instead of an unexplained TLS alert, and so that a rehearsal under another clock works. Still refused by
OpenSSL, before the application sees anything: a certificate that no anchor has issued; one whose extendedKeyUsage
is present without clientAuth, or whose keyUsage is present without digitalSignature; keys and signatures below its
security level (RSA under 2048 bits, SHA-1); a handshake without the certificate's key.

**Pinning.** The anchors are the uploaded `.cer` files themselves. OpenSSL normally wants a chain up to a self-signed
certificate; X509_V_FLAG_PARTIAL_CHAIN lets any certificate among the anchors end the chain, so a leaf issued by a
private CA works without that CA. An anchor that is a CA certificate would accept every certificate that it issued in the
handshake; only the comparison of thumbprints pins the certificate.

With `required=False` a peer may show no certificate, but if it shows one, the certificate must pass.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from listener.client_certificate import tell_peers, watch

_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h; ssl has no name for it


class TlsProblem(StrEnum):
    """Why a context could not be made."""

    UNREADABLE = "unreadable"
    KEY_ENCRYPTED = "key_encrypted"
    NOT_A_PAIR = "not_a_pair"
    NOT_PEM = "not_pem"
    ANCHOR = "anchor"


class TlsSetupError(Exception):
    """A TLS file is unusable; the text is one sentence for an administrator and holds no key material."""

    def __init__(self, code: TlsProblem, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificates:
    """The client certificates that a server context requests.

    Attributes:
        anchors: certificates, each PEM (one or more) or DER (one); at least one.
        required: refuse a peer that shows none; otherwise it is optional.
        check_time: let OpenSSL refuse expired ones by the machine's clock. False for pinned certificates: then the
            application must check the validity by its own clock.
    """

    anchors: tuple[bytes, ...]
    required: bool = True
    check_time: bool = True


def server_context(certificate: Path, key: Path, *, clients: ClientCertificates | None = None) -> ssl.SSLContext:
    """The listener's context.

    Args:
        certificate: PEM, the chain below the root, leaf first.
        key: its PEM private key, not encrypted.
        clients: None: no client certificate is asked for.

    Raises:
        TlsSetupError: a file is unreadable or not usable, or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    # Links stay up for weeks, so resumption gains nothing, and a resumed session would not show its certificate again.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_pair(context, certificate, key)
    tell_peers(context)
    if clients is not None:
        _trust(context, clients.anchors)
        context.verify_mode = ssl.CERT_REQUIRED if clients.required else ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        watch(context)
        if not clients.check_time:
            context.verify_flags |= _NO_CHECK_TIME
    return context


def client_context(
    *,
    anchors: Iterable[bytes] | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    verify: bool = True,
) -> ssl.SSLContext:
    """The sender's context: the server's certificate and name are verified unless `verify` is False.

    Args:
        anchors: trusted certificates, each PEM or DER; a server's own certificate is allowed. None: the system's store.
        certificate: the client certificate for a server that requests one, with `key` (None: in the same file).

    Raises:
        TlsSetupError: as for `server_context`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif anchors is None:
        context.load_default_certs()
    else:
        _trust(context, anchors)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if certificate is not None:
        _load_pair(context, certificate, key or certificate)
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "cannot be read"
            raise TlsSetupError(TlsProblem.UNREADABLE, f"{path}: {reason}") from None
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"{key} is not the private key of {certificate}"
            raise TlsSetupError(TlsProblem.NOT_A_PAIR, text) from None
        text = f"{certificate} and {key}: not a PEM certificate and its PEM private key ({error.reason or 'malformed'})"
        raise TlsSetupError(TlsProblem.NOT_PEM, text) from None


def _refuse_password() -> NoReturn:
    """Called by OpenSSL for an encrypted key; without this it would ask on the terminal and wait."""
    raise TlsSetupError(
        TlsProblem.KEY_ENCRYPTED, "the private key is encrypted; a service needs it unencrypted, mode 0400"
    )


def _trust(context: ssl.SSLContext, anchors: Iterable[bytes]) -> None:
    loaded = 0
    for anchor in anchors:
        try:
            pem = anchor.lstrip().startswith(b"-----BEGIN")
            context.load_verify_locations(cadata=anchor.decode("ascii") if pem else anchor)
        except (ssl.SSLError, ValueError):
            raise TlsSetupError(TlsProblem.ANCHOR, "a trusted certificate is neither PEM nor DER") from None
        loaded += 1
    if not loaded:
        raise TlsSetupError(TlsProblem.ANCHOR, "no trusted certificate was given")

"""The portal's page of certificates: judged as `carebell cert show` judges, kept in files named by us beside carebell.yaml."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import Final

from carebell.inbound.trust import days_left, read_signer
from certs.cer import inspect
from config.load import Loaded
from portal.pages.environments.certificates import CertificateInUse, CertificateVerdict, NotKept
from store import usage
from store.engine import Store

FOLDER: Final = "certs"
_MODE: Final = 0o644
_COLUMNS: Final = 64
_DIGITS: Final = 16
"""Of a certificate's SHA-256, in its file's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Implements `portal.pages.environments.certificates.CertificatesDesk`.

    Attributes:
        loaded: the configuration in force.
    """

    loaded: Callable[[], Loaded]
    store: Store

    def certificates(self, environment: str, at: datetime) -> tuple[CertificateInUse, ...]:
        section = self.loaded().configuration.environments.get(environment)
        if section is None:
            return ()
        return tuple(self._certificate(environment, path, at) for path in section.certificates)

    def _certificate(self, environment: str, path: Path, at: datetime) -> CertificateInUse:
        report, certificate = read_signer(path, at)
        last_used = None
        if certificate is not None:
            with self.store.read() as conn:
                last_used = usage.last_used(conn, environment, certificate.thumbprint)
        return CertificateInUse(
            file=path.name,
            thumbprint=report.thumbprint,
            subject=report.subject,
            not_before=report.not_before,
            not_after=report.not_after,
            days_left=None if report.not_after is None else days_left(report.not_after, at),
            last_used=last_used,
            problem=report.reason,
        )

    def judge(self, content: bytes, at: datetime) -> CertificateVerdict:
        report = inspect(content, at)
        if report.certificate is None:
            return CertificateVerdict(refusal=report.reason or "It cannot be used.")
        return CertificateVerdict(
            notices=report.notices,
            subject=report.certificate.subject,
            thumbprint=report.certificate.thumbprint,
            not_after=report.certificate.not_after,
            content=as_text(report.certificate.der),
        )

    def keep(self, environment: str, content: str) -> str:
        folder = self.loaded().path.parent / FOLDER
        try:
            return f"{FOLDER}/{kept_file(folder, environment, content.encode('ascii'))}"
        except OSError as error:
            raise NotKept(
                f"Carebell cannot write into the folder {folder.name} beside carebell.yaml: "
                f"{error.strerror or 'the system does not say why'}. Let the service's account write there, "
                "or put the certificate there by hand and name it in carebell.yaml."
            ) from None


def as_text(der: bytes) -> str:
    """A certificate as Base64 in lines between its BEGIN and END: nothing else of an upload is kept."""
    lines = wrap(base64.b64encode(der).decode("ascii"), _COLUMNS)
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def kept_file(folder: Path, environment: str, content: bytes) -> str:
    """The name of the file in `folder` that holds this content, written now if there is none. Never over another file, or a link.

    The name is of our making: the environment's, which is letters, digits and `_.-`, and the beginning of the content's hash.

    Raises:
        OSError: it cannot be written. Nothing is left behind.
    """
    folder.mkdir(mode=0o755, exist_ok=True)
    name = f"{environment}-{hashlib.sha256(content).hexdigest()[:_DIGITS]}.cer"
    if _holds(folder / name, content):
        return name
    try:
        _write_new(folder / name, content)
    except FileExistsError:  # something else has this name; a writer of the same content may have come first
        if not _holds(folder / name, content):
            name = f"{name.removesuffix('.cer')}-{secrets.token_hex(4)}.cer"
            _write_new(folder / name, content)
    return name


def _holds(path: Path, content: bytes) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with open(descriptor, "rb") as file:
        with suppress(OSError):
            return file.read(len(content) + 1) == content
        return False


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _MODE)  # whatever the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise

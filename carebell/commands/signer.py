"""Make a signing function from a key file and a certificate file: for `sign`, `send` and `simulator ehr`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from carebell.exits import Stop
from certs.cer import read_upload
from certs.sign import SigningError, load_key
from certs.sign import sign as append_signature

Sign = Callable[[bytes], bytes]
"""Appends ZSG to a bare message. SigningError if the message cannot be signed."""

_ANY: Final = b"MSH|^~\\&\r"


def signer(key_file: Path, certificate_file: Path, *, alg: str | None = None) -> Sign:
    """The signing function. Stop with one sentence if a file is of the wrong kind, or key and certificate do not match.

    Args:
        alg: None: the algorithm that fits the key.
    """
    now = datetime.now(UTC)
    report = read_upload(certificate_file, now)
    certificate = report.certificate
    if certificate is None:
        if report.code == "PRIVATE_KEY" and read_upload(key_file, now).thumbprint is not None:
            raise Stop(f"--key and --cert are swapped: {key_file} is a certificate, {certificate_file} a private key")
        if report.code == "PRIVATE_KEY":
            raise Stop(f"--cert needs the key's certificate (.cer); {certificate_file} is a private key")
        raise Stop(f"{certificate_file}: {report.reason}")
    try:
        key = load_key(key_file)
        append_signature(_ANY, key=key, certificate=certificate, alg=alg)  # do they match?
    except SigningError as error:
        raise Stop(str(error)) from None
    return lambda content: append_signature(content, key=key, certificate=certificate, alg=alg)

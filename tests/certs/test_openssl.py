"""Certificates as `openssl req -x509` makes them are accepted: the documented ones, and those of its defaults (an authority's)."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certs.cer import read_upload

KEYS = {
    "rsa": ["-newkey", "rsa:3072"],
    "p-256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    "ed25519": ["-newkey", "ed25519"],
}
EXTENSIONS = {
    "documented": ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"],
    "key usage alone": ["keyUsage=critical,digitalSignature"],
    "openssl's defaults": [],
}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl not installed here")
@pytest.mark.parametrize("extensions", EXTENSIONS.values(), ids=EXTENSIONS)
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_what_openssl_makes_is_accepted(key: list[str], extensions: list[str], tmp_path: Path) -> None:
    file = tmp_path / "signer.cer"
    added = [word for extension in extensions for word in ("-addext", extension)]
    words = ["openssl", "req", "-x509", *key, "-nodes", "-days", "730", "-subj", "/CN=Lamna interface engine", *added]
    subprocess.run([*words, "-keyout", tmp_path / "key.pem", "-out", file], check=True, capture_output=True)
    report = read_upload(file, datetime.now(UTC))
    assert (report.verdict, report.reason) == ("accept", None)

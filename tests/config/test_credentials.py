"""Secrets from the service manager go before the files that the configuration names; everything else stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.files import check_files, client_secret, gateway_secrets
from config.gateways import AUTH_TOKEN
from config.load import load
from tests.story.folder import make

TLS = {"tls": {"certificate": "tls.pem", "key": "secrets/tls.key"}}


def _configuration(folder: Path) -> Path:
    """Its secrets are in `secrets/`, which is root's: here they are not there at all."""
    return make(
        folder,
        {
            "storage": {"key_file": "secrets/carebell.key"},
            "gateway": {
                "kind": "twilio",
                "twilio": {"account_sid": "AC" + "0" * 32, "auth_token_file": "secrets/twilio.token"},
            },
            "portal": {
                "enabled": True,
                "public_url": "https://carebell.example",
                "sign_in": {
                    "oidc": {
                        "name": "Clinic",
                        "issuer": "https://login.example",
                        "client_id": "carebell",
                        "client_secret_file": "secrets/oidc.secret",
                        "roles": {"staff": "support"},
                    }
                },
            },
            "environments": {"production": {"listener": TLS}},
        },
    )


@pytest.mark.parametrize("prefix", ["", "secrets_"])  # one credential each, or a folder of them
def test_a_credential_goes_before_the_file(tmp_path: Path, prefix: str) -> None:
    path, handed_over = _configuration(tmp_path / "clinic"), tmp_path / "credentials"
    handed_over.mkdir()
    for name in ("carebell.key", "twilio.token", "oidc.secret", "tls.key"):
        (handed_over / f"{prefix}{name}").write_text("sesame\n")
        (handed_over / f"{prefix}{name}").chmod(0o440)  # as systemd does with an ACL mask
    plain = load(path, {})
    loaded = load(path, {"CREDENTIALS_DIRECTORY": str(handed_over)})
    configuration, tls = loaded.configuration, loaded.configuration.environments["production"].listener.tls
    assert tls is not None
    assert configuration.storage.key_file == handed_over / f"{prefix}carebell.key"
    assert configuration.gateway.twilio.auth_token_file == handed_over / f"{prefix}twilio.token"
    assert configuration.portal.client_secret_file == handed_over / f"{prefix}oidc.secret"
    assert (tls.key, tls.certificate) == (handed_over / f"{prefix}tls.key", tmp_path / "clinic" / "tls.pem")
    assert [secret.get_secret_value() for secret in gateway_secrets(loaded, AUTH_TOKEN)] == ["sesame"]
    client = client_secret(loaded)
    assert client is not None
    assert client.get_secret_value() == "sesame"
    assert {problem.key for problem in check_files(loaded)} == {"environments.production.listener.tls.certificate"}
    assert loaded.version == plain.version  # the same configuration for the service and for the commands beside it
    assert {"storage.key_file", "gateway.twilio.auth_token_file"} < {problem.key for problem in check_files(plain)}


@pytest.mark.parametrize("variable", [None, "", "missing"])
def test_without_credentials_the_files_count(tmp_path: Path, variable: str | None) -> None:
    path = _configuration(tmp_path / "clinic")
    environ = {} if variable is None else {"CREDENTIALS_DIRECTORY": variable}
    assert load(path, environ).configuration == load(path, {}).configuration

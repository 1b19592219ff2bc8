"""The files with tokens and secrets that a configuration names, wherever their keys stand. Pure.

The database's key file is not among them: it has rules of its own. Private keys are listed apart from tokens.
"""

from __future__ import annotations

from pathlib import Path

from config.gateways import SECRETS
from config.model import Configuration
from config.portal_settings import CLIENT_SECRET_FILE
from config.problems import Keys


def secret_files(configuration: Configuration) -> list[tuple[Keys, Path]]:
    """(key, file) of each."""
    files = [*((secret.file_keys, secret.file(configuration.gateway)) for secret in SECRETS)]
    files.append((CLIENT_SECRET_FILE, configuration.portal.client_secret_file))
    for name, environment in configuration.environments.items():
        meeting, at = environment.visits.meeting, ("environments", name, "visits", "meeting")
        files.append(((*at, "secret_file"), meeting.secret_file))
        files.append(((*at, "webhook_secret_file"), meeting.webhook_secret_file))
        files.append((relay_secret_keys(name), environment.visits.device_test.credential_file))
        launch_keys: Keys = ("environments", name, "visits", "launch", "client_secret_file")
        files.append((launch_keys, environment.visits.launch.client_secret_file))
    return [(keys, file) for keys, file in files if file is not None]


def relay_secret_keys(environment: str) -> Keys:
    """Where an environment names the file with its relay's secret."""
    return ("environments", environment, "visits", "device_test", "credential_file")


def private_keys(configuration: Configuration) -> list[tuple[Keys, Path]]:
    """(key, file) of the listeners' and write-backs' private keys."""
    files: list[tuple[Keys, Path | None]] = []
    for name, environment in configuration.environments.items():
        keys: Keys = ("environments", name)
        if environment.listener.tls is not None:
            files.append(((*keys, "listener", "tls", "key"), environment.listener.tls.key))
        hl7 = environment.writeback.hl7
        if hl7 is not None and hl7.tls is not None:
            files.append(((*keys, "writeback", "hl7", "tls", "key"), hl7.tls.key))
        if hl7 is not None and hl7.signing is not None:
            files.append(((*keys, "writeback", "hl7", "signing", "key"), hl7.signing.key))
        fhir = environment.writeback.fhir
        if fhir is not None:
            at: Keys = (*keys, "writeback", "fhir", "auth")
            files += [((*at, "key_file"), fhir.auth.key_file), ((*at, "other_key_file"), fhir.auth.other_key_file)]
    return [(keys, file) for keys, file in files if file is not None]


def secret_files_in_use(configuration: Configuration) -> list[tuple[Keys, Path]]:
    """Those that the service opens: of the gateway's kind, of the portal that is on, and of visits behind our own links."""
    opened: set[Keys] = {secret.file_keys for secret in SECRETS if secret.kind == configuration.gateway.kind}
    if configuration.portal.enabled:
        opened.add(CLIENT_SECRET_FILE)
    for name, environment in configuration.environments.items():
        if environment.visits.join == "ours":
            at: Keys = ("environments", name, "visits", "meeting")
            opened |= {(*at, "secret_file"), (*at, "webhook_secret_file")}
            if environment.visits.device_test.enabled:
                opened.add(relay_secret_keys(name))
            opened.add(("environments", name, "visits", "launch", "client_secret_file"))
    return [(keys, file) for keys, file in secret_files(configuration) if keys in opened]

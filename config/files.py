"""Check that the files and folders that a configuration names exist and are safe. `load` needs none of them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from config.gateways import SECRETS, GatewaySecret
from config.load import Loaded
from config.model import Configuration, WritebackHl7, WritebackSection
from config.portal_settings import CLIENT_SECRET_FILE
from config.problems import ConfigurationError, Keys, Problem
from config.regular_file import read_regular
from config.secret_files import relay_secret_keys

_FROM_A_BACKUP: Final = "; restore it from its backup; a new installation gets one from `carebell init`"
_TOKEN: Final = re.compile(r"[!-~]{1,256}")  # printable, no blanks


def check_files(loaded: Loaded) -> list[Problem]:
    """Problems with files that the service needs: missing, unreadable or open to others. `certs` checks certificates."""
    return sorted(loaded.problem(keys, why) for keys, why in _findings(loaded))


def open_to_others(loaded: Loaded) -> list[Problem]:
    """Warnings about Carebell's own files that other accounts can open, as is often the case after a restore from a backup.

    The database is made with mode 0600, the log with 0640, the file gateway's file with 0600. What is missing is not judged.
    """
    configuration = loaded.configuration
    files: list[tuple[Keys, Path, int]] = []
    if configuration.storage.url.startswith("sqlite:///"):
        database = Path(configuration.storage.url.removeprefix("sqlite:///"))
        files += [(("storage", "url"), database.with_name(database.name + end), 0o600) for end in ("", "-wal", "-shm")]
    if configuration.log.file is not None:
        files.append((("log", "file"), configuration.log.file, 0o640))
    if configuration.gateway.kind == "file":
        files.append((("gateway", "file"), configuration.gateway.file, 0o600))
    return [loaded.problem(keys, why) for keys, path, mode in files if (why := _wider(path, mode)) is not None]


def _wider(path: Path, mode: int) -> str | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    actual = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode) or not actual & ~mode:
        return None
    return f"{path.name} has mode {actual:04o}: other accounts can open it; chmod {mode:04o} {path}"


def gateway_secrets(loaded: Loaded, secret: GatewaySecret) -> tuple[SecretStr, ...]:
    """A gateway's tokens or secrets, the one in use first. Empty unless that gateway is the configured kind.

    Raises:
        ConfigurationError: the file cannot be read or holds none.
    """
    gateway = loaded.configuration.gateway
    if gateway.kind != secret.kind:
        return ()
    value, path = secret.value(gateway), secret.file(gateway)
    if value is not None:
        return (value,)
    if path is None:
        return ()
    lines = _lines(loaded, secret.file_keys, path)
    if not lines:
        raise ConfigurationError([loaded.problem(secret.file_keys, "holds no token; write one a line")])
    if not all(_TOKEN.fullmatch(line) for line in lines):
        raise ConfigurationError(
            [loaded.problem(secret.file_keys, "must hold one token a line; lines that begin with # do not count")]
        )
    return tuple(SecretStr(line) for line in lines)


def client_secret(loaded: Loaded) -> SecretStr | None:
    """What the portal proves itself with to the organisation's sign-in; None: there is none, or the portal is off.

    Raises:
        ConfigurationError: the file cannot be read, or holds no secret or several.
    """
    portal = loaded.configuration.portal
    path = portal.client_secret_file
    if not portal.enabled or path is None:
        return None
    lines = _lines(loaded, CLIENT_SECRET_FILE, path)
    if len(lines) != 1 or not _TOKEN.fullmatch(lines[0]):
        why = "must hold the client secret alone on a line; lines that begin with # do not count"
        raise ConfigurationError([loaded.problem(CLIENT_SECRET_FILE, why)])
    return SecretStr(lines[0])


def meeting_secrets(path: Path | None) -> tuple[bytes, ...]:
    """The secrets that a meeting's server, or the EHR that launches, shares with us, the one in use first; none without a file.

    Raises:
        OSError, ValueError: the file cannot be read, or holds something else than one a line.
    """
    if path is None:
        return ()
    written = (line.strip() for line in read_regular(path).decode("ascii").splitlines())
    lines = [line for line in written if line and not line.startswith("#")]
    if not lines or not all(_TOKEN.fullmatch(line) for line in lines):
        raise ValueError("must hold one secret a line; lines that begin with # do not count")
    return tuple(line.encode("ascii") for line in lines)


def relay_secret(loaded: Loaded, environment: str) -> SecretStr | None:
    """What an environment's device test shares with its relay; None: it has none, or there is no test.

    Raises:
        ConfigurationError: the file cannot be read, or holds no secret or several.
    """
    visits = loaded.configuration.environments[environment].visits
    path, keys = visits.device_test.credential_file, relay_secret_keys(environment)
    if path is None or not visits.device_test.enabled or visits.join != "ours":
        return None
    lines = _lines(loaded, keys, path)
    if len(lines) != 1 or not _TOKEN.fullmatch(lines[0]):
        why = "must hold the relay's secret alone on a line; lines that begin with # do not count"
        raise ConfigurationError([loaded.problem(keys, why)])
    return SecretStr(lines[0])


def _lines(loaded: Loaded, keys: Keys, path: Path) -> list[str]:
    """Of a file with secrets, without comments and blank lines."""
    try:
        written = read_regular(path).decode("ascii").splitlines()
    except (OSError, ValueError):
        reasons = [why for _, why in _readable(keys, path)]
        raise ConfigurationError([loaded.problem(keys, reasons[0] if reasons else "cannot be read")]) from None
    return [line.strip() for line in written if line.strip() and not line.lstrip().startswith("#")]


def _meetings(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    for name, environment in configuration.environments.items():
        meeting, at = environment.visits.meeting, ("environments", name, "visits", "meeting")
        launch: Keys = ("environments", name, "visits", "launch", "client_secret_file")
        files: tuple[tuple[Keys, Path | None], ...] = (
            ((*at, "secret_file"), meeting.secret_file),
            ((*at, "webhook_secret_file"), meeting.webhook_secret_file),
            (launch, environment.visits.launch.client_secret_file),
        )
        for keys, path in files:
            if path is None or environment.visits.join != "ours":
                continue
            problems = list(_secret(keys, path))
            yield from problems
            if not problems:
                try:
                    meeting_secrets(path)
                except (OSError, ValueError) as error:
                    yield keys, str(error) if not isinstance(error, OSError) else "cannot be read"


def _findings(loaded: Loaded) -> Iterator[tuple[Keys, str]]:
    configuration = loaded.configuration
    yield from _secret(("storage", "key_file"), configuration.storage.key_file, _FROM_A_BACKUP)
    if configuration.storage.marker_file is not None:
        yield from _folder(("storage", "marker_file"), configuration.storage.marker_file)
    if configuration.storage.url.startswith("sqlite:///"):
        database = Path(configuration.storage.url.removeprefix("sqlite:///"))
        yield from _folder(("storage", "url"), database)
    gateway = configuration.gateway
    if gateway.kind == "file":
        yield from _folder(("gateway", "file"), gateway.file)
    for secret in SECRETS:
        path = secret.file(gateway)
        if gateway.kind != secret.kind or path is None or secret.value(gateway) is not None:
            continue
        yield from _secret(secret.file_keys, path)
        yield from _content(secret.file_keys, path, partial(gateway_secrets, loaded, secret))
    oidc_file = configuration.portal.client_secret_file
    if configuration.portal.enabled and oidc_file is not None:
        yield from _secret(CLIENT_SECRET_FILE, oidc_file)
        yield from _content(CLIENT_SECRET_FILE, oidc_file, partial(client_secret, loaded))
    yield from _meetings(configuration)
    if gateway.reply_words is not None:
        yield from _readable(("gateway", "reply_words"), gateway.reply_words)
    if gateway.kind == "http" and gateway.http.certificate_authority is not None:
        yield from _readable(("gateway", "http", "certificate_authority"), gateway.http.certificate_authority)
    for name, environment in configuration.environments.items():
        tls = environment.listener.tls
        if tls is not None:
            at: Keys = ("environments", name, "listener", "tls")
            yield from _readable((*at, "certificate"), tls.certificate)
            yield from _secret((*at, "key"), tls.key)
            if tls.client_ca is not None:
                yield from _readable((*at, "client_ca"), tls.client_ca)
        yield from _writeback(("environments", name, "writeback", "hl7"), environment.writeback.hl7)
        yield from _web_writeback(("environments", name, "writeback"), environment.writeback)
        relay_file = environment.visits.device_test.credential_file
        if relay_file is not None and environment.visits.device_test.enabled and environment.visits.join == "ours":
            yield from _secret(relay_secret_keys(name), relay_file)
            yield from _content(relay_secret_keys(name), relay_file, partial(relay_secret, loaded, name))


def _writeback(at: Keys, hl7: WritebackHl7 | None) -> Iterator[tuple[Keys, str]]:
    if hl7 is not None and hl7.tls is not None:
        named = {"ca": hl7.tls.ca, "certificate": hl7.tls.certificate}
        for name, path in named.items():
            if path is not None:
                yield from _readable((*at, "tls", name), path)
        if hl7.tls.key is not None:
            yield from _secret((*at, "tls", "key"), hl7.tls.key)
    if hl7 is not None and hl7.signing is not None:
        yield from _secret((*at, "signing", "key"), hl7.signing.key)
        yield from _readable((*at, "signing", "certificate"), hl7.signing.certificate)


def _web_writeback(at: Keys, section: WritebackSection) -> Iterator[tuple[Keys, str]]:
    if section.fhir is not None:
        auth = section.fhir.auth
        yield from _secret((*at, "fhir", "auth", "key_file"), auth.key_file)
        if auth.other_key_file is not None:
            yield from _secret((*at, "fhir", "auth", "other_key_file"), auth.other_key_file)
    if section.epic_status is not None:
        yield from _readable((*at, "epic_status", "client_id_file"), section.epic_status.client_id_file)


def _content(keys: Keys, path: Path, read: Callable[[], object]) -> Iterator[tuple[Keys, str]]:
    """What `read` has against a file's content; why it cannot be read is told by `_secret`."""
    try:
        read()
    except ConfigurationError as error:
        if os.path.isfile(path) and os.access(path, os.R_OK):
            yield from ((keys, problem.why) for problem in error.problems)


def _readable(keys: Keys, path: Path) -> Iterator[tuple[Keys, str]]:
    if not os.path.exists(path):  # not Path's own: that raises for a name that no file can have
        yield keys, f"there is no file {path.name} in {path.parent}"
    elif not os.path.isfile(path):
        yield keys, f"{path.name} is not a file"
    elif not os.access(path, os.R_OK):
        yield keys, f"{path.name} cannot be read by this account"


def _secret(keys: Keys, path: Path, hint: str = "") -> Iterator[tuple[Keys, str]]:
    obstacles = list(_readable(keys, path))
    if obstacles:
        yield from ((at, why + hint) for at, why in obstacles)
    elif path.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        # The owner's group may read: systemd credentials and Kubernetes secrets come that way.
        yield keys, f"{path.name} is open to other accounts; chmod 0400 it"


def _folder(keys: Keys, path: Path) -> Iterator[tuple[Keys, str]]:
    if not os.path.isdir(path.parent):
        yield keys, f"there is no folder {path.parent}"
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        yield keys, f"the folder {path.parent} cannot be written by this account"

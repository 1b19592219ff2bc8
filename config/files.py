"""Whether the files and folders a configuration names are there and safe. Apart from `load`, which needs none of them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from config.load import Loaded
from config.problems import ConfigurationError, Keys, Problem

_FROM_A_BACKUP: Final = "; restore it from its backup; a new installation gets one from `carebell init`"
_TOKEN: Final = re.compile(r"[!-~]{1,256}")  # printable, no blanks; Twilio's have 32 hexadecimal digits today


def check_files(loaded: Loaded) -> list[Problem]:
    """What the service cannot start without: missing, unreadable or open to others. `certs` judges certificates."""
    return sorted(loaded.problem(keys, why) for keys, why in _findings(loaded))


def twilio_tokens(loaded: Loaded) -> tuple[SecretStr, ...]:
    """The auth tokens: the first signs requests, all of them validate callbacks. Empty unless the gateway is Twilio.

    Raises:
        ConfigurationError: the token file cannot be read or holds no token.
    """
    gateway = loaded.configuration.gateway
    if gateway.kind != "twilio":
        return ()
    if gateway.twilio.auth_token is not None:
        return (gateway.twilio.auth_token,)
    keys: Keys = ("gateway", "twilio", "auth_token_file")
    path = gateway.twilio.auth_token_file
    try:
        written = path.read_text(encoding="ascii").splitlines() if path is not None else []
        lines = [line.strip() for line in written if line.strip() and not line.lstrip().startswith("#")]
    except (OSError, ValueError):
        found = [why for _, why in _readable(keys, path)] if path is not None else []
        raise ConfigurationError([loaded.problem(keys, found[0] if found else "cannot be read")]) from None
    if not lines:
        raise ConfigurationError([loaded.problem(keys, "holds no token; write one a line")])
    if not all(_TOKEN.fullmatch(line) for line in lines):
        raise ConfigurationError(
            [loaded.problem(keys, "must hold one token a line; lines that begin with # do not count")]
        )
    return tuple(SecretStr(line) for line in lines)


def _findings(loaded: Loaded) -> Iterator[tuple[Keys, str]]:
    configuration = loaded.configuration
    yield from _secret(("storage", "key_file"), configuration.storage.key_file, _FROM_A_BACKUP)
    if configuration.storage.url.startswith("sqlite:///"):
        database = Path(configuration.storage.url.removeprefix("sqlite:///"))
        yield from _folder(("storage", "url"), database)
    gateway = configuration.gateway
    if gateway.kind == "file":
        yield from _folder(("gateway", "file"), gateway.file)
    if gateway.kind == "twilio" and gateway.twilio.auth_token_file is not None and gateway.twilio.auth_token is None:
        keys: Keys = ("gateway", "twilio", "auth_token_file")
        yield from _secret(keys, gateway.twilio.auth_token_file)
        try:
            twilio_tokens(loaded)
        except ConfigurationError as error:
            if os.path.isfile(gateway.twilio.auth_token_file) and os.access(gateway.twilio.auth_token_file, os.R_OK):
                yield from ((keys, problem.why) for problem in error.problems)
    for name, environment in configuration.environments.items():
        tls = environment.listener.tls
        if tls is not None:
            at: Keys = ("environments", name, "listener", "tls")
            yield from _readable((*at, "certificate"), tls.certificate)
            yield from _secret((*at, "key"), tls.key)
            if tls.client_ca is not None:
                yield from _readable((*at, "client_ca"), tls.client_ca)


def _readable(keys: Keys, path: Path) -> Iterator[tuple[Keys, str]]:
    if not os.path.exists(path):  # not Path's own: that raises for a name that no file can have
        yield keys, f"there is no file {path.name} in {path.parent}"
    elif not os.path.isfile(path):
        yield keys, f"{path.name} is not a file"
    elif not os.access(path, os.R_OK):
        yield keys, f"{path.name} cannot be read by this account"


def _secret(keys: Keys, path: Path, hint: str = "") -> Iterator[tuple[Keys, str]]:
    found = list(_readable(keys, path))
    if found:
        yield from ((at, why + hint) for at, why in found)
    elif path.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        # The owner's group may read: systemd credentials and Kubernetes secrets come that way.
        yield keys, f"{path.name} is open to other accounts; chmod 0400 it"


def _folder(keys: Keys, path: Path) -> Iterator[tuple[Keys, str]]:
    if not os.path.isdir(path.parent):
        yield keys, f"there is no folder {path.parent}"
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        yield keys, f"the folder {path.parent} cannot be written by this account"

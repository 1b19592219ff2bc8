"""Secrets that a service manager hands over: files in the folder that `$CREDENTIALS_DIRECTORY` names.

systemd (`LoadCredential=`) reads the secrets as root and gives the service copies that it alone can read, so that the files
themselves can stay root's. The configuration names the files, for the commands of root; in the service a credential of the same
name goes before. For a whole folder (`LoadCredential=secrets:/etc/carebell/secrets`) systemd names the copy of `twilio.token`
`secrets_twilio.token`; a credential of its own has the file's name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel

from config.model import Configuration
from config.problems import Keys
from config.secret_files import private_keys, secret_files

VARIABLE: Final = "CREDENTIALS_DIRECTORY"
OF_THE_SERVICE: Final = Path("/run/credentials/carebell.service")
"""Where systemd keeps the copies of the unit `carebell install` while it runs."""

SectionType = TypeVar("SectionType", bound=BaseModel)


def with_credentials(configuration: Configuration, environ: Mapping[str, str]) -> Configuration:
    """`configuration` with the path of each secret that was handed over in the place of its file's."""
    folder = environ.get(VARIABLE)
    if not folder:
        return configuration
    for keys in _secret_files(configuration):
        configuration = _replaced(configuration, keys, Path(folder))
    return configuration


def copy_of(file: Path, folder: Path = OF_THE_SERVICE) -> Path | None:
    """The copy that a running service was given of a secret; None: none, it reads the file itself or does not run.

    PermissionError for an account that may not look into the folder.
    """
    if not folder.exists():
        return None
    os.listdir(folder)
    return _credential(file, folder)


def _secret_files(configuration: Configuration) -> list[Keys]:
    """Where the paths of secrets stand."""
    of_secrets = (*secret_files(configuration), *private_keys(configuration))
    return [("storage", "key_file"), *(keys for keys, _ in of_secrets)]


def _replaced(section: SectionType, keys: Keys, folder: Path) -> SectionType:
    name, below = str(keys[0]), keys[1:]
    value = getattr(section, name)
    if not below:
        credential = None if value is None else _credential(value, folder)
        return section if credential is None else section.model_copy(update={name: credential})
    if isinstance(value, dict):
        inner = {**value, below[0]: _replaced(value[below[0]], below[1:], folder)}
        return section.model_copy(update={name: inner})
    return section.model_copy(update={name: _replaced(value, below, folder)})


def _credential(file: Path, folder: Path) -> Path | None:
    """The credential that stands for a file; None: it was not handed over."""
    for name in (file.name, f"{file.parent.name}_{file.name}"):
        if name and os.path.isfile(folder / name):
            return folder / name
    return None

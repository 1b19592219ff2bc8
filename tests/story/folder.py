"""A folder as an administrator has it: the shipped carebell.yaml with changes, a data key, and the vectors' certificates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from certs.algorithms import PrivateKey
from certs.cer import read_upload
from certs.sign import load_key
from certs.sign import sign as append_signature
from config.load import Loaded
from config.load import load as load_configuration
from store.keys import create_key_file

VECTORS: Final = Path(__file__).parents[1] / "vectors"
CLOCK: Final = datetime.fromisoformat((VECTORS / "CLOCK").read_text().strip())
"""Every vector's expected answer holds at this instant."""
PRODUCTION: Final = ("accept/01-prod-rsa3072.cer", "accept/10-prod-next-rsa3072.cer")
TEST: Final = ("accept/09-test-rsa2048.cer",)

Changes = Mapping[str, Any]


def make(
    folder: Path, changes: Changes | None = None, *, production: Sequence[str] = PRODUCTION, test: Sequence[str] = TEST
) -> Path:
    """Write carebell.yaml, carebell.key and certs/; the configuration's path.

    The shipped configuration, but with any free port for each listener, no HTTP, texts into `outbox.jsonl`, and the vectors'
    certificates.

    Args:
        changes: laid over it, section by section; None removes a key.
        production, test: certificates of those environments, as files of the vectors.
    """
    folder.mkdir(exist_ok=True)
    (folder / "certs").mkdir(exist_ok=True)
    if not (folder / "carebell.key").exists():
        create_key_file(folder / "carebell.key")
    environments = {}
    for name, files in (("production", production), ("test", test)):
        for file in files:
            (folder / "certs" / Path(file).name).write_bytes((VECTORS / "certs" / file).read_bytes())
        certificates = [f"certs/{Path(file).name}" for file in files]
        environments[name] = {"listener": {"port": 0}, "certificates": certificates}
    content = shipped()
    _lay_over(content, {"gateway": {"kind": "file"}, "http": {"enabled": False}, "environments": environments})
    _lay_over(content, changes or {})
    path = folder / "carebell.yaml"
    write(path, content)
    return path


def change(path: Path, changes: Changes) -> None:
    """Lay changes over a configuration in use, in one replacement, as an editor saves."""
    content = _read(path.read_text(encoding="utf-8"))
    _lay_over(content, changes)
    write(path, content)


def write(path: Path, content: Changes) -> None:
    beside = path.with_suffix(".new")
    with beside.open("w", encoding="utf-8") as file:
        YAML().dump(dict(content), file)
    beside.replace(path)


def shipped() -> dict[str, Any]:
    """The shipped configuration's content."""
    return deepcopy(_shipped())


@cache
def _shipped() -> dict[str, Any]:
    return _read(resources.files("config").joinpath("carebell.yaml").read_text(encoding="utf-8"))


def load(path: Path) -> Loaded:
    """The configuration, whatever stands in this process's environment."""
    return load_configuration(path, {})


def _read(text: str) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(text)
    return content


def _lay_over(content: dict[str, Any], changes: Changes) -> None:
    for key, value in changes.items():
        if value is None:
            content.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(content.get(key), dict):
            _lay_over(content[key], value)
        else:
            content[key] = dict(value) if isinstance(value, Mapping) else value


def null(content_of: Path, *keys: str) -> None:
    """Set a key to null, which `change` cannot say."""
    content = _read(content_of.read_text(encoding="utf-8"))
    section = content
    for key in keys[:-1]:
        section = section.setdefault(key, {})
    section[keys[-1]] = None
    write(content_of, content)


# Signing, as the senders of the vectors do


def sign(content: bytes, *, key: str = "prod-rsa3072", certificate: str = PRODUCTION[0]) -> bytes:
    """A bare message with ZSG, by a key and a certificate of the vectors."""
    report = read_upload(VECTORS / "certs" / certificate, CLOCK)
    assert report.certificate is not None
    return append_signature(content, key=_key(key), certificate=report.certificate)


@cache
def _key(name: str) -> PrivateKey:
    return load_key(VECTORS / "keys" / f"{name}.key.pem")


# The vectors' tables


def vector(path: str, sha256: str) -> bytes:
    """A vector's bytes as they were made."""
    content = (VECTORS / path).read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256, "the checkout changed the vector's bytes (line ends?)"
    return content


def rows(table: str) -> list[tuple[str, ...]]:
    """`vectors.tsv`: set, path, environment, answer, code, sha256, why. `hostile.tsv`: path, sha256, rule."""
    return [tuple(line.split("\t")) for line in (VECTORS / table).read_text(encoding="utf-8").splitlines()]


# What was texted


def texts(folder: Path) -> list[dict[str, Any]]:
    """The file gateway's lines."""
    path = folder / "outbox.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

"""The configuration in force on a node, its copy in the database for commands, and which changes need a restart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from carebell.environment_policy import RuntimeConfig, runtime_config
from carebell.inbound import trust
from carebell.inbound.listeners import ports
from carebell.inbound.validate import MessageValidator
from config import snapshot
from config.broken_file import salvage_url
from config.load import Loaded
from store import configurations, schema
from store.engine import Transaction, open_store
from store.faults import StoreFault, classify

_PORTAL_ADDRESS: Final = ("enabled", "host", "port", "public_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveConfig:
    """One load of the configuration, prepared for use. A reload replaces the whole object.

    Attributes:
        validators: by the port's key.
        idle: the validator of a port that no longer serves an environment; it knows the switched-off ones.
    """

    loaded: Loaded = field(repr=False)
    runtime_config: RuntimeConfig = field(repr=False)
    validators: Mapping[str, MessageValidator] = field(repr=False)
    idle: MessageValidator = field(repr=False)


def activate(loaded: Loaded, now: datetime) -> ActiveConfig:
    """Prepare a configuration. ConfigurationStop if a certificate cannot be used. Blocking: reads the certificates."""
    return ActiveConfig(
        loaded=loaded,
        runtime_config=runtime_config(loaded),
        validators={port.key: trust.message_validator(loaded, port.environments, now) for port in ports(loaded)},
        idle=trust.message_validator(loaded, (), now),
    )


def waits_for_restart(started: Loaded, present: Loaded) -> list[str]:
    """The top-level keys that differ from the started configuration and that a reload does not put in force.

    Of `portal` only its address waits: how long a sign-in lasts, who may sign in and which proxies count is asked each time.
    """
    before, after = started.configuration, present.configuration
    waiting = [name for name in ("storage", "gateway", "http", "log") if getattr(before, name) != getattr(after, name)]
    moved = any(getattr(before.portal, name) != getattr(after.portal, name) for name in _PORTAL_ADDRESS)
    return [*waiting, "portal"] if moved else waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationInForce:
    """The configuration that the service uses, read from its database.

    Attributes:
        loaded: with the service's version, texts, field maps and absolute paths; without secrets (no auth token, no
            credentials in URLs), without `allow_list` and `force_to`, and without places in a file.
        since: when the service put it in force, UTC.
        confirmed_at: when a service last confirmed it.
    """

    loaded: Loaded = field(repr=False)
    since: datetime
    confirmed_at: datetime


def note_in_force(conn: Transaction, loaded: Loaded, *, since: datetime, now: datetime) -> None:
    """Store the configuration that this service uses, so that `load_in_force` finds it."""
    configurations.note(
        conn,
        configurations.StoredConfiguration(
            host=os.uname().nodename,
            file=str(loaded.path.absolute()),
            version=loaded.version,
            since=since,
            noted_at=now,
            content=snapshot.to_text(loaded),
        ),
    )


def load_in_force(path: Path, environ: Mapping[str, str] = os.environ) -> ConfigurationInForce | None:
    """The configuration that the service last ran on, where the file itself cannot be used.

    The file is read only for where its database is (`config.broken_file`); everything else comes from the database, so a typo
    anywhere, a truncated file and one that is gone with a database at its default place are all survived. Blocking.

    Args:
        path: the configuration file, `components.configuration_path`.
        environ: the variable CAREBELL_STORAGE__URL overrides the file.

        Returns:
            None: there is no database, or no service has used this file with it yet.

        Raises:
            StoreFault: the database exists and cannot be used.
    """
    url = salvage_url(path, environ)
    if url.startswith("sqlite:///") and not os.path.isfile(url.removeprefix("sqlite:///")):
        return None  # opening a missing file would create a database
    store = open_store(url)
    try:
        schema.require_current(store)
        with store.read() as conn:
            return read_in_force(conn, path, url)
    except StoreFault:
        raise
    except Exception as error:
        fault = classify(error)
        if fault is None:
            raise
        raise fault from None
    finally:
        store.close()


def read_in_force(conn: Transaction, path: Path, url: str) -> ConfigurationInForce | None:
    """As `load_in_force`, in an open database.

    Args:
        url: of that database.
    """
    stored = configurations.in_force(conn, host=os.uname().nodename, file=str(path.absolute()))
    if stored is None:
        return None
    try:
        loaded = snapshot.from_text(stored.content, path=path, version=stored.version, url=url)
    except ValueError:
        return None  # written by another version of the program
    return ConfigurationInForce(loaded=loaded, since=stored.since, confirmed_at=stored.noted_at)

"""Open what a command or a node needs from a configuration: the key ring, the database, the gateway.

Every function raises `Stop` with one sentence for each problem, and leaves nothing half opened.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from carebell.exits import ConfigurationStop, PermissionStop, Stop, TransientStop, UsageStop
from config.load import Loaded
from config.load import load as load_configuration
from config.model import Environment
from config.problems import ConfigurationError
from notifier import gateways
from notifier.gateway import Gateway, OnDate, ignore_date
from notifier.webhook import Webhook
from scheduler.clock import Clock
from store import schema
from store.engine import Store, open_store
from store.faults import StoreFault, classify
from store.keys import KeyFault, read_key_file
from store.vault import Vault

_PLACES: Final = (Path("carebell.yaml"), Path("/etc/carebell/carebell.yaml"))


# The configuration


def configuration_path(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """`-c`, then $CAREBELL_CONFIG, then ./carebell.yaml, then /etc/carebell/carebell.yaml."""
    if given is not None:
        return given
    if environ.get("CAREBELL_CONFIG"):
        return Path(environ["CAREBELL_CONFIG"])
    for place in _PLACES:
        if place.exists():
            return place
    raise ConfigurationStop(
        "no configuration: there is no ./carebell.yaml; make one with `carebell init DIR`, or name one with -c"
    )


def load(given: Path | None, environ: Mapping[str, str] = os.environ) -> Loaded:
    """The configuration. ConfigurationStop with every problem, one line each."""
    path = configuration_path(given, environ)
    try:
        return load_configuration(path, environ)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None


def environment_named(loaded: Loaded, name: str) -> Environment:
    """The environment of that name; UsageStop unless there is one."""
    environment = loaded.configuration.environments.get(name)
    if environment is None:
        known = ", ".join(loaded.configuration.environments)
        raise UsageStop(f"{loaded.path}: no environment {name!r}; there are {known}")
    return environment


# Keys, database, gateway


def open_vault(loaded: Loaded) -> Vault:
    """The data-encryption key ring. ConfigurationStop if the file is missing, damaged or readable by others."""
    try:
        key_file = loaded.configuration.storage.key_file
        return Vault(ring=read_key_file(key_file), reread=lambda: read_key_file(key_file))
    except KeyFault as fault:
        raise ConfigurationStop(str(loaded.problem(("storage", "key_file"), str(fault)))) from None


def require_own_keys(loaded: Loaded, store: Store, vault: Vault) -> None:
    """ConfigurationStop if the key file is another installation's."""
    with store.write() as conn:
        own = vault.claim(conn)
    if not own:
        why = (
            "is another installation's key file: it opens no number in the database, and knows none of its opt-outs. Put the"
            " right one in its place; if that is lost: `carebell keys drop-unreadable`"
        )
        raise ConfigurationStop(str(loaded.problem(("storage", "key_file"), why)))


UpgradeReport = Callable[[str, str, float], None]


def open_database(loaded: Loaded, *, upgrade: bool, on_upgrade: UpgradeReport = lambda *_: None) -> Store:
    """The database, with tables of this version.

    Args:
        on_upgrade: called with (backend, version, seconds) after an upgrade.
        upgrade: upgrade the tables of an SQLite file. PostgreSQL, which several nodes share, needs `carebell db upgrade`
            unless it is empty.
    """
    url = loaded.configuration.storage.url
    if not upgrade and url.startswith("sqlite:///") and not os.path.exists(url.removeprefix("sqlite:///")):
        why = "the database does not exist: the first `carebell serve` makes it, or restore it from a backup"
        raise ConfigurationStop(str(loaded.problem(("storage", "url"), why)))
    with contextlib.ExitStack() as on_fault:
        try:
            store = open_store(url)
            on_fault.callback(store.close)
            if upgrade:
                store.require_intact()
            with store.read() as conn:
                version = schema.current(conn)
            if upgrade and version != schema.head() and (store.backend == "sqlite" or version is None):
                began = time.monotonic()
                _, version = schema.upgrade(store)
                on_upgrade(store.backend, version, time.monotonic() - began)
            schema.require_current(store)
        except Exception as error:
            fault = classify(error)
            if fault is None:
                raise
            raise stop_for(fault) from None
        on_fault.pop_all()
    return store


def stop_for(fault: StoreFault) -> Stop:
    """A database fault as a Stop: 75 if trying again may help, 77 if the process may not use the file, else 78."""
    sentence = f"{fault} ({fault.code})"
    if fault.transient:
        return TransientStop(sentence)
    return PermissionStop(sentence) if "permission" in str(fault) else ConfigurationStop(sentence)


def open_gateway(loaded: Loaded, clock: Clock, on_date: OnDate = ignore_date) -> Gateway:
    """The gateway that the configuration names. ConfigurationStop if a setting is missing.

    Args:
        on_date: gets the Date header of each of its answers.
    """
    try:
        return gateways.open_gateway(loaded, clock.now, sys.stdout, on_date)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None


def open_webhooks(loaded: Loaded) -> tuple[Webhook, ...]:
    """The gateway's webhooks. ConfigurationStop if a file that they need cannot be used."""
    try:
        return gateways.open_webhooks(loaded)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None

"""From a configuration to what a command or a node works with: the key ring, the open database, the gateway.

Everything here raises `Stop`s with one clear sentence for each thing that is wrong; nothing is started by halves.
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
from notifier.gateway import Gateway
from notifier.webhook import Webhook
from scheduler.clock import Clock
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
    """The configuration. ConfigurationStop with every problem, a line each."""
    path = configuration_path(given, environ)
    try:
        return load_configuration(path, environ)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None


def environment_named(loaded: Loaded, name: str) -> Environment:
    """The environment of that name; UsageStop unless there is one."""
    found = loaded.configuration.environments.get(name)
    if found is None:
        known = ", ".join(loaded.configuration.environments)
        raise UsageStop(f"{loaded.path}: no environment {name!r}; there are {known}")
    return found


# Keys, database, gateway


def open_vault(loaded: Loaded) -> Vault:
    """The data-encryption key ring. ConfigurationStop where the file is missing, damaged or open to others."""
    try:
        key_file = loaded.configuration.storage.key_file
        return Vault(ring=read_key_file(key_file), reread=lambda: read_key_file(key_file))
    except KeyFault as fault:
        raise ConfigurationStop(str(loaded.problem(("storage", "key_file"), str(fault)))) from None


UpgradeReport = Callable[[str, str, float], None]


def open_database(loaded: Loaded, *, upgrade: bool, on_upgrade: UpgradeReport = lambda *_: None) -> Store:
    """The database, its tables at this version.

    Args:
        on_upgrade: called with (backend, version, seconds) of an upgrade that was done.
        upgrade: bring an SQLite file's tables up to date; PostgreSQL, which several nodes share, waits for `carebell db upgrade`
            unless it is empty.
    """
    from store import schema  # alembic: 0.15 s that `check-config` and `verify` do not spend

    url = loaded.configuration.storage.url
    if not upgrade and url.startswith("sqlite:///") and not os.path.exists(url.removeprefix("sqlite:///")):
        why = "there is no database there: the first `carebell serve` makes it, a backup restores it"
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
    """A database's fault as the command's end: 75 where trying again helps, 77 where the file is not ours, else 78."""
    sentence = f"{fault} ({fault.code})"
    if fault.transient:
        return TransientStop(sentence)
    return PermissionStop(sentence) if "permission" in str(fault) else ConfigurationStop(sentence)


def open_gateway(loaded: Loaded, clock: Clock) -> Gateway:
    """The gateway that the configuration names. ConfigurationStop where it lacks something."""
    try:
        return gateways.open_gateway(loaded, clock.now, sys.stdout)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None


def open_webhooks(loaded: Loaded) -> tuple[Webhook, ...]:
    """That gateway's webhooks. ConfigurationStop where a file that they need cannot be used."""
    try:
        return gateways.open_webhooks(loaded)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None

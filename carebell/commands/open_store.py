"""Open the database and its keys for one command, and name the user for the audit log.

A command that uses the service's data still works if carebell.yaml cannot be used: it uses the configuration in force, which the
service stored, and prints one line of warning. `hold`, the emergency stop, needs only the database.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from carebell import authors
from carebell.bootstrap.active_config import ConfigurationInForce, load_in_force
from carebell.bootstrap.components import configuration_path, load, open_database, open_vault, stop_for
from carebell.exits import ConfigurationStop
from carebell.times import iso
from config.broken_file import salvage_log_file, salvage_url
from config.load import Loaded
from journal.events import Event
from journal.lines import plain
from journal.logs import setup
from store import audit, schema, simulated_clock
from store.audit import AuditAction, Author
from store.engine import Store, open_store
from store.faults import StoreFault, classify
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDatabase:
    """The open database, without keys.

    Attributes:
        author: for the audit log: who runs the command, and from where.
        log_file: the service's log; None: it writes none.
        environments: the names in the configuration; None: not known.
    """

    store: Store
    author: Author
    log_file: Path | None
    environments: tuple[str, ...] | None

    @property
    def actor(self) -> str:
        """For the log: `cli:<account>`."""
        return self.author.who

    def shown(
        self, action: AuditAction, *, subject: str, environment: str | None = None, after: str | None = None
    ) -> None:
        """Record a look, or what is done already. If the database takes no entry, as when the disk is full, say so and go on: a
        look shows masked numbers at most, and support needs it just then."""
        try:
            with self.store.write() as conn:
                now = simulated_clock.now(conn, datetime.now(UTC))
                audit.append(conn, self.author, action, subject=subject, environment=environment, after=after, at=now)
        except Exception as error:
            fault = classify(error)
            if fault is None:
                raise
            print(
                f"carebell: warning: this could not be recorded in the audit log: {fault} ({fault.code})",
                file=sys.stderr,
            )

    def log(self, event: Event) -> None:
        """Write a line into the service's log, for people who follow it."""
        file = self.log_file
        if file is not None and file.exists():
            with setup(now=self.now, file=file) as journal:
                journal.emit(event)

    def now(self) -> datetime:
        """The service's time: the machine's, or a rehearsal's."""
        with self.store.read() as conn:
            return simulated_clock.now(conn, datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation(OpenDatabase):
    """The database with the configuration."""

    loaded: Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Installation):
    """The database with the configuration and the keys."""

    vault: Vault


def load_or_in_force(config: Path | None) -> Loaded:
    """The file's configuration. If it cannot be used, the configuration in force, with a warning on standard error.

    ConfigurationStop with the file's problems if no service ever ran with this file.
    """
    path = configuration_path(config)
    try:
        return load(path)
    except ConfigurationStop as problems:
        try:
            in_force = load_in_force(path)
        except StoreFault as fault:
            warn_of(problems, "the configuration in force cannot be read")
            raise stop_for(fault) from None
        if in_force is None:
            raise
        _warn_of_use(problems, in_force)
        return in_force.loaded


def _warn_of_use(problems: ConfigurationStop, in_force: ConfigurationInForce) -> None:
    since, version = iso(in_force.since), in_force.loaded.version
    warn_of(problems, f"the configuration in force since {since} is used, version {version}")


def warn_of(problems: ConfigurationStop, consequence: str) -> None:
    """Print one line on standard error: the first problem with its place, how many more there are, and what the command does."""
    first, *further = str(problems).splitlines()
    more = f" (and {len(further)} more: `carebell check-config`)" if further else ""
    print(plain(f"carebell: warning: {first}{more}; {consequence}"), file=sys.stderr)


def log_file_of(config: Path | None) -> tuple[Path | None, Loaded | None]:
    """The path of the service's log (None: it writes none), and the configuration if it can be loaded; otherwise print a warning.

    Needs neither a valid file nor a database.
    """
    path = configuration_path(config)
    try:
        loaded = load(path)
    except ConfigurationStop as problems:
        try:
            in_force = load_in_force(path)
        except StoreFault:
            in_force = None
        if in_force is None:
            warn_of(problems, "only the place of the log is read from it")
            return salvage_log_file(path, os.environ), None
        _warn_of_use(problems, in_force)
        loaded = in_force.loaded
    return loaded.configuration.log.file, loaded


@contextmanager
def opened(config: Path | None, loaded: Loaded | None = None) -> Iterator[Opened]:
    """Open the database and close it again. A fault of the database becomes one sentence and its exit code.

    Args:
        loaded: names the database and its key; None: the file's configuration, or the one in force.
    """
    loaded = loaded or load_or_in_force(config)
    vault = open_vault(loaded)
    store = open_database(loaded, upgrade=False)
    with _closing(store):
        yield Opened(
            store=store,
            author=authors.person(),
            log_file=loaded.configuration.log.file,
            loaded=loaded,
            vault=vault,
            environments=tuple(loaded.configuration.environments),
        )


@contextmanager
def opened_to_look(config: Path | None) -> Iterator[Installation]:
    """As `opened`, for commands that need no key: a monitor's account may read the database and not the key file."""
    loaded = load_or_in_force(config)
    store = open_database(loaded, upgrade=False)
    with _closing(store):
        yield Installation(
            store=store,
            author=authors.person(),
            log_file=loaded.configuration.log.file,
            loaded=loaded,
            environments=tuple(loaded.configuration.environments),
        )


@contextmanager
def opened_without_keys(config: Path | None) -> Iterator[OpenDatabase]:
    """As `opened`, for the emergency stop: without the data key, and even if no configuration was ever in force."""
    try:
        loaded = load_or_in_force(config)
    except ConfigurationStop as problems:
        store = _salvaged(configuration_path(config), problems)
        log_file = salvage_log_file(configuration_path(config), os.environ)
        database = OpenDatabase(store=store, author=authors.person(), log_file=log_file, environments=None)
    else:
        store = open_database(loaded, upgrade=False)
        log_file, names = loaded.configuration.log.file, tuple(loaded.configuration.environments)
        database = OpenDatabase(store=store, author=authors.person(), log_file=log_file, environments=names)
    with _closing(store):
        yield database


def _salvaged(path: Path, problems: ConfigurationStop) -> Store:
    """Open the database that a broken file names, with a warning. Raises `problems` if there is none."""
    url = salvage_url(path, os.environ)
    if url.startswith("sqlite:///") and not os.path.isfile(url.removeprefix("sqlite:///")):
        raise problems  # opening a missing file would create a database
    warn_of(problems, "only the place of the database is read from it")
    with contextlib.ExitStack() as on_fault:
        try:
            store = open_store(url)
            on_fault.callback(store.close)
            schema.require_current(store)
        except StoreFault as fault:
            raise stop_for(fault) from None
        on_fault.pop_all()
    return store


@contextmanager
def _closing(store: Store) -> Iterator[None]:
    try:
        yield
    except StoreFault as fault:
        raise stop_for(fault) from None
    except Exception as error:
        store_fault = classify(error)
        if store_fault is None:
            raise
        raise stop_for(store_fault) from None
    finally:
        store.close()

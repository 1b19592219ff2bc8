"""Take a configuration that was saved on another node: where this node's file still is what the new one was made from.

With several nodes on one PostgreSQL a person saves on one of them, with the portal or `carebell config set`. Each other node finds
the new version in the history. If its own file is, byte for byte, the text that was replaced, it writes the new one with the same
steps. Any other difference is nobody's to settle but a person's: `status` and `doctor` show it, and nothing is overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from carebell import authors
from carebell.bootstrap import preflight
from carebell.bootstrap.config_record import ConfigFacts, mark_of
from carebell.bootstrap.running_service import RunningService
from carebell.exits import Stop
from config.digests import digest_of
from config.load import Loaded
from config.load import load as load_configuration
from config.problems import ConfigurationError
from config.regular_file import read_regular
from config.save import SaveConflict, SaveRefused, save
from journal.events.configuration import ConfigurationNotTaken, ConfigurationTaken
from store import audit, config_versions, configurations
from store.audit import AuditAction
from store.config_versions import ConfigVersion
from store.engine import Transaction


def is_edit(conn: Transaction, backend: str, facts: ConfigFacts, loaded: Loaded) -> bool:
    """Whether what took effect on this node was changed here, so that it belongs into the history.

    It was not if this host had it already, or never had another one, while others went on: this node is behind then.
    """
    newest = config_versions.newest(conn)
    if backend == "sqlite" or newest is None or newest.version == facts.version:
        return True
    known = configurations.version_at(conn, host=os.uname().nodename, file=str(loaded.path.absolute()))
    if known is None:
        return facts.mark is None or config_versions.successor(conn, facts.mark) is None
    return known != facts.version


@dataclass(slots=True)
class VersionFollower:
    """Follows the history on one node.

    Attributes:
        environ: as `config.load.load`.
    """

    running: RunningService
    environ: Mapping[str, str]
    _refused: str | None = field(default=None, init=False)
    """The version that could not be written, as logged."""

    def follow(self) -> None:
        """Write the newest version into this node's file, if it was made from what the file holds. Blocking."""
        loaded, vault = self.running.loaded(), self.running.vault
        digest = loaded.digests.get(loaded.path, b"")
        with self.running.store.read() as conn:
            seq = config_versions.successor(conn, mark_of(vault.ring, digest))
            if seq is None:
                return
            version = config_versions.numbered(conn, seq)
            content = config_versions.text_of(conn, vault, version)
        problem = "its text is not readable with this node's key file" if content is None else None
        if content is not None:
            problem = self._written(loaded, content, digest, version)
        if problem is not None and self._refused != version.version:
            self._refused = version.version
            self.running.journal.emit(
                ConfigurationNotTaken(
                    configuration=version.version, problem=problem.splitlines()[0], file=str(loaded.path)
                )
            )

    def _written(self, loaded: Loaded, content: bytes, digest: bytes, version: ConfigVersion) -> str | None:
        """Judge it as a reload would, write it and record it. The problem, if it cannot be used or written here."""
        now = self.running.clock.now()
        try:
            if digest_of(read_regular(loaded.path)) != digest:
                return None  # somebody edits the file at this moment: the watch takes that first
            trial = load_configuration(loaded.path, self.environ, content=content)
            preflight.require_sound(trial, now)
            save(loaded.path, content, base=digest)
        except SaveConflict:
            return None
        except OSError as error:
            return f"{loaded.path} cannot be read: {(error.strerror or 'input error').lower()}"
        except (ConfigurationError, Stop, SaveRefused) as refused:
            return str(refused)
        with self.running.store.write() as conn:
            write = partial(audit.append, conn, authors.service(self.running.node), AuditAction.CONFIG_WRITE)
            write(subject="configuration", before=loaded.version, after=version.version, at=now)
        self.running.journal.emit(
            ConfigurationTaken(
                configuration=version.version, previous=loaded.version, file=str(loaded.path), actor=version.actor
            )
        )
        return None

"""Save a proposal: write carebell.yaml in one step, then its version into the history and the audit log.

A process that is killed between the two leaves the file written and not recorded; the next service that reads it records it, with
the file's owner as its author.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from carebell.bootstrap import config_record
from carebell.configuring.proposal import Proposal
from config.digests import digest_of
from config.save import save
from store.audit import AuditAction, Author
from store.engine import Store
from store.vault import Vault

Source = Literal["portal", "command"]
"""Which of the two faces wrote a version; one that was edited by hand has the source `file`."""


def write(proposal: Proposal) -> None:
    """Replace the file, if it still is the proposal's base.

    Raises:
        SaveConflict: somebody else changed it in the meantime. Nothing was written.
        SaveRefused: the file or its folder cannot be written; it is as it was.
    """
    save(proposal.path, proposal.content, base=digest_of(proposal.base))


def record(
    store: Store, vault: Vault, proposal: Proposal, author: Author, *, at: datetime, source: Source, comment: str | None
) -> None:
    """Add what was written to the history and to the audit log."""
    facts = config_record.facts_of(proposal.trial, vault.ring, at)
    action = AuditAction.CONFIG_WRITE
    with store.write() as conn:
        sealed = config_record.sealed_text(conn, vault, facts, at, action)
        config_record.record(
            conn,
            facts,
            author,
            at=at,
            source=source,
            comment=comment,
            action=action,
            replaced=None if proposal.present is None else proposal.present.version,
            base_mark=config_record.mark_of(vault.ring, digest_of(proposal.base)),
            sealed=sealed,
        )

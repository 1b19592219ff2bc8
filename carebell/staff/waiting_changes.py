"""Changes of the configuration that are written only when an approver agrees, so that sending never stops for them.

A change waits where saving it would stop texts that leave now: what the environment is connected to is approved (or needs no
approval yet), and what the change makes of it is not. A new environment, and one whose texts wait already, is saved at once and
held: only what is in force can take the signed message that proves access.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from carebell.approved_facts import approved_facts
from carebell.outbound import approval_steps
from carebell.outbound.approval_steps import Question
from config.load import Loaded
from ehr.fingerprint import fingerprint
from store import approvals, proposals
from store.audit import Author
from store.engine import Store
from store.proposals import StoredProposal
from store.vault import Vault

WAITS_FOR: Final = timedelta(days=14)
"""After that a change that nobody approved has expired."""


def awaited(store: Store, loaded: Loaded, trial: Loaded, proposal: str) -> Sequence[Question]:
    """What an approver must agree to before this may be written; nothing: it may.

    Args:
        loaded: in force. trial: as it would be.
    """
    present, questions = loaded.configuration.environments, []
    with store.read() as conn:
        approved = approvals.approved(conn)
    for name, environment in trial.configuration.environments.items():
        if not environment.approval.required or name not in present:
            continue
        facts, known = approved_facts(trial, name), approved.get(name, frozenset())
        sends = not present[name].approval.required or fingerprint(approved_facts(loaded, name)) in known
        if sends and fingerprint(facts) not in known:
            wanted = Question(
                environment=name, fingerprint=fingerprint(facts), facts=facts.to_json(), proposal=proposal
            )
            questions.append(wanted)
    return questions


def let_wait(
    store: Store,
    vault: Vault,
    kept: StoredProposal,
    questions: Sequence[Question],
    author: Author,
    comment: str | None,
    *,
    at: datetime,
) -> bool:
    """Ask the approvers; False: it was decided meanwhile."""
    with store.write() as conn:
        if not proposals.await_approval(conn, vault, kept, ends_at=at + WAITS_FOR, comment=comment):
            return False
        for question in questions:
            approval_steps.ask(conn, question, author, at=at)
    return True

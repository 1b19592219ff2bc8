"""Changes of the configuration that are written only when an approver agrees, so that sending never stops for them.

A change waits where saving it would stop texts that leave now: what the environment is connected to is approved (or needs no
approval yet), and what the change makes of it is not. A new environment, and one whose texts wait already, is saved at once and
held: only what is in force can take the signed message that proves access. A change that would take the word from the approvers of
now waits always (`carebell.staff.approval_rules`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from carebell.approved_facts import approved_facts
from carebell.outbound import approval_steps
from carebell.outbound.approval_steps import Question
from carebell.staff.approval_rules import rules_fingerprint, takes_word_away
from config.load import Loaded
from config.portal_settings import Approval
from ehr.fingerprint import ApprovedFacts, fingerprint
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
    wanted = trial.configuration.environments
    for name, before in present.items():
        approval = wanted[name].approval if name in wanted else None
        if takes_word_away(before.approval, approval):
            facts = approved_facts(trial if name in wanted else loaded, name)
            question = rules_question(facts, approval, proposal)
            if question.fingerprint not in approved.get(name, frozenset()):
                questions.append(question)
    asked = {question.environment for question in questions}
    for name, environment in wanted.items():
        if name not in present or name in asked:
            continue
        if not environment.approval.required:
            continue
        facts, known = approved_facts(trial, name), approved.get(name, frozenset())
        sends = not present[name].approval.required or fingerprint(approved_facts(loaded, name)) in known
        if sends and fingerprint(facts) not in known:
            questions.append(
                Question(environment=name, fingerprint=fingerprint(facts), facts=facts.to_json(), proposal=proposal)
            )
    return questions


def rules_question(facts: ApprovedFacts, wanted: Approval | None, proposal: str) -> Question:
    """What an approver of now is asked about a change of the rules; `wanted`: None: the environment is removed."""
    return Question(
        environment=facts.environment,
        fingerprint=rules_fingerprint(facts, wanted, proposal),
        facts=facts.to_json(),
        proposal=proposal,
    )


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

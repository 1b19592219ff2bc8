"""What an approver is asked: the facts in force of an environment, or those of a change that waits; and how all of them stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from carebell.approved_facts import approved_facts
from carebell.configuring.proposal import ProposalRefused, propose_text
from carebell.environment_policy import RuntimeConfig
from carebell.outbound.approval_steps import Question, standing
from carebell.staff.approval_rules import takes_word_away
from carebell.staff.overview import ApprovalFact
from carebell.staff.proposals import ProposedText
from carebell.staff.waiting_changes import rules_question
from config.load import Loaded
from config.model import Environment
from config.portal_settings import Approval
from ehr.fingerprint import ApprovedFacts, fingerprint
from portal.pages.environments.approval_desk import STANDING_WORDS, ApprovalStanding
from store import proposals
from store.approvals import ApprovalState, ApprovalStep
from store.engine import Store, Transaction
from store.proposals import ProposalState, StoredProposal
from store.vault import Vault

STANDINGS: Final[Mapping[ApprovalState | None, ApprovalStanding]] = {
    None: "draft",
    ApprovalState.DRAFT: "draft",
    ApprovalState.AWAITING: "awaiting",
    ApprovalState.PROVED: "proved",
    ApprovalState.APPROVED: "approved",
    ApprovalState.SENT_BACK: "sent back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFacts:
    """Attributes:
    environment: its section, as it would be approved; if the change removes it, as it is.
    wanted: the rules as they would be; None: the environment is removed.
    approvers: who decides: those in force, so that no change chooses its own.
    change: the proposal that waits for it; None: the facts are in force.
    present: the rules in force that the change would take away; None: it leaves them.
    has_new_facts: whether the change makes other facts, so that agreeing to it approves those too.
    """

    facts: ApprovedFacts
    environment: Environment = field(repr=False)
    approvers: tuple[str, ...]
    change: StoredProposal | None = None
    present: Approval | None = None
    wanted: Approval | None = None
    has_new_facts: bool = False

    @property
    def question(self) -> Question:
        if self.present is not None and self.change is not None:
            return rules_question(self.facts, self.wanted, self.change.id)
        return self.facts_question

    @property
    def approves_facts_too(self) -> bool:
        """Whether who agrees to other rules approves other facts on the same page, which need it."""
        needs_it = self.wanted is not None and self.wanted.required
        return self.present is not None and self.has_new_facts and needs_it

    @property
    def facts_question(self) -> Question:
        """Of the facts alone."""
        return Question(
            environment=self.facts.environment,
            fingerprint=fingerprint(self.facts),
            facts=self.facts.to_json(),
            proposal=None if self.change is None else self.change.id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalQuestions:
    """Attributes:
    loaded, runtime_config: in force.
    environ: variables that go over the file.
    """

    store: Store
    vault: Vault
    loaded: Callable[[], Loaded]
    runtime_config: Callable[[], RuntimeConfig]
    environ: Mapping[str, str]
    now: Callable[[], datetime]

    def asked(self, name: str, proposal: str | None) -> AskedFacts | None:
        """None: no approval of this environment is needed, or no such change waits. Blocking: reads certificates."""
        return self._in_force(name) if proposal is None else self._proposed(name, proposal)

    def waiting(self, name: str) -> list[StoredProposal]:
        """The changes of this environment that wait, without their text."""
        now = self.now()
        with self.store.read() as conn:
            kept = proposals.listed(conn, states=(ProposalState.AWAITING,))
        return [change for change in kept if name in change.environments and now < change.ends_at]

    def facts(self) -> Mapping[str, ApprovalFact]:
        """How the facts in force stand, of each environment that needs an approval."""
        stand = {}
        now = self.now()
        with self.store.read() as conn:
            for name, policy in self.runtime_config().policies.items():
                if policy.facts is not None:
                    step = _step(conn, policy.facts, now)
                    stand[name] = _fact(step)
        return stand

    def words(self) -> Mapping[str, str]:
        """As `facts`, in words."""
        return {name: STANDING_WORDS[fact.state] for name, fact in self.facts().items()}

    def _in_force(self, name: str) -> AskedFacts | None:
        environment = self.loaded().configuration.environments.get(name)
        if environment is None or not environment.approval.required:
            return None
        policy = self.runtime_config().policies.get(name)
        facts = None if policy is None else policy.facts
        return AskedFacts(
            facts=facts or approved_facts(self.loaded(), name),
            environment=environment,
            approvers=tuple(environment.approval.approvers),
        )

    def _proposed(self, name: str, proposal: str) -> AskedFacts | None:
        with self.store.read() as conn:
            change = proposals.find(conn, self.vault, proposal, self.now())
        if change is None or change.state is not ProposalState.AWAITING or change.text is None:
            return None
        text, trial = ProposedText.from_text(change.text), None
        with suppress(ProposalRefused):
            trial = propose_text(self.loaded().path, text.base, text.content, self.environ).trial
        if trial is None or name not in change.environments:
            return None
        loaded, wanted = self.loaded(), trial.configuration.environments.get(name)
        before = loaded.configuration.environments.get(name)
        environment = wanted or before
        if environment is None:
            return None
        facts = approved_facts(loaded if wanted is None else trial, name)
        approval = None if wanted is None else wanted.approval
        is_taken = before is not None and takes_word_away(before.approval, approval)
        return AskedFacts(
            facts=facts,
            environment=environment,
            approvers=deciding(loaded, environment, name),
            change=change,
            present=before.approval if before is not None and is_taken else None,
            wanted=approval,
            has_new_facts=before is None or fingerprint(approved_facts(loaded, name)) != fingerprint(facts),
        )


def deciding(loaded: Loaded, environment: Environment, name: str) -> tuple[str, ...]:
    """Who decides on a change: the approvers in force; where none is needed yet, those that the change names.

    Args:
        environment: as it would be.
    """
    present = loaded.configuration.environments.get(name)
    if present is not None and present.approval.required:
        return tuple(present.approval.approvers)
    return tuple(environment.approval.approvers)


def _step(conn: Transaction, facts: ApprovedFacts, now: datetime) -> ApprovalStep | None:
    question = Question(environment=facts.environment, fingerprint=fingerprint(facts), facts=facts.to_json())
    return standing(conn, question, now)


def _fact(step: ApprovalStep | None) -> ApprovalFact:
    state = STANDINGS[None if step is None else step.state]
    if step is None or step.state is not ApprovalState.APPROVED:
        return ApprovalFact(state=state)
    return ApprovalFact(state=state, by=step.actor.removeprefix("portal:"), at=step.at)

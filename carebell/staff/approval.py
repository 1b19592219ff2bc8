"""What the page Approval does: proofs of access, approving and sending back. Implements `approval_desk.ApprovalDesk`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from carebell.bootstrap.ehr_fetching import Kind
from carebell.outbound import approval_steps
from carebell.outbound.approval_steps import PROOF_LASTS, NotApproved, WhyNotApproved
from carebell.outbound.proof_codes import proof_code
from carebell.staff.approval_questions import STANDINGS, ApprovalQuestions, AskedFacts
from carebell.staff.approval_rules import rule_rows
from carebell.staff.elsewhere import SigningInElsewhere
from carebell.staff.people_context import author_of
from config.load import Loaded
from ehr.access_proof import begin_proof, complete_proof
from ehr.fhir_check import check_fhir, check_offline
from ehr.fingerprint import ApprovedFacts, rows
from journal.events.gateway import HoldReleased
from journal.logs import Journal
from oauth.code_flow import ClientRegistration, PendingSignIn
from oauth.faults import OAuthFault
from oauth.fetcher import Fetcher
from portal.configuration import AwaitingApproval, NotSaved, Saved
from portal.pages.environments.approval_desk import (
    CALLBACK,
    ApprovalEvent,
    ApprovalFactRow,
    ApprovalView,
    BackFromTheEhr,
    ToTheEhr,
    WaitingChange,
)
from portal.pages.environments.new_desk import AddressCheck, AddressFinding
from portal.people import Browser, Person, Session
from store import approvals, config_versions, proposals
from store.approvals import ApprovalState, ApprovalStep, Proof
from store.engine import Store
from store.proposals import ProposalState

_CHANGED: Final = (
    "The configuration was changed since this page was made. Nothing was done. Look at the facts as they are now."
)
_NO_MORE: Final = "This waits for no approval any more. Nothing was done."
_WHY_NOT: Final[dict[WhyNotApproved, str]] = {
    "changed": _CHANGED,
    "not_proved": "No proof of access counts now: it lasts half an hour. Prove it again, then approve.",
    "proof_of_another": "Somebody else proved access. Prove it yourself, then approve.",
    "decided": "It was approved or sent back already. Nothing was done.",
}
_PROOFS: Final = {
    Proof.SIGN_IN: "by signing in to the EHR",
    Proof.MESSAGE: "by a signed message",
    Proof.WORD: "not proved: an administrator's word",
}
_STATES: Final = {
    ApprovalState.DRAFT: "not complete",
    ApprovalState.AWAITING: "asked for",
    ApprovalState.PROVED: "access proved",
    ApprovalState.APPROVED: "approved",
    ApprovalState.SENT_BACK: "sent back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffApprovals:
    """Attributes:
    elsewhere: keeps what a sign-in at the EHR must bring back.
    people: everybody, to know the approvers' names.
    fetcher: the guarded way to the FHIR server of an environment of this kind.
    public_url: of the portal; the EHR sends people back there.
    write: writes a change that is approved, if nothing else waits.
    """

    questions: ApprovalQuestions
    elsewhere: SigningInElsewhere
    people: Callable[[], Sequence[Person]]
    fetcher: Callable[[Loaded, Kind], Fetcher]
    public_url: str
    write: Callable[[Session, str, Browser], Saved | AwaitingApproval | NotSaved]
    journal: Journal

    @property
    def store(self) -> Store:
        return self.questions.store

    def approval(self, by: Session, environment: str, proposal: str | None) -> ApprovalView | None:
        asked, loaded = self.questions.asked(environment, proposal), self.questions.loaded()
        waiting = [
            WaitingChange(proposal=change.id, author=change.author, at=change.created_at)
            for change in self.questions.waiting(environment)
            if change.id != proposal
        ]
        if asked is None:
            is_there = proposal is None and environment in loaded.configuration.environments
            return ApprovalView(standing="not required", waiting=waiting) if is_there else None
        question, now = asked.question, self.questions.now()
        with self.store.read() as conn:
            step = approval_steps.standing(conn, question, now)
            before = approvals.last_approved(conn, environment)
            steps = approvals.history(conn, environment)
        is_proved = step is not None and step.state is ApprovalState.PROVED
        names = {person.login: person.name for person in self.people()}
        return ApprovalView(
            standing=STANDINGS[None if step is None else step.state],
            proposal=proposal,
            proposed_by=None if asked.change is None else asked.change.author,
            waiting=waiting,
            facts=[*_rules(asked), *_rows(asked.facts, before)],
            fingerprint=question.fingerprint,
            fhir_base_url=asked.facts.fhir_base_url,
            approvers=[(login, names.get(login, login)) for login in asked.approvers],
            history=[_event(taken) for taken in steps],
            proof=_PROOFS[step.proof] if step is not None and is_proved and step.proof is not None else None,
            proof_ends_at=step.at + PROOF_LASTS if step is not None and is_proved else None,
            proved_by=step.actor.removeprefix("portal:") if step is not None and is_proved else None,
            code=self._code(asked, by),
            no_sign_in=_why_no_sign_in(asked),
            by_word=asked.facts.kind == "test",
        )

    def check_address(self, environment: str, proposal: str | None) -> AddressCheck | None:
        loaded, asked = self.questions.loaded(), self.questions.asked(environment, proposal)
        section = loaded.configuration.environments.get(environment) if asked is None else asked.environment
        if section is None or section.fhir_base_url is None:
            return None
        environments = loaded.configuration.environments.items()
        others = {
            name: other.fhir_base_url for name, other in environments if other.fhir_base_url and name != environment
        }
        if section.approval.check == "offline":
            checked = check_offline(section.fhir_base_url, kind=section.kind, others=others)
        else:
            fetcher = self.fetcher(loaded, section.kind)
            checked = check_fhir(fetcher, section.fhir_base_url, kind=section.kind, others=others)
        findings = [
            AddressFinding(is_error=finding.level == "error", sentence=finding.sentence, correction=finding.correction)
            for finding in checked.findings
        ]
        return AddressCheck(summary=checked.summary, findings=findings)

    def prove_by_word(
        self, by: Session, environment: str, proposal: str | None, fingerprint: str, browser: Browser
    ) -> str | None:
        asked = self._decidable(by, environment, proposal)
        if isinstance(asked, str):
            return asked
        if asked.facts.kind != "test":
            return "Access to a production environment must be proved. Nothing was done."
        if asked.question.fingerprint != fingerprint:
            return _CHANGED
        with self.store.write() as conn:
            author = author_of(by, browser)
            done = approval_steps.prove(conn, asked.question, Proof.WORD, author, at=self.questions.now())
        return None if done else _NO_MORE

    # Signing in to the EHR

    def leave(self, by: Session, environment: str, proposal: str | None) -> ToTheEhr | str:
        asked = self._decidable(by, environment, proposal)
        if isinstance(asked, str):
            return asked
        if why := _why_no_sign_in(asked):
            return why
        base_url, client = asked.facts.fhir_base_url or "", self._client(asked)
        try:
            started = begin_proof(self._fetcher(asked), base_url, client, now=self.questions.now())
        except OAuthFault as fault:
            return fault.sentence
        flow = {
            "environment": environment,
            "proposal": proposal,
            "fingerprint": asked.question.fingerprint,
            "pending": started.pending.to_json(),
        }
        if not self.elsewhere.keep_flow(by.key, json.dumps(flow)):
            return "Your session has ended. Sign in again."
        return ToTheEhr(url=started.url, shown=started.shown)

    def come_back(self, by: Session, parameters: Sequence[tuple[str, str]], browser: Browser) -> BackFromTheEhr:
        kept = self.elsewhere.take_flow(by.key)  # taken before anything else: an answer counts once
        flow = {} if kept is None else json.loads(kept)
        if "fingerprint" not in flow:
            sentence = (
                "This answer belongs to no proof that you began in this browser, or it was used already. "
                "Begin again on the page Approval."
            )
            return BackFromTheEhr(sentence=sentence)
        environment, proposal = flow["environment"], flow["proposal"]
        asked = self._decidable(by, environment, proposal)
        if not isinstance(asked, str) and asked.question.fingerprint != flow["fingerprint"]:
            asked = _CHANGED
        if isinstance(asked, str):
            return BackFromTheEhr(environment=environment, proposal=proposal, sentence=asked)
        ring, now = self.questions.vault.ring, self.questions.now()
        try:
            proved = complete_proof(
                self._fetcher(asked), asked.facts.fhir_base_url or "", self._client(asked),
                PendingSignIn.from_json(flow["pending"]), parameters,
                subject_hash=lambda text: ring.proof_key("subject", text).hex(), now=now,
            )  # fmt: skip
        except OAuthFault as fault:
            return BackFromTheEhr(environment=environment, proposal=proposal, sentence=fault.sentence)
        facts = {
            "base_url": proved.proof.base_url, "issuer": proved.proof.issuer, "subject_hash": proved.proof.subject_hash,
        }  # fmt: skip
        with self.store.write() as conn:
            author = author_of(by, browser)
            done = approval_steps.prove(conn, asked.question, Proof.SIGN_IN, author, at=now, facts=facts)
        return BackFromTheEhr(
            environment=environment,
            proposal=proposal,
            sentence="" if done else _NO_MORE,
            shown_name=proved.shown_name,
        )

    # The decision

    def approve(
        self, by: Session, environment: str, proposal: str | None, fingerprint: str, browser: Browser
    ) -> str | None:
        asked = self._decidable(by, environment, proposal)
        if isinstance(asked, str):
            return asked
        question, author = asked.question, author_of(by, browser)
        if question.fingerprint != fingerprint:
            return _CHANGED
        is_in_force = asked.change is None
        try:
            with self.store.write() as conn:
                approval_steps.approve(
                    conn, question, author, at=self.questions.now(), is_in_force=is_in_force,
                    same_person=self._made_it(asked, by),
                )  # fmt: skip
                if asked.approves_facts_too:
                    approval_steps.approve_too(conn, question, asked.facts_question, author, at=self.questions.now())
        except NotApproved as refused:
            can_be_written = asked.change is not None and refused.why == "decided" and self._is_approved(asked)
            if not can_be_written:
                return _WHY_NOT[refused.why]
        if asked.change is None:
            self.journal.emit(HoldReleased(environment=environment, source="approval", actor=author.who))
            return None
        outcome = self.write(by, asked.change.id, browser)
        return _why_not_written(outcome) if isinstance(outcome, NotSaved) else None

    def send_back(
        self, by: Session, environment: str, proposal: str | None, fingerprint: str, comment: str, browser: Browser
    ) -> str | None:
        asked = self._decidable(by, environment, proposal)
        if isinstance(asked, str):
            return asked
        if asked.question.fingerprint != fingerprint:
            return _CHANGED
        now = self.questions.now()
        with self.store.write() as conn:
            if asked.change is not None:  # before the audit log's head (`store.lock_order`)
                state, login = ProposalState.SENT_BACK, by.person.login
                if not proposals.decide(conn, asked.change.id, state, by=login, at=now, comment=comment):
                    return _NO_MORE
            done = approval_steps.send_back(conn, asked.question, author_of(by, browser), comment, at=now)
        return None if done or asked.change is not None else _WHY_NOT["decided"]

    # What several have in common

    def _decidable(self, by: Session, environment: str, proposal: str | None) -> AskedFacts | str:
        """What this person may decide; else a sentence."""
        asked = self.questions.asked(environment, proposal)
        if asked is None:
            return _NO_MORE
        if by.person.login not in asked.approvers:
            return "Only its approvers may do this. Nothing was done."
        return asked

    def _code(self, asked: AskedFacts, by: Session) -> str | None:
        if by.person.login not in asked.approvers:
            return None
        question = asked.question
        ring, now = self.questions.vault.ring, self.questions.now()
        return proof_code(ring, question.environment, question.fingerprint, by.person.login, now)

    def _client(self, asked: AskedFacts) -> ClientRegistration:
        client_id = asked.environment.approval.client_id
        assert client_id is not None, "without one nobody is sent to the EHR"
        return ClientRegistration(client_id=client_id, redirect_uri=f"{self.public_url}{CALLBACK}")

    def _fetcher(self, asked: AskedFacts) -> Fetcher:
        return self.fetcher(self.questions.loaded(), asked.environment.kind)

    def _is_approved(self, asked: AskedFacts) -> bool:
        with self.store.read() as conn:
            step = approval_steps.standing(conn, asked.question, self.questions.now())
        return step is not None and step.state is ApprovalState.APPROVED

    def _made_it(self, asked: AskedFacts, by: Session) -> bool:
        """Whether the approver is who made the change, or who wrote the version in force."""
        if asked.change is not None:
            return asked.change.author == by.person.login
        with self.store.read() as conn:
            versions = config_versions.named(conn, self.questions.loaded().version)
        return any(version.actor == f"portal:{by.person.login}" for version in versions)


def _why_no_sign_in(asked: AskedFacts) -> str:
    """Why nobody can prove access by signing in to the EHR; "": somebody can."""
    approval = asked.environment.approval
    if asked.facts.fhir_base_url is None:
        return "No FHIR base URL is given, so there is nowhere to sign in. Use a signed message."
    if approval.check == "offline":
        return "This installation reaches no EHR over the internet (`approval.check: offline`). Use a signed message."
    if approval.client_id is None:
        return "Carebell is not registered with this EHR (`approval.client_id` is not given). Use a signed message."
    return ""


def _why_not_written(outcome: NotSaved) -> str:
    """The approval stands; the file does not say so yet."""
    reasons = {
        "stale": "Somebody else changed carebell.yaml meanwhile. Whoever proposed this makes the same change of the file as it is "
        "now; it is saved at once, because it is approved.",
        "over": "The change was withdrawn, or its time is over.",
    }
    sentences = [problem.sentence for problem in outcome.problems]
    return f"It is approved, and nothing was written. {reasons.get(outcome.why) or ' '.join(sentences) or outcome.sentence}"


def _rules(asked: AskedFacts) -> Sequence[ApprovalFactRow]:
    return () if asked.present is None else rule_rows(asked.present, asked.wanted)


def _rows(facts: ApprovedFacts, before: ApprovalStep | None) -> list[ApprovalFactRow]:
    approved = None
    if before is not None:
        try:
            approved = ApprovedFacts.from_json(before.facts)
        except ValueError:
            approved = None  # facts of another version of Carebell cannot be compared
    return [ApprovalFactRow(label=row.label, value=row.value, before=row.before) for row in rows(facts, approved)]


def _event(step: ApprovalStep) -> ApprovalEvent:
    known = json.loads(step.proof_facts or "{}")
    proof = None if step.proof is None else _PROOFS[step.proof]
    if proof is not None and known.get("same_person"):
        proof = f"{proof}; same person who made the change"
    return ApprovalEvent(
        state=_STATES[step.state],
        by=step.actor.removeprefix("portal:"),
        at=step.at,
        comment=step.comment,
        proof=proof,
    )

"""The answers about an environment that is being added, kept as a draft; who may approve it; and what its FHIR server says."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from config.load import Loaded
from ehr.fhir_check import FhirCheck
from portal.edit_forms.new_environment import Answers
from portal.pages.environments.new_desk import AddressCheck, AddressFinding
from portal.people import Person, Session
from portal.roles import Permission, Role, may
from store import proposals
from store.engine import Store
from store.proposals import ProposalState, StoredProposal
from store.vault import Vault

LASTS: Final = timedelta(days=1)
_BASE: Final = "draft"
"""Stands for the digest of a file: a draft changes none."""

CheckFhir = Callable[[str, Literal["production", "test"], dict[str, str]], FhirCheck]
"""(base URL, kind, the other environments' names and base URLs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEnvironments:
    """Implements `portal.pages.environments.new_desk.NewEnvironmentDesk`.

    Attributes:
        loaded: the configuration in force.
        people: everybody who may use the portal, or might.
        check_fhir: asks a FHIR server; see `ehr.fhir_check`.
    """

    loaded: Callable[[], Loaded]
    store: Store
    vault: Vault
    people: Callable[[], Sequence[Person]]
    check_fhir: CheckFhir

    def begin(self, by: Session, at: datetime) -> str:
        draft = StoredProposal(
            id=secrets.token_hex(8),
            base=_BASE,
            text=_written({}),
            author=by.person.login,
            created_at=at,
            ends_at=at + LASTS,
            state=ProposalState.DRAFT,
        )
        with self.store.write() as conn:
            proposals.add(conn, self.vault, draft)
        return draft.id

    def answers(self, draft: str, by: Session, at: datetime) -> Answers | None:
        with self.store.read() as conn:
            stored = proposals.find(conn, self.vault, draft, at)
        if stored is None or not _is_of(stored, by) or stored.text is None:
            return None
        return {name: tuple(values) for name, values in json.loads(stored.text).items()}

    def keep(self, draft: str, by: Session, answers: Answers, at: datetime) -> bool:
        with self.store.write() as conn:
            stored = proposals.find(conn, self.vault, draft, at, lock=True)
            if stored is None or not _is_of(stored, by) or stored.text is None:
                return False
            return proposals.redraft(conn, self.vault, stored, _written(answers))

    def approvers(self) -> Sequence[tuple[str, str]]:
        return [
            (person.login, person.name)
            for person in self.people()
            if person.disabled_at is None and may(Role(person.role), Permission.APPROVE)
        ]

    def check_address(self, url: str, kind: str) -> AddressCheck:
        others = {
            name: environment.fhir_base_url
            for name, environment in self.loaded().configuration.environments.items()
            if environment.fhir_base_url is not None
        }
        check = self.check_fhir(url, "production" if kind == "production" else "test", others)
        findings = [
            AddressFinding(is_error=finding.level == "error", sentence=finding.sentence, correction=finding.correction)
            for finding in check.findings
        ]
        return AddressCheck(summary=check.summary, findings=findings)


def _is_of(draft: StoredProposal, by: Session) -> bool:
    return draft.state is ProposalState.DRAFT and draft.base == _BASE and draft.author == by.person.login


def _written(answers: Answers) -> str:
    return json.dumps({name: list(values) for name, values in answers.items()}, ensure_ascii=False)

"""Proposals of the portal: edits or a whole text of carebell.yaml, judged, foreseen and kept sealed for a day.

Implements `portal.proposals.Proposer` for every page with a form, and what `carebell.staff.configuration` needs beside it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from carebell.bootstrap.config_record import mark_of
from carebell.configuring.proposal import (
    Proposal,
    ProposalRefused,
    propose_edits,
    propose_text,
    read_file,
    require_sound,
)
from carebell.configuring.redacted import redacted_file
from carebell.staff.foreseeing import foresee, to_json
from config.digests import digest_of
from config.document import parse_document
from config.edit import REMOVED, Edit, EditRefused
from config.load import Loaded
from config.problems import ConfigurationError, Keys, Problem, key_path
from config.redaction import kept_out_numbers, kept_out_passwords, masked_keys
from config.unmasking import unmasked
from portal.page_request import NotAllowed
from portal.people import Person, Session
from portal.proposals import NotProposed, Proposed, SettingProblem
from portal.roles import Permission, Role, may
from store import proposals
from store.crypto import Undecipherable
from store.engine import Store
from store.vault import Vault

OPEN_FOR: Final = timedelta(hours=24)
_FEED: Final = ("certificates", "sender", "ehr")
"""Keys of own environments that an analyst may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedText:
    """What is kept sealed of a proposal: the file as it was and as it would be."""

    base: bytes = field(repr=False)
    content: bytes = field(repr=False)

    def to_text(self) -> str:
        return json.dumps({"base": self.base.decode(), "content": self.content.decode()})

    @classmethod
    def from_text(cls, text: str) -> ProposedText:
        """What `to_text` wrote."""
        kept = json.loads(text)
        return cls(base=kept["base"].encode(), content=kept["content"].encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """Attributes:
    loaded: the configuration in force; its path is the file that is edited.
    environ: variables that go over the file.
    now: UTC. random: bytes for ids.
    """

    store: Store
    vault: Vault
    loaded: Callable[[], Loaded]
    environ: Mapping[str, str]
    now: Callable[[], datetime]
    random: Callable[[int], bytes] = secrets.token_bytes

    @property
    def path(self) -> Path:
        return self.loaded().path

    def mark(self, content: bytes) -> str:
        """Names a file's content (`Proposer.base`)."""
        return mark_of(self.vault.ring, digest_of(content))

    def base(self) -> str:
        try:
            return self.mark(read_file(self.path))
        except OSError:
            return ""

    def propose(
        self, by: Session, edits: Sequence[Edit], *, base: str | None = None, comment: str = ""
    ) -> Proposed | NotProposed:
        for edit in edits:
            _require_may(by.person, edit.keys)
        try:
            present = read_file(self.path)
        except OSError as error:
            return NotProposed(problems=(self.unreadable(error),))
        if base is not None and base != self.mark(present):
            return self.stale()
        try:
            proposal = propose_edits(self.path, present, edits, self.environ)
        except EditRefused as refused:
            return NotProposed(problems=(self.shown(refused.problem),))
        except ProposalRefused as refused:
            return self._refused(refused)
        set_elsewhere = [
            self.shown(Problem.at(place, edit.keys, f"is set by the {place.file}, which goes over the file"))
            for edit in edits
            if (place := proposal.trial.where(edit.keys)).line == 0
        ]
        if set_elsewhere:
            return NotProposed(problems=tuple(set_elsewhere))
        return self.keep(by, proposal, comment=comment, edits=_edits_to_json(edits))

    def keep_text(
        self, by: Session, present: bytes, text: str, *, shown: str, comment: str = ""
    ) -> Proposed | NotProposed:
        """Propose a whole text that was edited as `shown`, without secrets."""
        configuration = self._configuration_of(present)
        numbers = kept_out_numbers(configuration.configuration) if configuration else ()
        passwords = kept_out_passwords(configuration.configuration) if configuration else ()
        try:
            whole = unmasked(text, present.decode("utf-8"), shown.replace("\r\n", "\n"), numbers, passwords)
        except UnicodeDecodeError:
            why = "the file is not UTF-8, so it cannot be edited here"
            return NotProposed(problems=(self.shown(Problem(str(self.path), 1, 1, "", why)),))
        return self.keep_content(by, present, whole.encode(), comment=comment)

    def keep_content(self, by: Session, present: bytes, content: bytes, *, comment: str = "") -> Proposed | NotProposed:
        """Propose a whole content."""
        if not may(Role(by.person.role), Permission.CHANGE_CONFIGURATION):
            raise NotAllowed(Permission.CHANGE_CONFIGURATION)
        if masked := self._masked(content):
            return NotProposed(problems=masked)
        try:
            proposal = propose_text(self.path, present, content, self.environ)
        except ProposalRefused as refused:
            return self._refused(refused)
        return self.keep(by, proposal, comment=comment)

    def _masked(self, content: bytes) -> tuple[SettingProblem, ...]:
        """What somebody wrote as it is shown, and nobody knows which number or password it stands for."""
        try:
            document = parse_document(content, str(self.path))
        except ConfigurationError:
            return ()  # what is wrong with it is said elsewhere
        why = "has `***` for what is not shown; write it in full"
        return tuple(self.shown(Problem.at(document.where(keys), keys, why)) for keys in masked_keys(document.values))

    def keep(
        self, by: Session, proposal: Proposal, *, comment: str, edits: str | None = None
    ) -> Proposed | NotProposed:
        """Keep a judged proposal, with what it would do."""
        if proposal.changes_nothing:
            problem = Problem(str(self.path), 0, 0, "", "nothing would change: the file says so already")
            return NotProposed(problems=(self.shown(problem),), is_unchanged=True)
        now = self.now()
        try:
            warnings = require_sound(proposal.trial, now)
        except ProposalRefused as refused:
            return self._refused(refused)
        effect = None
        with suppress(Undecipherable):  # the preview says so
            effect = to_json(foresee(self.store, self.vault, proposal.trial, self.loaded(), warnings, now))
        kept = proposals.StoredProposal(
            id=self.random(16).hex(),
            base=self.mark(proposal.base),
            text=ProposedText(base=proposal.base, content=proposal.content).to_text(),
            edits=edits,
            environments=tuple(environments_touched(proposal)),
            effect=effect,
            author=by.person.login,
            created_at=now,
            ends_at=now + OPEN_FOR,
            comment=comment or None,
        )
        with self.store.write() as conn:
            proposals.add(conn, self.vault, kept)
        return Proposed(id=kept.id)

    # What pages are told

    def stale(self) -> NotProposed:
        """The answer to a form that was made from another file."""
        why = "somebody else changed the file since this page was made. Look at it again; what you typed is kept"
        return NotProposed(problems=(self.shown(Problem(str(self.path), 0, 0, "", why)),), is_stale=True)

    def shown(self, problem: Problem) -> SettingProblem:
        """A problem as pages get it, without the folder's name."""
        file = Path(problem.file).name if "/" in problem.file else problem.file
        place = f"{file}:{problem.line}:{problem.column}" if problem.line else file
        line = problem.line if problem.line and problem.file == str(self.path) else None
        return SettingProblem(key=problem.key, place=place, line=line, why=problem.why)

    def _refused(self, refused: ProposalRefused) -> NotProposed:
        return NotProposed(problems=tuple(map(self.shown, refused.problems)))

    def unreadable(self, error: OSError) -> SettingProblem:
        """The file cannot be read."""
        why = f"carebell.yaml cannot be read: {(error.strerror or 'input error').lower()}"
        return self.shown(Problem(str(self.path), 0, 0, "", why))

    def _configuration_of(self, content: bytes) -> Loaded | None:
        return redacted_file(self.path, content, self.environ).loaded


def _edits_to_json(edits: Iterable[Edit]) -> str:
    return json.dumps(
        [
            {"keys": edit.keys, "removed": True} if edit.value is REMOVED else {"keys": edit.keys, "value": edit.value}
            for edit in edits
        ]
    )


def edits_from_json(text: str) -> list[Edit]:
    """The edits of a proposal."""
    return [Edit(tuple(edit["keys"]), REMOVED if "removed" in edit else edit["value"]) for edit in json.loads(text)]


def environments_touched(proposal: Proposal) -> list[str]:
    """The environments whose settings differ; every one where a key of all of them differs."""
    before, after = (_values(content, proposal.path) for content in (proposal.base, proposal.content))
    old, new = before.pop("environments", None) or {}, after.pop("environments", None) or {}
    if before != after:
        return sorted({*old, *new})
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def touches_production(names: Iterable[str], *loaded: Loaded | None) -> bool:
    """Whether one of these environments is a production one, in one of the configurations."""
    known = [configuration.configuration.environments for configuration in loaded if configuration is not None]
    return any(name in some and some[name].kind == "production" for name in names for some in known)


def _values(content: bytes, path: Path) -> dict[str, Any]:
    try:
        return dict(parse_document(content, str(path)).values)
    except ConfigurationError:
        return {}


def _require_may(person: Person, keys: Keys) -> None:
    """Raises NotAllowed unless this person may change this key."""
    role = Role(person.role)
    if may(role, Permission.CHANGE_CONFIGURATION):
        return
    is_own = len(keys) > 2 and keys[0] == "environments" and keys[1] in person.own_environments and keys[2] in _FEED
    if not (is_own and may(role, Permission.CHANGE_FEED)):
        raise NotAllowed(Permission.CHANGE_CONFIGURATION, f"You may not change {key_path(keys)}.")

"""What the portal's pages about carebell.yaml ask for: the file, proposals with their effect, saving, and the history.

Implements `portal.configuration.ConfigurationDesk`.
"""

from __future__ import annotations

import difflib
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final, cast

from carebell import authors
from carebell.bootstrap import preflight
from carebell.configuring import saving
from carebell.configuring.proposal import Proposal, ProposalRefused, propose_text, read_file, require_sound
from carebell.configuring.redacted import redacted_file
from carebell.staff import foreseeing
from carebell.staff.configuration_history import ConfigurationHistory
from carebell.staff.proposals import ProposedText, edits_from_json, touches_production
from carebell.staff.waiting_changes import awaited, let_wait
from config.gateways import SECRETS
from config.line_diff import DiffLine, merged, shown, three_way, two_way
from config.load import Loaded
from config.problems import key_path
from config.save import SaveConflict, SaveRefused, why_not_writable
from portal.configuration import (
    AwaitingApproval,
    ConfigurationFile,
    InForce,
    NotSaved,
    Preview,
    ProposalStateName,
    Saved,
    SecretFile,
    TextChange,
    TextConflict,
)
from portal.people import Browser, Session
from portal.proposals import NotProposed, Proposed, SettingProblem
from store import audit, leases, proposals
from store.audit import AuditAction
from store.proposals import ProposalState

READ_ONLY: Final = "`portal.edits` is read_only"
_TAKEN_WITHIN: Final = timedelta(seconds=15)
"""After this long a saved version that is not in force is looked at for what speaks against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffConfiguration(ConfigurationHistory):
    """Attributes:
    node: this node's name, to know since when it uses its configuration.
    """

    node: str
    _saving: Lock = field(default_factory=Lock, repr=False, compare=False)

    # The file as it is

    def file(self) -> ConfigurationFile:
        path, now = self.path, self.now()
        try:
            content = read_file(path)
        except OSError as error:
            content = b""
            problems = [self.unreadable(error)]
            loaded = None
        else:
            problems = []
        seen = redacted_file(path, content, self.environ)
        loaded = None if problems else seen.loaded
        warnings: list[SettingProblem] = []
        if loaded is not None:
            findings = preflight.findings(loaded, now)
            problems = [self.shown(finding.problem) for finding in findings if not finding.is_warning]
            warnings = [self.shown(finding.problem) for finding in findings if finding.is_warning]
        elif not problems:
            problems = [self.shown(problem) for problem in seen.problems]
        return ConfigurationFile(
            name=path.name,
            text=seen.text,
            problems=problems,
            warnings=warnings,
            secrets=_secrets(self.loaded()),
            in_force=InForce(
                version=self.loaded().version,
                since=self._since(now),
                on_disk=None if problems or loaded is None else loaded.version,
            ),
            base=self.mark(content),
            read_only=self._why_read_only(),
        )

    def propose_text(self, by: Session, text: str, *, shown: str, base: str) -> Proposed | NotProposed | TextConflict:
        try:
            present = read_file(self.path)
        except OSError as error:
            return NotProposed(problems=(self.unreadable(error),))
        if base == self.mark(present):
            return self.keep_text(by, present, text, shown=shown)
        now_shown = redacted_file(self.path, present, self.environ).text
        return TextConflict(lines=list(_difference(shown, text, now_shown)))

    # A proposal

    def preview(self, proposal: str) -> Preview | None:
        now = self.now()
        kept = self._kept(proposal, now)
        if kept is None or kept.state is ProposalState.DRAFT:
            return None
        state = kept.state if kept.state not in proposals.UNDECIDED or now < kept.ends_at else ProposalState.EXPIRED
        preview = Preview(
            id=kept.id,
            state=cast(ProposalStateName, state.value),
            author=kept.author,
            created_at=kept.created_at,
            ends_at=kept.ends_at,
            comment=kept.comment or "",
            environments=kept.environments,
            effect=None if kept.effect is None else foreseeing.from_json(kept.effect),
            why_no_effect=_NO_EFFECT,
            read_only=self._why_read_only(),
            decided_by=kept.decided_by,
            decided_at=kept.decided_at,
            version=kept.version,
        )
        if state is ProposalState.SAVED and kept.version is not None:
            return self._with_state_of(preview, kept.version, now)
        return preview if kept.text is None else self._with_texts(preview, ProposedText.from_text(kept.text), kept.base)

    def text_changes(self, proposal: str, limit: int) -> Sequence[TextChange]:
        now = self.now()
        kept = self._kept(proposal, now)
        if kept is None or kept.text is None:
            return ()
        text = ProposedText.from_text(kept.text)
        try:
            trial = propose_text(self.path, text.base, text.content, self.environ).trial
        except ProposalRefused:
            return ()
        return foreseeing.text_changes(self.store, self.vault, trial, self.loaded(), now, limit)

    def save(self, by: Session, proposal: str, comment: str, browser: Browser) -> Saved | AwaitingApproval | NotSaved:
        with self._saving:  # the second press of a button waits for the first, and finds it done
            return self._save(by, proposal, comment, browser)

    def write_approved(self, by: Session, proposal: str, browser: Browser) -> Saved | AwaitingApproval | NotSaved:
        """Write a change that waited, if every approver whom it needs has agreed."""
        with self._saving:
            kept = self._kept(proposal, self.now())
            comment = "" if kept is None else f"proposed by {kept.author}: {kept.comment or 'no reason given'}"
            return self._save(by, proposal, comment, browser, state=ProposalState.AWAITING)

    def _save(
        self, by: Session, proposal: str, comment: str, browser: Browser, state: ProposalState = ProposalState.OPEN
    ) -> Saved | AwaitingApproval | NotSaved:
        now = self.now()
        kept = self._kept(proposal, now)
        if kept is not None and kept.state is ProposalState.SAVED and kept.version is not None:
            return Saved(version=kept.version)
        if kept is not None and kept.text is not None and kept.state is ProposalState.AWAITING is not state:
            return AwaitingApproval(environments=kept.environments)
        if kept is None or kept.text is None or kept.state is not state:
            return NotSaved(why="over")
        if self.loaded().configuration.portal.edits == "read_only":
            return NotSaved(why="unwritable", sentence=READ_ONLY)
        text = ProposedText.from_text(kept.text)
        try:
            wanted = propose_text(self.path, text.base, text.content, self.environ)
            require_sound(wanted.trial, now)
        except ProposalRefused as refused:
            return NotSaved(why="problems", problems=[self.shown(problem) for problem in refused.problems])
        if touches_production(kept.environments, wanted.present, wanted.trial) and not comment:
            return NotSaved(why="problems", sentence="Type why: this changes production.")
        author = authors.portal(by.person.login, browser.address)
        questions = awaited(self.store, self.loaded(), wanted.trial, kept.id)
        if questions:
            if state is ProposalState.OPEN and not let_wait(
                self.store, self.vault, kept, questions, author, comment or None, at=now
            ):
                return NotSaved(why="over")
            return AwaitingApproval(environments=[question.environment for question in questions])
        try:
            self._write(wanted)
        except SaveConflict:
            return NotSaved(why="stale")
        except SaveRefused as refused:
            return NotSaved(why="unwritable", sentence=str(refused).removesuffix("."))
        saving.record(self.store, self.vault, wanted, author, at=now, source="portal", comment=comment or None)
        with self.store.write() as conn:
            decide = partial(proposals.decide, conn, kept.id, ProposalState.SAVED)
            decide(by=by.person.login, at=now, comment=comment or None, version=wanted.trial.version)
        return Saved(version=wanted.trial.version)

    def _write(self, wanted: Proposal) -> None:
        """Raises as `saving.write`. A file that says so already was written by this very proposal, before a crash."""
        try:
            saving.write(wanted)
        except SaveConflict as conflict:
            if conflict.present != wanted.content:
                raise

    def withdraw(self, by: Session, proposal: str) -> None:
        with self.store.write() as conn:
            proposals.decide(conn, proposal, ProposalState.WITHDRAWN, by=by.person.login, at=self.now())

    def propose_again(self, by: Session, proposal: str) -> Proposed | NotProposed | None:
        kept = self._kept(proposal, self.now())
        if kept is None or kept.text is None:
            return None
        if kept.edits is not None:
            return self.propose(by, edits_from_json(kept.edits), comment=kept.comment or "")
        text = ProposedText.from_text(kept.text)
        try:
            present = read_file(self.path)
        except OSError as error:
            return NotProposed(problems=(self.unreadable(error),))
        both = merged(text.base.decode(), text.content.decode(), present.decode("utf-8", errors="replace"))
        return None if both is None else self.keep_content(by, present, both.encode(), comment=kept.comment or "")

    def patch(self, by: Session, proposal: str, browser: Browser) -> bytes | None:
        now = self.now()
        kept = self._kept(proposal, now)
        if kept is None or kept.text is None:
            return None
        text = ProposedText.from_text(kept.text)
        with self.store.write() as conn:
            author = authors.portal(by.person.login, browser.address)
            audit.append(conn, author, AuditAction.CONFIG_PATCH, subject=kept.id, at=now)
        before, after = (content.decode().splitlines(keepends=True) for content in (text.base, text.content))
        return "".join(_patch_lines(before, after, self.path.name)).encode()

    # What several have in common

    def _kept(self, proposal: str, now: datetime) -> proposals.StoredProposal | None:
        with self.store.read() as conn:
            return proposals.find(conn, self.vault, proposal, now)

    def _since(self, now: datetime) -> datetime:
        with self.store.read() as conn:
            nodes = leases.seen(conn, since=now - timedelta(days=1))
        return next((node.configured_at for node in nodes if node.name == self.node and node.configured_at), now)

    def _why_read_only(self) -> str | None:
        if self.loaded().configuration.portal.edits == "read_only":
            return READ_ONLY
        return why_not_writable(self.path)

    def _with_state_of(self, preview: Preview, version: str, now: datetime) -> Preview:
        """Whether the saved version is in force here; after some seconds, what speaks against it."""
        if self.loaded().version == version:
            return replace(preview, in_force_since=self._since(now))
        if preview.decided_at is None or now < preview.decided_at + _TAKEN_WITHIN:
            return preview
        return replace(preview, refusal=self._refusal(version, now))

    def _refusal(self, version: str, now: datetime) -> str | None:
        try:
            content = read_file(self.path)
        except OSError:
            return "carebell.yaml cannot be read"
        on_disk = redacted_file(self.path, content, self.environ)
        if on_disk.loaded is None:
            return self.shown(on_disk.problems[0]).sentence
        if on_disk.loaded.version != version:
            return "the file was changed again since"
        errors = [finding.problem for finding in preflight.findings(on_disk.loaded, now) if not finding.is_warning]
        return self.shown(errors[0]).sentence if errors else "the log says why (`configuration_refused`)"

    def _with_texts(self, preview: Preview, text: ProposedText, base: str) -> Preview:
        before, after = (redacted_file(self.path, content, self.environ) for content in (text.base, text.content))
        preview = replace(
            preview,
            diff=list(shown(two_way(before.text, after.text))),
            needs_comment=touches_production(preview.environments, before.loaded, after.loaded),
        )
        try:
            present = read_file(self.path)
        except OSError:
            return preview
        if self.mark(present) == base:
            return preview
        now_shown = redacted_file(self.path, present, self.environ).text
        whole = merged(text.base.decode(), text.content.decode(), present.decode("utf-8", errors="replace"))
        conflict = list(_difference(before.text, after.text, now_shown))
        return replace(preview, conflict=conflict, can_merge=whole is not None)


_NO_EFFECT: Final = (
    "What it does to the texts that wait cannot be foreseen: a stored number cannot be read with this key file. "
    "See `carebell keys drop-unreadable`."
)


def _difference(base: str, yours: str, theirs: str) -> Iterator[DiffLine]:
    return shown(three_way(base, yours, theirs))


def _patch_lines(before: Sequence[str], after: Sequence[str], name: str) -> Iterator[str]:
    """A unified diff; a last line without its end is said, as `diff` says it."""
    for line in difflib.unified_diff(before, after, name, name):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _secrets(loaded: Loaded) -> list[SecretFile]:
    """Each file of the gateway's secrets, and its mode."""
    gateway = loaded.configuration.gateway
    files = [(key_path((*secret.keys,)), secret.file(gateway)) for secret in SECRETS]
    return [SecretFile(key=key, state=_state_of(path)) for key, path in files if path is not None]


def _state_of(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return f"{path.name} cannot be read: {(error.strerror or 'input error').lower()}"
    return f"in {path.name}, mode {mode:04o}"

"""What the pages about carebell.yaml ask for, and what they show. No secret and no telephone number stands in any of it.

`carebell.staff.configuration` implements it. Every method blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, Protocol

from config.line_diff import DiffLine
from portal.people import Browser, Session
from portal.proposals import NotProposed, Proposed, Proposer, SettingProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """A secret that stands in a file of its own.

    Attributes:
        key: that names it. state: `in gateway.token, mode 0400`, or what is wrong.
    """

    key: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The configuration that the service uses.

    Attributes:
        since: when it took effect on this node.
        on_disk: the version that the file makes now; None: it is broken, or carebell.yaml cannot be read.
    """

    version: str
    since: datetime
    on_disk: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFile:
    """carebell.yaml as it is now.

    Attributes:
        text: with `***` for what is not shown.
        problems: everything that is wrong, or that a warning is about; `line` says which of them stand beside a line.
        base: names what the file holds (`Proposer.base`).
        read_only: why it cannot be changed here; None: it can.
    """

    name: str
    text: str = field(repr=False)
    problems: Sequence[SettingProblem] = ()
    warnings: Sequence[SettingProblem] = ()
    secrets: Sequence[SecretFile] = ()
    in_force: InForce
    base: str
    read_only: str | None = None

    @property
    def lines(self) -> list[str]:
        """Without line ends, from line 1."""
        return [line.removesuffix("\r") for line in self.text.removesuffix("\n").split("\n")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """Texts of a day that appear, vanish and move."""

    environment: str
    kind: str
    day: date
    planned: int
    withdrawn: int
    moved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChange:
    """One text that changes. `before`, `after`: at its clinic's clock, in words; "-": it does not wait then."""

    environment: str
    appointment: str
    text: str
    change: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a change does.

    Attributes:
        at: when it was foreseen.
        losses: visits that get no reminder any more, and why.
        sentences: what changes for the texts that wait.
        is_estimate: the counts are of a part of the appointments, made up to the whole.
        days: by environment, kind and day. first: the first changes in time.
        restart: keys that need a restart. approval: keys that an approver vouches for, where one is needed.
        warnings: about certificates, texts and consent.
        certificates: sentences about those that come into use, or are used no more.
    """

    at: datetime
    losses: Sequence[str] = ()
    sentences: Sequence[str] = ()
    is_estimate: bool = False
    days: Sequence[DayCount] = ()
    first: Sequence[TextChange] = ()
    restart: Sequence[str] = ()
    approval: Sequence[str] = ()
    warnings: Sequence[str] = ()
    certificates: Sequence[str] = ()


ProposalStateName = Literal["open", "awaiting", "saved", "withdrawn", "sent_back", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A proposal, and what it does.

    Attributes:
        diff: of the file; none where the proposal is decided or over, because its text is gone then.
        effect: None where nobody could foresee it: `why_no_effect` says why.
        conflict: base, the proposal and the file as it is now, where the file was changed since; empty: it was not.
        can_merge: nothing in `conflict` was changed on both sides.
        needs_comment: it touches production.
        read_only: why it cannot be written here; None: it can.
        version: what it became, when it was saved. in_force_since: when that took effect here; None: not yet.
        refusal: why the saved version is not in force; None: nothing speaks against it.
    """

    id: str
    state: ProposalStateName
    author: str
    created_at: datetime
    ends_at: datetime
    comment: str = ""
    environments: Sequence[str] = ()
    diff: Sequence[DiffLine] = ()
    effect: Effect | None = None
    why_no_effect: str = ""
    conflict: Sequence[DiffLine] = ()
    can_merge: bool = False
    needs_comment: bool = False
    read_only: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    version: str | None = None
    in_force_since: datetime | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The file was written; it was already, if the same button was pressed twice."""

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitingApproval:
    """Nothing was written yet: the approvers of these environments decide."""

    environments: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSaved:
    """Nothing was written.

    Attributes:
        why: `stale`: the file was changed since. `over`: decided already, or its time is over. `problems`: it could not be used
            any more. `unwritable`: the file cannot be written; `sentence` says why.
    """

    why: Literal["stale", "over", "problems", "unwritable"]
    sentence: str = ""
    problems: Sequence[SettingProblem] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConflict:
    """The file was changed while somebody edited its text. `lines`: base, yours, theirs."""

    lines: Sequence[DiffLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One version.

    Attributes:
        name: for addresses: its version and its place in the history, since the same version may stand there twice.
        source: `portal`, `file`, `command`.
        changes: what changed, a line each.
        before: the name of the one before it; None: it is the first.
    """

    name: str
    version: str
    at: datetime
    who: str
    source: str
    comment: str
    environments: Sequence[str]
    changes: Sequence[str]
    before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionText:
    """What a version said. `is_exact`: it can come back exactly; else numbers are taken from the present file."""

    row: HistoryRow
    lines: Sequence[str] = field(repr=False)
    is_exact: bool
    is_present: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How one version's text became another's."""

    before: HistoryRow
    after: HistoryRow
    lines: Sequence[DiffLine]


class ConfigurationDesk(Proposer, Protocol):
    """What these pages ask for."""

    def file(self) -> ConfigurationFile: ...

    def propose_text(self, by: Session, text: str, *, shown: str, base: str) -> Proposed | NotProposed | TextConflict:
        """Propose a whole text, which somebody edited while numbers and passwords in it were shown as `***`.

        Args:
            text: as it came back. shown: as it was before it was edited. base: what the file held then.
        """
        ...

    def preview(self, proposal: str) -> Preview | None: ...

    def text_changes(self, proposal: str, limit: int) -> Sequence[TextChange]:
        """The first texts that would change; planned now."""
        ...

    def save(
        self, by: Session, proposal: str, comment: str, browser: Browser
    ) -> Saved | AwaitingApproval | NotSaved: ...

    def withdraw(self, by: Session, proposal: str) -> None: ...

    def propose_again(self, by: Session, proposal: str) -> Proposed | NotProposed | None:
        """The same change of the file as it is now. None: both sides changed the same lines, or the proposal is over."""
        ...

    def patch(self, by: Session, proposal: str, browser: Browser) -> bytes | None:
        """The change as a unified diff for `patch`, with everything that stands in the file. That is an entry of the audit log."""
        ...

    def history(self) -> Sequence[HistoryRow]:
        """The newest first."""
        ...

    def version(self, name: str) -> VersionText | None:
        """None: there is none, or several begin so.

        Args:
            name: `HistoryRow.name`, or a version or its beginning: then the newest entry of it.
        """
        ...

    def compare(self, before: str, after: str) -> Comparison | None: ...

    def restore(self, by: Session, name: str) -> Proposed | NotProposed | None:
        """Propose the text of an earlier version."""
        ...

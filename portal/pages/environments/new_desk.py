"""What the pages of a new environment ask for, besides the configuration, its certificates and its texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from portal.edit_forms.new_environment import Answers
from portal.people import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFinding:
    """Something to look at in a FHIR base URL. `correction`: what was probably meant; None: nothing is proposed."""

    is_error: bool
    sentence: str
    correction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressCheck:
    """What a FHIR base URL's server says about itself, in one line, and what to look at."""

    summary: str
    findings: Sequence[AddressFinding] = ()


class NewEnvironmentDesk(Protocol):
    """What these pages ask for."""

    def begin(self, by: Session, at: datetime) -> str:
        """A new draft's id. It belongs to this person and is gone a day later."""
        ...

    def answers(self, draft: str, by: Session, at: datetime) -> Answers | None:
        """None: it is gone, or somebody else's."""
        ...

    def keep(self, draft: str, by: Session, answers: Answers, at: datetime) -> bool:
        """False: it is gone, or somebody else's."""
        ...

    def approvers(self) -> Sequence[tuple[str, str]]:
        """(user name, name) of the analysts who may sign in."""
        ...

    def check_address(self, url: str, kind: str) -> AddressCheck:
        """Ask the server. It blocks for some seconds at the most and raises nothing for what it finds."""
        ...

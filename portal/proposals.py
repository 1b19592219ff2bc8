"""Propose a change of carebell.yaml: what every page that changes settings hands in, and what it gets back.

A page never writes the file. It proposes edits by key; the person then sees at `/configuration/preview/{id}` what the change
would do, and saves it there. Whatever is wrong comes back with the key that it is about, so that it can stand beside its field.
`carebell.staff.proposals` implements it. Every method blocks: call them in a thread, as handlers are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from config.edit import Edit
from portal.forms import FieldError
from portal.page_request import Redirect
from portal.people import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingProblem:
    """One thing that prevents a change.

    Attributes:
        key: `environments.test.sms.reminders[0].before`; "" for the file as a whole.
        place: `carebell.yaml:12:5`, or another file that the configuration names.
        line: in carebell.yaml as it would be, from 1; None: elsewhere.
        why: a phrase that follows the key, such as `must be one of ...`; no secret and no telephone number stands in it.
    """

    key: str
    place: str
    line: int | None
    why: str

    @property
    def sentence(self) -> str:
        """For the top of a page, where the field is not in sight."""
        return f"{self.key} {self.why}" if self.key else _capital(self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The change can be looked at and saved, for 24 hours. Nothing is written yet."""

    id: str

    @property
    def preview(self) -> Redirect:
        """The handler's answer: to the page that shows what the change does."""
        return Redirect(path=f"/configuration/preview/{self.id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotProposed:
    """The change is not possible so; nothing was kept.

    Attributes:
        problems: in the order of the file.
        is_stale: the file was changed since the form's page was made. Then there is one problem, without a key, that says so.
        is_unchanged: the file says so already. Then there is one problem, without a key, that says so.
    """

    problems: tuple[SettingProblem, ...]
    is_stale: bool = False
    is_unchanged: bool = False

    def errors(self, fields: Mapping[str, str]) -> tuple[FieldError, ...]:
        """For `Form.with_errors`. A problem of a key below one that is named belongs to its field; others to the form.

        Args:
            fields: key -> the form's field, such as `{"environments.test.sms.reminders": "reminders"}`.
        """
        return tuple(self._error(problem, fields) for problem in self.problems)

    @staticmethod
    def _error(problem: SettingProblem, fields: Mapping[str, str]) -> FieldError:
        above = [key for key in fields if problem.key == key or problem.key.startswith((f"{key}.", f"{key}["))]
        if not above:
            return FieldError(field="", sentence=problem.sentence)
        key = max(above, key=len)
        below = problem.key.removeprefix(key).removeprefix(".")
        return FieldError(field=fields[key], sentence=f"{below} {problem.why}" if below else _capital(problem.why))


class Proposer(Protocol):
    """What pages with forms ask for."""

    def base(self) -> str:
        """Names what carebell.yaml holds now. A form carries it in a hidden field, so that a change in between is noticed.

        It is keyed: nothing of the file can be guessed from it.
        """
        ...

    def propose(
        self, by: Session, edits: Sequence[Edit], *, base: str | None = None, comment: str = ""
    ) -> Proposed | NotProposed:
        """Propose edits by key, which keep every other byte of the file.

        Args:
            base: from the form; None: the edits fit whatever the file holds now.
            comment: why; the preview asks for it too, and production needs one when it is saved.

        Raises:
            NotAllowed: this person may not change one of these keys.
        """
        ...


def _capital(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]

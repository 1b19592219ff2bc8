"""The certificates of an environment's sender: which there are, when each was last used, a new one, and the end of an old one.

A browser sends a file: its content decides, as `carebell cert show` does, and its name is never looked at. Only the public
certificate is kept, in a file with a name of ours, and the change of the configuration is proposed like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from certs.reasons import REASONS
from config.edit import REMOVED, Edit
from config.problems import Keys
from portal.edit_forms.fields import ConfigurationField, field_errors, key_fields
from portal.environments import EnvironmentsDesk
from portal.forms import FieldError, Form
from portal.page_request import Answer, PageRequest, Shown
from portal.pages.environments.summary import tabs, wanted
from portal.proposals import Proposed, Proposer
from portal.roles import Permission
from portal.route_table import Page

MOST: Final = 2
"""Two certificates while one replaces the other."""
LARGEST_BODY: Final = 262_144
"""Bytes: a file that is too large for a certificate still gets its sentence, where it is not absurd."""
SILENT_FOR: Final = timedelta(hours=1)
"""A certificate that signed a message since then is still in use by its sender."""
FILE: Final = "certificate"
_FIELDS: Final = (ConfigurationField(name=FILE, label="Certificate", keys=("certificates",)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInUse:
    """One certificate of an environment.

    Attributes:
        file: its name, without the folder.
        thumbprint: x5t#S256, 43 characters. subject: RFC 4514. Both and the dates are None where the file holds no certificate.
        days_left: until it expires; negative afterwards.
        last_used: when it last signed a message that was taken, on whatever node, to five seconds; None: never, as far as this
            database knows.
        problem: why the file cannot be used as it is; a sentence.
    """

    file: str
    thumbprint: str | None
    subject: str | None
    not_before: datetime | None
    not_after: datetime | None
    days_left: int | None
    last_used: datetime | None
    problem: str | None = None

    def is_silent(self, at: datetime) -> bool:
        """Whether it signed nothing in the last hour."""
        return self.last_used is None or self.last_used <= at - SILENT_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateVerdict:
    """What an upload is.

    Attributes:
        refusal: why it is refused, in the sentences of `carebell cert show`; None: it is accepted.
        notices: sentences worth reading about an accepted one.
        content: the certificate alone, as Base64 text; only when accepted.
    """

    refusal: str | None = None
    notices: tuple[str, ...] = ()
    subject: str = ""
    thumbprint: str = ""
    not_after: datetime | None = None
    content: str = field(default="", repr=False)


class NotKept(Exception):
    """A certificate's file could not be written. The message is a sentence for the person who uploaded it."""


class CertificatesDesk(Protocol):
    """What this page asks for."""

    def certificates(self, environment: str, at: datetime) -> tuple[CertificateInUse, ...]:
        """In the order of the configuration."""
        ...

    def judge(self, content: bytes, at: datetime) -> CertificateVerdict: ...

    def keep(self, environment: str, content: str) -> str:
        """Write an accepted certificate into a file of its own; its path as carebell.yaml has it. The same one twice is one file.

        Raises:
            NotKept: the folder cannot be written.
        """
        ...


def pages(desk: EnvironmentsDesk, proposer: Proposer, certificates: CertificatesDesk) -> tuple[Page, ...]:
    path = "/environments/{environment}/certificates"
    see, change = Permission.SEE_CONFIGURATION, Permission.CHANGE_FEED
    handlers = _CertificateHandlers(desk, proposer, certificates)
    return (
        Page(name="Certificates", path=path, handler=handlers.show, permission=see),
        Page(
            name="Upload a certificate",
            path=path,
            method="POST",
            handler=handlers.upload,
            permission=change,
            largest_body=LARGEST_BODY,
            too_large=REASONS["TOO_LARGE"],
        ),
        Page(
            name="Retire a certificate",
            path=f"{path}/retire",
            method="POST",
            handler=handlers.retire,
            permission=change,
        ),
    )


@dataclass(frozen=True, slots=True)
class _CertificateHandlers:
    desk: EnvironmentsDesk
    proposer: Proposer
    certificates: CertificatesDesk

    def show(self, request: PageRequest) -> Answer:
        return self._page(request, Form())

    def upload(self, request: PageRequest) -> Answer:
        name, _, _ = wanted(self.desk, request)
        present = self.certificates.certificates(name, request.now)
        verdict = judged(self.certificates, request)
        sentence = verdict.refusal or _why_not_added(verdict, present)
        if sentence is not None:
            return self._refused(request, FieldError(field=FILE, sentence=sentence))
        try:
            path = self.certificates.keep(name, verdict.content)
        except NotKept as error:
            return self._refused(request, FieldError(field=FILE, sentence=str(error)))
        return self._propose(request, name, ("certificates", len(present)), path)

    def retire(self, request: PageRequest) -> Answer:
        name, _, _ = wanted(self.desk, request)
        present = self.certificates.certificates(name, request.now)
        file = request.form.text("file")
        position = next((place for place, certificate in enumerate(present) if certificate.file == file), None)
        if position is None:
            return self._refused(request, FieldError(field="", sentence="This certificate is not in use any more."))
        if len(present) == 1:
            sentence = (
                "This is the only certificate: without it no message could be verified. Upload the new one first."
            )
            return self._refused(request, FieldError(field="", sentence=sentence))
        return self._propose(request, name, ("certificates", position), REMOVED)

    def _propose(self, request: PageRequest, name: str, keys: Keys, value: object) -> Answer:
        edits = [Edit(("environments", name, *keys), value)]
        proposed = self.proposer.propose(request.own_session, edits, base=request.form.text("base"))
        if isinstance(proposed, Proposed):
            return proposed.preview
        errors = field_errors(proposed.problems, key_fields(name, _FIELDS))
        return self._refused(request, *errors, status=409 if proposed.is_stale else 422)

    def _refused(self, request: PageRequest, *errors: FieldError, status: int = 422) -> Shown:
        return self._page(request, request.form.with_errors(*errors), status)

    def _page(self, request: PageRequest, form: Form, status: int = 200) -> Shown:
        name, _, _ = wanted(self.desk, request)
        present = self.certificates.certificates(name, request.now)
        view = {
            "name": name,
            "tabs": tabs(name, request),
            "base": self.proposer.base(),
            "certificates": present,
            "may_change": request.may(Permission.CHANGE_FEED, name),
            "may_add": len(present) < MOST,
            "may_retire": len(present) > 1,
        }
        return Shown(
            template="environments/certificates.html",
            title=f"Certificates of {name}",
            view=view,
            form=form,
            status=status,
        )


def judged(desk: CertificatesDesk, request: PageRequest) -> CertificateVerdict:
    """The verdict on the file that was sent."""
    upload = request.form.uploads.get(FILE)
    if upload is None:
        return CertificateVerdict(refusal="Choose a .cer file.")
    return desk.judge(upload.content, request.now)


def _why_not_added(verdict: CertificateVerdict, present: tuple[CertificateInUse, ...]) -> str | None:
    if any(certificate.thumbprint == verdict.thumbprint for certificate in present):
        return "This certificate is in use here already. A second one is for a new key, while both sign."
    if len(present) >= MOST:
        return "There are two certificates already. Retire the old one first."
    return None

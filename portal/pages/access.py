"""What the pages about people ask for, and the sentences they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import segno
from markupsafe import Markup

from portal.people import ActRefusal, NotDone, PasswordProblem, People, SecondFactor


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDesk:
    """Attributes:
    people: see there.
    public_url: of the portal, for links.
    environments: the names that are configured now.
    """

    people: People
    public_url: str
    environments: Callable[[], Sequence[str]]


SHORTEST_ALONE: Final = 15
SHORTEST_WITH_CODE: Final = 8
LONGEST: Final = 128

PASSWORD_SENTENCES: Final[Mapping[PasswordProblem, str]] = {
    "short": "The password is too short. Three or four words that do not belong together make a good one.",
    "long": f"The password is longer than {LONGEST} characters.",
    "common": "This password is among the most common ones, which are tried first. Choose another.",
    "organization": "The password is little more than the organisation's name. Choose another.",
    "login": "The password is little more than your own name. Choose another.",
}

ACT_SENTENCES: Final[Mapping[ActRefusal, str]] = {
    "last_administrator": "This is the last administrator. Make somebody else an administrator first.",
    "unknown_person": "This person is not there any more.",
    "login_taken": "Somebody has this user name already.",
    "login_unusable": "A user name has 2 to 64 characters: a to z, digits, and . _ @ -",
    "role_unknown": "Choose a role.",
    "environment_unknown": "One of the environments is not configured any more.",
    "not_allowed": "Your own role has changed meanwhile. Nothing was done.",
    "is_disabled": "This person is switched off. Switch them on first.",
    "no_second_factor": "There is no second factor.",
    "wrong_code": "That code is not right. Type the newest one from your app; it changes every 30 seconds.",
    "not_started": "Begin again: the second factor that waited for its code is gone.",
    "wrong_password": "Your present password is not right.",
    "other_sign_in": "This person signs in with the organisation's own sign-in, where passwords and codes are kept.",
}


def sentence_of(refusal: NotDone) -> str:
    """Why an act upon a person was refused."""
    if refusal.password is not None:
        return PASSWORD_SENTENCES[refusal.password]
    return ACT_SENTENCES[refusal.reason] if refusal.reason is not None else "Nothing was done."


def qr_code(second_factor: SecondFactor) -> Markup:
    """The address of a second factor as a picture that authenticator apps read."""
    drawing = segno.make(second_factor.uri, error="m", micro=False)
    svg = drawing.svg_inline(omitsize=True, border=3, dark="#000000", light="#ffffff", svgclass="qr", lineclass=None)
    return Markup(svg.replace("<svg ", '<svg role="img" aria-label="QR code of the key below" ', 1))  # noqa: S704 # made of modules alone

"""What was posted, with errors beside its fields. Nothing of what was typed is lost: a form is shown again with its own values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

CSRF_FIELD: Final = "csrf"
CONFIRM_FIELD: Final = "password_or_code"
SECRET_FIELDS: Final = frozenset(
    {CONFIRM_FIELD, "password", "password_again", "new_password", "new_password_again", "code", "telephone"}
)
"""Never written into a page, not even into the page that holds back what was typed."""
LONGEST_FIELD: Final = 1_000_000
"""Characters; the body as a whole is limited before (`portal.gate`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One error. `field` is the field's name, "" for the form as a whole. The sentence stands at the top and beside the field."""

    field: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that was chosen. Its name is for messages alone."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Attributes:
    values: field -> all its values, in order.
    uploads: field -> file; an empty choice is left out.
    errors: in the order of the fields on the page.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    uploads: Mapping[str, Upload] = field(default_factory=dict, repr=False)
    errors: Sequence[FieldError] = ()

    def text(self, name: str, default: str = "") -> str:
        """The field's last value, without white space around it."""
        values = self.values.get(name)
        return values[-1].strip() if values else default

    def raw(self, name: str) -> str:
        """The field's last value exactly as typed: passwords, and texts whose line ends count."""
        values = self.values.get(name)
        return values[-1] if values else ""

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.text(name) not in ("", "0", "off")

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field that is repeated."""
        return self.values.get(name, ())

    def with_errors(self, *errors: FieldError) -> Form:
        """The same form, to be shown again with these errors added."""
        return replace(self, errors=(*self.errors, *errors))

    def filled(self, values: Mapping[str, str | Sequence[str]]) -> Form:
        """The same form with these values where it has none: what a page shows before anybody typed."""
        given = {name: (value,) if isinstance(value, str) else tuple(value) for name, value in values.items()}
        return replace(self, values={**given, **self.values})

    def error_of(self, name: str) -> str | None:
        """The first error of a field."""
        return next((error.sentence for error in self.errors if error.field == name), None)

    @property
    def carried(self) -> list[tuple[str, str]]:
        """(field, value) of everything typed that may stand in a page's hidden fields."""
        return [
            (name, value)
            for name, values in self.values.items()
            if name != CSRF_FIELD and name not in SECRET_FIELDS
            for value in values
        ]

    @property
    def carries_all(self) -> bool:
        """Whether `carried` is everything: no secret and no file was typed."""
        return not self.uploads and not any(
            name in SECRET_FIELDS and any(values) for name, values in self.values.items()
        )

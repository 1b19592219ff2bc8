"""A patient's telephone number. `parser.phone_choice` finds it in a message.

`PhoneNumber` hides its digits from `repr`, `str`, format and tracebacks; only `e164()` tells them, and only the rooms
that encrypt or send call it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

PhoneKind = Literal["mobile", "landline", "unknown"]

_SEPARATORS: Final = str.maketrans("", "", " \u00a0().-")
_E164: Final = re.compile(r"\+[0-9]{7,15}")


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A number in E.164, digits hidden.

    Attributes:
        kind: by the sender's codes or the numbering plan: mobile, landline or unknown (US and CA plans do not say).
    """

    _digits: str
    kind: PhoneKind = "unknown"

    def e164(self) -> str:
        """The number itself, `+12025550143`. Only for encryption and for the gateway."""
        return self._digits

    @property
    def masked(self) -> str:
        """`***0143`: what people and logs may see."""
        return f"***{self._digits[-4:]}"

    def same_digits(self, other: PhoneNumber) -> bool:
        """Whether both are the same number, of whatever kind they are called."""
        return self._digits == other._digits

    def __repr__(self) -> str:
        return f"PhoneNumber({self.masked})"

    def __str__(self) -> str:
        return self.masked

    def __format__(self, spec: str) -> str:
        return format(self.masked, spec)


def typed_number(written: str) -> PhoneNumber | None:
    """A number that a person typed with its country code, with or without spaces, dots, dashes and brackets; None: it is none."""
    digits = written.strip().translate(_SEPARATORS)
    return PhoneNumber(digits) if _E164.fullmatch(digits) else None

"""Where a page of a list begins, as text of an address. What is none begins the first page: an address may be old or mistyped."""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from store.instants import from_microseconds, to_microseconds
from store.message_pages import MessageMark
from store.sms_pages import RowKey

_ROW: Final = re.compile(r"([0-9]{1,16})-([0-9a-f]{0,64})")
_LATEST: Final = to_microseconds(from_microseconds(0).replace(year=9000))


def write_row_key(key: RowKey | None) -> str:
    """`1772474460000000-0f3a...`; "" for none."""
    return "" if key is None else f"{to_microseconds(key.at)}-{key.id or ''}"


def read_row_key(written: str) -> RowKey | None:
    """None: it is none."""
    parts = _ROW.fullmatch(written)
    if parts is None or int(parts[1]) > _LATEST:
        return None
    return RowKey(at=from_microseconds(int(parts[1])), id=parts[2] or None)


def write_mark(mark: MessageMark | None) -> str:
    """The fields as JSON in base64url: they are a sender's words. "" for none."""
    if mark is None:
        return ""
    fields = [to_microseconds(mark.forget_after), mark.environment, mark.msh3, mark.msh4, mark.msh10, mark.variant]
    return urlsafe_b64encode(json.dumps(fields).encode()).decode("ascii")


def read_mark(written: str) -> MessageMark | None:
    """None: it is none."""
    try:
        forget_after, *fields = json.loads(urlsafe_b64decode(written.encode("ascii")))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return None
    if type(forget_after) is not int or not 0 <= forget_after <= _LATEST:
        return None
    if len(fields) != 5 or not all(isinstance(field, str) and "\0" not in field for field in fields):
        return None
    environment, msh3, msh4, msh10, variant = fields
    return MessageMark(
        forget_after=from_microseconds(forget_after),
        environment=environment,
        msh3=msh3,
        msh4=msh4,
        msh10=msh10,
        variant=variant,
    )

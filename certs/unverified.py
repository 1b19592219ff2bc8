"""Read a message without verification, for rehearsals only. The result has a type that only rehearsals accept."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from certs.envelope import canonical
from certs.message import UnverifiedMessage
from certs.msh import Sent, read_msh, read_sent


def unverified(content: bytes, *, environment: str, zone: ZoneInfo, received_at: datetime) -> UnverifiedMessage:
    """A message whose signature nobody checked, for `carebell explain` and `carebell plan`, which store and send nothing.

    Bytes before MSH are passed over, a ZSG at the end is taken off unread. An MSH-7 that is
    missing or unreadable counts as `received_at`, with a warning.

    Raises:
        ValueError: there is no MSH segment.
    """
    body = canonical(content)
    start = body.find(b"MSH")
    if start < 0:
        raise ValueError("not an HL7 version 2 message: there is no MSH segment")
    last = body.rfind(b"\r", start)
    payload = body[start : last + 1] if body.startswith(b"ZSG|", last + 1) else body[start:] + b"\r"
    msh = read_msh(payload)
    warnings: tuple[str, ...] = ()
    try:
        sent = read_sent(msh.date_time, zone)
    except ValueError as error:
        second = timedelta(seconds=1)
        sent = Sent(received_at, None, second, second)
        warnings = (f"MSH-7: {error}; taken as the time of receipt",)
    return UnverifiedMessage(
        payload=payload,
        digest=hashlib.sha256(payload).digest(),
        msh=msh,
        environment=environment,
        received_at=received_at,
        sent_at=sent.at,
        sent_offset=sent.offset,
        sent_within=sent.within,
        warnings=warnings,
    )

"""Which meetings an environment has: kind of `visits.meeting` -> what implements it. A new kind is a line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from config.files import meeting_secrets
from config.model import MeetingSettings
from meetings.jitsi import JitsiMeetings
from meetings.jitsi_events import JitsiWebhook
from meetings.link import LinkMeetings
from meetings.port import MeetingFault, Meetings
from meetings.webhook import MeetingWebhook


def _jitsi(settings: MeetingSettings) -> Meetings:
    return JitsiMeetings(
        url=(settings.url or "").rstrip("/"), app_id=settings.app_id, secret=_secrets(settings.secret_file)[0]
    )


_KINDS: Final[dict[str, Callable[[MeetingSettings], Meetings]]] = {
    "link": lambda settings: LinkMeetings(url=settings.url),
    "jitsi": _jitsi,
}
_WEBHOOKS: Final[dict[str, Callable[[MeetingSettings], MeetingWebhook]]] = {
    "jitsi": lambda settings: JitsiWebhook(bearers=_secrets(settings.webhook_secret_file)),
}


def meetings_of(settings: MeetingSettings) -> Meetings:
    """What a visit of an environment with these settings takes place in. MeetingFault: a secret's file cannot be used."""
    return _KINDS[settings.kind](settings)


def webhook_of(settings: MeetingSettings) -> MeetingWebhook | None:
    """Who reads what these meetings' server posts; None: it posts nothing, or nothing would prove it.

    MeetingFault: the secret's file cannot be used.
    """
    if settings.kind not in _WEBHOOKS or settings.webhook_secret_file is None:
        return None
    return _WEBHOOKS[settings.kind](settings)


def _secrets(path: Path | None) -> tuple[bytes, ...]:
    """At least one. Raises: MeetingFault."""
    try:
        secrets = meeting_secrets(path)
    except (OSError, ValueError):
        secrets = ()
    if not secrets:
        raise MeetingFault("secret_file")
    return secrets

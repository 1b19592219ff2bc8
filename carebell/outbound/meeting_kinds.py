"""Which meetings an environment has: kind of `visits.meeting` -> what implements it. A new kind is a line here."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from config.addresses import is_loopback
from config.files import meeting_secrets
from config.model import MeetingSettings
from meetings import teams, zoom
from meetings.jitsi import JitsiMeetings
from meetings.jitsi_events import JitsiWebhook
from meetings.link import LinkMeetings
from meetings.port import MeetingFault, Meetings, MeetingService
from meetings.service_api import ServiceApi
from meetings.webhook import MeetingWebhook
from meetings.zoom_events import ZoomWebhook
from oauth.fetcher import Fetcher, FetchPolicy


def _jitsi(settings: MeetingSettings) -> Meetings:
    return JitsiMeetings(
        url=(settings.url or "").rstrip("/"),
        app_id=settings.app_id,
        secret=_secrets(settings.secret_file)[0],
        reports=settings.tells,
    )


_KINDS: Final[dict[str, Callable[[MeetingSettings], Meetings]]] = {
    "link": lambda settings: LinkMeetings(url=settings.url),
    "jitsi": _jitsi,
}


def _zoom(settings: MeetingSettings, fetcher: Fetcher) -> MeetingService:
    secret = _secrets(settings.secret_file)[0].decode("ascii")
    basic = base64.b64encode(f"{settings.client_id}:{secret}".encode()).decode("ascii")
    simulated = settings.api_url
    api = ServiceApi(
        fetcher=fetcher,
        base=f"{simulated}/v2" if simulated else zoom.API,
        token_url=f"{simulated}/oauth/token" if simulated else zoom.TOKEN,
        token_form={"grant_type": "account_credentials", "account_id": settings.account_id},
        authorization=f"Basic {basic}",
    )
    return zoom.ZoomMeetings(api=api, host=settings.host, reports=settings.tells)


def _teams(settings: MeetingSettings, fetcher: Fetcher) -> MeetingService:
    simulated, tenant = settings.api_url, quote(settings.account_id, safe="")
    api = ServiceApi(
        fetcher=fetcher,
        base=f"{simulated}/v1.0" if simulated else teams.API,
        token_url=f"{simulated or teams.SIGN_IN}/{tenant}/oauth2/v2.0/token",
        token_form={
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": _secrets(settings.secret_file)[0].decode("ascii"),
            "scope": teams.SCOPE,
        },
    )
    return teams.TeamsMeetings(api=api, organizer=settings.host)


_SERVICES: Final[dict[str, Callable[[MeetingSettings, Fetcher], MeetingService]]] = {"zoom": _zoom, "teams": _teams}
_WEBHOOKS: Final[dict[str, Callable[[MeetingSettings], MeetingWebhook]]] = {
    "jitsi": lambda settings: JitsiWebhook(bearers=_secrets(settings.webhook_secret_file)),
    "zoom": lambda settings: ZoomWebhook(secrets=_secrets(settings.webhook_secret_file)),
}


def meetings_of(settings: MeetingSettings) -> Meetings:
    """What a visit of an environment with these settings takes place in. MeetingFault: a secret's file cannot be used."""
    return service_of(settings) or _KINDS[settings.kind](settings)


def service_of(settings: MeetingSettings, *, rehearses: bool = False) -> MeetingService | None:
    """The same, if another organisation's server makes them; otherwise None.

    Args:
        rehearses: a simulator on this machine may be asked. Nothing else inside is.
    """
    if settings.kind not in _SERVICES:
        return None
    local = rehearses and settings.api_url is not None and is_loopback(settings.api_url)
    return _SERVICES[settings.kind](settings, Fetcher(FetchPolicy(loopback=local)))


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

"""`join`: the patients' pages; and `visits` of an environment: whose join links its texts carry, and what happens behind them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from config.section import Section
from config.values import (
    Between,
    Duration,
    IceUrl,
    LinkHost,
    ListenHost,
    MeetingUrl,
    Network,
    Origin,
    ServiceUrl,
    VisitMode,
    Word,
)


class JoinSection(Section):
    """The patients' pages, on a port and under a host of their own: they share no origin with the staff's."""

    enabled: bool = False
    host: ListenHost = "127.0.0.1"
    """Address to listen on; 127.0.0.1 behind a reverse proxy that does TLS."""
    port: int = Field(default=8081, ge=0, le=65535)
    """0 takes any free port."""
    public_url: Origin | None = None
    """Where patients reach the pages: https (http for this machine only), no path. It stands in every text with a link, so that a
    short host of your own is best; carriers block public shorteners."""
    trusted_proxies: list[Network] = Field(default_factory=list)
    """Proxies (CIDR) whose X-Forwarded-For tells the client's address, for the limit of unknown links; empty: the peer itself
    counts."""
    words: Path | None = None
    """Your own YAML file with the pages' words in further languages, or instead of built-in ones, in the form of
    config/page_words/*.yaml. A language that lacks a phrase is not used."""

    def url_at(self, port: int) -> str:
        """Where patients reach the pages; `port` is the one that is listened on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{port}"


class LaunchSettings(Section):
    """Launches from the EHR (SMART on FHIR, EHR launch): the addresses `/ehr/ENVIRONMENT/provider` and `/patient` below
    `join.public_url`, as the integration records give them."""

    client_id: Word | None = None
    """That the EHR gave to Carebell for launches. Its redirect URI is `join.public_url` with `/ehr/ENVIRONMENT/callback`, its
    scopes are `launch openid fhirUser`. null: nobody is launched."""
    client_secret_file: Path | None = None
    """That belongs to the client id, on the first line. null: a public client, which PKCE alone protects."""
    patients: bool = False
    """true: the EHR also launches its patients, from their own sign-in there."""
    group_visits: bool = False
    """true: the context tokens of the integration records name the conference (`%CONFERENCEID%`) in place of the visit, for an EHR
    that launches group visits so. Patients are then launched by their own appointment (`appointmentId`) alone."""


class MeetingSettings(Section):
    """Where a visit takes place when the patient is let in."""

    kind: Literal["link", "jitsi", "zoom", "teams"] = "link"
    """link: an address that the configuration or the sender gives. jitsi: a room of your own Jitsi server.
    zoom: a Zoom meeting. teams: a Microsoft Teams meeting."""
    url: MeetingUrl | None = None
    """link: the meeting's address; `{visit_code}` in it becomes the visit's own random code, so that each visit has a room of its
    own. null: the address that the message gave, in the field `sms.join_link.field`. jitsi: the server's address."""
    app_id: str = Field(default="", pattern=r"^[!-~]{0,128}$")
    """jitsi: as its prosody has it (`app_id`)."""
    secret_file: Path | None = None
    """jitsi: the secret that signs the tokens of those who enter, as its prosody has it (`app_secret`), on the first line.
    zoom, teams: the client secret of the app."""
    webhook_secret_file: Path | None = None
    """jitsi: the bearer token with which its prosody tells us who comes and goes; zoom: the app's secret token, which signs its
    webhooks. Several lines during a rotation. null: nobody tells, and going there counts as being there."""
    account_id: str = Field(default="", pattern=r"^[!-~]{0,128}$")
    """zoom: the account. teams: the directory (tenant) id."""
    client_id: str = Field(default="", pattern=r"^[!-~]{0,128}$")
    """zoom: of the app, which is a server-to-server one. teams: of the app registration."""
    host: str = Field(default="", pattern=r"^[A-Za-z0-9._%+@-]{0,128}$")
    """zoom: the user, by id or e-mail address, whose meetings they are; providers enter as this user. teams: the object id of the
    user who organizes the meetings."""
    api_url: ServiceUrl | None = None
    """zoom, teams: a simulator or proxy in the place of its API; null: its own address."""
    create: Annotated[Duration, AfterValidator(Between("0s", "7d"))] = timedelta(hours=24)
    """zoom, teams: the meeting is made so long before patients can come in."""

    @property
    def is_service(self) -> bool:
        """Whether another organisation's server makes the meetings."""
        return self.kind in ("zoom", "teams")

    @property
    def tells(self) -> bool:
        """Whether its server says by itself who comes and goes, and proves it."""
        return self.kind in ("jitsi", "zoom") and self.webhook_secret_file is not None

    @property
    def takes_given_address(self) -> bool:
        """Whether patients go where the message says."""
        return self.kind == "link" and self.url is None


class DeviceTestSettings(Section):
    """The patients' test of camera, microphone, loudspeaker and connection, under their link."""

    enabled: bool = False
    """true: the patients' pages lead to the test."""
    ice_servers: list[IceUrl] = Field(default_factory=list, max_length=8)
    """Servers that a browser asks for a way to the meeting, as the meeting's own settings name them: `stun:host`, `turn:host`,
    `turns:host:5349?transport=tcp`. With a relay (turn, turns) the test call goes through it."""
    credential_file: Path | None = None
    """File with the secret that the relay shares with Carebell (coturn: `static-auth-secret`), alone on a line. Browsers get
    credentials made from it that are good for ten minutes, never the secret."""


def _video_alone() -> list[VisitMode]:
    return ["video"]


class Visits(Section):
    """Video visits: whose link the texts carry, and the patients' waiting room."""

    join: Literal["ours", "feed", "none"] = "feed"
    """ours: a link of Carebell's own, one for each visit. feed: the link in the field `sms.join_link.field`. none: no link."""
    lobby: Literal["ours", "meeting", "none"] = "ours"
    """ours: patients wait on our page until staff lets them in. meeting: they go on to the meeting's own waiting room at once.
    none: they go straight into the meeting, which has none."""
    opens: Annotated[Duration, AfterValidator(Between("0s", "7d"))] = timedelta(minutes=60)
    """So long before the start patients can come in."""
    ends_after: Annotated[Duration, AfterValidator(Between("0s", "2d"))] = timedelta(hours=2)
    """So long after the visit's end (its known duration, or an hour) the link ends."""
    modes: list[VisitMode] = Field(default_factory=_video_alone, min_length=1)
    """Visits that get a link."""
    show_provider: bool = False
    """true: the waiting room names who the visit is with, as the message gave it."""
    devices: int = Field(default=3, ge=1, le=20)
    """On so many devices one link may be open at a time."""
    meeting: MeetingSettings = MeetingSettings()
    launch: LaunchSettings = LaunchSettings()
    allowed_hosts: list[LinkHost] = Field(default_factory=list)
    """Meetings may be at these hosts only: patients are sent nowhere else. A test environment may also name one on this machine."""
    device_test: DeviceTestSettings = DeviceTestSettings()
